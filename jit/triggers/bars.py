"""Functions of bars: people who may get no access."""

from typing import List

import azure.functions as func

from jit import messages, wiring
from jit.api import answer, body, render
from jit.domain.model.people import Person, Role
from jit.triggers.answers import answers

bp = func.Blueprint()  # type: ignore[no-untyped-call] # as the package has it


@bp.route(route="api/barred", methods=["GET"])
@answers(Role.OPERATOR, Role.AUDITOR)
def list_bars(req: func.HttpRequest) -> func.HttpResponse:
    """List the bars in force, the ended ones with access to revoke, and the unreadable ones."""
    found = wiring.bar_changes().list_all(wiring.clock())
    return answer.write_json({"value": [render.render_bar(bar) for bar in found]})


@bp.route(route="api/barred/{oid}", methods=["GET"])
@answers(Role.OPERATOR, Role.AUDITOR)
def get_bar(req: func.HttpRequest) -> func.HttpResponse:
    """Return the bar of one person."""
    person_id = body.read_person_id(req)
    found = wiring.bar_changes().get(person_id, wiring.clock())
    return answer.write_json(render.render_bar(found))


@bp.route(route="api/barred/{oid}", methods=["PUT"])
@bp.queue_output(arg_name="work", queue_name=messages.POLICY, connection=messages.CONNECTION)
@answers(Role.OPERATOR)
def put_bar(req: func.HttpRequest, work: func.Out[List[str]], caller: Person) -> func.HttpResponse:
    """Bar a person from access, and end the access that the person has if that is wanted."""
    now, settings = wiring.clock(), wiring.settings()
    person_id = body.read_person_id(req)
    wanted = body.read_bar(req, now=now, limits=settings.limits)
    done = wiring.bar_changes().put(person_id, wanted, caller, now)
    work.set([messages.policy(policy) for policy in done.policies])
    return answer.write_json({**render.render_bar(done.bar), "revoked": done.bar.revoked})


@bp.route(route="api/barred/{oid}", methods=["DELETE"])
@answers(Role.OPERATOR)
def delete_bar(req: func.HttpRequest, caller: Person) -> func.HttpResponse:
    """Lift the bar of a person; without a bar nothing changes."""
    person_id = body.read_person_id(req)
    body.refuse_fields(req, wiring.settings().limits)
    wiring.bar_changes().lift(person_id, caller, wiring.clock())
    return answer.write_json({"id": person_id})
