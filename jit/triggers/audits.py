"""Functions of the audit trail: records, chains, their export, erasure of texts."""

from typing import List

import azure.functions as func

from jit import messages, wiring
from jit.api import answer, body
from jit.domain.model.people import Person, Role
from jit.domain.values.times import format_instant
from jit.triggers.answers import answers

bp = func.Blueprint()  # type: ignore[no-untyped-call] # as the package has it


@bp.route(route="api/audit", methods=["GET"])
@answers(Role.AUDITOR, query=None)
def list_audit_records(req: func.HttpRequest, caller: Person) -> func.HttpResponse:
    """List the records of the audit trail, newest first."""
    from jit.api.audit import audit_answer, audit_query

    wanted, written, begin = audit_query.read_records_query(req.params, caller)
    found, end = wiring.record_pages().list_page(wanted, begin=begin)
    token = audit_query.write_record_token(end, req.params, caller)
    return audit_answer.write_records(found, token, written)


@bp.route(route="api/audit/chains", methods=["GET"])
@answers(Role.AUDITOR)
def list_audit_chains(req: func.HttpRequest) -> func.HttpResponse:
    """List the heads of the chains: keep them elsewhere."""
    from jit.api.audit import audit_answer

    return audit_answer.write_heads(wiring.chains().list_heads())


@bp.route(route="api/audit/chains/{chain}", methods=["GET"])
@answers(Role.AUDITOR, query=("after",))
def get_audit_chain(req: func.HttpRequest) -> func.HttpResponse:
    """Export a chain, part by part, for a verification offline."""
    from jit.api.audit import audit_answer, audit_query

    after = audit_query.read_after(req.params)
    name = audit_query.read_chain_name(req.route_params["chain"])
    return audit_answer.write_part(wiring.chains().export(name, after))


@bp.route(route="api/audit/erasures", methods=["POST"])
@bp.queue_output(arg_name="work", queue_name=messages.RECONCILE, connection=messages.CONNECTION)
@answers(Role.OPERATOR)
def begin_erasure(
    req: func.HttpRequest, work: func.Out[List[str]], caller: Person
) -> func.HttpResponse:
    """Order the erasure of a person's texts beside the chains; workers do it."""
    now, wanted = wiring.clock(), body.read_erasure(req, wiring.settings().limits)
    chains = wiring.erasures().write_orders(wanted, caller, now)
    work.set([messages.drain(chain) for chain in chains])
    doc = {"person": wanted.person_id, "at": format_instant(now), "chains": chains}
    return answer.write_json(doc, 202)
