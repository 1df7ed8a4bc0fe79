"""
The promises, watched where neighbours act too.

What a neighbour does by right shifts what is promised: a customer may change what is theirs, and
whoever wipes a path cuts those who stand on it, until the broker has noticed.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from jit.domain.model.grant import Grant
from local.azure.defender.access import Access
from local.azure.values import ids
from tests.crash import promises
from tests.crash.promises import Door, Promises, Stranger
from tests.local.azure.sim import WEB01

NOTICED = timedelta(minutes=8)
"""Who is cut by a neighbour is told so: the next comparison, five minutes later, sees it."""

OPENED = timedelta(minutes=10)
"""Until then Defender has opened what was asked of it."""

TIDIED = timedelta(minutes=20)
"""So long after a stranger's end nobody takes rules away that might be theirs."""

FRONTED = {WEB01}


class Watch(Promises):
    """
    Looks on, and is told what neighbours do.

    Attributes:
        cut: How long grants of a VM port may be missing, where a neighbour has a hand in it.
    """

    def __init__(self) -> None:
        """Nobody has done anything yet."""
        super().__init__()
        self.cut: dict[Door, timedelta] = {}
        self.promised = True
        self._accesses: set[Access] = set()

    @property
    def tidied(self) -> datetime:
        """When nothing is held for strangers any more."""
        return max((each.until + TIDIED for each in self._strangers), default=self.now)

    def moved(self) -> None:
        """Take note that customers have changed what is theirs."""
        self._customers = self._foreign()

    def disturbed(self, door: Door, gap: timedelta = NOTICED) -> None:
        """Take note that a neighbour may have cut whoever stands on a VM port."""
        self.cut[door] = max(gap, self.cut.get(door, gap))
        self._strangers = [_unsure(each) if each.door == door else each for each in self._strangers]

    def stranger(self, vm: str, port: int, source: str, until: datetime) -> None:
        """
        Take note of somebody else's access: it supersedes whatever was there, ours too.

        Behind a firewall it may never get through: the NSG lets in an address that the VM does
        not see (https://github.com/MicrosoftDocs/azure-docs/issues/46777).
        """
        door = (ids.key(vm), port)
        self.disturbed(door)
        opened_by = self.now + OPENED if self.promised and vm not in FRONTED else until
        self._strangers.append(Stranger(door, source, opened_by, until))

    def unpromised(self) -> None:
        """Take note that Defender itself is in trouble: strangers' access is its own affair."""
        self.promised = False
        self._strangers = [_unsure(each) for each in self._strangers]

    def _insiders(self, door: Door, here: list[Grant]) -> None:
        general = self.patience.gap
        self.patience.gap = max(general, self.cut.get(door, general))
        super()._insiders(door, here)
        self.patience.gap = general

    def _gather(self) -> None:
        """Remember each request, whenever Defender gets round to writing its rules."""
        self._accesses.update(promises._live(self.plant))
        for access in self._accesses:
            for group, name in access.rules:
                self._written[ids.key(group), name] = access

    def _passing(self, name: str) -> bool:
        """Leave Defender's denies out too: they come and go with the policy, on nobody's call."""
        return "JITRule_" in name or super()._passing(name)


def _unsure(stranger: Stranger) -> Stranger:
    """Return somebody's access, which may be open until its end, and need not be."""
    return replace(stranger, opened_by=stranger.until)
