"""The body of an extension: ``POST /api/access-requests/{id}/extend``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated

from jit.domain.errors import Violation
from jit.domain.limits import LIMITS, Limits
from jit.domain.requests.body_reader import read_body
from jit.domain.requests.fields import DURATION, REASON, ReadContext


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtendBody:
    """More time for a request: ``POST /api/access-requests/{id}/extend``."""

    duration: Annotated[timedelta | None, DURATION, "The time from now to the new end."]
    reason: Annotated[str | None, REASON, "Why; for the audit trail."] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Extension:
    """
    An extension: a path stays for *duration* from now.

    Attributes:
        body: The body as JSON, to tell a repetition from another use of the same key.
        key: The caller's ``Idempotency-Key``, if sent.
    """

    duration: timedelta
    reason: str | None
    body: Mapping[str, object]
    key: str | None = None


def read_extend(
    value: Mapping[str, object], *, key: str | None = None, limits: Limits = LIMITS
) -> tuple[Extension | None, tuple[Violation, ...]]:
    """Read ``{"duration": …, "reason": …}``, the reason optional; None if it has faults."""
    body, violations = read_body(ExtendBody, value, ReadContext(limits))
    if body.duration is None or violations:
        return None, violations
    return Extension(duration=body.duration, reason=body.reason, body=value, key=key), ()
