"""Triggers of virtual machines and of their JIT policies."""

import azure.functions as func

from jit import wiring
from jit.api import answer, query
from jit.api.body import read_object
from jit.api.caller import READERS, read_caller
from jit.domain.errors import InvalidRequest
from jit.domain.model.people import Role
from jit.domain.requests import bodies

bp = func.Blueprint()  # type: ignore[no-untyped-call] # as the package has it


@bp.route(route="api/virtual-machines", methods=["GET"])
def list_virtual_machines(req: func.HttpRequest) -> func.HttpResponse:
    """List virtual machines with what JIT can do for them and who is in."""

    def act() -> func.HttpResponse:
        caller = read_caller(req, wiring.settings(), *READERS)
        found = wiring.views().machines(req.params.get("subscription"), caller, now=wiring.clock())
        return answer.ok({"value": found, "continuationToken": None})

    return answer.answered(req, wiring.settings(), act)


@bp.route(route="api/virtual-machines/jit-policy", methods=["PUT"])
def put_jit_policy(req: func.HttpRequest) -> func.HttpResponse:
    """Put virtual machines under just-in-time access."""

    def act() -> func.HttpResponse:
        caller = read_caller(req, wiring.settings(), Role.OPERATOR)
        query.only(req)
        wanted, faults = bodies.read_policy_put(read_object(req), limits=wiring.settings().limits)
        if faults:
            raise InvalidRequest("the body has faults", faults)
        return answer.configured(wiring.configurator().put(wanted, caller, now=wiring.clock()))

    return answer.answered(req, wiring.settings(), act)


@bp.route(route="api/virtual-machines/jit-policy", methods=["DELETE"])
def delete_jit_policy(req: func.HttpRequest) -> func.HttpResponse:
    """Take virtual machines out of just-in-time access."""

    def act() -> func.HttpResponse:
        caller = read_caller(req, wiring.settings(), Role.OPERATOR)
        query.only(req)
        unwanted, faults = bodies.read_policy_delete(
            read_object(req), limits=wiring.settings().limits
        )
        if faults:
            raise InvalidRequest("the body has faults", faults)
        return answer.configured(wiring.configurator().delete(unwanted, caller, now=wiring.clock()))

    return answer.answered(req, wiring.settings(), act)
