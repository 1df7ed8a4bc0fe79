"""One pass over a JIT policy: the rows it works on, the claim it works under."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from jit import telemetry
from jit.broker.locks import PolicyLease
from jit.domain.audit.event import transitions
from jit.domain.errors import Unavailable
from jit.domain.model.grant import CloseReason, Grant
from jit.storage.request_store import RequestStore
from jit.storage.stored import GrantRow

_NAMED = 5


@dataclass(slots=True)
class Pass:
    """
    What one pass carries along.

    Attributes:
        rows: Unfinished grants of the policy, as last written.
        tombstones: Grants closed in the last days, or by this pass.
        initiated: Whether Defender was asked for anything.
        asks_from: Azure wants to be asked for nothing before.
        turns: Keys of the firewalls that this pass may change.
        outage: Why storage could not finish a request; raised when all else is done.
    """

    policy_id: str
    now: datetime
    claim: PolicyLease
    rows: tuple[GrantRow, ...]
    tombstones: tuple[GrantRow, ...]
    initiated: bool = False
    asks_from: datetime | None = None
    turns: frozenset[str] = field(default_factory=frozenset)
    outage: Unavailable | None = None

    @property
    def grants(self) -> list[Grant]:
        """Every unfinished grant of the policy."""
        return [grant for held in self.rows for grant in held.grants]

    @property
    def known(self) -> frozenset[str]:
        """Initiate ids that are ours."""
        buried = (grant for held in self.tombstones for grant in held.grants)
        return frozenset(i for grant in (*self.grants, *buried) for i in grant.initiate.ids)

    def bury(self, requests: Collection[str]) -> None:
        """Let the rows of *requests* be tombstones: Defender goes on listing what they asked."""
        moved = tuple(held for held in self.rows if held.request_id in requests)
        self.rows = tuple(held for held in self.rows if held.request_id not in requests)
        self.tombstones = (*self.tombstones, *moved)

    def save(
        self, requests: RequestStore, changed: Mapping[str, Grant], before: Sequence[Grant]
    ) -> None:
        """Store changed grants over the rows of this pass, with their audit rows."""
        changes = [
            (held, tuple(changed.get(grant.id, grant) for grant in held.grants))
            for held in self.rows
            if any(changed.get(grant.id, grant) != grant for grant in held.grants)
        ]
        if not changes:
            return
        after = [changed[grant.id] for grant in before if grant.id in changed]
        events = transitions(before, after, now=self.now)
        written = {held.row.key: held for held in requests.save(changes, events)}
        self.rows = tuple(written.get(held.row.key, held) for held in self.rows)
        for event in events:
            telemetry.event(event.what, grant_id=event.grant_id, request_id=event.request_id)
        going = {grant.id for grant in before if grant.close_reason is None}
        failed = [g for g in after if g.close_reason is CloseReason.FAILED and g.id in going]
        if failed:
            _tell_failed(self.policy_id, failed)


def _tell_failed(policy_id: str, failed: Sequence[Grant]) -> None:
    """Raise one alert for all grants that were given up together."""
    telemetry.alert(
        "grants.failed",
        policy_id=policy_id,
        count=len(failed),
        grants=[grant.id for grant in failed[:_NAMED]],
        reasons=sorted({grant.note or "" for grant in failed})[:_NAMED],
    )
