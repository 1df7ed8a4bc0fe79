"""Judgements about the body of an access request: by the inventory, then by Azure itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

from jit.broker.requests.new_grants import Machines
from jit.domain.decision.jit_policy import decide
from jit.domain.decision.verdict import Finding, FindingKind
from jit.domain.limits import Limits
from jit.domain.model.machine import VirtualMachine
from jit.domain.requests.submission import Draft
from jit.domain.values import arm_ids
from jit.storage.inventory_store import InventoryStore

if TYPE_CHECKING:  # only denials need it, and its import slows the first request down
    from jit.observer.subscription import Observer


@dataclass(frozen=True, slots=True)
class Judgement:
    """
    The findings about a draft.

    Attributes:
        findings: Empty if the request is allowed.
        machines: The VMs that the findings are about.
    """

    findings: tuple[Finding, ...]
    machines: Machines

    @property
    def is_final(self) -> bool:
        """True if fresh data cannot lead to a better answer."""
        return all(finding.kind is FindingKind.BODY for finding in self.findings)


@dataclass(frozen=True, slots=True)
class Judge:
    """
    Decides about drafts.

    Attributes:
        observer: Builds the observer when it is first called: most requests never need it.
    """

    inventory: InventoryStore
    observer: Callable[[], Observer]
    limits: Limits

    def judge(self, draft: Draft, now: datetime) -> Judgement:
        """Decide by the inventory; if that denies, decide again by Azure."""
        judgement = self.judge_kept(draft, now)
        return judgement if judgement.is_final else self.judge_anew(draft, now)

    def judge_kept(self, draft: Draft, now: datetime) -> Judgement:
        """Decide by the inventory, a minute old at most; if that denies, by the stored one."""
        find = partial(self.inventory.find_kept_machine, now=now)
        kept = self._judge_by(_find_machines(draft, find), draft, now)
        if kept.is_final:
            return kept
        return self._judge_by(_find_machines(draft, self.inventory.find_machine), draft, now)

    def judge_anew(self, draft: Draft, now: datetime) -> Judgement:
        """
        Decide by Azure, and keep what it shows in the inventory.

        Raises:
            Unavailable: Azure or storage did not answer.
        """
        return self._judge_by(self._read_machines(draft, now), draft, now)

    def _judge_by(self, machines: Machines, draft: Draft, now: datetime) -> Judgement:
        return Judgement(decide(draft, machines, now=now, limits=self.limits), machines)

    def _read_machines(self, draft: Draft, now: datetime) -> Machines:
        """Read the subscriptions of *draft* from Azure into the inventory."""
        subscriptions = {arm_ids.subscription(machine.id) for machine in draft.machines}
        found: dict[str, VirtualMachine] = {}
        for subscription in filter(self.limits.allows_subscription, subscriptions):
            machines, is_new = self.observer().read_recent_machines(subscription, now=now)
            if is_new:  # otherwise the inventory may be newer by now
                self.inventory.write_machines(subscription, machines, complete=True)
            found |= {arm_ids.key(vm.id): vm for vm in machines if not vm.is_unlisted}
        return found


def _find_machines(draft: Draft, find: Callable[[str], VirtualMachine | None]) -> Machines:
    """Return the VMs of *draft* that *find* knows and that Azure listed last time."""
    ids = {arm_ids.key(machine.id): machine.id for machine in draft.machines}
    found = {key: find(vm_id) for key, vm_id in ids.items()}
    return {key: vm for key, vm in found.items() if vm is not None and not vm.is_unlisted}
