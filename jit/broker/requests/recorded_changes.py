"""Changes of a request that people make, with a record of each refusal."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from jit.broker.requests.change import ChangeResult, RequestChanges
from jit.broker.trail import Trail
from jit.domain.audit.refusal import Refusal
from jit.domain.errors import Rejected
from jit.domain.model.people import Person
from jit.domain.requests.extension_body import Extension
from jit.domain.requests.revocation import Revocation
from jit.domain.values import request_ids
from jit.domain.values.times import format_duration


@dataclass(frozen=True, slots=True)
class RecordedChanges:
    """
    Changes requests as `RequestChanges` does, and records each refusal before it is answered.

    A refusal about an id without a request is not recorded: anybody can make up ids.
    """

    changes: RequestChanges
    trail: Trail

    def revoke(
        self, request_id: str, caller: Person, revocation: Revocation, now: datetime
    ) -> ChangeResult:
        """End a request early, as `RequestChanges.revoke` does."""
        try:
            return self.changes.revoke(request_id, caller, revocation, now)
        except Rejected as error:
            self._record(
                Refusal(
                    what="revocation.refused",
                    caller=caller,
                    request_id=request_id,
                    target=request_id,
                    wish=_describe_revocation(revocation),
                    machines=[machine.id for machine in revocation.machines],
                    texts={"reason": revocation.reason},
                    why=str(error),
                    violations=error.violations,
                ),
                now,
            )
            raise

    def extend(
        self, request_id: str, caller: Person, extension: Extension, now: datetime
    ) -> ChangeResult:
        """Move the ends of a request, as `RequestChanges.extend` does."""
        try:
            return self.changes.extend(request_id, caller, extension, now)
        except Rejected as error:
            span = format_duration(extension.duration)
            self._record(
                Refusal(
                    what="extension.refused",
                    caller=caller,
                    request_id=request_id,
                    target=request_id,
                    wish=extension.body,
                    facts={"duration": span},
                    texts={"reason": extension.reason},
                    why=str(error),
                    violations=error.violations,
                ),
                now,
            )
            raise

    def _record(self, refusal: Refusal, now: datetime) -> None:
        """Record a refusal about a request that there is; its caller may not see it."""
        if self.changes.requests.load(refusal.request_id) is not None:
            subscription, _ = request_ids.parse_request_id(refusal.request_id) or ("", None)
            self.trail.record_refusal(subscription, refusal, now=now)


def _describe_revocation(revocation: Revocation) -> dict[str, object]:
    """Return a revocation as JSON: the body, without the spelling that the reader lets pass."""
    machines = [
        {"id": machine.id, "ports": [{"number": port.number} for port in machine.ports]}
        for machine in revocation.machines
    ]
    return {"reason": revocation.reason, "virtualMachines": machines}
