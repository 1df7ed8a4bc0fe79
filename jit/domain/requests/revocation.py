"""A revocation: the part of a request that a person ends early, and why it has no effect."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from jit.domain.errors import Violation
from jit.domain.model.grant import Grant, Status
from jit.domain.model.request import WantedMachine
from jit.domain.values import arm_ids
from jit.domain.values.json_pointer import at
from jit.domain.values.listing import list_few
from jit.domain.values.times import format_instant

NOT_IN_REQUEST = "not-in-request"


@dataclass(frozen=True, slots=True, kw_only=True)
class Revocation:
    """
    The end of a request, or of some of its VMs and ports.

    Attributes:
        reason: For the audit trail.
        machines: The VMs to give back; one without ports means all of its ports. Without machines,
            the whole request is meant.
        may_give_up: True if an operator's reason also ends a grant that cannot be observed.
    """

    reason: str | None = None
    machines: tuple[WantedMachine, ...] = ()
    may_give_up: bool = True

    def covers(self, grant: Grant) -> bool:
        """Return True if *grant* shall end."""
        return not self.machines or any(_is_of(grant, machine) for machine in self.machines)


def find_outside(revocation: Revocation, grants: Sequence[Grant]) -> Iterator[Violation]:
    """Yield a violation for each VM and port of *revocation* that is in none of *grants*."""
    for machine in revocation.machines:
        name, key = arm_ids.name(machine.id), arm_ids.key(machine.id)
        ports = [grant.port for grant in grants if grant.vm_key == key]
        if not ports:
            theirs = list_few(arm_ids.name(grant.vm_id) for grant in grants)
            detail = f"{name} is not in this request, which has {theirs}"
            yield Violation(at(machine.pointer, "id"), NOT_IN_REQUEST, detail)
            continue
        for port in machine.ports:
            if port.number not in ports:
                theirs = list_few(map(str, sorted(ports)), most=10)
                detail = f"port {port.number} of {name} is not in this request, which has {theirs}"
                yield Violation(at(port.pointer, "number"), NOT_IN_REQUEST, detail)


def explain_no_effect(grants: Iterable[Grant]) -> str:
    """Return why a revocation of *grants* changes nothing: since when, why and by whom."""
    return list_few(_explain_end(grant) for grant in grants)


def _explain_end(grant: Grant) -> str:
    name = f"port {grant.port} of {arm_ids.name(grant.vm_id)}"
    is_closed = grant.status is Status.CLOSED
    since = grant.closed_at if is_closed else grant.closing_at
    how = "was closed at" if is_closed else "is closing since"
    when = format_instant(since) if since is not None else "an unknown time"
    why = f" as {grant.close_reason}" if grant.close_reason else ""
    by = f" by {grant.closed_by.name}" if grant.closed_by else ""
    return f"{name} {how} {when}{why}{by}"


def _is_of(grant: Grant, machine: WantedMachine) -> bool:
    ports = {port.number for port in machine.ports}
    return grant.vm_key == arm_ids.key(machine.id) and (not ports or grant.port in ports)
