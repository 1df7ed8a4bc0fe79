"""
Every trigger of the broker, and nothing else.

A trigger reads, calls one use case, renders. It holds no rule: if a line here needs a unit test of
its own, it belongs in ``jit``. App Service authentication stands in front of every route but
``health``, so the function level is anonymous.
"""

from typing import List

import azure.functions as func

from jit import messages, telemetry, wiring
from jit.api import answer, query, render
from jit.api.body import read_object, read_optional_object
from jit.api.caller import address, read_caller
from jit.domain import intake
from jit.domain.errors import InvalidRequest
from jit.domain.model.people import Person, Role

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
STORAGE = "AzureWebJobsStorage"
SEES = (Role.REQUESTER, Role.OPERATOR, Role.AUDITOR, Role.APPROVER)


# ---- access requests -----------------------------------------------------------------------------


@app.route(route="api/access-requests", methods=["POST"])
@app.queue_output(arg_name="work", queue_name=messages.POLICY, connection=STORAGE)
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


def _submission(req: func.HttpRequest, caller: Person) -> intake.Submission:
    body = read_object(req)
    key, faults = intake.read_idempotency_key(req.headers.get("Idempotency-Key"))
    if faults:
        raise InvalidRequest("the Idempotency-Key cannot be used", faults)
    limits = wiring.settings().limits
    draft = intake.read_access_request(body, now=wiring.clock(), limits=limits)
    return intake.Submission(draft=draft, body=body, key=key, caller=caller)


@app.route(route="api/access-requests", methods=["GET"])
def list_access_requests(req: func.HttpRequest) -> func.HttpResponse:
    """List requests, live and finished."""

    def act() -> func.HttpResponse:
        caller = read_caller(req, wiring.settings(), *SEES)
        found, token = wiring.views().page(req.params, caller, now=wiring.clock())
        return answer.ok(
            {"value": [render.request(item) for item in found], "continuationToken": token}
        )

    return answer.answered(req, wiring.settings(), act)


@app.route(route="api/access-requests/{id}", methods=["GET"])
def get_access_request(req: func.HttpRequest) -> func.HttpResponse:
    """Return one request, live or finished."""

    def act() -> func.HttpResponse:
        caller = read_caller(req, wiring.settings(), *SEES)
        return answer.ok(render.request(wiring.views().one(req.route_params["id"], caller)))

    return answer.answered(req, wiring.settings(), act)


@app.route(route="api/access-requests/{id}/outcome", methods=["GET"])
def get_outcome(req: func.HttpRequest) -> func.HttpResponse:
    """Say 202 until the request is settled, then 200: the async pattern of Logic Apps."""

    def act() -> func.HttpResponse:
        caller = read_caller(req, wiring.settings(), *SEES)
        whole = wiring.views().one(req.route_params["id"], caller)
        return answer.outcome(whole, req, wiring.settings(), wiring.clock())

    return answer.answered(req, wiring.settings(), act)


@app.route(route="api/access-requests/{id}/revoke", methods=["POST"])
@app.queue_output(arg_name="work", queue_name=messages.POLICY, connection=STORAGE)
def revoke_access_request(req: func.HttpRequest, work: func.Out[List[str]]) -> func.HttpResponse:
    """Give access back early: the own one, or anybody's as an operator."""

    def act() -> func.HttpResponse:
        caller = read_caller(req, wiring.settings(), Role.REQUESTER, Role.OPERATOR)
        query.only(req)
        limits = wiring.settings().limits
        reason, faults = intake.read_reason(read_optional_object(req), limits=limits)
        if faults:
            raise InvalidRequest("the body has faults", faults)
        decided = wiring.decisions().revoke(req.route_params["id"], caller, reason, wiring.clock())
        work.set([messages.policy(policy) for policy in decided.whole.request.policies])
        return answer.decided(decided, req, wiring.settings(), wiring.clock())

    return answer.answered(req, wiring.settings(), act)


@app.route(route="api/access-requests/{id}/extend", methods=["POST"])
@app.queue_output(arg_name="work", queue_name=messages.POLICY, connection=STORAGE)
def extend_access_request(req: func.HttpRequest, work: func.Out[List[str]]) -> func.HttpResponse:
    """Keep the own access for longer, without dropping it."""

    def act() -> func.HttpResponse:
        caller = read_caller(req, wiring.settings(), Role.REQUESTER)
        query.only(req)
        wish, faults = intake.read_extend(read_object(req), limits=wiring.settings().limits)
        if wish is None:
            raise InvalidRequest("the body has faults", faults)
        decided = wiring.decisions().extend(
            req.route_params["id"], caller, wish.duration, wish.reason, wiring.clock()
        )
        work.set([messages.policy(policy) for policy in decided.whole.request.policies])
        return answer.decided(decided, req, wiring.settings(), wiring.clock())

    return answer.answered(req, wiring.settings(), act)


# ---- virtual machines ----------------------------------------------------------------------------


@app.route(route="api/virtual-machines", methods=["GET"])
def list_virtual_machines(req: func.HttpRequest) -> func.HttpResponse:
    """List virtual machines with what JIT can do for them and who is in."""

    def act() -> func.HttpResponse:
        caller = read_caller(req, wiring.settings(), *SEES)
        found = wiring.views().machines(req.params.get("subscription"), caller, now=wiring.clock())
        return answer.ok({"value": found, "continuationToken": None})

    return answer.answered(req, wiring.settings(), act)


@app.route(route="api/virtual-machines/jit-policy", methods=["PUT"])
def put_jit_policy(req: func.HttpRequest) -> func.HttpResponse:
    """Put virtual machines under just-in-time access."""

    def act() -> func.HttpResponse:
        caller = read_caller(req, wiring.settings(), Role.OPERATOR)
        query.only(req)
        wanted, faults = intake.read_policy_put(read_object(req), limits=wiring.settings().limits)
        if faults:
            raise InvalidRequest("the body has faults", faults)
        return answer.configured(wiring.configurator().put(wanted, caller, now=wiring.clock()))

    return answer.answered(req, wiring.settings(), act)


@app.route(route="api/virtual-machines/jit-policy", methods=["DELETE"])
def delete_jit_policy(req: func.HttpRequest) -> func.HttpResponse:
    """Take virtual machines out of just-in-time access."""

    def act() -> func.HttpResponse:
        caller = read_caller(req, wiring.settings(), Role.OPERATOR)
        query.only(req)
        unwanted, faults = intake.read_policy_delete(
            read_object(req), limits=wiring.settings().limits
        )
        if faults:
            raise InvalidRequest("the body has faults", faults)
        return answer.configured(wiring.configurator().delete(unwanted, caller, now=wiring.clock()))

    return answer.answered(req, wiring.settings(), act)


@app.route(route="api/my-address", methods=["GET"])
def get_my_address(req: func.HttpRequest) -> func.HttpResponse:
    """Return the caller's address as the broker sees it: a source to ask for."""

    def act() -> func.HttpResponse:
        read_caller(req, wiring.settings(), *SEES)
        return answer.ok({"address": address(req)})

    return answer.answered(req, wiring.settings(), act)


@app.route(route="api/reconcile", methods=["POST"])
@app.queue_output(arg_name="work", queue_name=messages.RECONCILE, connection=STORAGE)
def start_reconcile(req: func.HttpRequest, work: func.Out[List[str]]) -> func.HttpResponse:
    """Compare all rules with all grants: now, or as a plan without acting."""

    def act() -> func.HttpResponse:
        read_caller(req, wiring.settings(), Role.OPERATOR)
        query.only(req, "dryRun")
        if query.flag(req, "dryRun"):
            return answer.planned(wiring.reconciler().dry_run(now=wiring.clock()))
        subscriptions = wiring.reconciler().subscriptions()
        work.set([messages.reconcile(subscription) for subscription in subscriptions])
        return answer.ok({"dryRun": False, "subscriptions": list(subscriptions)}, 202)

    return answer.answered(req, wiring.settings(), act)


@app.route(route="api/health", methods=["GET"])
def get_health(req: func.HttpRequest) -> func.HttpResponse:
    """Answer ``ok`` or ``failing``, and no more: the route is open to anybody."""
    is_well = wiring.health().check(now=wiring.clock()).is_well
    return answer.ok({"status": render.word(is_well)}, 200 if is_well else 503)


@app.route(route="api/status", methods=["GET"])
def get_status(req: func.HttpRequest) -> func.HttpResponse:
    """Return the parts that health is made of, and every problem."""

    def act() -> func.HttpResponse:
        read_caller(req, wiring.settings(), Role.OPERATOR, Role.AUDITOR)
        return answer.ok(render.status(wiring.health().check(now=wiring.clock())))

    return answer.answered(req, wiring.settings(), act)


# ---- timers: they only look and enqueue ----------------------------------------------------------


@app.timer_trigger(arg_name="timer", schedule="%JIT_TICK_SCHEDULE%", use_monitor=True)
def tick(timer: func.TimerRequest) -> None:
    """Wake the policies that have something due: no message is needed for anything to happen."""
    wiring.reconciler().tick(now=wiring.clock())


@app.timer_trigger(arg_name="timer", schedule="%JIT_RECONCILE_SCHEDULE%", use_monitor=True)
def reconcile(timer: func.TimerRequest) -> None:
    """Have every subscription compared: one message each."""
    wiring.reconciler().enqueue_all()


# ---- workers -------------------------------------------------------------------------------------


@app.queue_trigger(arg_name="msg", queue_name=messages.POLICY, connection=STORAGE)
def work_policy(msg: func.QueueMessage) -> None:
    """Do everything that is due for a JIT policy."""
    wiring.worker().work(messages.read(msg.get_body(), "policy"), now=wiring.clock())


@app.queue_trigger(arg_name="msg", queue_name=messages.POLICY_POISON, connection=STORAGE)
def alert_policy_poison(msg: func.QueueMessage) -> None:
    """Alert: grants do not depend on messages, but something keeps failing."""
    telemetry.alert("message.poisoned", queue=messages.POLICY, message_id=msg.id)


@app.queue_trigger(arg_name="msg", queue_name=messages.RECONCILE, connection=STORAGE)
def reconcile_subscription(msg: func.QueueMessage) -> None:
    """Compare a subscription's rules with its grants; close, mend, report."""
    subscription = messages.read(msg.get_body(), "subscription")
    wiring.reconciler().run(subscription, now=wiring.clock())


@app.queue_trigger(arg_name="msg", queue_name=messages.RECONCILE_POISON, connection=STORAGE)
def alert_reconcile_poison(msg: func.QueueMessage) -> None:
    """Alert: a subscription cannot be reconciled."""
    telemetry.alert("message.poisoned", queue=messages.RECONCILE, message_id=msg.id)
