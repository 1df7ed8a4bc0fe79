"""Requests and grants as they were read, together with the rows that hold them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Generic, TypeVar

from jit.domain.model.grant import Footprint, Grant, Status, status_of
from jit.domain.model.request import Request
from jit.storage.table import Row


@dataclass(frozen=True, slots=True)
class GrantRow:
    """One row of grants: a request's grants on one VM, at least one."""

    row: Row
    grants: tuple[Grant, ...]

    @property
    def request_id(self) -> str:
        """The request that the grants belong to."""
        return self.grants[0].request_id

    @property
    def policy_id(self) -> str:
        """The JIT policy that the grants lie under."""
        return self.grants[0].policy_id

    @property
    def due_at(self) -> datetime:
        """When the row next needs work."""
        return find_earliest_check(self.grants)


@dataclass(frozen=True, slots=True)
class TombstoneRow(GrantRow):
    """Closed grants that are kept until *until*, so that their rules are known."""

    until: datetime


R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class ReadableRows(Generic[R]):
    """
    Rows, without the VMs that have a row which this version cannot read.

    A decision about such a VM could cut, or leave open, a path that nobody here knows of.

    Attributes:
        by_machine: The rows that can be read, each with the hash of its VM's id.
        unreadable: Hashes of the ids of the VMs that have another row.
    """

    by_machine: tuple[tuple[str, R], ...]
    unreadable: frozenset[str]

    @property
    def rows(self) -> tuple[R, ...]:
        """The rows of VMs that can be read completely."""
        return self.drop_machines(self.unreadable)

    def drop_machines(self, machines: frozenset[str]) -> tuple[R, ...]:
        """Return the rows of all VMs except *machines*, hashes of ids."""
        return tuple(row for machine, row in self.by_machine if machine not in machines)


@dataclass(frozen=True, slots=True)
class StoredRequest:
    """A request with all its grants; *rows* and *row* are empty if it comes from history."""

    request: Request
    grants: tuple[Grant, ...]
    row: Row | None = None
    rows: tuple[GrantRow, ...] = ()

    @property
    def status(self) -> Status:
        """The least advanced status of its grants, without closed ones."""
        return status_of(self.grants)


def find_earliest_check(grants: Sequence[Grant]) -> datetime:
    """Return the instant of the next work on *grants*; closed ones only have to move to history."""
    live = [grant for grant in grants if grant.live]
    return min(grant.next_check_at for grant in live or grants)


def group_by_machine(grants: Iterable[Grant]) -> list[list[Grant]]:
    """Group a request's grants by VM, in order."""
    groups: dict[str, list[Grant]] = {}
    for grant in grants:
        groups.setdefault(grant.vm_key, []).append(grant)
    return list(groups.values())


def sort_grants(grants: Iterable[Grant]) -> tuple[Grant, ...]:
    """Return grants by the place of their VM in the request's body, then by port number."""
    return tuple(sorted(grants, key=_ordinal))


def merge_grants(older: Iterable[Grant], newer: Iterable[Grant]) -> tuple[Grant, ...]:
    """Return *newer* grants with each id that *older* versions recorded: no id is lost."""
    found = {grant.id: grant for grant in older}
    for grant in newer:
        before = found.get(grant.id, grant)
        found[grant.id] = replace(
            grant,
            initiate=replace(grant.initiate, ids=_merge(before.initiate.ids, grant.initiate.ids)),
            footprint=Footprint(
                rules=_merge(before.footprint.rules, grant.footprint.rules),
                companions=_merge(before.footprint.companions, grant.footprint.companions),
                private_ips=_merge(before.footprint.private_ips, grant.footprint.private_ips),
            ),
        )
    return sort_grants(found.values())


def _merge(older: tuple[str, ...], newer: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*older, *newer)))


def _ordinal(grant: Grant) -> tuple[int, int]:
    _, index, port = grant.id.rsplit("-", 2)
    return int(index), int(port)
