"""Findings against a request, and the kind of answer they call for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from jit.domain.errors import Violation


class FindingKind(StrEnum):
    """The answer that a finding calls for; if there are several, the first of these decides."""

    BODY = "body"  # 400: no policy could ever allow it
    BARRED = "barred"  # 403: an operator has barred the person
    ROLE = "role"  # 403: the caller's app roles do not allow it
    LIMIT = "limit"  # 429: the person has had enough for now
    RIGHTS = "rights"  # 403: the person's roles in Azure do not give it
    POLICY = "policy"  # 403: this policy does not allow it
    OCCUPIED = "occupied"  # 409: someone else holds the port for now


@dataclass(frozen=True, slots=True)
class Finding:
    """
    One reason to refuse access.

    Attributes:
        wait_seconds: If it is a limit, the seconds until it may let the same request pass.
    """

    kind: FindingKind
    violation: Violation
    wait_seconds: int = 0


_KINDS = tuple(FindingKind)


def find_worst_kind(findings: tuple[Finding, ...]) -> FindingKind | None:
    """Return the kind that decides the answer, or None if there is no finding."""
    return min((finding.kind for finding in findings), key=_KINDS.index, default=None)


def sort_findings(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return *findings* with those first that decide the answer."""
    return tuple(sorted(findings, key=lambda finding: _KINDS.index(finding.kind)))
