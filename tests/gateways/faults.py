"""Faults of Azure during a call and the errors that they become: the same for every gateway."""

from typing import Any

from jit.domain.errors import (
    Busy,
    Gone,
    PermissionLost,
    Refused,
    StateConflict,
    Throttled,
    Unavailable,
    Unknown,
)

REFUSALS: list[tuple[int, str, type[Exception]]] = [
    (400, "InvalidRequestFormat", Refused),
    (401, "InvalidAuthenticationToken", PermissionLost),
    (403, "AuthorizationFailed", PermissionLost),
    (404, "ResourceNotFound", Gone),
    (409, "Conflict", Refused),
    (409, "AnotherOperationInProgress", Busy),
    (409, "FirewallPolicyUpdateNotAllowedWhenUpdatingOrDeleting", Busy),
    (412, "PreconditionFailed", StateConflict),
    (429, "TooManyRequests", Throttled),
    (429, "RetryableErrorDueToAnotherOperation", Busy),
    (500, "InternalServerError", Unknown),
    (502, "BadGateway", Unknown),
    (503, "ServiceUnavailable", Unknown),
    (504, "GatewayTimeout", Unknown),
]
"""Status, ARM error code, and what the broker raises for a change."""

REFUSALS_OF_READS = [
    (status, code, Unavailable if kind is Unknown else kind) for status, code, kind in REFUSALS
]
"""The same for a read: a failure has changed nothing."""


def answer(status: int, code: str = "Whatever", **headers: str) -> dict[str, Any]:
    """A fault that answers in Azure's place."""
    return {"match": {}, "answer": {"status": status, "code": code, "headers": headers}}


def body(content: Any, status: int = 200) -> dict[str, Any]:
    """A fault that answers with *content*."""
    return {"match": {}, "answer": {"status": status, "body": content}}


def drop(when: str) -> dict[str, Any]:
    """A fault that breaks the connection ``before`` or ``after`` the call has its effect."""
    return {"match": {}, "drop": when}
