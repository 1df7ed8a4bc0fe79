"""
HTTP: requests read, answers rendered, problems written (RFC 9457).

No rule lives here. A principal is believed only where App Service authentication is on: the
platform strips the ``X-MS-CLIENT-PRINCIPAL`` headers of clients and sets its own
(https://learn.microsoft.com/azure/app-service/configure-authentication-user-identities).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import azure.functions as func

from jit import telemetry
from jit.api import render
from jit.domain.errors import BrokerError, PermissionLost, Refused, Rejected, Unavailable
from jit.domain.model.grant import ADVANCE, Status, settled
from jit.domain.model.request import Decision
from jit.settings import Settings

if TYPE_CHECKING:  # the use cases' results: whoever renders one has loaded it already
    from jit.broker.configure.configure import Configured
    from jit.broker.requests.change import Decided
    from jit.domain.reconcile.plan_item import PlanItem
    from jit.storage.stored import StoredRequest

_JSON = "application/json"
_PROBLEM = "application/problem+json"
_SLOWEST = timedelta(minutes=10)
_SOON_SECONDS = 5
_REFUSED_SECONDS = 60  # what a person must mend takes longer than an outage


# ---- answers -------------------------------------------------------------------------------------


def ok(
    doc: object, status: int = 200, headers: Mapping[str, str] | None = None
) -> func.HttpResponse:
    """Return *doc* as JSON."""
    return func.HttpResponse(
        json.dumps(doc), status_code=status, mimetype=_JSON, headers=dict(headers or {})
    )


def accepted(
    whole: StoredRequest, req: func.HttpRequest, settings: Settings, now: datetime
) -> func.HttpResponse:
    """Return 202 with the request and the place to watch it: Logic Apps' async pattern."""
    base = settings.public_base_url or _base(req)
    where = f"{base}/api/access-requests/{whole.request.id}/outcome"
    headers = {"Location": where, "Retry-After": str(_retry_after(whole, now))}
    return ok(render.request(whole), 202, headers)


def outcome(
    whole: StoredRequest, req: func.HttpRequest, settings: Settings, now: datetime
) -> func.HttpResponse:
    """Return 202 until the request is settled, then 200."""
    if settled(whole.grants):
        return ok(render.request(whole))
    return accepted(whole, req, settings, now)


def decided(
    done: Decided, req: func.HttpRequest, settings: Settings, now: datetime
) -> func.HttpResponse:
    """Return 202 for a change that is under way, 200 where it was already so."""
    return (
        accepted(done.whole, req, settings, now) if done.changed else ok(render.request(done.whole))
    )


def configured(done: Sequence[Configured]) -> func.HttpResponse:
    """Return the virtual machines as they are now, and what became of their policies."""
    machines = [render.machine(vm, ()) for item in done for vm in item.machines]
    policies = [{"id": item.policy_id, "action": item.action.value} for item in done]
    return ok({"value": machines, "policies": policies})


def planned(items: Sequence[PlanItem]) -> func.HttpResponse:
    """Return what reconcile would do."""
    return ok({"dryRun": True, "plan": [item.doc() for item in items]})


def previewed(decision: Decision) -> func.HttpResponse:
    """Return what would be decided, by itself and where a request shows it."""
    shown = render.decision(decision)
    return ok({**shown, "decision": shown})


def _base(req: func.HttpRequest) -> str:
    parts = urlsplit(req.url)
    return f"{parts.scheme}://{parts.netloc}"


def _retry_after(whole: StoredRequest, now: datetime) -> int:
    """Return seconds: a few while it opens, up to ten minutes while its start lies ahead."""
    if ADVANCE.index(whole.status) >= ADVANCE.index(Status.PENDING):
        return _SOON_SECONDS
    ahead = max(whole.request.starts_at - now, timedelta(seconds=_SOON_SECONDS))
    return int(min(ahead, _SLOWEST).total_seconds())


def problem(error: BrokerError, req: func.HttpRequest, settings: Settings) -> func.HttpResponse:
    """Return an error as a problem; upstream text never is part of it."""
    doc: dict[str, Any] = {
        "type": f"{settings.problems_url}#{error.slug}",
        "title": (type(error).__doc__ or "").strip().splitlines()[0].rstrip("."),
        "status": error.status,
        "detail": str(error),
        "instance": urlsplit(req.url).path,
    }
    headers: dict[str, str] = {}
    if isinstance(error, Rejected):
        doc["errors"] = [violation.doc() for violation in error.violations]
        if error.request_id:
            doc["requestId"] = error.request_id
    if isinstance(error, Unavailable):
        headers["Retry-After"] = str(error.retry_after_seconds)
    return func.HttpResponse(
        json.dumps(doc), status_code=error.status, mimetype=_PROBLEM, headers=headers
    )


def answered(
    req: func.HttpRequest, settings: Settings, act: Callable[[], func.HttpResponse]
) -> func.HttpResponse:
    """
    Return what *act* returns, or the problem that it raised.

    What Azure refuses to show is an outage: nothing is known by it, and a person must act. A
    defect stays the host's 500: it is not the caller's to read.
    """
    try:
        return act()
    except Rejected as error:
        codes = sorted({violation.code for violation in error.violations})
        telemetry.event("request.rejected", status=error.status, problem=error.slug, codes=codes)
        return problem(error, req, settings)
    except (Unavailable, Refused) as error:
        outage = error if isinstance(error, Unavailable) else _outage(error)
        telemetry.warning("request.unavailable", detail=str(outage), path=urlsplit(req.url).path)
        return problem(outage, req, settings)


def _outage(error: Refused) -> Unavailable:
    """Alert that Azure refused a look that an answer needs; return what the caller is told."""
    code = error.code or str(error.azure_status)
    if isinstance(error, PermissionLost):
        telemetry.alert("permission.lost", resource_id=error.resource_id, code=code)
    else:
        telemetry.alert("look.refused", resource_id=error.resource_id, code=code)
    return Unavailable("Azure refuses to be read", retry_after_seconds=_REFUSED_SECONDS)
