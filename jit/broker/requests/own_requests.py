"""The caller's own live requests for a VM port: a refusal names them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from jit.domain.decision.verdict import Finding
from jit.domain.model.grant import Grant
from jit.domain.model.machine import VmPort
from jit.domain.model.people import Person
from jit.domain.model.request import AccessRequest
from jit.domain.values import arm_ids
from jit.domain.values.json_pointer import at
from jit.storage.request_store import RequestStore


@dataclass(slots=True)
class OwnRequests:
    """The live requests of *caller*, read once: one query, however many people use a port."""

    requests: RequestStore
    caller: Person
    _known: dict[str, frozenset[str]] = field(default_factory=dict)

    def find(self, grants: Iterable[Grant]) -> str | None:
        """Return the id of the caller's own request among those of *grants*, which are live."""
        ids = (g.request_id for g in grants if g.request_id in self._list_own(g.vm_id))
        return next(ids, None)

    def _list_own(self, vm_id: str) -> frozenset[str]:
        """Return the ids of the caller's live requests in the subscription of a VM."""
        partition = arm_ids.subscription(vm_id)
        if partition not in self._known:
            self._known[partition] = self.requests.list_ids_of(partition, self.caller.id)
        return self._known[partition]

    def name_in(self, detail: str, grants: Iterable[Grant]) -> str:
        """Return *detail* with the id of the caller's own request among those of *grants*."""
        own = self.find(grants)
        return f"{detail}; your own request {own} has it" if own else detail


def name_own_requests(
    findings: Sequence[Finding],
    access: AccessRequest,
    others: Mapping[VmPort, Sequence[Grant]],
    own: OwnRequests,
) -> tuple[Finding, ...]:
    """
    Return *findings* about occupied ports, with the caller's own live requests for these ports.

    Args:
        findings: About *access*, by its pointers.
        access: The access that the caller wants.
        others: As `list_other_grants` returns them.
        own: The caller's requests.
    """
    places = {
        at(port.pointer, "number"): VmPort.of(machine.id, port.number)
        for machine in access.machines
        for port in machine.ports
    }
    named: list[Finding] = []
    for finding in findings:
        violation = finding.violation
        held = others.get(places[violation.pointer], ()) if violation.pointer in places else ()
        detail = own.name_in(violation.detail, held)
        named.append(replace(finding, violation=replace(violation, detail=detail)))
    return tuple(named)
