"""Triggers of access requests."""

from typing import List

import azure.functions as func

from jit import messages, wiring
from jit.api import answer, query, render
from jit.api.body import read_object, read_optional_object
from jit.api.caller import READERS, read_caller
from jit.domain.errors import InvalidRequest
from jit.domain.model.people import Person, Role
from jit.domain.requests import bodies, idempotency_key
from jit.domain.requests.submission import Submission

bp = func.Blueprint()  # type: ignore[no-untyped-call] # as the package has it


@bp.route(route="api/access-requests", methods=["POST"])
@bp.queue_output(arg_name="work", queue_name=messages.POLICY, connection=messages.CONNECTION)
def create_access_request(req: func.HttpRequest, work: func.Out[List[str]]) -> func.HttpResponse:
    """Accept an access request: 202 and a place to watch it, or a problem."""

    def act() -> func.HttpResponse:
        now, caller = wiring.clock(), read_caller(req, wiring.settings(), Role.REQUESTER)
        query.only(req)
        submission = _submission(req, caller)
        if submission.draft.dry_run:
            return answer.previewed(wiring.acceptor().preview(submission, now=now))
        whole = wiring.acceptor().accept(submission, now=now)
        work.set([messages.policy(policy) for policy in whole.request.policies])
        return answer.accepted(whole, req, wiring.settings(), now)

    return answer.answered(req, wiring.settings(), act)


def _submission(req: func.HttpRequest, caller: Person) -> Submission:
    body = read_object(req)
    key, faults = idempotency_key.read_idempotency_key(req.headers.get("Idempotency-Key"))
    if faults:
        raise InvalidRequest("the Idempotency-Key cannot be used", faults)
    limits = wiring.settings().limits
    draft = bodies.read_access_request(body, now=wiring.clock(), limits=limits)
    return Submission(draft=draft, body=body, key=key, caller=caller)


@bp.route(route="api/access-requests", methods=["GET"])
def list_access_requests(req: func.HttpRequest) -> func.HttpResponse:
    """List requests, live and finished."""

    def act() -> func.HttpResponse:
        caller = read_caller(req, wiring.settings(), *READERS)
        found, token = wiring.views().page(req.params, caller, now=wiring.clock())
        return answer.ok(
            {"value": [render.request(item) for item in found], "continuationToken": token}
        )

    return answer.answered(req, wiring.settings(), act)


@bp.route(route="api/access-requests/{id}", methods=["GET"])
def get_access_request(req: func.HttpRequest) -> func.HttpResponse:
    """Return one request, live or finished."""

    def act() -> func.HttpResponse:
        caller = read_caller(req, wiring.settings(), *READERS)
        return answer.ok(render.request(wiring.views().one(req.route_params["id"], caller)))

    return answer.answered(req, wiring.settings(), act)


@bp.route(route="api/access-requests/{id}/outcome", methods=["GET"])
def get_outcome(req: func.HttpRequest) -> func.HttpResponse:
    """Say 202 until the request is settled, then 200: the async pattern of Logic Apps."""

    def act() -> func.HttpResponse:
        caller = read_caller(req, wiring.settings(), *READERS)
        whole = wiring.views().one(req.route_params["id"], caller)
        return answer.outcome(whole, req, wiring.settings(), wiring.clock())

    return answer.answered(req, wiring.settings(), act)


@bp.route(route="api/access-requests/{id}/revoke", methods=["POST"])
@bp.queue_output(arg_name="work", queue_name=messages.POLICY, connection=messages.CONNECTION)
def revoke_access_request(req: func.HttpRequest, work: func.Out[List[str]]) -> func.HttpResponse:
    """Give access back early: the own one, or anybody's as an operator."""

    def act() -> func.HttpResponse:
        caller = read_caller(req, wiring.settings(), Role.REQUESTER, Role.OPERATOR)
        query.only(req)
        limits = wiring.settings().limits
        reason, faults = bodies.read_reason(read_optional_object(req), limits=limits)
        if faults:
            raise InvalidRequest("the body has faults", faults)
        decided = wiring.decisions().revoke(req.route_params["id"], caller, reason, wiring.clock())
        work.set([messages.policy(policy) for policy in decided.whole.request.policies])
        return answer.decided(decided, req, wiring.settings(), wiring.clock())

    return answer.answered(req, wiring.settings(), act)


@bp.route(route="api/access-requests/{id}/extend", methods=["POST"])
@bp.queue_output(arg_name="work", queue_name=messages.POLICY, connection=messages.CONNECTION)
def extend_access_request(req: func.HttpRequest, work: func.Out[List[str]]) -> func.HttpResponse:
    """Keep the own access for longer, without dropping it."""

    def act() -> func.HttpResponse:
        caller = read_caller(req, wiring.settings(), Role.REQUESTER)
        query.only(req)
        wish, faults = bodies.read_extend(read_object(req), limits=wiring.settings().limits)
        if wish is None:
            raise InvalidRequest("the body has faults", faults)
        decided = wiring.decisions().extend(
            req.route_params["id"], caller, wish.duration, wish.reason, wiring.clock()
        )
        work.set([messages.policy(policy) for policy in decided.whole.request.policies])
        return answer.decided(decided, req, wiring.settings(), wiring.clock())

    return answer.answered(req, wiring.settings(), act)
