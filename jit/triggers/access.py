"""Functions of the access that people have now."""

import azure.functions as func

from jit import wiring
from jit.api import answer, render
from jit.api.caller import READERS
from jit.domain.model.people import Person
from jit.triggers.answers import answers

bp = func.Blueprint()  # type: ignore[no-untyped-call] # as the package has it


@bp.route(route="api/access", methods=["GET"])
@answers(*READERS, query=None)
def list_access(req: func.HttpRequest, caller: Person) -> func.HttpResponse:
    """List the access that people have now: a requester sees the own, the other roles all."""
    from jit.api import continuation, list_query

    filters, begin = list_query.read_access_list(req.params, caller)
    found, end = wiring.queries().list_access(filters, caller, now=wiring.clock(), begin=begin)
    shown = [render.render_access(item) for item in found]
    return answer.write_page(shown, continuation.write_token(end, req.params, caller))
