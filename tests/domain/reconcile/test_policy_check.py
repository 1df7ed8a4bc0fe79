"""The comparison of live grants with their JIT policies."""

from dataclasses import replace

import pytest

from jit.domain.model.machine import PolicyFault, PolicyField, Support
from jit.domain.reconcile.policy_check import plan_outside
from tests.builders.grants import an_older
from tests.builders.machines import a_configured_vm, a_rule
from tests.builders.values import HOUR, MINUTE, NOW, POLICY_ID

LONG = an_older(expires_at=NOW + 3 * HOUR)
ALLOWING = replace(a_configured_vm(), policy_id=POLICY_ID, ports=(a_rule(),))
TWICE = PolicyFault(port=None, field=PolicyField.ENTRIES, detail="in two policies")


def planned(vm, grant=LONG):
    """Action, class and reason of the item; None if there is none."""
    item = plan_outside(grant, vm, now=NOW)
    return (item.action, item.kind, item.reason) if item is not None else None


def test_a_grant_inside_its_policy_has_no_item():
    """The letter case of ids does not matter."""
    assert planned(replace(ALLOWING, policy_id=POLICY_ID.upper())) is None


@pytest.mark.parametrize(
    "vm",
    [
        replace(ALLOWING, ports=(a_rule(3389),)),
        replace(ALLOWING, policy_id=None, ports=(), support=Support.NOT_CONFIGURED),
        replace(ALLOWING, policy_id=f"{POLICY_ID}-of-the-night"),
    ],
)
def test_a_grant_outside_its_policy_is_closed_by_its_worker(vm):
    """The port left the policy, the VM left it, or the VM is in another policy now."""
    item = plan_outside(LONG, vm, now=NOW)

    assert item is not None
    assert (item.action, item.kind, item.grant) == ("close", "outside", LONG.id)
    assert "no longer in its JIT policy" in item.reason
    assert item.is_decided_later


def test_a_grant_that_lasts_longer_than_its_policy_gives_is_looked_at():
    """Its end comes forward; it does not end now."""
    vm = replace(ALLOWING, ports=(a_rule(max_duration=HOUR),))

    assert planned(vm) == (
        "reopen",
        "outside",
        "its JIT policy lets it last until 2026-11-22T19:00:00Z",
    )
    assert planned(vm, an_older(expires_at=NOW + HOUR - MINUTE)) is None


@pytest.mark.parametrize("changes", [{"is_in_doubt": True}, {"policy_faults": (TWICE,)}])
def test_nothing_is_planned_while_the_lists_may_lack_something(changes):
    """A list of Azure may be short, and a VM in two policies has no one policy."""
    assert planned(replace(ALLOWING, ports=(), **changes)) is None
