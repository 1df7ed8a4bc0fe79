"""
Grants whose request in Defender was replaced or revoked by somebody else.

Defender keeps one request per VM port, and a newer one revokes the older.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

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
    found = find_replacement(grant, requests, is_foreign=context.is_foreign, now=context.now)
    if found is None:
        return grant
    reason, note = found
    return lifetime.begin_closing(grant, reason, context.now, note)


def find_replacement(
    grant: Grant,
    requests: Sequence[DefenderRequest],
    *,
    is_foreign: Callable[[DefenderRequest], bool],
    now: datetime,
) -> tuple[CloseReason, str] | None:
    """
    Return the close reason, and a sentence, if somebody else ended the request of *grant*.

    Args:
        grant: In any status.
        requests: Defender's requests for its VM port, oldest first.
        is_foreign: Tells if a request is not the broker's.
        now: Aware, UTC.
    """
    own = [entry for entry in requests if entry.initiate_id in grant.initiate.ids]
    if not grant.wants_path or any(entry.active for entry in own):
        return None
    later = (
        requests[requests.index(own[-1]) + 1 :] if own else _list_since_admission(requests, grant)
    )
    foreign = [entry for entry in later if is_foreign(entry)]
    if _is_replaced(grant, own, later, foreign, now):
        note = "somebody else's newer request for this port replaced it in Defender"
        return CloseReason.SUPERSEDED, note
    if own and not later and own[-1].reason not in {"Expired", "NewerRequestInitiated"}:
        return CloseReason.REVOKED, "revoked in Azure"
    return None


def _is_replaced(
    grant: Grant,
    own: Sequence[DefenderRequest],
    later: Sequence[DefenderRequest],
    foreign: Sequence[DefenderRequest],
    now: datetime,
) -> bool:
    """Return True if a stranger's request replaced the grant's own, or one that it had joined."""
    if foreign and not own:  # it has joined the newest of them, or still waits for its own
        joined = Prefixes(foreign[-1].sources).equals(grant.sources)
        return foreign[-1].is_in_force(now) and not joined
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
