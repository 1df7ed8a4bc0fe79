"""
One step of a JIT policy: from its grants and a fresh look at Azure to changes and actions.

The step depends on the present alone, so a lost, doubled or late message changes nothing. It is
pure. The caller stores the grants that come back before it acts, so the end of a path is durable
before its beginning.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from jit.domain.azure.defender_requests import DefenderRequest, find_port_requests
from jit.domain.azure.initiate_body import PortToOpen
from jit.domain.grants import (
    admission,
    closing,
    companions,
    initiate,
    lifetime,
    opening,
    shared_port,
    superseded,
    widened,
)
from jit.domain.grants.companions import Companion
from jit.domain.grants.policy_view import (
    PolicyView,
    StepContext,
    find_rule_users,
    has_unreadable_value,
)
from jit.domain.grants.widened import Widening
from jit.domain.limits import Limits
from jit.domain.model.grant import Grant, Status
from jit.domain.model.machine import VmPort
from jit.domain.paths import bastion_paths, companion_owners, companion_paths
from jit.domain.paths.companion_paths import Withdrawal
from jit.domain.paths.effective import PathView
from jit.domain.paths.grant_views import GrantViews
from jit.domain.paths.machine_view import MachineView
from jit.domain.paths.rules import PathRule, find_port_rules
from jit.domain.values.memo import Memo
from jit.domain.values.prefixes import Prefix


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """
    The decisions of one step.

    Attributes:
        grants: The grants after the step, to be stored first.
        asks: VM ports to ask Defender for, in one initiate.
        companions: Companion rules to create.
        removals: Defender's rules to remove.
        companion_removals: Ids of companion rules to remove.
        withdrawals: Companions that must go although their grants want a path.
        widenings: Grants whose path was found to be wider than asked.
        left_open: Id of a grant that closes -> the rules that stay for other VMs and let it in.
        unreadable: Keys of VMs about which Azure says something that cannot be read.
        defects: Key of a VM -> the broker's own failure to decide about it.
    """

    grants: tuple[Grant, ...]
    asks: tuple[PortToOpen, ...] = ()
    companions: tuple[Companion, ...] = ()
    removals: tuple[PathRule, ...] = ()
    companion_removals: tuple[str, ...] = ()
    withdrawals: tuple[Withdrawal, ...] = ()
    widenings: tuple[Widening, ...] = ()
    left_open: Mapping[str, str] = field(default_factory=dict)
    unreadable: tuple[str, ...] = ()
    defects: Mapping[str, str] = field(default_factory=dict)


def run_step(
    grants: Iterable[Grant], policy: PolicyView, *, now: datetime, initiate_id: str, limits: Limits
) -> Step:
    """
    Advance every live grant of a policy as far as the present allows.

    Args:
        grants: Every unfinished grant of the policy.
        policy: A fresh look.
        now: Aware, UTC.
        initiate_id: Fresh id for the initiate that this step may ask for.
        limits: The broker's own limits, for deciding again.
    """
    every = admission.decide_standing(grants, policy, now=now)
    context = StepContext(
        policy=policy,
        now=now,
        initiate_id=initiate_id,
        limits=limits,
        rule_users=find_rule_users((*every, *policy.neighbours)),
    )
    parts: list[Step] = []
    for group in _group_by_vm_port(every):
        taken = [companion for part in parts for companion in part.companions]
        parts.append(_advance_apart(group, context, taken))
    step = _join(parts)
    return replace(step, grants=admission.hurry_doubted(step.grants, policy, now=now))


def _group_by_vm_port(grants: Iterable[Grant]) -> list[list[Grant]]:
    """Group by VM port, in the order in which the requests came."""
    groups: dict[VmPort, list[Grant]] = {}
    for grant in sorted(grants, key=lambda item: (item.starts_at, item.id)):
        groups.setdefault(grant.vm_port, []).append(grant)
    return list(groups.values())


def _join(parts: Sequence[Step]) -> Step:
    removals = {rule.id: rule for part in parts for rule in part.removals}
    return Step(
        grants=tuple(grant for part in parts for grant in part.grants),
        asks=tuple(ask for part in parts for ask in part.asks),
        companions=tuple(companion for part in parts for companion in part.companions),
        removals=tuple(removals.values()),
        companion_removals=tuple(
            dict.fromkeys(rule for part in parts for rule in part.companion_removals)
        ),
        withdrawals=tuple(found for part in parts for found in part.withdrawals),
        widenings=tuple(found for part in parts for found in part.widenings),
        left_open={key: text for part in parts for key, text in part.left_open.items()},
        unreadable=tuple(dict.fromkeys(key for part in parts for key in part.unreadable)),
        defects={key: text for part in parts for key, text in part.defects.items()},
    )


# ---- one VM port ---------------------------------------------------------------------------------


def _advance_apart(
    grants: Sequence[Grant], context: StepContext, taken: Sequence[Companion]
) -> Step:
    """
    Advance the grants of one VM port; a VM that cannot be judged stops no other.

    If a value of Azure's cannot be read, the step says so. If the broker itself fails, that is a
    defect, and the step says that. The grants of the others close and open in both cases.
    """
    view = context.policy.machines.get(grants[0].vm_key)
    if view is not None and has_unreadable_value(view.vm):
        waiting = _wait_blindly(grants, context, "what Azure says of it cannot be read")
        return Step(grants=waiting, unreadable=(grants[0].vm_key,))
    if view is None:
        why = context.policy.unreadable.get(grants[0].vm_key, "the VM could not be read")
        return Step(grants=_wait_blindly(grants, context, why))
    try:
        return _advance(grants, view, context, taken)
    except ValueError as error:
        waiting = _wait_blindly(grants, context, "the broker failed to decide about it")
        return Step(grants=waiting, defects={grants[0].vm_key: repr(error)})


def _wait_blindly(grants: Iterable[Grant], context: StepContext, why: str) -> tuple[Grant, ...]:
    """Conclude nothing about grants that could not be looked at, except that time passes."""
    timely = (lifetime.advance_by_clock(grant, now=context.now) for grant in grants)
    return tuple(opening.wait_unread(grant, context.now, why) for grant in timely)


@dataclass(frozen=True, slots=True, kw_only=True)
class Group(Step):
    """
    The grants of one VM port, and the decisions of the phases so far.

    Attributes:
        grants: In the order in which their requests came.
        view: A fresh look at the VM.
        requests: Defender's requests for the VM port, oldest first.
        context: The step's present.
        taken: Companions decided before in this step: their priorities are not free.
        paths: Grant id -> its path, as phase ``observe`` saw it.
    """

    view: MachineView
    requests: tuple[DefenderRequest, ...]
    context: StepContext
    taken: Sequence[Companion]
    paths: Mapping[str, PathView] = field(default_factory=dict)

    @property
    def asked(self) -> frozenset[Prefix]:
        """Every source that anybody asked for on the VM port."""
        foreign = self.context.list_foreign_requests(self.requests)
        return widened.list_asked_sources((g for g in self.grants if g.may_have_path), foreign)

    def replace_grants(self, grants: Iterable[Grant]) -> Group:
        """Return the group with its *grants* after a phase."""
        return replace(self, grants=tuple(grants))


def _advance(
    grants: Sequence[Grant], view: MachineView, context: StepContext, taken: Sequence[Companion]
) -> Step:
    """Lead the grants of one VM port through the phases. Their order matters."""
    first = grants[0]
    requests = find_port_requests(context.policy.requests, first.vm_id, first.port)
    group = Group(grants=tuple(grants), view=view, requests=requests, context=context, taken=taken)
    for phase in _PHASES:
        group = phase(group)
    return group


def pass_time(group: Group) -> Group:
    """Let grants become due, fail in time, or end; deny people who may not have them."""
    context = group.context
    timely = (lifetime.advance_by_clock(grant, now=context.now) for grant in group.grants)
    return group.replace_grants(admission.refuse_person(grant, context) for grant in timely)


def hear_defender(group: Group) -> Group:
    """Close grants whose request in Defender was replaced or revoked by somebody else."""
    return group.replace_grants(
        superseded.close_if_replaced(grant, group.requests, group.context) for grant in group.grants
    )


def close_widened(group: Group) -> Group:
    """Close every grant whose path opens more than was asked for."""
    asked, views, memo = group.asked, GrantViews(group.view), Memo()
    known = companion_owners.group_addresses(group.grants)
    done: list[Grant] = []
    widenings: list[Widening] = []
    for grant in group.grants:
        there = grant.footprint
        rules = find_port_rules(group.view, grant.port, there.private_ips, known=there.rules)
        found = widened.find_widening(grant, asked, group.requests, rules, memo)
        found = found or widened.find_altered_companion(grant, views.narrow_view(grant), known)
        done.append(widened.close_grant(grant, found, group.context.now) if found else grant)
        widenings += [found] if found else []
    return replace(group, grants=tuple(done), widenings=tuple(widenings))


def admit(group: Group) -> Group:
    """Decide about new grants. If their VM was read only in part, they alone wait for it."""
    why = group.context.policy.unreadable.get(group.grants[0].vm_key)
    if why is None:
        return group.replace_grants(
            admission.admit_due(group.grants, group.view, group.requests, group.context)
        )
    return group.replace_grants(
        opening.wait_unread(grant, group.context.now, why)
        if grant.status is Status.PENDING
        else grant
        for grant in group.grants
    )


def announce(group: Group) -> Group:
    """Tell each grant of the next change of the path that it shares."""
    now, held = group.context.now, group.context.find_foreign_end(group.requests)
    return group.replace_grants(shared_port.announce_handovers(group.grants, now=now, held=held))


def observe(group: Group) -> Group:
    """Look at each path, record its rules, and advance its grant."""
    context, requests = group.context, group.requests
    asking, asked = [grant for grant in group.grants if grant.may_have_path], group.asked
    live = [grant for grant in group.grants if grant.live]
    paths = bastion_paths.observe_paths(live, group.view, asked)
    joined = context.find_foreign_end(requests) is not None
    current = context.find_current(requests)
    port = opening.PortSeen(
        view=group.view,
        recordable=frozenset() if joined else shared_port.join_sources(asking),
        joined=joined,
        request_ends_at=current.ends_at if current is not None else None,
    )
    done = [
        opening.advance_seen(grant, paths[grant.id], port, context)
        if grant.may_have_path
        else grant
        for grant in group.grants
    ]
    return replace(group, grants=tuple(done), paths=paths)


def ask(group: Group) -> Group:
    """Ask Defender for the request that the VM port should have, if it lacks it."""
    grants, asks = initiate.plan_initiate(
        group.grants, group.paths, group.view, group.requests, group.context
    )
    return replace(group, grants=tuple(grants), asks=asks)


def withdraw(group: Group) -> Group:
    """Remove the companions of live grants by which others would come in."""
    found = companion_paths.find_withdrawals(group.grants, group.view, group.asked)
    gone = tuple(rule_id for item in found for rule_id in item.companions)
    return replace(group, withdrawals=found, companion_removals=gone)


def accompany(group: Group) -> Group:
    """Let the firewall's own addresses through if an NSG would stop them, once for all grants."""
    port = companions.PortPaths(group.view, group.paths, group.asked, group.companion_removals)
    held = admission.find_person_wait(group.grants, group.context) is not None
    done, wanted = companions.plan_companions(
        group.grants, port, taken=group.taken, held=held, now=group.context.now
    )
    return replace(group, grants=done, companions=wanted)


def close(group: Group) -> Group:
    """Advance the closing grants. A firewall's rules go only while this step may change it."""
    context = group.context
    port = closing.VmPortView(
        grants=group.grants,
        view=group.view,
        requests=group.requests,
        foreign=context.list_foreign_requests(group.requests),
        users=context.rule_users,
        companions=companion_owners.list_wanted_owners(group.grants, group.companion_removals),
    )
    results = [
        closing.close_grant(grant, port, now=context.now)
        if grant.status is Status.CLOSING
        else closing.Closing(grant=grant)
        for grant in group.grants
    ]
    removals = (rule for item in results for rule in item.removals if context.may_remove(rule))
    gone = (rule_id for item in results for rule_id in item.companions)
    return replace(
        group,
        grants=tuple(item.grant for item in results),
        removals=tuple(removals),
        companion_removals=(*group.companion_removals, *gone),
        left_open={item.grant.id: item.left_open for item in results if item.left_open},
    )


_PHASES = (
    pass_time,
    hear_defender,
    close_widened,
    admit,
    announce,
    observe,
    ask,
    withdraw,
    accompany,
    close,
)
"""In the order in which ``_advance`` runs them."""
