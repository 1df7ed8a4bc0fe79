"""Answers of the API: status, headers, body."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING

import azure.functions as func

from jit.api import render
from jit.domain.values.times import format_instant
from jit.settings import Settings

if TYPE_CHECKING:  # loaded before an answer is written; not needed at a cold start
    from jit.broker.configure.configure import Configured
    from jit.broker.requests.change import ChangeResult
    from jit.domain.model.request import Decision
    from jit.domain.reconcile.plan_item import PlanItem
    from jit.storage.stored import StoredRequest

_JSON, _TEXT = "application/json", "text/plain"
_NOT_MODIFIED = 304
_TAG = 32  # characters of a digest
_LONGEST_WAIT = timedelta(minutes=10)
_SHORTEST_WAIT = timedelta(seconds=5)


def add_headers(response: func.HttpResponse, now: datetime) -> func.HttpResponse:
    """
    Return *response* with the headers of every answer; its own ``Cache-Control`` stays.

    Args:
        response: An answer or a problem.
        now: The instant of the broker's clock, by which a page counts down.
    """
    response.headers["Jit-Now"] = format_instant(now)
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers.setdefault("Cache-Control", "no-store")
    return response


def write_json(
    doc: object, status: int = 200, headers: Mapping[str, str] | None = None
) -> func.HttpResponse:
    """Return *doc* as JSON."""
    return func.HttpResponse(
        json.dumps(doc), status_code=status, mimetype=_JSON, headers=dict(headers or {})
    )


def write_page(value: Sequence[object], token: str | None) -> func.HttpResponse:
    """Return a page of a list, with the token of the next one."""
    return write_json({"value": value, "continuationToken": token})


def write_revalidated(response: func.HttpResponse, req: func.HttpRequest) -> func.HttpResponse:
    """
    Return *response* with a weak ETag of its body; 304 without a body if the caller has it already.

    The caller may keep the answer, and asks each time whether it is still true.
    """
    digest = sha256(response.get_body()).hexdigest()[:_TAG]
    headers = {"ETag": f'W/"{digest}"', "Cache-Control": "private, no-cache"}
    tags = str(req.headers.get("If-None-Match", ""))
    if f'"{digest}"' in tags or tags.strip() == "*":
        return func.HttpResponse(status_code=_NOT_MODIFIED, mimetype=_JSON, headers=headers)
    response.headers.update(headers)
    return response


def write_text(text: str) -> func.HttpResponse:
    """Return *text* as every browser shows it; Markdown would be saved by some."""
    return func.HttpResponse(text, mimetype=_TEXT, charset="utf-8")


def write_accepted(whole: StoredRequest, settings: Settings, now: datetime) -> func.HttpResponse:
    """
    Return 202 with the request and the place of its outcome: the async pattern of Logic Apps.

    The place is absolute. It never comes from the header ``Host``: a caller could choose it.
    """
    place = f"{settings.public_base_url}/api/access-requests/{whole.request.id}/outcome"
    headers = {"Location": place, "Retry-After": str(_retry_after(whole, now))}
    return write_json(render.render_request(whole), 202, headers)


def write_outcome(whole: StoredRequest, settings: Settings, now: datetime) -> func.HttpResponse:
    """Return 202 until the request is settled, then 200."""
    from jit.domain.model.grant import is_settled

    if is_settled(whole.grants):
        return write_json(render.render_request(whole))
    return write_accepted(whole, settings, now)


def write_change(done: ChangeResult, settings: Settings, now: datetime) -> func.HttpResponse:
    """Return 202 if the request has been changed; 200 and the reason if it has not."""
    if done.changed:
        return write_accepted(done.stored, settings, now)
    why = {} if done.why is None else {"unchanged": done.why}
    return write_json({**render.render_request(done.stored), **why})


def write_configured(done: Sequence[Configured], now: datetime) -> func.HttpResponse:
    """Return the virtual machines as they are now, and the action on each of their policies."""
    from jit.domain.model.shown_access import MachineAccess

    access = MachineAccess(observed_at=now)
    machines = [render.render_machine(vm, access, now) for item in done for vm in item.machines]
    policies = [{"id": item.policy_id, "action": item.action.value} for item in done]
    return write_json({"value": machines, "policies": policies})


def write_plan(items: Sequence[PlanItem]) -> func.HttpResponse:
    """Return the plan of a comparison that did not act."""
    return write_json({"dryRun": True, "plan": [item.doc() for item in items]})


def write_preview(decision: Decision) -> func.HttpResponse:
    """Return the decision of a dry run, by itself and at its place in a request."""
    shown = render.render_decision(decision)
    return write_json({**shown, "decision": shown})


def _retry_after(whole: StoredRequest, now: datetime) -> int:
    """Return seconds: a few while the request opens, up to ten minutes before its start."""
    from jit.domain.model.grant import ADVANCE, Status

    if ADVANCE.index(whole.status) >= ADVANCE.index(Status.PENDING):
        return int(_SHORTEST_WAIT.total_seconds())
    ahead = max(whole.request.starts_at - now, _SHORTEST_WAIT)
    return int(min(ahead, _LONGEST_WAIT).total_seconds())
