"""Functions of operations: callers, addresses, health, status, comparisons, types of problems."""

from typing import List

import azure.functions as func

from jit import messages, wiring
from jit.api import answer, body, render
from jit.api.caller import READERS, read_address
from jit.api.problem_docs import find_problem
from jit.api.query import read_flag
from jit.domain.model.people import Person, Role
from jit.triggers.answers import answers, answers_anybody, answers_signed_in

bp = func.Blueprint()  # type: ignore[no-untyped-call] # as the package has it


@bp.route(route="api/me", methods=["GET"])
@answers_signed_in
def get_me(req: func.HttpRequest, caller: Person) -> func.HttpResponse:
    """Return the caller as the broker sees it, also one without any role, and its limits."""
    address = read_address(req, (settings := wiring.settings()).proxies)
    return answer.write_json(render.render_me(caller, address, settings, wiring.clock()))


@bp.route(route="api/my-address", methods=["GET"])
@answers(*READERS)
def get_my_address(req: func.HttpRequest) -> func.HttpResponse:
    """Return the caller's address as the broker sees it: a source to ask for."""
    address = read_address(req, proxies := wiring.settings().proxies)
    return answer.write_json(render.render_address(address, proxies))


@bp.route(route="api/reconcile", methods=["POST"])
@bp.queue_output(arg_name="work", queue_name=messages.RECONCILE, connection=messages.CONNECTION)
@answers(Role.OPERATOR, query=("dryRun",))
def start_reconcile(
    req: func.HttpRequest, work: func.Out[List[str]], caller: Person
) -> func.HttpResponse:
    """Compare all rules with all grants: now, or as a plan without acting."""
    now, dry_run = wiring.clock(), read_flag(req, "dryRun")
    body.refuse_fields(req, wiring.settings().limits)
    subscriptions = wiring.due_work().list_subscriptions()
    wiring.trail().record_comparison(caller, subscriptions, dry_run=dry_run, now=now)
    if dry_run:
        return answer.write_plan(wiring.dry_runs().make(now=now))
    work.set([messages.reconcile(subscription) for subscription in subscriptions])
    return answer.write_json({"dryRun": False, "subscriptions": list(subscriptions)}, 202)


@bp.route(route="api/problems/{slug}", methods=["GET"])
@answers_signed_in
def get_problem(req: func.HttpRequest) -> func.HttpResponse:
    """Explain a type of problem: the address in `type` leads here."""
    return answer.write_text(find_problem(req.route_params["slug"]))


@bp.route(route="api/health", methods=["GET"])
@answers_anybody
def get_health(req: func.HttpRequest) -> func.HttpResponse:
    """Return 200 if the broker is well, else 503, and no more: it is open to anybody."""
    is_well = wiring.health().check(now=wiring.clock()).is_well
    return answer.write_json({"status": render.render_health(is_well)}, 200 if is_well else 503)


@bp.route(route="api/status", methods=["GET"])
@answers(Role.OPERATOR, Role.AUDITOR)
def get_status(req: func.HttpRequest) -> func.HttpResponse:
    """Return the health of the broker with each of its problems."""
    return answer.write_json(render.render_status(wiring.health().check(now=wiring.clock())))
