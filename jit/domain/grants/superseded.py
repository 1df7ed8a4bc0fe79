"""
What Defender's own memory says about a grant: replaced or revoked by somebody else.

Defender keeps one request per VM port, and a newer one revokes the older.
"""

from __future__ import annotations

from collections.abc import Sequence

from jit.domain.azure.defender_requests import DefenderRequest
from jit.domain.grants import lifetime
from jit.domain.grants.policy_view import StepContext
from jit.domain.model.grant import CloseReason, Grant
from jit.domain.values import prefixes


def close_if_replaced(grant: Grant, seen: Sequence[DefenderRequest], context: StepContext) -> Grant:
    """Close a grant whose request in Defender was replaced or revoked by somebody else."""
    mine = [entry for entry in seen if entry.initiate_id in grant.initiates]
    if not grant.wants_path or any(entry.active for entry in mine):
        return grant
    later = seen[seen.index(mine[-1]) + 1 :] if mine else _since(seen, grant)
    if _superseded(grant, mine, later, context):
        note = "somebody else's newer request for this port replaced it in Defender"
        return lifetime.begin_closing(grant, CloseReason.SUPERSEDED, context.now, note)
    if mine and not later and mine[-1].reason not in {"Expired", "NewerRequestInitiated"}:
        return lifetime.begin_closing(grant, CloseReason.REVOKED, context.now, "revoked in Azure")
    return grant


def _superseded(
    grant: Grant,
    mine: Sequence[DefenderRequest],
    later: Sequence[DefenderRequest],
    context: StepContext,
) -> bool:
    """Whether a stranger's request took the place of the grant's own, or of one it had joined."""
    strangers = [entry for entry in later if context.is_foreign(entry)]
    if strangers and not mine:  # it has joined the newest of them, or still waits for its own
        joined = prefixes.same_sources(strangers[-1].sources, frozenset(grant.sources))
        return strangers[-1].in_force(context.now) and not joined
    if strangers:
        return True
    # Defender says that a newer one came, but shows none: it is not ours, so it is not to be cut.
    last = mine[-1] if mine and not later else None
    return (
        last is not None
        and last.reason == "NewerRequestInitiated"
        and last.initiate_id == grant.initiates[-1]
    )


def _since(seen: Sequence[DefenderRequest], grant: Grant) -> list[DefenderRequest]:
    """Entries made after a grant that carries no initiate of its own was claimed."""
    claimed = grant.claimed_at
    return [entry for entry in seen if claimed is not None and entry.started_at > claimed]
