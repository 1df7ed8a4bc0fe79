"""Long-running operations of the network provider: one at a time on a resource."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

from local.azure.arm.store import Guids, Store
from local.azure.timeline import Timeline
from local.azure.values import ids
from local.azure.values.http import ArmError, Json

_CANCELED = {
    "code": "CanceledAndSupersededDueToAnotherOperation",
    "message": "Operation was canceled and superseded by another operation.",
}


@dataclass(frozen=True, slots=True)
class Effects:
    """
    The effects of a fault on the slow part of a call.

    Attributes:
        delay: Added to the time it takes.
        outcome: ``{"status": "Failed"|"Canceled", "error": {...}}`` instead of success.
        never_rule: Defender accepts, then never writes a rule.
    """

    delay: timedelta = timedelta(0)
    outcome: Json | None = None
    never_rule: bool = False


def _do_nothing() -> None:
    return None


@dataclass(slots=True)
class Operation:
    """
    One update under way or finished.

    Attributes:
        id: GUID in the polling URL.
        target: The resource that it changes.
        name: The provider's name for it, in error texts.
        commit: Done at success, before the resource shows ``Succeeded``.
        done: Done after success.
        status: ``InProgress``, ``Succeeded``, ``Failed`` or ``Canceled``.
        error: ``code`` with ``message`` where it did not succeed.
    """

    id: str
    target: str
    name: str
    commit: Callable[[], None] = _do_nothing
    done: Callable[[], None] = _do_nothing
    status: str = "InProgress"
    error: Json | None = None

    def document(self) -> Json:
        """Return the answer to a poll."""
        shown: Json = {"status": self.status}
        return shown if self.error is None else {**shown, "error": self.error}


@dataclass
class Operations:
    """
    The operations by id, the running one of each resource.

    Attributes:
        timeline: Ends them.
        store: Holds the resources that they change.
        guids: Names them.
        keeps_old: True if a failed update of this type leaves the old properties effective.
        on_freed: Called with the id of each resource whose operation has ended.
    """

    timeline: Timeline
    store: Store
    guids: Guids
    keeps_old: Callable[[str], bool] = field(default=lambda _type: True)
    on_freed: Callable[[str], None] = field(default=lambda _target: None)
    _all: dict[str, Operation] = field(default_factory=dict)
    _running: dict[str, Operation] = field(default_factory=dict)

    def find(self, operation_id: str) -> Operation | None:
        """Return the operation; None if there was none with that id."""
        return self._all.get(operation_id.lower())

    def find_running(self, target: str) -> Operation | None:
        """Return the operation that holds the resource *target* now."""
        return self._running.get(ids.key(target))

    def begin(
        self,
        resource: Json,
        name: str,
        seconds: float,
        *,
        effects: Effects,
        commit: Callable[[], None] = _do_nothing,
        done: Callable[[], None] = _do_nothing,
    ) -> Operation:
        """Start an update of *resource*, whose new form is stored already, for *seconds*."""
        operation = Operation(self.guids.new(), resource["id"], name, commit, done)
        self._all[operation.id] = operation
        self._running[ids.key(resource["id"])] = operation
        self.store.stamp(resource, "Updating")
        length = seconds + effects.delay.total_seconds()
        self.timeline.after(length, lambda: self._end(operation, effects.outcome))
        return operation

    def cancel(self, operation: Operation) -> None:
        """End *operation* because a newer write takes its place."""
        operation.status, operation.error = "Canceled", dict(_CANCELED)
        self._running.pop(ids.key(operation.target), None)
        resource = self.store.get(operation.target)
        if resource is not None:
            self.store.stamp(resource, "Succeeded")  # the rule that it was deleting stays

    def _end(self, operation: Operation, outcome: Json | None) -> None:
        if operation.status != "InProgress":
            return
        self._running.pop(ids.key(operation.target), None)
        if outcome is None:
            self._succeed(operation)
        else:
            self._fail(operation, outcome)
        self.on_freed(operation.target)

    def _succeed(self, operation: Operation) -> None:
        operation.commit()
        operation.status = "Succeeded"
        resource = self.store.get(operation.target)
        if resource is not None:
            self.store.stamp(resource, "Succeeded")
            self.store.take_effect(resource)
        operation.done()

    def _fail(self, operation: Operation, outcome: Json) -> None:
        operation.status = outcome["status"]
        operation.error = outcome["error"]
        resource = self.store.get(operation.target)
        if resource is None:
            return
        self.store.stamp(resource, "Failed")
        if not self.keeps_old(resource["type"]):
            self.store.take_effect(resource)


def list_operation_headers(
    base: str, operation: Operation, location: str, api_version: str
) -> dict[str, str]:
    """Return the headers that lead to *operation*: the body's truth is under the first."""
    subscription = operation.target.split("/")[2]
    root = f"{base}/subscriptions/{subscription}/providers/Microsoft.Network/locations/{location}"
    return {
        "Azure-AsyncNotification": "Enabled",
        "Azure-AsyncOperation": f"{root}/operations/{operation.id}?api-version={api_version}",
    }


def find_result_url(base: str, operation: Operation, location: str, api_version: str) -> str:
    """Return the ``Location`` of a delete: 202 until it has ended."""
    first = list_operation_headers(base, operation, location, api_version)["Azure-AsyncOperation"]
    return first.replace("/operations/", "/operationResults/")


def check_precondition(resource: Json | None, if_match: str | None) -> None:
    """
    Hold ``If-Match`` against the etag of *resource*.

    Raises:
        ArmError: 412 in the words of the network provider.

    Source:
        kubernetes-sigs/cloud-provider-azure, securitygroupclient recordings.
    """
    if if_match is None or (if_match == "*" and resource is not None):
        return
    if resource is not None and resource.get("etag") == if_match:
        return
    present = "null" if resource is None else resource.get("etag")
    where = "" if resource is None else resource["id"]
    raise ArmError(
        412,
        "PreconditionFailed",
        "Precondition failed.",
        details=[
            {
                "code": "PreconditionFailedEtagMismatch",
                "message": f"Etag provided in if-match header {if_match} does not match etag "
                f"{present} of resource {where} in NRP data store.",
            }
        ],
    )
