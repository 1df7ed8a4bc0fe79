"""The lines that the benchmarks print."""

import json

import pytest

from bench import __main__ as program
from bench.benchmarks.cold_start import cold_start_cpu_ratio
from bench.catalogue import BENCHMARKS
from bench.measures.figures import Figure, Goal, ratio, round_value, spread
from bench.measures.processes import MeasurementFailed

FACTS = {"command": "python -m bench", "python": "3.11.7", "cpu": "a cpu", "cores": 2, "load": 0.1}


def test_a_figure_is_one_line_of_json_with_its_surroundings():
    """A reader of the output needs only a JSON parser."""
    line = Figure(name="calls", value=3, unit="calls", details={"n": 1}).line(FACTS)

    assert json.loads(line) == {"name": "calls", "value": 3.0, "unit": "calls", "n": 1} | FACTS


@pytest.mark.parametrize(
    ("goal", "value", "met"),
    [
        (Goal(at_most=3), 3, True),
        (Goal(at_most=3), 3.01, False),
        (Goal(at_least=8), 8, True),
        (Goal(at_least=8), 7.9, False),
        (Goal(exactly=34), 34, True),
        (Goal(exactly=34), 35, False),
    ],
)
def test_a_missed_goal_is_said_in_the_figure(goal, value, met):
    """The bound itself keeps to the goal; past it, the figure says so."""
    shown = json.loads(Figure(name="calls", value=value, unit="calls", goal=goal).line({}))

    assert shown["met"] is met


def test_a_value_has_four_significant_digits():
    """More digits would claim a precision that nobody has."""
    assert [round_value(value) for value in (1.23456, 123456.0, 0.000123456)] == [
        1.235,
        123500.0,
        0.0001235,
    ]


def test_a_ratio_compares_medians():
    """One run that met a busy machine does not move the figure."""
    value, _ = ratio([2.0, 2.0, 90.0], [1.0, 1.0, 1.0])

    assert value == 2.0


def test_a_spread_names_quartiles_and_extremes():
    """A wide spread looks different from a narrow one."""
    assert spread([1.0, 2.0, 3.0, 4.0, 5.0]) == {
        "n": 5,
        "median": 3.0,
        "quartiles": [2.0, 4.0],
        "extremes": [1.0, 5.0],
    }


def test_the_cold_start_is_measured_on_real_processes():
    """The smallest benchmark yields a figure that can be judged, and both of its sides."""
    (figure,) = cold_start_cpu_ratio(repeats=2)

    shown = json.loads(figure.line(FACTS))
    assert shown["name"] == "cold_start_cpu_ratio"
    assert shown["value"] > 0
    assert shown["met"] in {True, False}
    assert shown["ours"]["n"] == shown["yardstick"]["n"] == 2


def test_every_figure_of_the_contract_can_be_asked_for():
    """The names are a contract: documents and machines look for them."""
    assert set(BENCHMARKS) == {
        "cold_start_cpu_ratio",
        "cold_first_accept_ratio",
        "accept_cpu_ratio",
        "accept_per_second",
        "initiate_calls_for_burst",
        "firewall_updates_for_burst",
        "firewall_updates_until_closed",
        "list_page_queries",
        "rbac_arm_calls_per_request",
        "rbac_evaluations_per_second",
        "pass_cpu_growth",
        "pass_cpu_seconds",
        "pass_floor_seconds",
        "revoke_answer_seconds",
        "revoke_gone_seconds",
        "nsg_writes_for_crowd",
        "open_50_vms_arm_rounds",
        "open_50_vms_ratio",
        "reconcile_arm_calls",
        "reconcile_seconds",
        "audit_drain_ratio",
        "audit_wait_seconds",
        "audit_verify_ratio",
        "audit_page_memory_ratio",
        "peak_rss_mb",
    }


def test_a_missed_goal_is_no_failure(capsys):
    """The figure says so; the program fails only when something could not be measured."""
    missed = Figure(name="calls", value=9, unit="calls", goal=Goal(at_most=3))

    measured = program._run_benchmark(lambda: iter([missed]), {})

    assert measured
    assert json.loads(capsys.readouterr().out)["met"] is False


def test_a_measurement_that_failed_prints_no_figure(capsys):
    """A number that nobody measured would be a lie; why there is none stands beside it."""

    def broken():
        raise MeasurementFailed("nothing opened")

    measured = program._run_benchmark(broken, {})

    said = capsys.readouterr()
    assert not measured
    assert said.out == ""
    assert "nothing opened" in said.err


def test_an_unknown_name_is_refused_before_anything_runs(capsys):
    """A misspelt benchmark must not pass for one that was run."""
    with pytest.raises(SystemExit) as ended:
        program.main(["cold_strat"])

    assert ended.value.code == 2
    assert "cold_strat" in capsys.readouterr().err
