"""The access of others: the access to a VM that no grant gives, and the ports that it occupies."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

from jit.domain.model.machine import (
    MOST_SOURCES,
    Occupation,
    Origin,
    OtherAccess,
    VirtualMachine,
)

_NEVER = datetime.max.replace(tzinfo=UTC)


def list_others(vm: VirtualMachine, *, now: datetime) -> list[OtherAccess]:
    """Return the access to *vm* that no grant gives and that has not ended, by port."""
    every = (*map(_describe, vm.occupations), *(vm.others or ()))
    found = dict.fromkeys(_hide_never(other) for other in every if _is_in_force(other, now))
    return sorted(found, key=lambda other: (other.port, other.origin, other.sources))


def list_occupied(vm: VirtualMachine, *, now: datetime) -> dict[int, datetime | None]:
    """
    Return the ports of *vm* that other people's requests hold, each with the last end of these.

    The end is None if it is not known.
    """
    ends: dict[int, datetime] = {}
    for port, until in _list_ends(vm, now):
        ends[port] = max(until, ends.get(port, until))
    return {port: None if until == _NEVER else until for port, until in sorted(ends.items())}


def _list_ends(vm: VirtualMachine, now: datetime) -> Iterator[tuple[int, datetime]]:
    """
    Yield port and end of each request of others that is in force.

    A rule that outlives its request has no end. It holds nobody back: a new request is accepted.
    """
    for other in (*map(_describe, vm.occupations), *(vm.others or ())):
        if other.origin is Origin.PORTAL and other.until is not None and other.until > now:
            yield other.port, other.until


def _describe(occupation: Occupation) -> OtherAccess:
    return OtherAccess(
        port=occupation.port,
        sources=occupation.sources[:MOST_SOURCES],
        until=occupation.ends_at,
        requestor=occupation.requestor,
        origin=Origin.PORTAL,
    )


def _hide_never(other: OtherAccess) -> OtherAccess:
    return replace(other, until=None) if other.until == _NEVER else other


def _is_in_force(other: OtherAccess, now: datetime) -> bool:
    return other.until is None or other.until > now
