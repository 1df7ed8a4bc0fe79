"""Troubles: states of Azure that a comparison saw, and that a person must mend there."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

UPDATE_FAILED = "update-failed"
VERSION_REFUSED = "api-version-refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """
    A state of Azure that the broker cannot mend.

    Attributes:
        code: A short name that stays the same.
        detail: The state, and the action to take: one sentence for people.
        resource: ARM id of the resource, or ``/subscriptions/<id>``.
        since: When a comparison first saw it; aware, UTC.
    """

    code: str
    detail: str
    resource: str
    since: datetime
