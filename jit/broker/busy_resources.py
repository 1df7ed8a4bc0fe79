"""The NSGs and firewalls that took no change in a pass: they are left alone until the next one."""

from __future__ import annotations

from jit.domain.errors import BrokerError, Busy, Throttled
from jit.domain.values import arm_ids


class BusyResources:
    """
    Remembers resources that Azure was busy with, or where it asked the broker to wait.

    Azure answers 429 or 409 to every further write until the running one has ended. Each such try
    costs a call of the subscription's quota, and in some cases cancels the running write.

    Source:
        https://github.com/Azure/azure-sdk-for-python/issues/556 (concurrent writes of one NSG:
        ``RetryableErrorDueToAnotherOperation``).
    """

    def __init__(self) -> None:
        """Begin with resources that are all free."""
        self._errors: dict[str, BrokerError] = {}
        self.took_change = False
        """True if Azure took a write of this pass: work goes on, if only step by step."""

    def note(self, resource_id: str, error: BrokerError) -> None:
        """Note the outcome of a write to a resource, or to a rule in it."""
        if isinstance(error, Busy | Throttled):
            self._errors[_find_holder(resource_id)] = error

    def find(self, resource_id: str) -> BrokerError | None:
        """Return the error if a resource, or that of a rule, takes no write; None if it may."""
        return self._errors.get(_find_holder(resource_id))


def _find_holder(resource_id: str) -> str:
    """Return the key of the resource that a write changes: for a single rule, of its NSG."""
    return arm_ids.key(resource_id).partition("/securityrules/")[0]
