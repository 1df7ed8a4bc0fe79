"""The access of others: the access to a VM that no grant gives, and the ports that it occupies."""

from __future__ import annotations

from collections.abc import Iterator
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
    found = dict.fromkeys(other for other in every if _is_in_force(other, now))
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
    for other in list_others(vm, now=now):
        if other.origin is Origin.PORTAL:
            yield other.port, other.until or _NEVER


def _describe(occupation: Occupation) -> OtherAccess:
    end = occupation.ends_at
    return OtherAccess(
        port=occupation.port,
        sources=occupation.sources[:MOST_SOURCES],
        until=None if end == _NEVER else end,
        requestor=occupation.requestor,
        origin=Origin.PORTAL,
    )


def _is_in_force(other: OtherAccess, now: datetime) -> bool:
    return other.until is None or other.until > now
