"""One step of a JIT policy over grants, with what the broker sees of one VM at that moment."""

from jit.domain.grants.policy_view import PolicyView
from jit.domain.grants.step import run_step
from jit.domain.limits import LIMITS
from jit.domain.values import arm_ids
from tests.builders.bodies import NOW, vm_id
from tests.builders.firewalls import FIREWALL_ID
from tests.builders.grants import MINE, NEXT, a_view

FRESH = "c" * 26
"""The id of the initiate that a step may make."""


def a_world(view=None, *seen, **changes):
    """A fresh look at one VM; the broker knows its own initiates."""
    fields = {
        "found": True,
        "entries": tuple(sorted(seen, key=lambda entry: entry.started_at)),
        "machines": {arm_ids.key(vm_id()): view or a_view()},
        "known": frozenset({MINE, NEXT}),
        "turns": frozenset({arm_ids.key(FIREWALL_ID)}),
        **changes,
    }
    return PolicyView(**fields)


def stepped(*grants, world=None, now=NOW):
    """One step over those grants."""
    return run_step(grants, world or a_world(), now=now, initiate_id=FRESH, limits=LIMITS)


def alone(grant, world=None, now=NOW):
    """The grant after a step."""
    (after,) = stepped(grant, world=world, now=now).grants
    return after
