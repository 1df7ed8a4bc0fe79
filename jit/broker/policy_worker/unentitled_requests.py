"""
Requests of people without rights in Azure: asked in each pass that would open something.

The rights count that were read after the acceptance, and in the last minute. They are asked before
each initiate that has the sources of a grant that was never open. A path that is open stays open if
its person loses a role.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from time import monotonic
from typing import Any

from jit import telemetry
from jit.broker.policy_worker.pass_state import RULES, Pass
from jit.broker.rights.asked_rights import OPENED_BY
from jit.broker.rights.kept_rights import KeptRights
from jit.broker.rights.recent_readings import Dated
from jit.domain.authorization.machine_rights import judge_machine
from jit.domain.authorization.rights import Rights, build_rights
from jit.domain.authorization.role_assignments import RoleAssignment
from jit.domain.azure.initiate_body import PortToOpen
from jit.domain.errors import Unavailable, Violation
from jit.domain.grants.admission import is_to_open
from jit.domain.grants.policy_view import OTHERS_FIRST, UNPROVED, PolicyView
from jit.domain.model.grant import Grant
from jit.domain.model.machine import VmPort
from jit.domain.model.request import Request
from jit.domain.values import arm_ids
from jit.domain.values.json_pointer import at
from jit.storage.request_store import RequestStore

MOST_PEOPLE = 20
"""People whose roles one pass reads. The others wait for the next pass."""

TIME_TO_READ = 15.0
"""Seconds of a pass in which a reading may begin: the pass must end before its lease does."""

_MOST_NAMED = 5


@dataclass(frozen=True, slots=True)
class UnentitledRequests:
    """
    Asks if the people of the requests that a pass may open have the rights in Azure.

    Attributes:
        rights: None if they do not decide.
        clock: Seconds; never goes back.
    """

    rights: KeptRights | None
    requests: RequestStore
    clock: Callable[[], float] = monotonic

    def ask_again(
        self, asks: Sequence[PortToOpen], grants: Sequence[Grant], view: PolicyView, state: Pass
    ) -> PolicyView:
        """
        Return *view* if the people of all *asks* were asked about; else with them, as `ask` does.

        An initiate has the sources of all grants of a VM port, also of a grant that is not open
        although Azure took its initiate: it would open that path now. While the pass closes what
        must close, nobody is asked: the end of others on the port waits for no reading.
        """
        if not state.readings.may_begin:
            return view
        sure = self.ask(grants, view, state, frozenset(ask.vm_port for ask in asks))
        is_same = (sure.refused, sure.unproved) == (view.refused, view.unproved)
        return view if is_same else sure

    def ask(
        self,
        grants: Sequence[Grant],
        view: PolicyView,
        state: Pass,
        renewed: frozenset[VmPort] = frozenset(),
    ) -> PolicyView:
        """
        Return *view* with the grants whose people lack a right, or may lack one.

        If Azure or storage does not answer, these grants wait, and all else goes on. *renewed* are
        VM ports that get an initiate for another reason than a new grant.
        """
        ports = renewed | {grant.vm_port for grant in grants if _is_unanswered(grant, state.now)}
        waiting = [grant for grant in grants if _needs_rights(grant, ports, view, state.now)]
        if self.rights is None or not waiting:
            return view
        asked = self._begin(self.rights, {grant.request_id for grant in waiting}, state)
        refused: dict[str, tuple[Violation, ...]] = {}
        unproved: dict[str, str] = {}
        for grant in sorted(waiting, key=asked.find_place):
            why_not, unknown = asked.judge(grant, view)
            if why_not:
                refused[grant.id] = why_not
            elif unknown:
                unproved[grant.id] = unknown
        if not state.readings.may_begin:
            state.readings.put_off |= {grant.vm_key for grant in waiting if grant.id in unproved}
        if unproved:
            telemetry.warning("rights.unproved", policy_id=state.policy_id, grants=len(unproved))
        return replace(view, refused=refused, unproved=unproved)

    def _begin(self, rights: KeptRights, request_ids: Collection[str], state: Pass) -> _Asked:
        """Read the rows of the requests; without an answer nobody's rights are known."""
        try:
            known = state.read_requests(request_ids, self.requests)
        except Unavailable:
            known = {}
        if state.readings.deadline is None:
            state.readings.deadline = self.clock() + TIME_TO_READ
        return _Asked(rights, known, state, self.clock)


def _is_unanswered(grant: Grant, now: datetime) -> bool:
    """Return True if *grant* may be admitted or asked for: its VM port gets an initiate."""
    return is_to_open(grant, now) and not grant.initiate.answered


def _needs_rights(grant: Grant, ports: Collection[VmPort], view: PolicyView, now: datetime) -> bool:
    """Return True if *grant*, which was never open, is at one of *ports*, and its VM was read."""
    is_held = grant.request_id in view.barred or grant.request_id in view.unasked
    is_next = is_to_open(grant, now) and grant.vm_port in ports
    return is_next and not is_held and grant.vm_key in view.machines


@dataclass(frozen=True, slots=True)
class _Asked:
    """The rights of one pass, read as far as they are needed."""

    kept: KeptRights
    requests: Mapping[str, Request | None]
    state: Pass
    clock: Callable[[], float]

    def judge(self, grant: Grant, view: PolicyView) -> tuple[tuple[Violation, ...], str]:
        """Return the reasons against *grant* by the rights of its person, or a note to wait."""
        request = self.requests.get(grant.request_id)
        if request is not None and self._must_wait(request):
            return (), OTHERS_FIRST
        try:
            known = self._find_rights(request) if request is not None else None
        except Unavailable:
            return (), UNPROVED
        if known is None:
            return (), UNPROVED
        vm = replace(view.machines[grant.vm_key].vm, policy_id=grant.policy_id)
        answer = judge_machine(known, vm, at(grant.machine_pointer, "id"))
        return answer.violations[:_MOST_NAMED], UNPROVED if answer.untold else ""

    def find_place(self, grant: Grant) -> tuple[bool, datetime, str]:
        """Return the place of *grant*: people who could not be read last time come last."""
        request = self.requests.get(grant.request_id)
        is_last = request is not None and self.kept.has_failed(
            request.requester.id, self._subscription
        )
        return is_last, grant.starts_at, grant.id

    def _must_wait(self, request: Request) -> bool:
        """Return True if this pass has read enough, and not the roles of this person."""
        readings = self.state.readings
        is_enough = not readings.may_begin or self._is_late or readings.people >= MOST_PEOPLE
        return is_enough and request.requester.id not in readings.own

    @property
    def _is_late(self) -> bool:
        """True if no reading may begin any more."""
        deadline = self.state.readings.deadline
        return deadline is not None and self.clock() >= deadline

    def _find_rights(self, request: Request) -> Rights | None:
        """
        Return the rights of the person of *request*; None if a reading of this pass failed.

        Raises:
            CannotTell: They could not be read.
        """
        readings, person, now = self.state.readings, request.requester.id, self.state.now
        since = max(request.created_at, now + self._elapsed - OPENED_BY)
        rules, own = readings.rules, readings.own.get(person)
        if readings.is_lost(person):
            return None
        readings.lost.add(person)  # unless all of it succeeds
        if rules is None or not _is_good(rules, since, now):
            readings.lost.add(RULES)
            rules = readings.rules = self.kept.find_rules(self._subscription, since=since, now=now)
            readings.lost.discard(RULES)
            if self._is_late:  # the pass must end before its lease does
                return None
        if own is None or not _is_good(own, since, now):
            own = readings.own[person] = self._read_own(person, since)
        readings.lost.discard(person)
        built = readings.built.get(person)
        if built is None or built[0] is not rules or built[1] is not own:
            built = rules, own, build_rights(rules.value, own.value, person.lower())
            readings.built[person] = built
        return built[2]

    @property
    def _elapsed(self) -> timedelta:
        """How long ago this pass began to ask for rights."""
        deadline = self.state.readings.deadline
        spent = 0.0 if deadline is None else self.clock() + TIME_TO_READ - deadline
        return timedelta(seconds=max(0.0, spent))

    def _read_own(self, person: str, since: datetime) -> Dated[tuple[RoleAssignment, ...]]:
        """Return the role assignments of a person; count the person if Azure is asked."""
        where, now = self._subscription, self.state.now
        is_kept = self.kept.has_assignments(person, where, since=since, now=now)
        self.state.readings.people += not is_kept
        return self.kept.find_assignments(person, where, since=since, now=now)

    @property
    def _subscription(self) -> str:
        return arm_ids.subscription(self.state.policy_id)


def _is_good(reading: Dated[Any], since: datetime, now: datetime) -> bool:
    """Return True if a reading is young enough; one of this pass is, on any clock."""
    return reading.read_at > since or reading.read_at == now
