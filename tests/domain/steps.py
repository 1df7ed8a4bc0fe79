"""One step of a JIT policy over grants, with the broker's view of one VM at that moment."""

from datetime import timedelta

from jit.domain.grants import rule_evidence
from jit.domain.grants.policy_view import PolicyView
from jit.domain.grants.step import run_step
from jit.domain.limits import LIMITS
from jit.domain.model.grant import CloseReason, Status
from jit.domain.paths.rules import find_port_rules
from jit.domain.values import arm_ids
from tests.builders.grants import an_open
from tests.builders.machines import a_view
from tests.builders.nsgs import an_allow, an_nsg, arm_companion, jit_name
from tests.builders.values import FIREWALL_ID, MINE, MINUTE, NEXT, NOW, NSG_ID, vm_id

SECOND = timedelta(seconds=1)
LATER = NOW + 10 * MINUTE
STRANGER = None
"""The initiate id of a request that is not ours."""

OURS = a_view(an_nsg(an_allow()))
"""The VM with the rule that was asked for."""

THERE = tuple(rule_evidence.make_mark(rule) for rule in find_port_rules(OURS, 22))
RULE_ID = f"{NSG_ID}/securityRules/{jit_name('-', 1)}"
LET_IN = an_nsg(
    an_allow(),
    arm_companion("g1", priority=300),
)
"""An NSG with the rule that was asked for and the companion of ``g1``."""


FRESH = "c" * 26
"""The id of the initiate that a step may make."""


def a_world(view=None, *seen, **changes):
    """A fresh look at one VM; the broker knows its own initiates."""
    fields = {
        "found": True,
        "requests": tuple(sorted(seen, key=lambda entry: entry.started_at)),
        "machines": {arm_ids.key(vm_id()): view or a_view()},
        "known_initiates": frozenset({MINE, NEXT}),
        "free_firewalls": frozenset({arm_ids.key(FIREWALL_ID)}),
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


def a_leaver(**changes):
    """A grant that was revoked just now."""
    return an_open(
        **{
            "status": Status.CLOSING,
            "close_reason": CloseReason.REVOKED,
            "closing_at": NOW,
            "rules": (RULE_ID,),
            **changes,
        }
    )
