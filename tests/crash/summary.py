"""
The line at the end of a test run: how many crash points and faults ran, how many failed.

A run of all scenarios fails if it has fewer than ``FEWEST`` of them: a lost scenario or fault would
else go unnoticed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

COUNTED = ("crash points", "faults", "violations")

FEWEST = 750
"""Crash points and faults, taken together, of a run of all scenarios."""

ALL = "all "
"""Begins the property that says how many there are: ``all faults`` of a scenario."""

SCENARIOS = "scenarios"
"""The property by which each test of a scenario says how many scenarios there are."""

_WITH_A_FAULT = "::test_a_run_with_a_fault_keeps_every_promise["


def summary_line(reports: Iterable[Any]) -> str:
    """
    Return the line for the *reports* of a run; empty if no test injected a fault.

    ``crash points: 12 of 400, faults: 30 of 900, violations: 0``: the second numbers are those of
    all calls that the faults could hit in the scenarios.
    """
    found = _count(reports)
    if not found:
        return ""
    return ", ".join(_describe(name, found) for name in COUNTED)


def _describe(name: str, found: Counter[str]) -> str:
    """Return ``faults: 12 of 400``; without the second number if no test told it."""
    total = found[ALL + name]
    return f"{name}: {found[name]} of {total:,}" if total else f"{name}: {found[name]}"


def shortfall_line(reports: Iterable[Any]) -> str:
    """
    Return the complaint about a run of all scenarios with too few crash points and faults.

    The text is empty if there are enough, or if not all scenarios ran.
    """
    every = list(reports)
    ran = [report for report in every if _is_of_scenario(report)]
    scenarios = max((dict(report.user_properties).get(SCENARIOS, 0) for report in ran), default=0)
    found = _count(every)
    total = found["crash points"] + found["faults"]
    if not scenarios or len({report.nodeid for report in ran}) < scenarios or total >= FEWEST:
        return ""
    return f"too few crash points and faults: {total}; a run of all scenarios has {FEWEST} or more"


def _count(reports: Iterable[Any]) -> Counter[str]:
    found: Counter[str] = Counter()
    known = {*COUNTED, *(ALL + name for name in COUNTED)}
    for report in reports:
        if getattr(report, "when", "") == "call":  # set-up and tear-down repeat its properties
            found.update({k: v for k, v in report.user_properties if k in known})
    return found


def _is_of_scenario(report: Any) -> bool:
    """Return True if *report* is of a scenario that ran or was skipped, not of one left out."""
    return bool(getattr(report, "when", "")) and _WITH_A_FAULT in report.nodeid
