"""The line at the end of a test run: how many crash points and faults ran, how many failed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

COUNTED = ("crash points", "faults", "violations")


def summary_line(reports: Iterable[Any]) -> str:
    """Return the line for the *reports* of a run; empty if no test injected a fault."""
    found: Counter[str] = Counter()
    for report in reports:
        if getattr(report, "when", "") == "call":  # set-up and tear-down repeat its properties
            found.update({k: v for k, v in report.user_properties if k in COUNTED})
    if not found:
        return ""
    return ", ".join(f"{name}: {found[name]}" for name in COUNTED)
