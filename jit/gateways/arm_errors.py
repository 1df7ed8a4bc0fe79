"""
Azure's failures in the broker's words.

Upstream text never leaves the log: it stays the cause (``raise … from``) and nothing above a
gateway imports ``azure.core``. The client pipelines retry for seconds at most and never sleep out
a ``Retry-After``; waiting for minutes is the queue's work.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from urllib.parse import parse_qs, urlsplit

from azure.core.exceptions import (
    AzureError,
    DecodeError,
    HttpResponseError,
    ServiceRequestError,
)

from jit.domain.azure.arm_json import Resource
from jit.domain.errors import (
    Busy,
    Gone,
    PermissionLost,
    Refused,
    StateConflict,
    Throttled,
    Unavailable,
    Unknown,
    VersionRefused,
)

_BUSY = {
    "AnotherOperationInProgress",
    "RetryableErrorDueToAnotherOperation",
    "RetryableError",
    "CanceledAndSupersededDueToAnotherOperation",
    "FirewallPolicyUpdateNotAllowedWhenUpdatingOrDeleting",
}
_VERSION_REFUSED = {
    "InvalidApiVersionParameter",
    "InvalidResourceType",
    "NoRegisteredProviderFound",
}
"""
Azure's codes for an API version that it does not take.

Source:
    "Resolve errors for resource provider registration" and "Troubleshoot common Azure deployment
    errors" (Microsoft Learn), which quote the codes and the list of supported versions.
"""

_VERSION = re.compile(r"\d{4}-\d{2}-\d{2}(?:-[a-z]+)?")
_NAMED_VERSIONS = 5
_ERRORS = 400
_SECONDS = re.compile(r"[0-9]{1,9}")
_WAIT_SECONDS = 10
_LONGEST_WAIT_SECONDS = 3600


@contextmanager
def translate_errors(*, changes: bool = False) -> Iterator[None]:
    """
    Translate the errors of Azure Resource Manager.

    Args:
        changes: The call changes something, so a lost answer leaves it ``Unknown``.
    """
    try:
        yield
    except (DecodeError, ValueError) as error:  # a page of a proxy, an answer cut short
        raise _build_lost_error(changes=changes) from error
    except HttpResponseError as error:
        if error.status_code is None or error.status_code < _ERRORS:  # an answer none expects
            raise _build_lost_error(changes=changes) from error
        raise _refusal(error, error.status_code, changes=changes) from error
    except ServiceRequestError as error:  # nothing was sent
        raise Unavailable("Azure could not be reached") from error
    except AzureError as error:
        raise _build_lost_error(changes=changes) from error


def _build_lost_error(*, changes: bool) -> Unavailable:
    if changes:
        return Unknown("Azure did not answer; the change may have happened")
    return Unavailable("Azure did not answer")


def _refusal(error: HttpResponseError, status: int, *, changes: bool) -> Exception:
    code = read_error_code(error)
    wait = read_retry_after(error)
    if code in _BUSY:
        return Busy("another operation runs on that resource", retry_after_seconds=wait)
    if status == 429:  # noqa: PLR2004 # HTTP: too many requests
        return Throttled("Azure asked us to slow down", retry_after_seconds=wait)
    if status == 412:  # noqa: PLR2004 # HTTP: precondition failed
        return StateConflict("the resource changed since it was read")
    if status in {408, 500, 502, 503, 504}:
        if not changes:
            return Unavailable("Azure failed", retry_after_seconds=wait)
        return Unknown("Azure failed; the change may have happened", retry_after_seconds=wait)
    return _build_refusal(error, status, code)


def _build_refusal(error: HttpResponseError, status: int, code: str) -> Refused:
    """Return an answer that no repetition would change."""
    kind = {401: PermissionLost, 403: PermissionLost, 404: Gone}.get(status, Refused)
    if code in _VERSION_REFUSED and kind is not PermissionLost:  # a 404 of a type is no resource's
        return _build_version_error(error, status, code)
    return kind(
        f"Azure refused the call ({code or status})",
        code=code,
        azure_status=status,
        resource_id=_name_call(error),
    )


def _build_version_error(error: HttpResponseError, status: int, code: str) -> VersionRefused:
    """Return the refusal of an API version, with the versions that Azure's message names."""
    found = parse_qs(urlsplit(_read_url(error)).query).get("api-version", [""])
    message = getattr(error.error, "message", None)
    message = message if isinstance(message, str) else ""
    supported = message[message.find("supported") :] if "supported" in message else ""
    return VersionRefused(
        _name_type(_name_call(error)),
        found[0],
        tuple(sorted(set(_VERSION.findall(supported)), reverse=True)[:_NAMED_VERSIONS]),
        code=code,
        azure_status=status,
        resource_id=_name_call(error),
    )


def _name_type(path: str) -> str:
    """Return the type in a path of ARM: ``Microsoft.Network/networkSecurityGroups``."""
    namespace, *segments = path.rpartition("/providers/")[2].split("/")
    return "/".join((namespace, *segments[::2])).strip("/")


def _name_call(error: HttpResponseError) -> str:
    """Return the path that was called: an id of ARM, without its query."""
    return urlsplit(_read_url(error)).path


def _read_url(error: HttpResponseError) -> str:
    return str(getattr(getattr(error.response, "request", None), "url", ""))


def read_error_code(error: HttpResponseError) -> str:
    """Return ARM's error code, or an empty string."""
    found = getattr(error.error, "code", None) if error.error is not None else None
    return found if isinstance(found, str) else ""


def read_retry_after(error: HttpResponseError) -> int:
    """Return the seconds the service asks to wait; 10 where it does not say, an hour at most."""
    headers = getattr(error.response, "headers", None) or {}
    value = str(headers.get("Retry-After", ""))
    if not _SECONDS.fullmatch(value):
        return _WAIT_SECONDS
    return min(int(value), _LONGEST_WAIT_SECONDS)


def require_object(body: object) -> Resource:
    """
    Return an answer's *body*, which must be a JSON object.

    Raises:
        ValueError: It is something else; `translate_errors` makes it an answer that was lost.
    """
    if not isinstance(body, Mapping):
        raise ValueError("Azure answered with something that is not an object")  # noqa: TRY004 # a bad value, not a bad call
    return body


def require_resource(body: object) -> Resource:
    """
    Return an answer's *body*, which must be a resource: every one of ARM says its own id.

    An object that is none would pass for a resource that holds nothing.

    Raises:
        ValueError: As for `require_object`.
    """
    found = require_object(body)
    if not isinstance(found.get("id"), str) or not found["id"]:
        raise ValueError("Azure answered with something that is not a resource")
    return found


def require_items(body: object) -> list[Resource]:
    """
    Return the resources of one page of a list; ``{"value": []}`` has none.

    A page without a list says nothing: taken for an empty one, it would say that nothing exists.

    Raises:
        ValueError: As for `require_object`.
    """
    value = require_object(body).get("value")
    if not isinstance(value, list):
        raise ValueError("Azure answered with a list that holds no items")  # noqa: TRY004 # as above
    return [require_resource(item) for item in value]
