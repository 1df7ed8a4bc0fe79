"""Refusals in the trail: the wish, its reasons, a digest of both, and the number of repetitions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

from jit.domain.audit.chain import write_canonical_json
from jit.domain.audit.event import Event
from jit.domain.errors import Violation
from jit.domain.model.people import Person
from jit.domain.values.times import format_instant

PREVIEWED = "request.previewed"
"""Name of the event of a dry run that other people's access stands in the way of."""

NAMED = 10
"""VMs that a record names; it has the number of all."""

REASONS = 20
"""Reasons that a record names; it has the number of all."""

SAME_WITHIN = timedelta(minutes=10)
"""So long after the first call the same refusal is counted, and is no record of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """
    A call that was refused.

    Attributes:
        what: Name of the event: dotted, past tense, constant.
        caller: The person who called.
        request_id: The request that the call is about; empty if there is none. A denied request
            has the id that it would have.
        target: The request that the call would change; empty if it would make one.
        wish: The body as JSON.
        machines: Ids of the VMs that it names.
        vm_ports: Those of a dry run, in one spelling and in one order; empty for other calls.
        held_ports: Those among them that other people's access stops. Empty text stands for
            a reason that names no VM port.
        facts: More of the body that the record names as it is; short.
        texts: Texts of the caller, by name: justification, reason.
        why: The sentence of the answer.
        violations: All reasons.
    """

    what: str
    caller: Person
    request_id: str
    target: str = ""
    wish: Mapping[str, object]
    machines: Sequence[str] = ()
    vm_ports: Sequence[str] = ()
    held_ports: Sequence[str] = ()
    facts: Mapping[str, object] = field(default_factory=dict)
    texts: Mapping[str, str | None] = field(default_factory=dict)
    why: str
    violations: Sequence[Violation] = ()

    @property
    def is_denial(self) -> bool:
        """True if it counts as a denial of its caller; a dry run was not refused, only recorded."""
        return self.what != PREVIEWED

    @property
    def wish_digest(self) -> str:
        """SHA-256, in hexadecimal, of the canonical JSON of the body."""
        return sha256(write_canonical_json(self.wish).encode()).hexdigest()

    @property
    def digest(self) -> str:
        """
        SHA-256, in hexadecimal, of everything that makes two refusals the same.

        Another person, body, target, reason or sentence is another refusal. All reasons count, also
        those that the record leaves out. The id of a denied request does not count: each call
        has another one.

        Of a dry run, its VM ports and the held ones count alone: it has no effect, and a caller can
        make up any number of bodies. The reasons repeat sources and times that the caller chose.
        """
        wish: object = self.vm_ports or self.wish
        same = [self.what, self.caller.id, self.target, wish, self.why]
        reasons: Sequence[object] = [violation.doc() for violation in self.violations]
        if self.vm_ports:
            reasons = self.held_ports
        return sha256(write_canonical_json([*same, reasons]).encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeated:
    """
    A refusal that stands in the trail, and the number of calls that got it again.

    Attributes:
        digest: As in `Refusal`.
        what, actor, actor_name, request_id: As in the record of the first call.
        first_at: Time of the first call.
        last_at: Time of the last one.
        count: Calls, with the first one.
        call: Random text of the call that was counted last.
    """

    digest: str
    what: str
    actor: str
    actor_name: str
    request_id: str
    first_at: datetime
    last_at: datetime
    count: int = 1
    call: str = ""

    def is_same_at(self, now: datetime) -> bool:
        """Return True if the same refusal *now* is a repetition, and not a record of its own."""
        return now < self.first_at + SAME_WITHIN


def begin_repeated(event: Event, digest: str) -> Repeated:
    """Return the refusal of *event*, called once so far."""
    return Repeated(
        digest=digest,
        what=event.what,
        actor=event.actor,
        actor_name=event.actor_name or "",
        request_id=event.request_id,
        first_at=event.at,
        last_at=event.at,
    )


def build_repetition_event(repeated: Repeated) -> Event:
    """Return the one event of all repetitions; `digest` names the record that they repeat."""
    return Event(
        at=repeated.last_at,
        what=repeated.what,
        actor=repeated.actor,
        actor_name=repeated.actor_name or None,
        request_id=repeated.request_id,
        texts={"digest": repeated.digest},
        facts={
            "repetitions": repeated.count - 1,
            "firstAt": format_instant(repeated.first_at),
            "lastAt": format_instant(repeated.last_at),
        },
    )


def build_refusal_event(refusal: Refusal, *, now: datetime) -> Event:
    """
    Return the event of a refusal.

    It names a few VMs and reasons, and the number of all: a body of 64 KiB must not be a record of
    64 KiB. The digest proves which body it was. Both digests stand among the texts: the caller's
    texts are in them without a salt, and a short one could be guessed.
    """
    violations = refusal.violations
    facts: dict[str, Any] = {
        "virtualMachines": list(refusal.machines[:NAMED]),
        "virtualMachineCount": len(refusal.machines),
        **refusal.facts,
        "why": refusal.why,
        "errors": [violation.doc() for violation in violations[:REASONS]],
        "errorCount": len(violations),
    }
    digests = {"bodySha256": refusal.wish_digest, "digest": refusal.digest}
    return Event(
        at=now,
        what=refusal.what,
        actor=refusal.caller.id,
        actor_name=refusal.caller.name,
        request_id=refusal.request_id,
        facts=facts,
        texts={**refusal.texts, **digests},
    )
