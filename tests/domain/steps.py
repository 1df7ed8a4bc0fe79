"""One step of a JIT policy over grants, with what the broker sees of one VM at that moment."""

from jit.domain import armid
from jit.domain.controller import step
from jit.domain.limits import LIMITS
from jit.domain.world import World
from tests.domain.bodies import NOW, vm_id
from tests.domain.firewalls import FIREWALL_ID
from tests.domain.grants import MINE, NEXT, a_view

FRESH = "c" * 26
"""The id of the initiate that a step may make."""


def a_world(view=None, *seen, **changes):
    """A fresh look at one VM; the broker knows its own initiates."""
    fields = {
        "found": True,
        "entries": tuple(sorted(seen, key=lambda entry: entry.started_at)),
        "machines": {armid.key(vm_id()): view or a_view()},
        "known": frozenset({MINE, NEXT}),
        "turns": frozenset({armid.key(FIREWALL_ID)}),
        **changes,
    }
    return World(**fields)


def stepped(*grants, world=None, now=NOW):
    """One step over those grants."""
    return step(grants, world or a_world(), now=now, initiate_id=FRESH, limits=LIMITS)


def alone(grant, world=None, now=NOW):
    """The grant after a step."""
    (after,) = stepped(grant, world=world, now=now).grants
    return after
