"""
Turns on firewalls in a pass: taken for a step, waited for by others, given back at the end.

A step is decided again after each turn that it does not get, so that it does nothing there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from jit.broker.firewall_turns import FirewallTurns
from jit.broker.policy_worker.pass_state import Pass
from jit.domain.errors import BrokerError, Refused
from jit.domain.grants.policy_view import PolicyView
from jit.domain.grants.step import Step
from jit.domain.grants.timing import APPEARS_WITHIN, FIREWALL_WAIT
from jit.domain.model.grant import Grant, Status
from jit.domain.paths.machine_view import FirewallView, MachineView
from jit.domain.values import arm_ids

CLOSES_FIRST = timedelta(minutes=10)
"""So long the removals of a policy go before its own openings: two updates of a firewall."""

Decide = Callable[[PolicyView], Step]
"""Decides about the grants of a pass by a view; it is pure."""

Firewalls = Mapping[str, str]
"""Ids by their keys."""


def take_turns(
    turns: FirewallTurns, step: Step, view: PolicyView, state: Pass, decide: Decide
) -> tuple[Step, PolicyView]:
    """
    Take the turns that *step* needs; return the step that does without those it did not get.

    One turn removes rules or opens something; removals come first. After `CLOSES_FIRST` something
    keeps a rule from going, and one turn does both. A last chance to ask does not wait either.
    """
    removing, asking = _find_removing(step), _find_asking(step)
    both = find_closed_first(step, state.now) & asking.keys()
    if both:
        view = replace(view, opened_later=view.opened_later | both)
        step = decide(view)
        removing, asking = _find_removing(step), _find_asking(step)
    lost = {
        key
        for key, firewall_id in {**asking, **removing}.items()
        if not turns.take(firewall_id, state.policy_id, state.now, closing=key in removing)
    }
    if lost:
        view = replace(view, free_firewalls=view.free_firewalls - lost)
        step = decide(view)
    return step, view


def wait_for_turns(
    turns: FirewallTurns, step: Step, view: PolicyView, state: Pass, decide: Decide
) -> Step:
    """
    Stand in line for each firewall that *step* would change if it had the turn.

    Return *step* with an early look for the grants that wait to close: the wait counts only while
    it is renewed, and the turn must not lie unused.
    """
    is_kept = any(_is_kept_from(view, each) for each in _list_firewalls(view))
    if not is_kept and not view.waited_for:
        return step
    wish = decide(_imagine_free(view))
    waiting: set[str] = set()
    for closing, find in ((True, _find_removing), (False, _find_asking)):
        for firewall in _list_left(view, find(wish), step, state, closing=closing):
            turns.leave(firewall.id, state.policy_id, closing=closing)
        missing = {key: id_ for key, id_ in find(wish).items() if key not in find(step)}
        for key, firewall_id in missing.items():
            stands = turns.wait(firewall_id, state.policy_id, state.now, closing=closing)
            if stands and closing and key not in view.free_firewalls:
                waiting.add(key)
    return replace(
        step, grants=tuple(_look_early(grant, waiting, state.now) for grant in step.grants)
    )


def return_turns(
    turns: FirewallTurns,
    step: Step,
    view: PolicyView,
    state: Pass,
    errors: Iterable[BrokerError] = (),
) -> None:
    """
    Give back the turns on settled firewalls, unless an update of this policy may still begin.

    If Azure refused a removal for good, no update began.
    """
    refused = {arm_ids.key(each.resource_id) for each in errors if isinstance(each, Refused)}
    busy = (_find_asking(step).keys() | _find_removing(step).keys()) - refused
    busy |= {grant.firewall_key for grant in state.grants if _is_awaited(grant, state.now)}
    for firewall in _list_firewalls(view):
        if firewall.settled and arm_ids.key(firewall.id) not in busy:
            turns.end_update(firewall.id, state.policy_id, firewall.foreign, state.now)


def _is_awaited(grant: Grant, now: datetime) -> bool:
    """Return True if Azure may yet begin the update for the newest initiate of *grant*."""
    asked = grant.initiate
    if grant.status is not Status.OPENING or asked.at is None or asked.seen:
        return False
    return now < asked.at + (APPEARS_WITHIN if asked.answered else FIREWALL_WAIT)


def _find_removing(step: Step) -> Firewalls:
    """Return the firewalls from which *step* removes rules."""
    rules = (rule for rule in step.removals if rule.collection is not None)
    return {arm_ids.key(rule.holder_id): rule.holder_id for rule in rules}


def _find_asking(step: Step) -> Firewalls:
    """Return the firewalls in which *step* lets Defender open something."""
    return {arm_ids.key(ask.firewall_id): ask.firewall_id for ask in step.asks if ask.firewall_id}


def find_closed_first(step: Step, now: datetime) -> frozenset[str]:
    """Return the keys of the firewalls in which the removals of *step* go before any opening."""
    return frozenset(_find_removing(step).keys() & _find_closing_lately(step, now))


def _find_closing_lately(step: Step, now: datetime) -> set[str]:
    """Return the keys of firewalls with a grant that began to close less than that long ago."""
    return {
        key
        for grant in step.grants
        if grant.status is Status.CLOSING and now - (grant.closing_at or now) < CLOSES_FIRST
        for key in _find_places(grant)
    }


def _find_places(grant: Grant) -> set[str]:
    """Return the keys of the firewalls and NSGs that may have a rule of *grant*."""
    return {*grant.holder_keys, grant.firewall_key}


# ---- the firewalls of a view ---------------------------------------------------------------------


def _list_firewalls(view: PolicyView) -> list[FirewallView]:
    views = [machine.add_former() for machine in view.machines.values()]
    found = {arm_ids.key(each.id): each for machine in views for each in machine.firewalls}
    return list(found.values())


def _list_left(
    view: PolicyView, wished: Firewalls, step: Step, state: Pass, *, closing: bool
) -> list[FirewallView]:
    """Return the firewalls in whose line nothing of this policy waits to close, or to open, now."""
    statuses = {Status.CLOSING} if closing else {Status.PENDING, Status.OPENING, Status.OPEN}
    here = {grant.id for grant in step.grants}
    elsewhere = [g for g in state.grants if g.id not in here and g.status in statuses]
    kept = wished.keys() | {key for grant in elsewhere for key in _find_places(grant)}
    left = view.waited_for - kept
    return [each for each in _list_firewalls(view) if arm_ids.key(each.id) in left]


def _is_kept_from(view: PolicyView, firewall: FirewallView) -> bool:
    """Return True if something that a step wants to do may have to wait for *firewall*."""
    key = arm_ids.key(firewall.id)
    free = view.free_firewalls - view.closing_first - view.opened_later
    return not firewall.settled or key not in free


def _imagine_free(view: PolicyView) -> PolicyView:
    """Return *view* as if all its firewalls were settled and nobody else wanted them."""
    return replace(
        view,
        machines={key: _imagine_settled(each) for key, each in view.machines.items()},
        free_firewalls=frozenset(arm_ids.key(each.id) for each in _list_firewalls(view)),
        closing_first=frozenset(),
        opened_later=frozenset(),
    )


def _imagine_settled(machine: MachineView) -> MachineView:
    firewall = machine.firewall
    return replace(
        machine,
        firewall=None if firewall is None else replace(firewall, settled=True),
        former_firewalls=tuple(replace(each, settled=True) for each in machine.former_firewalls),
    )


def _look_early(grant: Grant, waiting: Iterable[str], now: datetime) -> Grant:
    """Return *grant* with a look in a minute if it waits to close in one of those firewalls."""
    if grant.status is not Status.CLOSING or _find_places(grant).isdisjoint(waiting):
        return grant
    return replace(grant, next_check_at=min(grant.next_check_at, now + FIREWALL_WAIT))
