"""
The promises, checked while others change Azure too.

A change by others shifts the promises: customers may change their own rules, and a person who wipes
a path cuts its users until the broker notices.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from jit.domain.grants.lifetime import has_asked_azure
from jit.domain.model.grant import Grant, Status
from jit.domain.model.machine import Via
from local.azure.defender.access import Access
from local.azure.values import ids
from tests.crash import promises
from tests.crash.promises import ForeignAccess, PromiseChecker, Tolerance, VmPort, vm_port_of
from tests.local.azure.sim import NSG_WEB, WEB01

NOTICED = timedelta(minutes=8)
"""The broker notices a path that others cut by the next comparison, five minutes later."""

WITHDRAWN = timedelta(minutes=7)
"""A companion goes by the next comparison, a new NAT rule works three minutes after its writing."""

RULES_READ = timedelta(minutes=27)
"""A comparison reads a network's rules once in a quarter of an hour, or one comparison later."""

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
        self._managed_at = datetime.min.replace(tzinfo=UTC)

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

    def note_foreign_access(
        self, vm: str, port: int, source: str, until: datetime, *, sure: bool = True
    ) -> None:
        """
        Note foreign access: it supersedes every request on that VM port, the broker's too.

        It may never be reachable if it is not *sure*. The same holds behind a firewall: the NSG
        allows an address that the VM does not see
        (https://github.com/MicrosoftDocs/azure-docs/issues/46777).
        """
        vm_port = (ids.key(vm), port)
        self.note_disturbance(vm_port)
        sure = sure and self.expects_access and vm not in BEHIND_FIREWALL
        opened_by = self.now + OPENED if sure else until
        self._foreign_accesses.append(ForeignAccess(vm_port, source, opened_by, until))

    def note_published(self, vm_port: VmPort) -> None:
        """Note that a customer's NAT rule leads to a VM port, or no longer does."""
        self.published.add(vm_port)
        late = self.tolerance.closing[Via.PUBLIC_IP] - Tolerance().closing[Via.PUBLIC_IP]
        self.tolerance.exposure = max(self.tolerance.exposure, WITHDRAWN + late)

    def note_managed(self) -> None:
        """Note that the security admin rules of a network have changed."""
        self._managed_at = self.now

    def stop_expecting_foreign_access(self) -> None:
        """Note that Defender itself fails: foreign access may fail too."""
        self.expects_access = False
        self._foreign_accesses = [_unsure(each) for each in self._foreign_accesses]

    def _is_owners_way(self, vm_port: VmPort) -> bool:
        """
        Return True if a customer's NAT rule leads to a VM whose deny rules somebody wiped.

        The firewall translates the source, and an NSG lets its own network in by default.
        """
        rules = self.parts.sim.get(NSG_WEB)["properties"]["securityRules"]
        return vm_port in self.published and not any(_is_deny(rule["name"]) for rule in rules)

    def _check_insiders(self, vm_port: VmPort, here: list[Grant]) -> None:
        general = self.tolerance.gap
        self.tolerance.gap = max(general, self.cut.get(vm_port, general))
        super()._check_insiders(vm_port, here)
        self.tolerance.gap = general

    def _check_stored_grants(self) -> None:
        """Check too that a closed grant tells what an admin rule leaves open."""
        before = dict(self._grants)
        super()._check_stored_grants()
        for grant in self._rows():
            known = before.get(grant.id)
            if (
                known is not None
                and known.status is Status.CLOSING
                and grant.status is Status.CLOSED
            ):
                self._check_closing_note(grant)

    def _check_closing_note(self, grant: Grant) -> None:
        vm_port, texts = vm_port_of(grant), [str(s.network_address) for s in grant.sources]
        left = [
            text
            for text in texts
            if self._reaches(vm_port, text) and not self._reaches(vm_port, text, always=False)
        ]
        is_settled = self.now >= self._managed_at + RULES_READ and has_asked_azure(grant)
        if left and is_settled and "security admin rule" not in (grant.note or ""):
            self.add_violation("P2", f"{grant.id} closed, and does not tell what is left open")

    def _remember_rules(self) -> None:
        """Remember each request and its rules, even if Defender writes them later."""
        self._accesses.update(promises.live_accesses(self.parts))
        for access in self._accesses:
            for group, name in access.rules:
                self._written[ids.key(group), name] = access

    def _is_temporary(self, name: str) -> bool:
        """Return True for Defender's deny rules too: they change with the policy."""
        return _is_deny(name) or super()._is_temporary(name)


def _is_deny(name: str) -> bool:
    """Return True for the name of a deny rule that Defender writes for a JIT policy."""
    return "JITRule_" in name


def _unsure(access: ForeignAccess) -> ForeignAccess:
    """Return foreign access that may be open until its end, or not."""
    return replace(access, opened_by=access.until)
