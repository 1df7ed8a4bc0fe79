"""
What may be removed for a grant that must not be open, and when it counts as gone.

The Defender API has no revoke (Microsoft.Security 2020-01-01), so closing early means removing
the rules themselves. A rule goes only if it is proved to be the grant's, if no other live grant
wants its sources on that VM port, and if Defender lists no unexpired request of others for it.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from jit.domain.azure import companion_rule
from jit.domain.azure.defender_requests import DefenderRequest
from jit.domain.grants import lifetime, rule_evidence, shared_port, widened
from jit.domain.grants.policy_view import RuleUsers, rests_elsewhere
from jit.domain.grants.timing import TIMES
from jit.domain.model.grant import CloseReason, Grant, Status
from jit.domain.paths import effective
from jit.domain.paths.machine_view import MachineView
from jit.domain.paths.rules import PathRule, addresses, letting_in, readable, rules_of_port
from jit.domain.values import arm_ids, prefixes
from jit.domain.values.prefixes import Prefix, network

UNLISTED = ""
"""What a stranger's request holds that Azure lists without its sources: maybe any rule, so none
is removed that may be theirs, and none counts as theirs."""

_TOLD = {CloseReason.FAILED, CloseReason.SUPERSEDED, CloseReason.DENIED}
"""Reasons whose note says why, and outlives what the closing waits for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Others:
    """
    What is not the grant's alone.

    Attributes:
        held: Sources of foreign requests in force on the VM port.
        rests: What the grants of the policy rest on.
    """

    held: Sequence[str] = ()
    rests: RuleUsers = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Closing:
    """The grant after a look, and what to remove for it."""

    grant: Grant
    removals: tuple[PathRule, ...] = ()
    companions: tuple[str, ...] = ()


def work(
    grant: Grant,
    group: Sequence[Grant],
    view: MachineView,
    seen: Sequence[DefenderRequest],
    *,
    others: Others,
    now: datetime,
) -> Closing:
    """
    Advance a grant that must not be open.

    Args:
        grant: In status ``closing``.
        group: All unfinished grants of the VM port, *grant* among them.
        view: A fresh look at the VM.
        seen: Defender's entries for the VM port, oldest first.
        others: What strangers and other VM ports have a right to.
        now: Aware, UTC.
    """
    look = effective.observe_path(grant, view)
    unclear = look.state is effective.PathState.UNCLEAR
    own = _companions(grant, view)
    present = _telling(grant, view, unclear=unclear)
    ours = [rule for rule in present if not rests_elsewhere(rule.id, grant, others.rests)]
    left = _left(grant, group, _here(ours, grant, view), seen, others.held)
    if unclear and not own and not left:
        return Closing(grant=waits(grant, now, look.why, unclear=True))
    if not left and not own and not unclear and _absence_counts(grant, seen, now):
        return Closing(grant=_gone(grant, now))
    removals: tuple[PathRule, ...] = ()
    if now >= _from(grant):
        outlived = [rule for rule in left if _outlived(rule, grant, group, now)]
        removals = _removable(left, group, present, others.held, outlived)
    return Closing(grant=waits(grant, now, _why(left, own)), removals=removals, companions=own)


def _telling(grant: Grant, view: MachineView, *, unclear: bool) -> tuple[PathRule, ...]:
    """
    Return the rules of the VM port that what is listed can be believed about.

    Another NSG that is being updated, or cannot be read, is no reason to leave a rule that was
    read. An NSG whose last update failed still lists a rule that could not be removed: nobody but
    the broker would remove it again, and doing so repeats the update.
    """
    present = rules_of_port(view, grant.port, grant.private_ips, known=grant.rules)
    telling = {nsg.id for nsg in view.nsgs.values() if nsg.failed or nsg.settled}
    if view.firewall is not None and view.firewall.settled:
        telling.add(view.firewall.id)
    return tuple(rule for rule in present if not unclear or rule.holder_id in telling)


def _here(rules: Iterable[PathRule], grant: Grant, view: MachineView) -> tuple[PathRule, ...]:
    """
    Leave out what leads to an address that the VM has no more, unless it was recorded.

    Another VM may have that address by now, and the same person a path to it.
    """
    recorded = {arm_ids.key(rule_id) for rule_id in grant.rules}
    now_there = addresses(view.vm)
    return tuple(r for r in rules if r.target in now_there or arm_ids.key(r.id) in recorded)


def _gone(grant: Grant, now: datetime) -> Grant:
    keep = grant.note if grant.close_reason in _TOLD else None
    return grant.advance(Status.CLOSED, closed_at=now, next_check_at=now, companions=(), note=keep)


def _why(left: Sequence[PathRule], own: Sequence[str]) -> str:
    names = ", ".join((*(rule.name for rule in left), *map(arm_ids.name, own)))
    return f"still there: {names}" if left else "waiting until its rules could no longer appear"


def _from(grant: Grant) -> datetime:
    """
    Return when the broker may remove rules: at once, or after Azure had its chance.

    It has none where it was asked for longer: Defender grants no less than five minutes.
    """
    start = grant.closing_at or grant.latest_end
    if grant.close_reason is not CloseReason.EXPIRED:
        return start
    end = grant.expires_at or start
    asked = grant.asked_until
    return end if asked is not None and asked > end else end + TIMES[grant.via].grace


def waits(grant: Grant, now: datetime, note: str, *, unclear: bool = False) -> Grant:
    """
    Return the grant with a time for the next look; the note of a failure is kept.

    *unclear*: nothing could be observed; from when on that is so decides who may end it.
    """
    kept = (grant.note if grant.close_reason in _TOLD else None) or note
    wait = lifetime.patience(now - (grant.closing_at or now))
    since = (grant.unclear_at or now) if unclear else None
    return replace(grant, next_check_at=now + wait, note=kept, unclear_at=since)


def _companions(grant: Grant, view: MachineView) -> tuple[str, ...]:
    """Return the grant's own companion rules that are still there, by id."""
    return tuple(
        f"{nsg.id}/securityRules/{rule.name}"
        for nsg in view.nsgs.values()
        for rule in nsg.rules
        if companion_rule.parse_companion_name(rule.name) == grant.id
    )


def _left(
    grant: Grant,
    group: Sequence[Grant],
    present: Sequence[PathRule],
    seen: Sequence[DefenderRequest],
    held: Sequence[str],
) -> list[PathRule]:
    """Return the rules that still let this grant's sources in, on nobody else's account."""
    others = _wanting(group)
    alone = [source for source in grant.sources if not _entitled(source, others, held)]
    letting = letting_in(present, alone)
    return [
        rule
        for rule in present
        if (_listed(rule, grant, seen) or (rule in letting and _proved(rule, grant, group)))
        and _exceeds(rule, others, held)
    ]


def _listed(rule: PathRule, grant: Grant, seen: Sequence[DefenderRequest]) -> bool:
    """Whether it opens what Defender lists for an initiate of the grant, asked for or not."""
    texts = {
        text for entry in seen if entry.initiate_id in grant.initiates for text in entry.sources
    }
    named = {*texts, *readable(texts)}
    return (
        rule.exact
        and bool(rule.sources)
        and all(text in named or network(text) in named for text in rule.sources)
    )


def _exceeds(rule: PathRule, others: Sequence[Grant], held: Sequence[str]) -> bool:
    """Whether *rule* lets in more than live grants and strangers' requests account for."""
    found = readable(rule.sources)
    whole = 0 < len(found) == len(rule.sources)
    return not whole or not all(_entitled(network, others, held) for network in found)


def _entitled(source: Prefix, others: Sequence[Grant], held: Sequence[str]) -> bool:
    return prefixes.covered(source, held) or _needed(source, others)


def _wanting(group: Iterable[Grant]) -> list[Grant]:
    """Return those of the VM port whose path must stay; a closing grant is none of them."""
    return [other for other in group if other.wants_path]


def _needed(source: Prefix, others: Iterable[Grant]) -> bool:
    return any(
        isinstance(theirs, type(source)) and source.subnet_of(theirs)  # type: ignore[arg-type] # same version
        for other in others
        for theirs in other.sources
    )


def _proved(rule: PathRule, grant: Grant, group: Sequence[Grant]) -> bool:
    """Recorded as the grant's own, or exactly what Defender writes for grants of this port."""
    if arm_ids.key(rule.id) in {arm_ids.key(rule_id) for rule_id in grant.rules}:
        return True
    found = readable(rule.sources)
    return (
        rule.exact
        and 0 < len(found) == len(rule.sources)
        and shared_port.union(widened.asking(group)).issuperset(found)
    )


def _removable(
    left: Iterable[PathRule],
    group: Sequence[Grant],
    present: Iterable[PathRule],
    held: Sequence[str],
    outlived: Container[PathRule],
) -> tuple[PathRule, ...]:
    """
    Return the rules of *left* that no live grant and no stranger's request rests on.

    Those that have *outlived* their time go from under live grants too.
    """
    others = _wanting(group)
    stay = [rule for rule in present if not _exceeds(rule, others, held)]
    return tuple(
        rule
        for rule in left
        if (rule in outlived or _spare(rule, stay, others))
        and not any(_overlap(rule, text) for text in held)
    )


def _outlived(rule: PathRule, grant: Grant, group: Iterable[Grant], now: datetime) -> bool:
    """
    Whether *rule* has had its time to shrink since the last who must be out gave it back.

    That may be later than *grant* did, whose own sources somebody else needed until then.
    """
    over = (each for each in group if each.status is Status.CLOSING)
    shared = [each for each in over if letting_in((rule,), each.sources)]
    return all(now >= _from(each) + TIMES[each.via].shrinks_within for each in (grant, *shared))


def _spare(rule: PathRule, stay: Iterable[PathRule], others: Iterable[Grant]) -> bool:
    """
    Whether the rules that *stay* let in all live grants that *rule* lets in.

    Where they do not, the union shrinks by a new initiate, not by cutting the others.
    """
    texts = [text for other in stay if _door(other) == _door(rule) for text in other.sources]
    return all(
        prefixes.covered(source, texts)
        for source in shared_port.union(others)
        if letting_in((rule,), (source,))
    )


def _door(rule: PathRule) -> tuple[str, str | None, str]:
    return rule.holder_id, rule.collection, rule.target


def _overlap(rule: PathRule, text: str) -> bool:
    networks = readable((text,))
    return not networks or bool(letting_in((rule,), networks))


def _absence_counts(grant: Grant, seen: Sequence[DefenderRequest], now: datetime) -> bool:
    """Whether presence was possible: all was written, or can be no longer, or is revoked."""
    if not rule_evidence.may_appear(grant, now):
        return True
    newest = [entry for entry in seen if entry.initiate_id in grant.initiates[-1:]]
    return bool(newest) and not any(entry.active for entry in newest)
