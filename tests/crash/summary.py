"""The line at the end of a test run: how often lives were struck, how often a promise broke."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

COUNTED = ("crash points", "faults", "violations")


def told(reports: Iterable[Any]) -> str:
    """Return the line for the *reports* of a run's tests, empty where none struck anything."""
    found: Counter[str] = Counter()
    for report in reports:
        if getattr(report, "when", "") == "call":  # set-up and tear-down repeat what it recorded
            found.update({k: v for k, v in report.user_properties if k in COUNTED})
    if not found:
        return ""
    return ", ".join(f"{name}: {found[name]}" for name in COUNTED)
