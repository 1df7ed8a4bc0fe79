"""Figures: one measured number, its unit, its goal, how it was measured."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """The goal of a figure: at most, at least, or exactly a number."""

    at_most: float | None = None
    at_least: float | None = None
    exactly: float | None = None

    def met(self, value: float) -> bool:
        """Return True if *value* keeps to the goal."""
        above = self.at_most is not None and value > self.at_most
        below = self.at_least is not None and value < self.at_least
        other = self.exactly is not None and value != self.exactly
        return not (above or below or other)

    def text(self) -> str:
        """Return the goal as people write it."""
        named = (("<=", self.at_most), (">=", self.at_least), ("==", self.exactly))
        return ", ".join(f"{sign} {number:g}" for sign, number in named if number is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """
    One line of the output.

    Attributes:
        name: The name of the benchmark; a contract.
        value: The number.
        unit: The unit of the value.
        goal: The goal of the value; None if the number only informs.
        details: How it came about: n, spread, parts, conditions.
    """

    name: str
    value: float
    unit: str
    goal: Goal | None = None
    details: Mapping[str, object] = field(default_factory=dict)

    def line(self, surroundings: Mapping[str, object]) -> str:
        """Return the figure as one line of JSON; *surroundings* name machine and command."""
        judged: dict[str, object] = {}
        if self.goal is not None:
            judged = {"goal": self.goal.text(), "met": self.goal.met(self.value)}
        head = {"name": self.name, "value": round_value(self.value), "unit": self.unit}
        return json.dumps({**head, **judged, **self.details, **surroundings})


def round_value(value: float) -> float:
    """Return *value* with four significant digits: more would claim a precision nobody has."""
    return float(f"{value:.4g}")


def spread(values: Sequence[float]) -> dict[str, object]:
    """Return n, median, quartiles and extremes of *values* (two at least)."""
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return {
        "n": len(values),
        "median": round_value(statistics.median(values)),
        "quartiles": [round_value(low), round_value(high)],
        "extremes": [round_value(min(values)), round_value(max(values))],
    }


def ratio(
    ours: Sequence[float], theirs: Sequence[float]
) -> tuple[float, dict[str, dict[str, object]]]:
    """Return the ratio of two medians, with the spread of both sides in seconds."""
    value = statistics.median(ours) / statistics.median(theirs)
    return value, {"ours": spread(ours), "yardstick": spread(theirs)}
