"""
A grant that must not be open: the rules to remove for it, and when it counts as gone.

The Defender API has no revoke (Microsoft.Security 2020-01-01), so closing early means removing
the rules themselves. ``removal`` proves the owners of a rule and finds its users.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial

from jit.domain.azure.defender_requests import DefenderRequest
from jit.domain.grants import lifetime, removal, rule_evidence, shared_port
from jit.domain.grants.lifetime import has_asked_azure
from jit.domain.grants.policy_view import RuleUsers, find_sharers, is_used_elsewhere
from jit.domain.grants.removal import Evidence, Judgement
from jit.domain.grants.timing import TIMES
from jit.domain.model.grant import Grant, Status
from jit.domain.paths import admin_check, companion_paths, effective
from jit.domain.paths.machine_view import MachineView
from jit.domain.paths.rules import (
    PathRule,
    find_port_rules,
    lets_all_in,
    list_addresses,
    may_let_in,
)
from jit.domain.values import arm_ids
from jit.domain.values.memo import Memo
from jit.domain.values.prefixes import Prefixes


@dataclass(frozen=True, slots=True, kw_only=True)
class VmPortView:
    """
    One VM port as a step sees it.

    Attributes:
        grants: All unfinished grants of the VM port.
        view: A fresh look at the VM.
        requests: Defender's requests for the VM port, oldest first.
        foreign: Other people's requests among them that still count.
        users: The grants that rest on each recorded rule.
        companions: The owners whose companions must stay, from ``companion_owners``.
        memo: Answers about the VM port that all its closing grants ask for.
    """

    grants: Sequence[Grant]
    view: MachineView
    requests: Sequence[DefenderRequest]
    foreign: Sequence[DefenderRequest]
    users: RuleUsers
    companions: Collection[str] = ()
    memo: Memo = field(default_factory=Memo, init=False, compare=False, repr=False)

    def add_former(self) -> VmPortView:
        """Return the VM port with the former holders of its rules; it has one memo, too."""
        build = partial(replace, self, view=self.view.add_former())
        return self.memo.recall(VmPortView.add_former, build)


@dataclass(frozen=True, slots=True, kw_only=True)
class Closing:
    """
    The grant after a look, and the rules to remove for it.

    Attributes:
        left_open: Which rules let a closed grant's sources in, because other VMs need them.
    """

    grant: Grant
    removals: tuple[PathRule, ...] = ()
    companions: tuple[str, ...] = ()
    left_open: str = ""


def close_grant(grant: Grant, port: VmPortView, *, now: datetime) -> Closing:
    """
    Advance a grant that must not be open.

    Args:
        grant: In status ``closing``; one of the grants of *port*.
        port: Its VM port, as it was just read.
        now: Aware, UTC.
    """
    port = port.add_former()
    look = effective.observe_path(grant, port.view)
    doubt = _explain_unread(grant, port.view) or effective.explain_unclear_holders(
        rule_evidence.keep_holders(grant, port.view)
    )
    unclear = bool(doubt) or look.state is effective.PathState.UNCLEAR
    companions = companion_paths.list_abandoned(grant, port.companions, port.view)
    present = _find_believable_rules(grant, port.view)
    judged = {rule: _judge(rule, grant, port, now) for rule in present}
    left = [rule for rule in present if _is_left(rule, judged[rule], grant, port, now)]
    if unclear and not companions and not left:
        return Closing(grant=lifetime.wait_to_close(grant, now, doubt or look.why, unclear=True))
    gone = not left and not companions and not unclear
    if gone and _is_absence_proof(grant, port.requests, now):
        shared = _explain_shared(present, grant, port, now)
        bypass = admin_check.explain_bypass(grant, port.view)
        return Closing(grant=_close(grant, now, bypass, shared), left_open=shared)
    removals: tuple[PathRule, ...] = ()
    if now >= lifetime.find_removal_time(grant):
        removals = _choose_removable(left, present, judged, grant, port, now)
    there = _explain_not_gone(left, companions, port.view)
    note = f"{there}; {doubt}" if doubt else there
    return Closing(
        grant=lifetime.wait_to_close(grant, now, note), removals=removals, companions=companions
    )


def _explain_unread(grant: Grant, view: MachineView) -> str:
    """
    Return the NSG or firewall that may hold a rule and was not read; empty if all were.

    The inventory may have lost it: a list of Azure may be short for a moment.
    """
    read = {*view.nsgs, *(arm_ids.key(firewall.id) for firewall in view.firewalls)}
    unread = sorted(grant.holder_keys - read)
    return f"{arm_ids.name(unread[0])}, which may have a rule, could not be read" if unread else ""


def _find_believable_rules(grant: Grant, view: MachineView) -> tuple[PathRule, ...]:
    """
    Return the rules of the VM port whose holders can be believed.

    Another NSG that is being updated, or cannot be read, is no reason to leave a rule that was
    read. An NSG whose last update failed still lists a rule that could not be removed. Only the
    broker would remove it again, and doing so repeats the update.
    """
    present = find_port_rules(
        view, grant.port, grant.footprint.private_ips, known=grant.footprint.rules
    )
    holders = {nsg.id for nsg in view.nsgs.values() if nsg.failed or nsg.settled}
    holders |= {firewall.id for firewall in view.firewalls if firewall.settled}
    return tuple(rule for rule in present if rule.holder_id in holders)


# ---- the proof -----------------------------------------------------------------------------------


def _judge(rule: PathRule, grant: Grant, port: VmPortView, now: datetime) -> Judgement:
    """
    Return the owners and the users of *rule*, as far as a step sees them.

    If the rule leads to an address that the VM has no more, another VM may have that address by
    now, and the same person a path to it. If another VM port rests on the rule, one NSG guards two
    networks with the same addresses. In both cases only a record proves the rule.
    """
    elsewhere = is_used_elsewhere(rule.id, grant, port.users)
    judge = partial(_judge_once, rule, port, now, elsewhere=elsewhere)
    return port.memo.recall((_judge, rule, now, elsewhere), judge)


def _judge_once(rule: PathRule, port: VmPortView, now: datetime, *, elsewhere: bool) -> Judgement:
    there, vm_port = list_addresses(port.view.vm), port.grants[0].vm_port
    asked = shared_port.join_sources(
        g for g in port.grants if has_asked_azure(g) and g.may_have_path
    )
    evidence = Evidence(
        recorded_by=[
            each
            for each in port.grants
            if removal.is_recorded(rule, each, (*there, *each.footprint.private_ips))
        ],
        on_port=[] if elsewhere or rule.target not in there else port.grants,
        users=(*port.grants, *find_sharers(rule.id, vm_port, port.users)),
        asked={vm_port: asked},
        listed=port.requests,
        foreign=port.foreign,
    )
    return removal.judge(rule, evidence, now=now)


def _is_left(
    rule: PathRule, judged: Judgement, grant: Grant, port: VmPortView, now: datetime
) -> bool:
    """Return True if *rule* still lets this grant's sources in, and nobody else accounts for it."""
    if grant.id not in judged.owner_ids or _is_accounted_for(rule, port, now):
        return False
    entitled = port.memo.recall(
        (_is_left, rule, now), partial(_read_entitled, _list_wanting(rule, port, now), port, now)
    )
    alone = removal.list_uncovered(grant, entitled)
    return removal.is_listed(rule, grant, port.requests) or may_let_in(rule, alone)


def _read_entitled(grants: Iterable[Grant], port: VmPortView, now: datetime) -> Prefixes:
    """Return the sources of *grants*, and of the requests of others that are in force."""
    return Prefixes(removal.list_entitled_sources(grants, _list_in_force(port, now)))


def _is_accounted_for(rule: PathRule, port: VmPortView, now: datetime) -> bool:
    wanting, in_force = _list_wanting(rule, port, now), _list_in_force(port, now)
    find = partial(removal.is_accounted_for, rule, wanting, in_force)
    return port.memo.recall((_is_accounted_for, rule, now), find)


def _list_wanting(rule: PathRule, port: VmPortView, now: datetime) -> list[Grant]:
    """
    Return the grants whose path by *rule* must stay. A closing grant is not one of them.

    A grant of another VM that rests on the same rule is: by that rule its people reach both VMs,
    until its own end.
    """
    return port.memo.recall(
        (_list_wanting, rule, now),
        lambda: [*_list_own(port), *_list_wanting_elsewhere(rule, port, now)],
    )


def _list_own(port: VmPortView) -> list[Grant]:
    return [other for other in port.grants if other.wants_path]


def _list_wanting_elsewhere(rule: PathRule, port: VmPortView, now: datetime) -> list[Grant]:
    sharers = find_sharers(rule.id, port.grants[0].vm_port, port.users)
    return [other for other in sharers if removal.wants_path_now(other, now)]


def _list_in_force(port: VmPortView, now: datetime) -> list[DefenderRequest]:
    return [entry for entry in port.foreign if entry.is_in_force(now)]


def _choose_removable(
    left: Iterable[PathRule],
    present: Sequence[PathRule],
    judged: Mapping[PathRule, Judgement],
    grant: Grant,
    port: VmPortView,
    now: datetime,
) -> tuple[PathRule, ...]:
    """
    Return the rules of *left* that go now.

    A rule that live grants need goes too if they have another rule, or if it had its time to
    shrink: a promised end (P2) comes before other people's access (P6).
    """
    stay = tuple(rule for rule in present if _is_accounted_for(rule, port, now))
    return tuple(
        rule
        for rule in left
        if judged[rule].may_be_removed
        or (
            not judged[rule].requests
            and (
                _has_had_time_to_shrink(rule, grant, port, now) or _is_spare(rule, stay, port, now)
            )
        )
    )


def _has_had_time_to_shrink(rule: PathRule, grant: Grant, port: VmPortView, now: datetime) -> bool:
    """
    Return True if *rule* had its time to shrink since the last closing grant gave it back.

    That may be later than *grant* did, if another grant needed the same sources until then.
    """
    over = (each for each in port.grants if each.status is Status.CLOSING)
    last = port.memo.recall(
        (_has_had_time_to_shrink, rule),
        lambda: max(
            (_find_shrink_time(each) for each in over if removal.lets_in(rule, each)), default=now
        ),
    )
    return now >= max(last, _find_shrink_time(grant))


def _find_shrink_time(grant: Grant) -> datetime:
    return lifetime.find_removal_time(grant) + TIMES[grant.via].shrinks_within


def _is_spare(rule: PathRule, stay: tuple[PathRule, ...], port: VmPortView, now: datetime) -> bool:
    """
    Return True if the rules that *stay* let in all live grants that *rule* lets in.

    If they do not, the shared path shrinks by a new initiate, not by cutting the others.
    """
    here = [other for other in stay if _place(other) == _place(rule)]
    wanting = _list_wanting(rule, port, now)

    def decide() -> bool:
        wanted = shared_port.join_sources(wanting)
        return lets_all_in(here, (each for each in wanted if may_let_in(rule, (each,))))

    return port.memo.recall((_is_spare, rule, stay, now), decide)


def _place(rule: PathRule) -> tuple[str, str | None, str]:
    """Return the place of a rule. Two rules of one place can replace each other."""
    return rule.holder_id, rule.collection, rule.target


# ---- notes ---------------------------------------------------------------------------------------


def _is_absence_proof(grant: Grant, requests: Sequence[DefenderRequest], now: datetime) -> bool:
    """Return True if presence was possible: all was written, can be no longer, or is revoked."""
    if not rule_evidence.may_appear(grant, now):
        return True
    newest = [entry for entry in requests if entry.initiate_id == (grant.initiate.newest or "")]
    return bool(newest) and not any(entry.active for entry in newest)


def _explain_shared(
    present: Iterable[PathRule], grant: Grant, port: VmPortView, now: datetime
) -> str:
    """Return which rules stay for other VMs and let the grant's sources in; empty without any."""
    entitled = port.memo.recall(
        (_explain_shared, now), lambda: _read_entitled(_list_own(port), port, now)
    )
    alone = removal.list_uncovered(grant, entitled)
    users = {rule: _list_wanting_elsewhere(rule, port, now) for rule in present}
    return removal.explain_shared(users, alone, port.view.vm)


def _close(grant: Grant, now: datetime, *left_open: str) -> Grant:
    """Return the grant as closed; its note says what stays open, if Azure was asked to open it."""
    notes = (lifetime.read_reason(grant), *(left_open if has_asked_azure(grant) else ()))
    return replace(
        grant.advance(Status.CLOSED),
        closed_at=now,
        next_check_at=now,
        footprint=replace(grant.footprint, companions=()),
        note="; ".join(filter(None, notes)) or None,
    )


def _explain_not_gone(
    left: Sequence[PathRule], companions: Sequence[str], view: MachineView
) -> str:
    stopped = [firewall.id for firewall in view.firewalls if firewall.deallocated]
    there = (
        f"{rule.name} in {arm_ids.name(rule.holder_id)}, {lifetime.STOPPED}"
        if rule.holder_id in stopped
        else rule.name
        for rule in left
    )
    names = ", ".join((*there, *map(arm_ids.name, companions)))
    return f"still there: {names}" if names else "waiting until its rules could no longer appear"
