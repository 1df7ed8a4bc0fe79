"""Barred people: the person who asks, and the person for whom access is asked."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from jit.domain.decision.verdict import Finding, FindingKind
from jit.domain.errors import Violation
from jit.domain.model.bar import Bars
from jit.domain.model.people import Person
from jit.domain.values.json_pointer import ROOT

BARRED = "barred"
DETAIL = "an operator has barred this person from access: ask an operator"
"""All that a barred person is told. The reason is for operators and auditors."""


def find_barred(people: Iterable[Person], bars: Bars, now: datetime) -> tuple[Finding, ...]:
    """Return one finding if one of *people* is barred; empty if nobody is."""
    barred = bars.list_barred(now)
    if not any(person.id.lower() in barred for person in people):
        return ()
    return (Finding(FindingKind.BARRED, build_violation()),)


def build_violation() -> Violation:
    """Return the reason to refuse a barred person: it is about the whole call."""
    return Violation(ROOT, BARRED, DETAIL)
