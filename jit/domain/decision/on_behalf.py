"""Requests on behalf of a person: who may make them, and for whom."""

from __future__ import annotations

from jit.domain.decision.verdict import Finding, FindingKind
from jit.domain.errors import Violation
from jit.domain.model.people import Person, Role
from jit.domain.values.json_pointer import ROOT, at

ON_BEHALF_ROLE = "on-behalf-role"


def find_missing_role(caller: Person, on_behalf_of: str | None) -> tuple[Finding, ...]:
    """
    Return one finding if *caller* may not make such a request; empty if it may.

    A requester asks for the own person. A ticketing system asks for another one, and never for
    itself: its role gives no access of its own.

    Args:
        caller: The caller with the app roles.
        on_behalf_of: Lower-case object id of the person named; None if the body names nobody.
    """
    if on_behalf_of is None:
        if Role.REQUESTER in caller.roles:
            return ()
        return _refuse(f"without onBehalfOf this needs the app role {Role.REQUESTER}")
    if Role.SYSTEM not in caller.roles:
        return _refuse(f"onBehalfOf needs the app role {Role.SYSTEM}")
    if on_behalf_of == caller.id:
        return _refuse("onBehalfOf names another person: leave it out to ask for yourself")
    return ()


def _refuse(detail: str) -> tuple[Finding, ...]:
    violation = Violation(at(ROOT, "onBehalfOf"), ON_BEHALF_ROLE, detail)
    return (Finding(FindingKind.ROLE, violation),)
