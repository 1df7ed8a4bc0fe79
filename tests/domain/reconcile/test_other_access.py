"""Access that no grant gives, as a comparison finds it."""

from datetime import timedelta

import pytest

from jit.domain.model.machine import MOST_OTHERS
from jit.domain.model.occupied_ports import list_occupied, list_others
from jit.domain.reconcile import other_access
from tests.broker.inprocess import ALICE, DAVE, ELSEWHERE, HERE, OLGA, InProcess, farm
from tests.broker.reconciling import Reconciling
from tests.local.azure.sim import DEVELOPMENT

PETRA = "petra@example.com"


@pytest.fixture
def it():
    """A broker and its comparison."""
    return Reconciling(InProcess())


def others(it, number=1):
    """Port, origin, sources and person of each other access to a VM, as the inventory has it."""
    vm = it.broker.inventory.find_machine(farm(number))
    found = list_others(vm, now=it.broker.now)
    return [(o.port, o.origin.value, list(o.sources), o.requestor) for o in found]


def test_a_portal_user_is_named_with_source_and_end(it):
    """And the port is occupied until then."""
    it.broker.occupy(farm(1), 22, ELSEWHERE, minutes=60)
    it.broker.live(1)

    it.run()

    ((port, origin, sources, person),) = others(it)
    assert (port, origin, sources) == (22, "portal", [ELSEWHERE])
    assert person.startswith("petra")
    vm = it.broker.inventory.find_machine(farm(1))
    assert list(list_occupied(vm, now=it.broker.now)) == [22]
    assert others(it, 2) == []


def test_a_rule_of_nobody_is_an_orphan(it):
    """It lets somebody in, and nobody knows whom."""
    it.leave()

    it.run()

    assert others(it) == [(22, "orphan", [HERE], None)]
    assert list_occupied(it.broker.inventory.find_machine(farm(1)), now=it.broker.now) == {}


def test_a_rule_of_a_closed_grant_that_came_back_lets_somebody_in(it):
    """Until the broker has removed it."""
    it.closed()
    it.leave()

    it.run()

    assert others(it) == [(22, "orphan", [HERE], None)]
    it.broker.live(1)
    it.run()
    assert others(it) == []


def test_a_rule_that_outlives_its_portal_request_still_counts(it):
    """Defender removes it a moment later; until then somebody gets in."""
    it.broker.sim.control("POST", "faults", {"faults": [{"leaveRules": True}]})
    it.broker.occupy(farm(1), 22, ELSEWHERE, minutes=5)
    it.broker.live(6)

    it.run()

    assert [each[:3] for each in others(it)] == [(22, "portal", [ELSEWHERE])]
    assert list_occupied(it.broker.inventory.find_machine(farm(1)), now=it.broker.now) == {}


def test_the_brokers_own_rules_are_not_others(it):
    """They are the grants."""
    it.opened()

    it.run()

    assert others(it) == []


def test_an_orphan_beside_a_grant_is_told(it):
    """Its sources are others than those of the grant."""
    it.opened()
    it.leave(sourceAddressPrefix=ELSEWHERE)

    it.run()

    assert others(it) == [(22, "orphan", [ELSEWHERE], None)]


def test_an_orphan_for_many_ports_is_told_at_those_of_the_policy(it):
    """The first port of a range stands for a range without any."""
    it.leave(destinationPortRange="20-30")
    it.leave(2, destinationPortRange="9000-9010")

    it.run()

    assert [each[0] for each in others(it)] == [22, 9000]


def test_others_stay_known_while_another_reading_writes_the_machines(it):
    """A denial reads Azure anew; it knows no grants, so it cannot tell orphans from them."""
    it.leave()
    it.run()
    fresh = it.broker.azure.observer().read_machines(DEVELOPMENT, now=it.broker.now)

    it.broker.inventory.write_machines(DEVELOPMENT, fresh, complete=True)

    assert len(others(it)) == 1


def test_everybody_learns_that_somebody_is_in(it):
    """A requester does not learn who, or from where; a list is never empty for that reason."""
    it.broker.occupy(farm(1), 22, ELSEWHERE, minutes=60)
    it.broker.live(1)
    it.run()

    for caller in (ALICE, DAVE, OLGA):
        listed, _ = it.broker.queries.list_machines(DEVELOPMENT, caller, now=it.broker.now)
        (found,) = ((vm, access) for vm, access in listed if vm.name == "farm01")
        assert len(list_others(found[0], now=it.broker.now)) == 1
        assert found[1].names_others is (caller is OLGA)


def test_a_machine_with_many_orphans_keeps_some(it, monkeypatch):
    """A row has room for a few; the comparison reports the number of all."""
    monkeypatch.setattr(other_access, "MOST_OTHERS", 2)
    for number in range(1, 5):
        it.leave(number, sourceAddressPrefix=f"198.51.100.{number}")

    it.run()

    assert len(others(it)) == 2 < MOST_OTHERS


def test_an_end_that_is_past_is_left_out_at_once(it):
    """Without another comparison."""
    it.broker.occupy(farm(1), 22, ELSEWHERE, minutes=10)
    it.broker.live(1)
    it.run()

    it.broker.advance(timedelta(minutes=10))

    assert others(it) == []
