"""
The promises, checked while others change Azure too.

A change by others shifts the promises: customers may change their own rules, and a person who wipes
a path cuts its users until the broker notices.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from jit.domain.model.grant import Grant
from local.azure.defender.access import Access
from local.azure.values import ids
from tests.crash import promises
from tests.crash.promises import ForeignAccess, PromiseChecker, VmPort
from tests.local.azure.sim import WEB01

NOTICED = timedelta(minutes=8)
"""The broker notices a path that others cut by the next comparison, five minutes later."""

OPENED = timedelta(minutes=10)
"""Defender opens a path within this time."""

RELEASED = timedelta(minutes=20)
"""After the end of foreign access, the broker keeps its rules this long."""

BEHIND_FIREWALL = {WEB01}


class PromiseWatch(PromiseChecker):
    """
    Checks the promises, and takes note of changes by others.

    Attributes:
        cut: How long a path to a VM port may be missing because others disturbed it.
        expects_access: False while Defender itself fails, so that foreign access may fail too.
    """

    def __init__(self) -> None:
        """Begin without foreign changes."""
        super().__init__()
        self.cut: dict[VmPort, timedelta] = {}
        self.expects_access = True
        self._accesses: set[Access] = set()

    @property
    def released_at(self) -> datetime:
        """When the broker no longer keeps rules for foreign access."""
        return max((each.until + RELEASED for each in self._foreign_accesses), default=self.now)

    def note_disturbance(self, vm_port: VmPort, gap: timedelta = NOTICED) -> None:
        """Note that others may have cut the paths to a VM port."""
        self.cut[vm_port] = max(gap, self.cut.get(vm_port, gap))
        self._foreign_accesses = [
            _unsure(each) if each.vm_port == vm_port else each for each in self._foreign_accesses
        ]

    def note_foreign_access(self, vm: str, port: int, source: str, until: datetime) -> None:
        """
        Note foreign access: it supersedes every request on that VM port, the broker's too.

        Behind a firewall it may never be reachable: the NSG allows an address that the VM does
        not see (https://github.com/MicrosoftDocs/azure-docs/issues/46777).
        """
        vm_port = (ids.key(vm), port)
        self.note_disturbance(vm_port)
        opened_by = (
            self.now + OPENED if self.expects_access and vm not in BEHIND_FIREWALL else until
        )
        self._foreign_accesses.append(ForeignAccess(vm_port, source, opened_by, until))

    def stop_expecting_foreign_access(self) -> None:
        """Note that Defender itself fails: foreign access may fail too."""
        self.expects_access = False
        self._foreign_accesses = [_unsure(each) for each in self._foreign_accesses]

    def _check_insiders(self, vm_port: VmPort, here: list[Grant]) -> None:
        general = self.tolerance.gap
        self.tolerance.gap = max(general, self.cut.get(vm_port, general))
        super()._check_insiders(vm_port, here)
        self.tolerance.gap = general

    def _remember_rules(self) -> None:
        """Remember each request and its rules, even if Defender writes them later."""
        self._accesses.update(promises.live_accesses(self.parts))
        for access in self._accesses:
            for group, name in access.rules:
                self._written[ids.key(group), name] = access

    def _is_temporary(self, name: str) -> bool:
        """Return True for Defender's deny rules too: they change with the policy."""
        return "JITRule_" in name or super()._is_temporary(name)


def _unsure(access: ForeignAccess) -> ForeignAccess:
    """Return foreign access that may be open until its end, or not."""
    return replace(access, opened_by=access.until)
