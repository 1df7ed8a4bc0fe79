"""Functions of access requests."""

from typing import List

import azure.functions as func

from jit import messages, wiring
from jit.api import answer, body, render
from jit.api.caller import READERS
from jit.domain.model.people import Person, Role
from jit.triggers.answers import answers

bp = func.Blueprint()  # type: ignore[no-untyped-call] # as the package has it


@bp.route(route="api/access-requests", methods=["POST"])
@bp.queue_output(arg_name="work", queue_name=messages.POLICY, connection=messages.CONNECTION)
@answers(Role.REQUESTER, Role.SYSTEM)
def create_access_request(
    req: func.HttpRequest, work: func.Out[List[str]], caller: Person
) -> func.HttpResponse:
    """Accept an access request: 202 and the place of its outcome, or a problem."""
    now, settings = wiring.clock(), wiring.settings()
    submission = body.read_submission(req, caller, now=now, limits=settings.limits)
    if submission.draft.dry_run:
        return answer.write_preview(wiring.acceptance().preview(submission, now=now))
    stored = wiring.acceptance().accept(submission, now=now)
    work.set([messages.policy(policy) for policy in stored.request.policies])
    return answer.write_accepted(stored, settings, now)


@bp.route(route="api/access-requests", methods=["GET"])
@answers(*READERS, Role.SYSTEM, query=None)
def list_access_requests(req: func.HttpRequest, caller: Person) -> func.HttpResponse:
    """List requests, live and finished."""
    from jit.api import continuation, list_query

    filters, begin = list_query.read_list(req.params, caller, now=wiring.clock())
    found, end = wiring.queries().list_requests(filters, caller, begin=begin)
    shown = [render.render_request(item) for item in found]
    return answer.write_page(shown, continuation.write_token(end, req.params, caller))


@bp.route(route="api/access-requests/{id}", methods=["GET"])
@answers(*READERS, Role.SYSTEM)
def get_access_request(req: func.HttpRequest, caller: Person) -> func.HttpResponse:
    """Return one request, live or finished. If the last look is old, a worker looks again."""
    stored = wiring.queries().find_request(req.route_params["id"], caller)
    wiring.fresh_looks().ask(stored, now=wiring.clock())
    return answer.write_json(render.render_request(stored))


@bp.route(route="api/access-requests/{id}/outcome", methods=["GET"])
@answers(*READERS, Role.SYSTEM)
def get_outcome(req: func.HttpRequest, caller: Person) -> func.HttpResponse:
    """Answer 202 until the request is settled, then 200: the async pattern of Logic Apps."""
    stored = wiring.queries().find_request(req.route_params["id"], caller)
    wiring.fresh_looks().ask(stored, now=wiring.clock())
    return answer.write_outcome(stored, wiring.settings(), wiring.clock())


@bp.route(route="api/access-requests/{id}/revoke", methods=["POST"])
@bp.queue_output(arg_name="work", queue_name=messages.POLICY, connection=messages.CONNECTION)
@answers(Role.REQUESTER, Role.SYSTEM, Role.OPERATOR)
def revoke_access_request(
    req: func.HttpRequest, work: func.Out[List[str]], caller: Person
) -> func.HttpResponse:
    """End access early, all or a part of it: a requester or caller the own, an operator any."""
    now, settings = wiring.clock(), wiring.settings()
    revocation = body.read_revocation(req, settings.limits)
    changed = wiring.request_changes().revoke(req.route_params["id"], caller, revocation, now)
    work.set([messages.policy(policy) for policy in changed.stored.request.policies])
    return answer.write_change(changed, settings, now)


@bp.route(route="api/access-requests/{id}/extend", methods=["POST"])
@bp.queue_output(arg_name="work", queue_name=messages.POLICY, connection=messages.CONNECTION)
@answers(Role.REQUESTER, besides="only its requester can extend a request")
def extend_access_request(
    req: func.HttpRequest, work: func.Out[List[str]], caller: Person
) -> func.HttpResponse:
    """Keep the own access for longer, without a gap."""
    now, settings = wiring.clock(), wiring.settings()
    extension = body.read_extension(req, settings.limits)
    changed = wiring.request_changes().extend(req.route_params["id"], caller, extension, now)
    work.set([messages.policy(policy) for policy in changed.stored.request.policies])
    return answer.write_change(changed, settings, now)
