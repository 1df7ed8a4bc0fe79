"""Triggers for operators and for the first call of a new caller."""

from typing import List

import azure.functions as func

from jit import messages, wiring
from jit.api import answer, query
from jit.api.caller import READERS, address, read_caller
from jit.domain.model.people import Role

bp = func.Blueprint()  # type: ignore[no-untyped-call] # as the package has it


@bp.route(route="api/my-address", methods=["GET"])
def get_my_address(req: func.HttpRequest) -> func.HttpResponse:
    """Return the caller's address as the broker sees it: a source to ask for."""

    def act() -> func.HttpResponse:
        read_caller(req, wiring.settings(), *READERS)
        return answer.ok({"address": address(req)})

    return answer.answered(req, wiring.settings(), act)


@bp.route(route="api/reconcile", methods=["POST"])
@bp.queue_output(arg_name="work", queue_name=messages.RECONCILE, connection=messages.CONNECTION)
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


@bp.route(route="api/health", methods=["GET"])
def get_health(req: func.HttpRequest) -> func.HttpResponse:
    """Say whether storage and Azure answer; open to anybody, so it says no more."""
    health = wiring.health().look()
    return answer.ok(health.doc(), 200 if health.well else 503)
