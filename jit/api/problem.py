"""Errors of the broker as problems of RFC 9457; the log says why a caller got one."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import azure.functions as func

from jit import telemetry
from jit.api.cross_origin import SAFE_METHODS
from jit.api.raw_path import read_path
from jit.domain.errors import (
    BrokerError,
    CannotTell,
    LimitReached,
    PermissionLost,
    Refused,
    Rejected,
    Unavailable,
    Unknown,
)
from jit.settings import Settings

_PROBLEM = "application/problem+json"
_REFUSED_SECONDS = 60  # a person needs longer to mend something than an outage lasts


def write_problem(
    error: BrokerError, req: func.HttpRequest, settings: Settings
) -> func.HttpResponse:
    """Return *error* as a problem; it never has words of Azure."""
    doc: dict[str, Any] = {
        "type": f"{settings.problems_url}{error.slug}",
        "title": (type(error).__doc__ or "").strip().splitlines()[0].rstrip("."),
        "status": error.status,
        "detail": str(error),
        "instance": _path(req),
    }
    headers: dict[str, str] = {}
    if isinstance(error, Rejected | CannotTell):
        doc["errors"] = [violation.doc() for violation in error.violations]
    if isinstance(error, Rejected) and error.request_id:
        doc["requestId"] = error.request_id
    if isinstance(error, LimitReached):
        headers["Retry-After"] = str(error.retry_after_seconds)
    if isinstance(error, Unavailable):
        seconds = error.retry_after_seconds
        doc["detail"] = f"{error}; wait {seconds} s, then repeat the same call"
        headers["Retry-After"] = str(seconds)
    return func.HttpResponse(
        json.dumps(doc), status_code=error.status, mimetype=_PROBLEM, headers=headers
    )


def answer_or_problem(
    req: func.HttpRequest, settings: Settings, act: Callable[[], func.HttpResponse]
) -> func.HttpResponse:
    """
    Return the answer of *act*, or the problem of the error that it raises.

    If Azure refuses to show something, the answer is an outage: the broker knows nothing, and a
    person must act. A defect is raised: the host answers 500 without a body.
    """
    try:
        return act()
    except Rejected as error:
        codes = sorted({violation.code for violation in error.violations})
        telemetry.event("request.rejected", status=error.status, problem=error.slug, codes=codes)
        return write_problem(error, req, settings)
    except (Unavailable, Refused) as error:
        outage = error if isinstance(error, Unavailable) else _alert_refusal(error)
        if isinstance(outage, Unknown) and req.method.upper() in SAFE_METHODS:
            outage = _tell_reader(outage)
        telemetry.warning("request.unavailable", detail=str(outage), path=_path(req))
        return write_problem(outage, req, settings)


def _tell_reader(error: Unknown) -> Unavailable:
    """Return the outage for a caller who changes nothing: only a copy was not kept."""
    return Unavailable("storage did not answer", retry_after_seconds=error.retry_after_seconds)


def _path(req: func.HttpRequest) -> str:
    return read_path(req.url)


def _alert_refusal(error: Refused) -> Unavailable:
    """Alert that Azure refused a look that an answer needs; return the outage for the caller."""
    code = error.code or str(error.azure_status)
    if isinstance(error, PermissionLost):
        telemetry.alert("permission.lost", resource_id=error.resource_id, code=code)
    else:
        telemetry.alert("look.refused", resource_id=error.resource_id, code=code)
    return Unavailable("Azure refuses to be read", retry_after_seconds=_REFUSED_SECONDS)
