"""
Grants whose request in Defender was replaced or revoked by somebody else.

Defender keeps one request per VM port, and a newer one revokes the older.
"""

from __future__ import annotations

from collections.abc import Sequence

from jit.domain.azure.defender_requests import DefenderRequest
from jit.domain.grants import lifetime
from jit.domain.grants.policy_view import StepContext
from jit.domain.model.grant import CloseReason, Grant
from jit.domain.values.prefixes import Prefixes


def close_if_replaced(
    grant: Grant, requests: Sequence[DefenderRequest], context: StepContext
) -> Grant:
    """
    Close *grant* if somebody else replaced or revoked its request in Defender.

    Args:
        grant: In any status.
        requests: Defender's requests for its VM port, oldest first.
        context: The step's present.
    """
    own = [entry for entry in requests if entry.initiate_id in grant.initiate.ids]
    if not grant.wants_path or any(entry.active for entry in own):
        return grant
    later = (
        requests[requests.index(own[-1]) + 1 :] if own else _list_since_admission(requests, grant)
    )
    if _is_replaced(grant, own, later, context):
        note = "somebody else's newer request for this port replaced it in Defender"
        return lifetime.begin_closing(grant, CloseReason.SUPERSEDED, context.now, note)
    if own and not later and own[-1].reason not in {"Expired", "NewerRequestInitiated"}:
        return lifetime.begin_closing(grant, CloseReason.REVOKED, context.now, "revoked in Azure")
    return grant


def _is_replaced(
    grant: Grant,
    own: Sequence[DefenderRequest],
    later: Sequence[DefenderRequest],
    context: StepContext,
) -> bool:
    """Return True if a stranger's request replaced the grant's own, or one that it had joined."""
    foreign = [entry for entry in later if context.is_foreign(entry)]
    if foreign and not own:  # it has joined the newest of them, or still waits for its own
        joined = Prefixes(foreign[-1].sources).equals(grant.sources)
        return foreign[-1].is_in_force(context.now) and not joined
    if foreign:
        return True
    # Defender says that a newer one came, but shows none: it is not ours, so it is not to be cut.
    last = own[-1] if own and not later else None
    return (
        last is not None
        and last.reason == "NewerRequestInitiated"
        and last.initiate_id == grant.initiate.newest
    )


def _list_since_admission(
    requests: Sequence[DefenderRequest], grant: Grant
) -> list[DefenderRequest]:
    """Return requests made after the admission of a grant that carries no initiate of its own."""
    admitted = grant.admitted_at
    return [entry for entry in requests if admitted is not None and entry.started_at > admitted]
