"""The promises hold if a fault hits any call of a scenario."""

from collections import Counter

import pytest

from tests.crash import summary
from tests.crash.enumeration import count_all_points, run_all_points, run_without_fault
from tests.crash.scenario_run import Delivery
from tests.crash.scenarios import SCENARIOS

pytestmark = pytest.mark.scaled


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_run_with_a_fault_keeps_every_promise(scenario, record_property):
    """The process dies or pauses, storage or Azure fails. A run without a fault keeps them too."""
    found = run_all_points(scenario)
    quiet = {each: run_without_fault(scenario, each).violations for each in Delivery}
    broken = [each for each in found if each.violations]
    for name, count in Counter(each.counts for each in found if each.hit).items():
        record_property(name, count)
    for name, count in count_all_points(scenario).items():
        record_property(summary.ALL + name, count)
    record_property("violations", len(broken))
    record_property(summary.SCENARIOS, len(SCENARIOS))

    assert found
    assert all(each.hit for each in found)
    assert broken == []
    assert quiet == dict.fromkeys(Delivery, ())


@pytest.mark.long
@pytest.mark.parametrize("delivery", Delivery, ids=str)
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_run_without_faults_keeps_every_promise(scenario, delivery):
    """Messages are delivered once, twice, or by timers only. The test above has the same runs."""
    assert run_without_fault(scenario, delivery).violations == ()
