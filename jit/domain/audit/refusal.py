"""Refusals in the trail: the wish, its reasons, and a digest of both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Any

from jit.domain.audit.chain import write_canonical_json
from jit.domain.audit.event import Event
from jit.domain.errors import Violation
from jit.domain.model.people import Person

NAMED = 10
"""VMs that a record names; it has the number of all."""

REASONS = 20
"""Reasons that a record names; it has the number of all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """
    A call that was refused.

    Attributes:
        what: Name of the event: dotted, past tense, constant.
        caller: The person who called.
        request_id: The request that the call is about; empty if there is none.
        wish: The body as JSON.
        machines: Ids of the VMs that it names.
        facts: More of the body that the record names as it is; short.
        why: The sentence of the answer.
        violations: All reasons.
    """

    what: str
    caller: Person
    request_id: str
    wish: Mapping[str, object]
    machines: Sequence[str] = ()
    facts: Mapping[str, object] = field(default_factory=dict)
    why: str
    violations: Sequence[Violation] = ()

    @property
    def wish_digest(self) -> str:
        """SHA-256, in hexadecimal, of the canonical JSON of the body."""
        return sha256(write_canonical_json(self.wish).encode()).hexdigest()


def build_refusal_event(refusal: Refusal, *, now: datetime) -> Event:
    """
    Return the event of a refusal.

    It names a few VMs and reasons, and the number of all: a body of 64 KiB must not be a record of
    64 KiB. The digest proves which body it was.
    """
    violations = refusal.violations
    facts: dict[str, Any] = {
        "virtualMachines": list(refusal.machines[:NAMED]),
        "virtualMachineCount": len(refusal.machines),
        **refusal.facts,
        "why": refusal.why,
        "errors": [violation.doc() for violation in violations[:REASONS]],
        "errorCount": len(violations),
        "bodySha256": refusal.wish_digest,
    }
    return Event(
        at=now,
        what=refusal.what,
        actor=refusal.caller.id,
        actor_name=refusal.caller.name,
        request_id=refusal.request_id,
        facts=facts,
    )
