"""Functions of virtual machines and their JIT policies."""

import azure.functions as func

from jit import wiring
from jit.api import answer, body, query, render
from jit.api.caller import READERS
from jit.domain.model.people import Person, Role
from jit.triggers.answers import answers

bp = func.Blueprint()  # type: ignore[no-untyped-call] # as the package has it


@bp.route(route="api/virtual-machines", methods=["GET"])
@answers(*READERS, query=("subscription", "name", "mine", query.TOKEN))
def list_virtual_machines(req: func.HttpRequest, caller: Person) -> func.HttpResponse:
    """List virtual machines, their JIT support, and the people with access."""
    from jit.api import continuation

    subscription, name = req.params.get("subscription"), req.params.get("name")
    now = wiring.clock()
    begin = continuation.read_token(req.params, caller)
    mine = query.read_flag(req, "mine")
    found, end = wiring.queries().list_machines(
        subscription, caller, now=now, name=name, mine=mine, begin=begin
    )
    shown = [render.render_machine(vm, access, now) for vm, access in found]
    token = continuation.write_token(end, req.params, caller)
    return answer.write_revalidated(answer.write_page(shown, token), req)


@bp.route(route="api/virtual-machines/jit-policy", methods=["PUT"])
@answers(Role.OPERATOR)
def put_jit_policy(req: func.HttpRequest, caller: Person) -> func.HttpResponse:
    """Put virtual machines under just-in-time access."""
    wanted = body.read_policy_put(req, wiring.settings().limits)
    now = wiring.clock()
    return answer.write_configured(wiring.configurator().put(wanted, caller, now=now), now)


@bp.route(route="api/virtual-machines/jit-policy", methods=["DELETE"])
@answers(Role.OPERATOR)
def delete_jit_policy(req: func.HttpRequest, caller: Person) -> func.HttpResponse:
    """Take virtual machines out of just-in-time access."""
    unwanted = body.read_policy_delete(req, wiring.settings().limits)
    now = wiring.clock()
    return answer.write_configured(wiring.configurator().delete(unwanted, caller, now=now), now)
