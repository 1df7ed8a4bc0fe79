"""A comparison: the observed rules and all grants that they may belong to."""

import pytest

from jit.storage.table import Op, Verb
from tests.broker.reconciling import FARM_POLICY
from tests.local.azure.sim import NSG_WEB, PRODUCTION, WEB01

WEB_ADDRESS = "10.1.1.4"


def test_a_companion_is_known_even_after_its_tombstone_is_gone(it):
    """History still knows the grant that it names."""
    request_id = it.closed(WEB01, port=3389)
    it.broker.state.write([Op(Verb.DELETE, row) for row in it.broker.state.rows("t|")])
    it.leave_companion(f"{request_id}-0-3389", NSG_WEB, WEB_ADDRESS, 3389)

    it.run(PRODUCTION)
    it.broker.live(1)

    assert "jit-broker" not in " ".join(it.broker.sim.rules(NSG_WEB))


@pytest.mark.parametrize("grant_id", ["nobody-0-3389", "n" * 52 + "-0-3389"])
def test_a_companion_that_names_nobody_stays(it, grant_id):
    """A prefix alone is not proof."""
    name = it.leave_companion(grant_id, NSG_WEB, WEB_ADDRESS, 3389)

    it.run(PRODUCTION)
    it.broker.live(1)

    assert name in it.broker.sim.rules(NSG_WEB)


def test_a_strangers_leftover_that_is_wider_neither_becomes_a_grants_nor_ends_it(it):
    """A grant records the rules that were asked for it. It only passes through others."""
    name = it.leave(sourceAddressPrefix="203.0.113.0/24")
    request_id = it.opened()

    it.run()
    it.broker.live(70)

    assert it.broker.grant(request_id).close_reason == "expired"
    assert it.allow_rules() == [name]


def test_the_leftovers_of_an_unfinished_grant_are_left_to_its_worker(it):
    """One at a time acts for a grant: the run tells, and neither claims nor looks again."""
    it.broker.sim.faults({"match": {"path": "nsg-farm-1"}, "times": None, "leaveRules": True})
    it.opened()
    it.broker.queues.lose()
    it.broker.live(90, ticks=False)
    looked = it.broker.calls.count("network.get")

    it.run()

    assert it.broker.calls.count("network.get") == looked
    assert it.policy_messages() == [FARM_POLICY]
