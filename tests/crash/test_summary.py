"""The line at the end of a run, and a run with too few crash points and faults."""

from types import SimpleNamespace
from typing import Any

import pytest

from tests import conftest
from tests.crash.summary import FEWEST, shortfall_line, summary_line

FAULTS = {"opens": FEWEST // 2, "closes": FEWEST // 2 - 1}
"""By scenario. With one crash point, the fewest that a run may have."""


def ran(scenario, *, when="call", **properties):
    """The report of a scenario with faults; that of a set-up has no properties yet."""
    place = "tests/crash/test_crash_points.py::test_a_run_with_a_fault_keeps_every_promise"
    found = [] if when == "setup" else list(properties.items())
    return SimpleNamespace(nodeid=f"{place}[{scenario}]", when=when, user_properties=found)


def whole_run(**changes):
    """The reports of a run of all scenarios that has just enough; set-up and tear-down repeat."""
    counts = {**FAULTS, **changes}
    reports = [
        ran(scenario, when=when, faults=faults, scenarios=len(counts))
        for scenario, faults in counts.items()
        for when in ("setup", "call", "teardown")
    ]
    killed = SimpleNamespace(
        nodeid="tests/crash/test_kills.py::test_a_killed_host",
        when="call",
        user_properties=[("crash points", 1), ("violations", 0)],
    )
    return [*reports, killed]


def test_each_crash_point_and_each_fault_counts_once():
    """Set-up and tear-down repeat the properties of the call."""
    assert summary_line(whole_run()) == f"crash points: 1, faults: {FEWEST - 1}, violations: 0"


def test_the_line_says_of_how_many_the_run_took_a_sample():
    properties = {"crash points": 2, "all crash points": 1200, "faults": 3, "all faults": 400}

    found = summary_line([ran("opens", **properties), ran("closes", **properties)])

    assert found == "crash points: 4 of 2,400, faults: 6 of 800, violations: 0"


def test_a_run_of_all_scenarios_with_enough_of_them_passes():
    assert shortfall_line(whole_run()) == ""


def test_a_run_of_all_scenarios_with_one_less_fails():
    found = shortfall_line(whole_run(opens=FAULTS["opens"] - 1))

    assert found.startswith(f"too few crash points and faults: {FEWEST - 1};")


def test_a_run_that_lost_a_scenario_fails():
    """Then one scenario is all that there is."""
    assert shortfall_line([ran("opens", faults=FAULTS["opens"], scenarios=1)]) != ""


def test_a_run_that_skipped_a_scenario_fails():
    """Its report is that of the set-up alone."""
    assert shortfall_line([ran("opens", when="setup"), *whole_run()[3:]]) != ""


@pytest.mark.parametrize("left_out", ["opens", "closes"])
def test_a_run_of_some_scenarios_may_have_fewer(left_out):
    """A person chose them; pytest lists the others without a phase."""
    others = [each for each in whole_run() if left_out not in each.nodeid]
    unchosen = SimpleNamespace(nodeid=ran(left_out).nodeid)

    assert shortfall_line([*others, unchosen]) == ""


class Session:
    """A run of the suite that ended well, with *reports*."""

    def __init__(self, reports):
        self.exitstatus = 0
        reporter = SimpleNamespace(stats={"passed": reports})
        plugins = SimpleNamespace(get_plugin=lambda name: {"terminalreporter": reporter}[name])
        self.config = SimpleNamespace(pluginmanager=plugins)


@pytest.mark.parametrize(("faults", "status"), [(FEWEST, 0), (FEWEST - 1, 1)])
def test_the_exit_status_of_a_run_says_that_it_had_too_few(monkeypatch, faults, status):
    monkeypatch.delenv("JIT_CRASH", raising=False)
    session: Any = Session([ran("opens", faults=faults, scenarios=1)])

    conftest.pytest_sessionfinish(session)

    assert session.exitstatus == status


def test_a_run_with_a_chosen_number_of_calls_may_have_fewer(monkeypatch):
    """``JIT_CRASH`` chooses it."""
    monkeypatch.setenv("JIT_CRASH", "1")
    session: Any = Session([ran("opens", faults=1, scenarios=1)])

    conftest.pytest_sessionfinish(session)

    assert session.exitstatus == 0
