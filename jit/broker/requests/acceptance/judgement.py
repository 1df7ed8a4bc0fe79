"""Judgements about the body of an access request: by the inventory, then by a fresh look."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from jit.broker.asked_bars import AskedBars
from jit.broker.requests.new_grants import Machines
from jit.broker.shared_looks import SharedLooks
from jit.domain.decision.jit_policy import decide
from jit.domain.decision.on_behalf import find_missing_role
from jit.domain.decision.verdict import Finding, FindingKind
from jit.domain.errors import CannotTell
from jit.domain.limits import Limits
from jit.domain.model.machine import VirtualMachine
from jit.domain.requests.submission import Draft, Submission
from jit.domain.values import arm_ids
from jit.domain.values.json_pointer import at
from jit.storage.inventory_store import InventoryStore

if TYPE_CHECKING:  # loaded only if the rights of people in Azure count
    from jit.broker.rights.asked_rights import AskedRights


@dataclass(frozen=True, slots=True)
class Judgement:
    """
    The findings about a draft.

    Attributes:
        findings: Empty if the request is allowed.
        machines: The VMs that the findings are about.
        is_about_caller: True if caller or person may ask for nothing: the policy was not asked.
        rights: The rights of the person in Azure, for the audit trail; None if nobody asked.
    """

    findings: tuple[Finding, ...]
    machines: Machines
    is_about_caller: bool = False
    rights: Mapping[str, Any] | None = None

    @property
    def has_faults(self) -> bool:
        """True if the request breaks the contract."""
        return any(finding.kind is FindingKind.BODY for finding in self.findings)

    @property
    def is_final(self) -> bool:
        """True if fresh data cannot lead to a better answer."""
        return self.is_about_caller or all(
            finding.kind is FindingKind.BODY for finding in self.findings
        )


@dataclass(frozen=True, slots=True)
class Judge:
    """
    Decides about the bodies of access requests.

    Attributes:
        rights: None if the rights of people in Azure do not count.
    """

    inventory: InventoryStore
    looks: SharedLooks
    bars: AskedBars
    limits: Limits
    rights: Callable[[], AskedRights] | None = None

    def judge(self, submission: Submission, now: datetime) -> Judgement:
        """Decide by the inventory; if that denies, decide again by a look that is fresh enough."""
        kept = self.judge_kept(submission, now)
        judgement = kept if kept.is_final else self.judge_anew(submission, now)
        return self.add_rights(judgement, submission, now)

    def judge_kept(self, submission: Submission, now: datetime) -> Judgement:
        """
        Decide by bars and the inventory, both a minute old at most; if that denies, by the rows.

        A caller who may not ask for the person named does not learn if that person is barred.

        Raises:
            Unavailable: Nobody knows if the person is barred, or storage did not answer.
        """
        draft, caller = submission.draft, submission.caller
        find = partial(self.inventory.find_kept_machine, now=now)
        kept = self._judge_by(_find_machines(draft, find), draft, now)
        missing = find_missing_role(caller, draft.on_behalf_of)
        people = (caller,) if missing else (caller, submission.requester)
        barred = () if kept.has_faults else self.bars.find_recent(people, now)
        refused = (*barred, *missing)
        if refused:  # no policy is asked for them, and not Azure
            faults = (each for each in kept.findings if each.kind is FindingKind.BODY)
            return Judgement((*faults, *refused), kept.machines, is_about_caller=True)
        if kept.is_final:
            return kept
        return self._judge_by(_find_machines(draft, self.inventory.find_machine), draft, now)

    def judge_anew(self, submission: Submission, now: datetime) -> Judgement:
        """
        Decide by a look at Azure that is at most 30 seconds old.

        Raises:
            Unavailable: Azure or storage did not answer.
        """
        draft = submission.draft
        return self._judge_by(self._read_machines(draft, now), draft, now)

    def add_rights(self, judgement: Judgement, submission: Submission, now: datetime) -> Judgement:
        """
        Return *judgement* with the findings of the person's rights in Azure.

        They are not asked for a barred person, for a request that breaks the contract, or about a
        VM that is not known or that the broker does not look after.

        Raises:
            CannotTell: Nobody knows if the person has them.
        """
        known = judgement.machines
        machines = [
            (known[key], at(wanted.pointer, "id"))
            for wanted in submission.draft.machines
            if (key := arm_ids.key(wanted.id)) in known
            and self.limits.allows_subscription(arm_ids.subscription(wanted.id))
        ]
        if self.rights is None or not machines or judgement.is_about_caller or judgement.has_faults:
            return judgement
        try:
            found = self.rights().judge_request(submission.requester.id, machines, now)
        except CannotTell:
            if judgement.findings:  # it is denied in any case
                return judgement
            raise
        findings = (*found.findings, *judgement.findings)
        return replace(judgement, findings=findings, rights=found.record)

    def _judge_by(self, machines: Machines, draft: Draft, now: datetime) -> Judgement:
        return Judgement(decide(draft, machines, now=now, limits=self.limits), machines)

    def _read_machines(self, draft: Draft, now: datetime) -> Machines:
        """Bring the inventory of the VMs of *draft* up to date, and return them."""
        subscriptions = {arm_ids.subscription(machine.id) for machine in draft.machines}
        allowed = set(filter(self.limits.allows_subscription, subscriptions))
        large: dict[str, VirtualMachine] = {}
        for subscription in allowed:
            self.looks.renew(subscription, now=now)
            large |= self.looks.find_left_out(subscription, now=now)
        found = {**large, **_find_machines(draft, self.inventory.find_machine)}
        return {
            key: vm
            for key, vm in found.items()
            if arm_ids.subscription(vm.id) in allowed and not vm.is_unlisted
        }


def _find_machines(draft: Draft, find: Callable[[str], VirtualMachine | None]) -> Machines:
    """Return the VMs of *draft* that *find* knows and that Azure listed last time."""
    ids = {arm_ids.key(machine.id): machine.id for machine in draft.machines}
    found = {key: find(vm_id) for key, vm_id in ids.items()}
    return {key: vm for key, vm in found.items() if vm is not None and not vm.is_unlisted}
