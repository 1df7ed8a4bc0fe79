"""Absence: how long Azure must not show a resource before the resource counts as deleted."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

ABSENT_AFTER = timedelta(seconds=60)
"""
A resource that Azure does not show counts as deleted if it is not shown this much later either.

One 404, or one list without the resource, may be a passing fault
(https://github.com/hashicorp/terraform-provider-azurerm/issues/18268).
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Absence:
    """
    A resource that the lists of a subscription lack.

    Attributes:
        key: The lower-case ARM id of the resource.
        since: When a list lacked it first. Each list since then lacked it, too.
    """

    key: str
    since: datetime

    def is_proved(self, now: datetime) -> bool:
        """Return True if the resource counts as deleted for a look at *now* that lacks it too."""
        return self.since + ABSENT_AFTER <= now
