"""
Admission of grants that are due: each is decided again on fresh data, then its end is fixed.

The end is stored before anything is asked of Azure. A grant that stands is compared with its JIT
policy at each look, too: it ends if the policy was narrowed and no longer allows it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from operator import itemgetter

from jit.domain.azure.defender_requests import DefenderRequest
from jit.domain.decision import barred_people
from jit.domain.decision.bastion_access import NO_BASTION, VIA
from jit.domain.decision.jit_policy import NO_JIT_POLICY, OCCUPIED, decide
from jit.domain.decision.standing_access import find_denials, find_earlier_end
from jit.domain.errors import Violation
from jit.domain.grants import lifetime, shared_port
from jit.domain.grants.policy_view import OTHERS_FIRST, UNPROVED, PolicyView, StepContext
from jit.domain.grants.timing import FIREWALL_WAIT, LOOK_WHILE_OPENING, NEXT_PEOPLE
from jit.domain.model.absence import ABSENT_AFTER
from jit.domain.model.bastion import Bastion
from jit.domain.model.grant import CloseReason, Grant, Status
from jit.domain.model.machine import Occupation, VirtualMachine
from jit.domain.model.policy_entry import PolicyEntry
from jit.domain.model.request import AccessRequest, WantedMachine, WantedPort
from jit.domain.obstacles.nsg_obstacles import find_nsg_obstacles
from jit.domain.paths.effective import explain_unclear_firewall
from jit.domain.paths.machine_view import MachineView
from jit.domain.paths.published_ports import find_obstacles
from jit.domain.values import arm_ids
from jit.domain.values.json_pointer import ROOT, at
from jit.domain.values.listing import list_few
from jit.domain.values.prefixes import Prefix
from jit.domain.values.times import format_instant

TRUSTED_UNREAD = timedelta(minutes=10)
"""So long a Bastion that cannot be read is taken to be there, if an open grant came by it."""

UNASKED = "it could not be read if this person is barred from access"
PERSON_NOTES = frozenset({UNASKED, UNPROVED, OTHERS_FIRST})
"""The notes of grants that wait for a fact about their person."""


def decide_standing(
    grants: Iterable[Grant], policy: PolicyView, *, now: datetime
) -> tuple[Grant, ...]:
    """
    Return *grants*; each that has or gets a path is as its JIT policy allows it now.

    A grant that the policy no longer allows is denied. One that would last longer than the policy
    gives from *now* on ends earlier. Nothing changes while the policy is not known.
    """
    entries = policy.entries
    if entries is None:
        return tuple(grants)
    return tuple(
        grant
        if grant.vm_key in policy.doubted
        else _decide_standing(grant, entries.get(grant.vm_key), now)
        for grant in grants
    )


def _decide_standing(grant: Grant, entry: PolicyEntry | None, now: datetime) -> Grant:
    is_over = grant.expires_at is not None and grant.expires_at <= now
    if not grant.wants_path or is_over:
        return grant
    if why_not := find_denials(grant, entry):
        note = "; ".join(violation.detail for violation in why_not)
        return replace(
            lifetime.begin_closing(grant, CloseReason.DENIED, now, note), denials=why_not
        )
    end = find_earlier_end(grant, entry, now=now)
    return grant if end is None else replace(grant, expires_at=end)


def hurry_doubted(
    grants: Iterable[Grant], policy: PolicyView, *, now: datetime
) -> tuple[Grant, ...]:
    """Return *grants*, each due soon if it ends should the next look lack its VM's entry, too."""
    soon = now + ABSENT_AFTER
    return tuple(
        replace(grant, next_check_at=min(grant.next_check_at, soon))
        if grant.wants_path and grant.vm_key in policy.doubted
        else grant
        for grant in grants
    )


def is_to_open(grant: Grant, now: datetime) -> bool:
    """Return True if *grant* is due by *now* and was never open."""
    grant = lifetime.advance_by_clock(grant, now=now)
    is_opening = grant.status is Status.OPENING and grant.opened_at is None
    return grant.status is Status.PENDING or is_opening


def refuse_person(grant: Grant, context: StepContext) -> Grant:
    """
    Return *grant* as denied if its person may not have it and it was never open.

    The person is barred, or lacks a right in Azure. If Azure was asked for the grant already, it
    must be observed gone.
    """
    policy = context.policy
    barred = (barred_people.build_violation(),) if grant.request_id in policy.barred else ()
    why = barred or policy.refused.get(grant.id, ())
    if not why or not is_to_open(grant, context.now):
        return grant
    note = "; ".join(violation.detail for violation in why)
    denied = lifetime.begin_closing(grant, CloseReason.DENIED, context.now, note)
    return replace(denied, denials=why)


def explain_unknown_person(grant: Grant, context: StepContext) -> str:
    """Return the fact about its person for which a grant that was never open waits, or nothing."""
    policy = context.policy
    why = UNASKED if grant.request_id in policy.unasked else policy.unproved.get(grant.id, "")
    return why if why and is_to_open(grant, context.now) else ""


def find_person_wait(grants: Iterable[Grant], context: StepContext) -> datetime | None:
    """
    Return when to try again while nobody knows if the person of a grant that opens may have it.

    A request or a companion rule would open its path. Without its sources, the request would revoke
    its path if Azure opens that already. So the VM port waits.
    """
    is_held = any(grant.wants_path and explain_unknown_person(grant, context) for grant in grants)
    return context.now + LOOK_WHILE_OPENING if is_held else None


def admit_due(
    grants: Sequence[Grant],
    view: MachineView,
    requests: Sequence[DefenderRequest],
    context: StepContext,
) -> list[Grant]:
    """Decide again about each due grant and fix its end, in the order of arrival."""
    done = list(grants)
    if all(grant.status is not Status.PENDING for grant in done):
        return done
    port = _Port.look(grants, view, requests, context)
    for index, grant in enumerate(done):
        if grant.status is Status.PENDING:
            done[index] = _admit(grant, port, context)
            port.note(index, done[index])
    return done


@dataclass(frozen=True, slots=True, kw_only=True)
class _Port:
    """
    A VM port while grants are admitted to it: facts that each of them asks for.

    Attributes:
        view: The VM.
        vm: The VM as it is decided about: with other people's requests, and with its obstacles.
        company: The grants that need the port.
        admitted: By the IP versions of their sources, the admitted grants with their places.
        sources: All sources of the admitted grants.
    """

    view: MachineView
    vm: VirtualMachine
    company: shared_port.Company
    admitted: dict[frozenset[int], list[tuple[int, Grant]]] = field(default_factory=dict)
    sources: set[Prefix] = field(default_factory=set)

    @classmethod
    def look(
        cls,
        grants: Sequence[Grant],
        view: MachineView,
        requests: Sequence[DefenderRequest],
        context: StepContext,
    ) -> _Port:
        """Read all that does not depend on the grant that is admitted."""
        strict = tuple(
            Occupation(port=entry.port, sources=entry.sources, ends_at=entry.ends_at)
            for entry in context.list_foreign_requests(requests)
        )
        obstacles = (*find_obstacles(view), *find_nsg_obstacles(view))
        held = context.find_foreign_end(requests)
        port = cls(
            view=view,
            vm=replace(view.vm, occupations=strict, obstacles=obstacles),
            company=shared_port.Company(grants, now=context.now, held=held),
        )
        for index, grant in enumerate(grants):
            port._enter(index, grant)
        return port

    def note(self, index: int, grant: Grant) -> None:
        """Note the grant at a place, after its decision."""
        self.company.join(grant)
        self._enter(index, grant)

    def _enter(self, index: int, grant: Grant) -> None:
        if grant.wants_path and grant.admitted_at is not None:
            family = frozenset(source.version for source in grant.sources)
            self.admitted.setdefault(family, []).append((index, grant))
            self.sources.update(grant.sources)

    def list_other_families(self, grant: Grant) -> list[Grant]:
        """Return the admitted grants with sources of other IP versions, in their order."""
        own = frozenset(source.version for source in grant.sources)
        found = [each for family, here in self.admitted.items() if family != own for each in here]
        return [other for _, other in sorted(found, key=itemgetter(0))]

    def list_admitted(self) -> list[Grant]:
        """Return the admitted grants."""
        return [grant for here in self.admitted.values() for _, grant in here]


def _admit(grant: Grant, port: _Port, context: StepContext) -> Grant:
    now, view = context.now, port.view
    if unknown := explain_unknown_person(grant, context):
        pause = NEXT_PEOPLE if unknown == OTHERS_FIRST else LOOK_WHILE_OPENING
        return replace(grant, note=unknown, next_check_at=now + pause)
    if grant.bastion is not None and _is_unread(grant.bastion, view):
        note = f"Bastion {grant.bastion.name} could not be read"
        return replace(grant, note=note, next_check_at=now + LOOK_WHILE_OPENING)
    why_not = (
        find_lost_bastion(grant, view.vm)
        or _find_denials(grant, port.vm, context)
        or _find_other_family(grant, port)
        or _find_crowd(grant, port)
    )
    if why_not:
        note = "; ".join(violation.detail for violation in why_not)
        return replace(lifetime.close(grant, CloseReason.DENIED, now, note), denials=why_not)
    rule = view.vm.find_rule(grant.port)
    grant = replace(
        grant,
        via=view.vm.via,
        firewall_id=view.vm.firewall_id,
        protocol=rule.protocol if rule is not None else grant.protocol,  # Defender opens this one
    )
    if not context.may_change(grant, view):
        note = explain_unclear_firewall(view) or "waiting for another change of the firewall to end"
        return replace(grant, note=note, next_check_at=now + FIREWALL_WAIT)
    wait = context.waits_until
    if wait is not None:
        return replace(grant, note="Azure asked us to wait", next_check_at=wait)
    end = min(max(grant.starts_at, now) + grant.duration, grant.latest_end)
    end = port.company.fix_end(grant, end=end).replace(microsecond=0)
    return replace(
        grant.advance(Status.OPENING),
        admitted_at=now,
        expires_at=end,
        handover_at=port.company.find_handover(grant, end=end),
        note=None,
    )


def _find_denials(grant: Grant, vm: VirtualMachine, context: StepContext) -> tuple[Violation, ...]:
    """Return why the present policy or a request denies *grant*; empty if it may open."""
    if not context.policy.found:
        here, detail = at(grant.machine_pointer, "id"), "its JIT policy no longer exists"
        return (Violation(here, NO_JIT_POLICY, detail),)
    request, machines = rebuild_request(grant), {grant.vm_key: narrow_bastions(grant, vm)}
    found = decide(request, machines, now=context.now, limits=context.limits)
    return tuple(_point_into_body(finding.violation) for finding in found)


def _is_unread(bastion: Bastion, view: MachineView) -> bool:
    """Return True if nobody could tell whether *bastion* reaches the VM."""
    return view.vm.bastions is None or arm_ids.key(bastion.id) in view.unread_bastions


def find_lost_bastion(grant: Grant, vm: VirtualMachine) -> tuple[Violation, ...]:
    """Return the reason that *grant* is denied if its Bastion does not reach *vm* as it did."""
    if grant.bastion is None or _keep_bastion(grant.bastion, vm.bastions):
        return ()
    subnet = list_few(grant.bastion.prefixes)
    detail = (
        f"Bastion {grant.bastion.name} does not reach {vm.name} from {subnet} any more: ask"
        " again, and it is looked up anew"
    )
    return (Violation(VIA, NO_BASTION, detail),)


def explain_unread_bastion(grant: Grant, vm: VirtualMachine, now: datetime) -> str:
    """Return why nobody can tell whether the Bastion of *grant* still reaches *vm*, or nothing."""
    own, bastions = grant.bastion, vm.bastions
    if own is None:
        return ""
    if bastions is None:
        return f"Bastion {own.name} could not be read"
    unread = [each.unread_since for each in bastions if each.is_same(own) and each.unread_since]
    if not unread or now - min(unread) < TRUSTED_UNREAD:
        return ""
    return f"Bastion {own.name} could not be read since {format_instant(min(unread))}"


def narrow_bastions(grant: Grant, vm: VirtualMachine) -> VirtualMachine:
    """Return *vm* as *grant* is decided again on it: of its Bastions only that of the grant."""
    if grant.bastion is None:
        return vm
    return replace(vm, bastions=_keep_bastion(grant.bastion, vm.bastions))


def _keep_bastion(own: Bastion, bastions: tuple[Bastion, ...] | None) -> tuple[Bastion, ...]:
    """Return *own* if it still reaches the VM from the same sources, or if nobody could tell."""
    is_known = bastions is None or any(each.is_same(own) for each in bastions)
    return (own,) if is_known else ()


def _point_into_body(violation: Violation) -> Violation:
    """Return *violation* at its VM: a grant does not know the place of its port in the body."""
    return replace(violation, pointer=violation.pointer.partition("/ports")[0])


def _find_other_family(grant: Grant, port: _Port) -> tuple[Violation, ...]:
    """Return the reason that an earlier grant of the port denies *grant*; empty if none does."""
    other = shared_port.find_other_family(grant, port.list_other_families(grant))
    if other is None:
        return ()
    until = format_instant(other.expires_at or other.latest_end)
    detail = f"port {grant.port} is used from addresses of the other IP version until {until}"
    return (Violation(at(ROOT, "sources"), OCCUPIED, detail),)


def _find_crowd(grant: Grant, port: _Port) -> tuple[Violation, ...]:
    """Return why the number of sources denies *grant*; empty if a rule can have all of them."""
    if len(port.sources) + len(grant.sources) <= shared_port.MOST_PREFIXES:
        return ()
    if not shared_port.is_crowded(grant, port.list_admitted()):
        return ()
    return (Violation(at(ROOT, "sources"), OCCUPIED, shared_port.CROWDED.format(grant.port)),)


def rebuild_request(grant: Grant) -> AccessRequest:
    """Return the part of the request that became *grant*, to decide about it again."""
    here = grant.machine_pointer
    port = WantedPort(number=grant.port, protocol=None, pointer=at(here, "ports"))
    machine = WantedMachine(id=grant.vm_id, ports=(port,), pointer=here)
    return AccessRequest(
        machines=(machine,),
        sources=grant.own_sources,
        duration=grant.duration,
        starts_at=None,
        justification="decided again",
        by_bastion=grant.bastion is not None,
    )
