"""The points of a scenario in ``make test``: which call each of its faults hits."""

import pytest

from tests.crash import enumeration
from tests.crash.enumeration import MANY_CALLS, QuietRun, choose_points
from tests.crash.faults import FAULTS, InjectedFault
from tests.crash.scenario_run import Delivery, ScenarioRun
from tests.crash.scenarios import SCENARIOS

READS = ("arm.list", "audit.get", "history.query", "network.get_nsg", "policies.get", "state.query")
CHANGES = (
    "audit.write",
    "history.write",
    "network.delete_rule",
    "network.put_rule",
    "policies.initiate",
    "queues.send",
    "state.write",
)
FIRST, SECOND = list(SCENARIOS)[:2]


@pytest.fixture(autouse=True)
def _short(monkeypatch):
    """The sizes of ``make test``; no scenario has run yet."""
    monkeypatch.setattr(enumeration, "LONG", False)
    monkeypatch.setattr(enumeration, "_quiet_runs", {})
    monkeypatch.delenv("JIT_CRASH", raising=False)


def points_of(scenario, names):
    """Return the points of a scenario that makes these calls."""
    enumeration._quiet_runs[scenario, Delivery.ONCE] = QuietRun(tuple(names), ())
    return choose_points(scenario)


def test_each_kind_of_change_is_hit_before_and_after_it_acts():
    points = points_of(FIRST, READS + CHANGES)

    hit = [(each.call, each.fault.lets_act) for each in points if each.call in CHANGES]
    assert sorted(hit) == [(name, acted) for name in CHANGES for acted in (False, True)]


def test_each_kind_of_read_is_hit_once():
    points = points_of(FIRST, READS + CHANGES)

    assert sorted(each.call for each in points if each.call in READS) == sorted(READS)


def test_two_long_scenarios_hit_each_kind_of_read_together():
    """One after the other in the list of scenarios: each of them hits every second kind."""
    names = (READS + CHANGES) * MANY_CALLS

    first, second = (
        {each.call for each in points_of(scenario, names)} - {*CHANGES}
        for scenario in (FIRST, SECOND)
    )

    assert (len(first), len(second), first | second) == (3, 3, {*READS})


def test_each_point_is_a_call_that_its_fault_can_hit():
    names = (READS + CHANGES) * 20

    points = points_of(FIRST, names)

    assert [names[each.number - 1] for each in points] == [each.call for each in points]
    assert all(each.fault.can_hit(each.call) for each in points)


def test_each_fault_hits_several_scenarios():
    """Each scenario leaves out every third one."""
    points = [point for each in SCENARIOS for point in points_of(each, READS + CHANGES)]

    found = [point.fault.name for point in points]
    assert min(found.count(name) for name in FAULTS) >= 5


def test_all_points_of_a_scenario_are_all_calls_that_its_faults_could_hit():
    points_of(FIRST, ["queues.send", "state.get", "state.get"])

    found = enumeration.count_all_points(FIRST)

    assert found == {"crash points": 6 * 3, "faults": 4 + 2 * 2}


def test_a_fault_hits_the_call_of_its_point():
    """Not an earlier one, and none of another name."""
    fault = FAULTS["503"]
    injected = InjectedFault(fault, 5, ScenarioRun(), "arm.list")

    due = [injected.is_due(*call) for call in (("arm.list", 4), ("arm.get", 5), ("arm.list", 6))]

    assert due == [False, False, True]
