"""
ARM's quotas: token buckets per principal, subscription, kind of operation.

Source:
    https://learn.microsoft.com/azure/azure-resource-manager/management/request-limits-and-throttling
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from local.azure.values.http import ArmError

_KINDS = {"GET": "reads", "HEAD": "reads", "DELETE": "deletes"}
_LIMITS = {"reads": (250, 25), "writes": (200, 10), "deletes": (200, 10)}
_ALL_PRINCIPALS = 15  # the subscription's own limit is this many times a principal's


@dataclass(slots=True)
class _Bucket:
    size: float
    per_second: float
    level: float
    at: float

    def fill(self, now: float) -> None:
        self.level = min(self.size, self.level + (now - self.at) * self.per_second)
        self.at = now

    @property
    def wait(self) -> int:
        return max(1, math.ceil((1 - self.level) / self.per_second))


@dataclass(slots=True)
class Throttle:
    """
    The buckets; they refill in real time, and with each jump of the clock.

    A frozen clock must not starve the clients of a test, so real time counts
    even then.

    Attributes:
        seconds: A reading of that time.
    """

    seconds: Callable[[], float]
    _buckets: dict[tuple[str, str, str], _Bucket] = field(default_factory=dict)

    def take(self, principal: str, subscription: str, method: str) -> dict[str, str]:
        """
        Count one call; return the header with the remaining number.

        Raises:
            ArmError: 429 with ``Retry-After``; the call does not happen.
        """
        kind = _KINDS.get(method, "writes")
        own = self._bucket(principal, subscription, kind, 1)
        shared = self._bucket("*", subscription, kind, _ALL_PRINCIPALS)
        scarce = min(own, shared, key=lambda bucket: bucket.level)
        if scarce.level < 1:
            raise ArmError(
                429,
                "TooManyRequests",
                f"Number of {kind} for subscription '{subscription}' exceeded the limit. "
                f"Please try again after '{scarce.wait}' seconds.",
                headers={"Retry-After": str(scarce.wait)},
            )
        own.level -= 1
        shared.level -= 1
        return {f"x-ms-ratelimit-remaining-subscription-global-{kind}": str(int(shared.level))}

    def _bucket(self, principal: str, subscription: str, kind: str, times: int) -> _Bucket:
        size, per_second = _LIMITS[kind]
        now = self.seconds()
        fresh = _Bucket(size * times, per_second * times, size * times, now)
        bucket = self._buckets.setdefault((principal, subscription.lower(), kind), fresh)
        bucket.fill(now)
        return bucket
