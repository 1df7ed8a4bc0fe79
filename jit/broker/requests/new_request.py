"""The stored form of an accepted request, the event of its acceptance, the record of a refusal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from jit.domain.audit.event import Event
from jit.domain.errors import Violation
from jit.domain.model.grant import Grant
from jit.domain.model.people import Kind, Person
from jit.domain.model.request import AccessRequest, Decision, Request
from jit.domain.requests.submission import Submission
from jit.domain.values import arm_ids
from jit.domain.values.json_pointer import at
from jit.storage.stored import group_by_machine

if TYPE_CHECKING:  # loaded when a call is refused; most are not
    from jit.domain.audit.refusal import Refusal

RULE = "jit-policy"
"""The rule that allows a request: the caller is a requester, and the JIT policy allows it."""


def build_request(
    access: AccessRequest, grants: Sequence[Grant], submission: Submission, now: datetime
) -> Request:
    """
    Return the request of allowed *access*, asked by *submission*, with all of its *grants*.

    Roles and groups are those of a token, and not of a request: they are left out.
    """
    caller, requester = submission.caller, submission.requester
    is_plain = caller.id == requester.id and caller.kind is Kind.PERSON
    return Request(
        id=grants[0].request_id,
        requester=Person(id=requester.id, name=requester.name, display_name=requester.display_name),
        caller=None if is_plain else Person(id=caller.id, name=caller.name, kind=caller.kind),
        justification=access.justification,
        created_at=now,
        starts_at=grants[0].starts_at,
        duration=access.duration,
        sources=access.sources,
        policies=_list_policies(grants),
        decision=Decision(allowed=True, rule=RULE),
        ticket=access.ticket,
    )


def build_acceptance_event(
    request: Request,
    grants: Sequence[Grant],
    now: datetime,
    rights: Mapping[str, Any] | None = None,
) -> Event:
    """
    Return the event of the acceptance of *request* with its *grants*.

    *rights* are the facts about the rights of its person in Azure, if somebody asked for them.
    """
    return Event(
        at=now,
        what="request.accepted",
        actor=request.requester.id,
        actor_name=request.requester.name,
        request_id=request.id,
        texts={
            "justification": request.justification,
            "ticket": f"{request.ticket.system} {request.ticket.id}" if request.ticket else None,
            "callerName": request.caller.name if request.caller else None,
        },
        facts={
            "rule": request.decision.rule,
            **_describe_caller(request.caller),
            "sources": [str(source) for source in request.sources],
            "grants": [
                {
                    "virtualMachineId": group[0].vm_id,
                    "ports": [grant.port for grant in group],
                    **_describe_bastion(group[0]),
                }
                for group in group_by_machine(grants)
            ],
            **({} if rights is None else {"rbac": dict(rights)}),
        },
    )


def describe_refusal(
    what: str,
    submission: Submission,
    request_id: str,
    why: str,
    violations: Sequence[Violation],
) -> Refusal:
    """Return the refusal of a body without faults; *request_id* is the id that it would have."""
    draft = submission.draft
    from jit.domain.audit.refusal import Refusal

    return Refusal(
        what=what,
        caller=submission.caller,
        request_id=request_id,
        wish=submission.body,
        machines=[machine.id for machine in draft.machines],
        facts={
            "sources": [str(source) for source in draft.sources],
            **({"onBehalfOf": draft.on_behalf_of} if draft.on_behalf_of else {}),
        },
        texts={"justification": draft.justification},
        why=why,
        violations=violations,
    )


def describe_preview(
    submission: Submission, why: str, violations: Sequence[Violation], held: Iterable[Violation]
) -> Refusal:
    """
    Return the record of a dry run of a body without faults that other access stops.

    *held* are all reasons that are other people's access. It does not name the person of
    ``onBehalfOf``: dry runs for several people are one record, and a caller can make up any number.
    """
    ports = {
        at(port.pointer, "number"): f"{arm_ids.key(machine.id)} {port.number}"
        for machine in submission.draft.machines
        for port in machine.ports
    }
    from jit.domain.audit.refusal import PREVIEWED

    refusal = describe_refusal(PREVIEWED, submission, "", why, violations)
    held_ports = {ports.get(violation.pointer, "") for violation in held}
    return replace(
        refusal,
        vm_ports=sorted(set(ports.values())),
        held_ports=sorted(held_ports),
        facts={name: fact for name, fact in refusal.facts.items() if name != "onBehalfOf"},
    )


def _describe_caller(caller: Person | None) -> dict[str, Any]:
    """Return the caller of a request if it is not plainly its requester."""
    if caller is None:
        return {}
    return {"caller": {"id": caller.id, "kind": caller.kind.value}}


def _describe_bastion(grant: Grant) -> dict[str, Any]:
    """Return the Bastion of *grant*, and the sources that it adds; nothing without a Bastion."""
    if grant.bastion is None:
        return {}
    return {"bastion": grant.bastion.id, "bastionSources": list(grant.bastion.prefixes)}


def _list_policies(grants: Sequence[Grant]) -> tuple[str, ...]:
    """Return the ids of the JIT policies of *grants*, each once; Azure varies their case."""
    return tuple({arm_ids.key(grant.policy_id): grant.policy_id for grant in grants}.values())
