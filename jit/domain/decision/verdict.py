"""Findings against a request, and the kind of answer they call for."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from jit.domain.errors import Violation


class FindingKind(StrEnum):
    """The answer that a finding calls for; if there are several, the first of these decides."""

    BODY = "body"  # 400: no policy could ever allow it
    BARRED = "barred"  # 403: an operator has barred the person
    POLICY = "policy"  # 403: this policy does not allow it
    OCCUPIED = "occupied"  # 409: someone else holds the port for now


@dataclass(frozen=True, slots=True)
class Finding:
    """One reason to refuse access."""

    kind: FindingKind
    violation: Violation


def find_worst_kind(findings: tuple[Finding, ...]) -> FindingKind | None:
    """Return the kind that decides the answer, or None if there is no finding."""
    return min((finding.kind for finding in findings), key=tuple(FindingKind).index, default=None)
