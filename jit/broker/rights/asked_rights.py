"""
Rights of people in Azure, asked before access is given.

At acceptance they are five minutes old at most. A refusal rests on a reading of the last half
minute: a role that was activated just now counts. Before access opens they are read anew.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from typing import Any, NamedTuple

from jit.broker.rights.kept_rights import KeptRights, KnownRights
from jit.broker.rights.reading_pace import Purpose
from jit.domain.authorization.machine_rights import RightsAnswer, judge_machine
from jit.domain.decision.verdict import Finding, FindingKind
from jit.domain.errors import CannotTell, Violation
from jit.domain.model.machine import VirtualMachine
from jit.domain.model.shown_access import YES, MayRequest
from jit.domain.values import arm_ids
from jit.domain.values.json_pointer import ROOT
from jit.domain.values.times import format_instant

ACCEPTED_BY = timedelta(minutes=5)
REFUSED_BY = timedelta(seconds=30)
OPENED_BY = timedelta(seconds=60)
"""The age of a reading at most: for an acceptance, a refusal, and before access opens."""

_RECORDED = 5

Groups = frozenset[str] | None
"""Lower-case object ids of a person's groups; None if they are not known."""

AskedMachine = tuple[VirtualMachine, str]
"""A VM, and the place in the body that asks for it."""


class RightsJudgement(NamedTuple):
    """
    The judgement of Azure RBAC about a request.

    Attributes:
        findings: The reasons to refuse; none if the setting only reports.
        record: The facts for the audit trail.
    """

    findings: tuple[Finding, ...]
    record: Mapping[str, Any]


class AskedRights:
    """Tells if people have the rights in Azure to ask for access to VMs."""

    def __init__(self, kept: KeptRights, *, is_enforced: bool) -> None:
        """
        Ask *kept*.

        Args:
            kept: The rights of this process.
            is_enforced: False if the answer is recorded, and decides nothing.
        """
        self._kept = kept
        self._is_enforced = is_enforced

    def judge_request(
        self,
        person_id: str,
        machines: Sequence[AskedMachine],
        now: datetime,
        groups: Groups = None,
    ) -> RightsJudgement:
        """
        Return the judgement about a request for *machines*, all of one subscription.

        *groups* are the groups of the person, as a token tells them.

        Raises:
            CannotTell: They could not be read, and they decide.
        """
        try:
            known, violations = self._judge(person_id, machines, now, ACCEPTED_BY, groups)
        except CannotTell as error:
            if self._is_enforced:
                raise
            return RightsJudgement((), _describe(None, error.violations))
        return RightsJudgement(
            findings=_find(violations) if self._is_enforced else (),
            record=_describe(known.read_at, violations),
        )

    def find_denials(
        self,
        person_id: str,
        machines: Sequence[AskedMachine],
        now: datetime,
        groups: Groups = None,
    ) -> tuple[Violation, ...]:
        """
        Return the reasons against longer access of a person, by readings of the last minute.

        Raises:
            CannotTell: They could not be read, and they decide.
        """
        if not self._is_enforced:
            return ()
        return self._judge(person_id, machines, now, OPENED_BY, groups)[1]

    def describe_machines(
        self,
        person_id: str,
        machines: Sequence[VirtualMachine],
        now: datetime,
        groups: Groups = None,
    ) -> list[MayRequest]:
        """Return the answer about each of *machines*, which are of one subscription."""
        if not machines or not self._is_enforced:
            return [YES] * len(machines)
        try:
            subscription = arm_ids.subscription(machines[0].id)
            since = now - ACCEPTED_BY
            find = partial(self._kept.find, person_id, subscription, purpose=Purpose.LIST)
            rights = find(since=since, now=now, groups=groups).rights
        except CannotTell as error:
            return [MayRequest(None, str(error))] * len(machines)
        return [_describe_answer(judge_machine(rights, vm, ROOT)) for vm in machines]

    def _judge(
        self,
        person_id: str,
        machines: Sequence[AskedMachine],
        now: datetime,
        oldest: timedelta,
        groups: Groups,
    ) -> tuple[KnownRights, tuple[Violation, ...]]:
        """Judge by readings that are not older than *oldest*, and refuse by newer ones only."""
        subscription = arm_ids.subscription(machines[0][0].id)
        read = partial(self._kept.find, purpose=Purpose.ACCEPTANCE)
        find = partial(read, person_id, subscription, now=now, groups=groups)
        known = find(since=now - oldest)
        answers = _answer(known, machines)
        if _list_violations(answers) and known.read_at <= now - REFUSED_BY:
            with suppress(CannotTell):  # the refusal is young enough to stand
                known = find(since=now - REFUSED_BY)
                answers = _answer(known, machines)
        violations = _list_violations(answers)
        untold = next((each.untold for each in answers if each.untold), "")
        if untold and not violations:
            raise CannotTell(untold)
        return known, violations


def _answer(known: KnownRights, machines: Sequence[AskedMachine]) -> list[RightsAnswer]:
    return [judge_machine(known.rights, vm, pointer) for vm, pointer in machines]


def _list_violations(answers: Sequence[RightsAnswer]) -> tuple[Violation, ...]:
    return tuple(violation for each in answers for violation in each.violations)


def _find(violations: Sequence[Violation]) -> tuple[Finding, ...]:
    return tuple(Finding(FindingKind.RIGHTS, each) for each in violations)


def _describe(read_at: datetime | None, violations: Sequence[Violation]) -> dict[str, Any]:
    """Return the judgement for the audit trail, with the first few of its reasons."""
    return {
        "allowed": None if read_at is None else not violations,
        "readAt": None if read_at is None else format_instant(read_at),
        "errors": [each.doc() for each in violations[:_RECORDED]],
    }


def _describe_answer(answer: RightsAnswer) -> MayRequest:
    if answer.violations:
        return MayRequest(may=False, reason=answer.violations[0].detail)
    return MayRequest(may=answer.is_allowed, reason=answer.untold or None)
