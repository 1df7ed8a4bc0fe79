"""Findings: the kind that decides the answer."""

import pytest

from jit.domain.decision.verdict import Finding, FindingKind, find_worst_kind
from jit.domain.errors import Violation


@pytest.mark.parametrize(
    ("kinds", "decisive"),
    [
        ([], None),
        ([FindingKind.OCCUPIED], FindingKind.OCCUPIED),
        ([FindingKind.OCCUPIED, FindingKind.POLICY], FindingKind.POLICY),
        ([FindingKind.POLICY, FindingKind.BODY, FindingKind.OCCUPIED], FindingKind.BODY),
    ],
)
def test_the_hardest_refusal_decides_the_answer(kinds, decisive):
    """400 before 403 before 409: a caller should wait only if nothing else is wrong."""
    findings = tuple(Finding(kind, Violation("#", "any", "any")) for kind in kinds)

    assert find_worst_kind(findings) is decisive
