"""A request as read: whole, with the rows that its grants stand in."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from jit.domain.model.grant import Footprint, Grant, Status, status_of
from jit.domain.model.request import Request
from jit.domain.values import arm_ids
from jit.storage.table import Row


@dataclass(frozen=True, slots=True)
class GrantRow:
    """One row of grants as read: a request's grants on one VM."""

    row: Row
    grants: tuple[Grant, ...]

    @property
    def request_id(self) -> str:
        """The request these grants belong to."""
        return self.grants[0].request_id


@dataclass(frozen=True, slots=True)
class StoredRequest:
    """A request with all its grants; *rows* and *row* are empty for one from history."""

    request: Request
    grants: tuple[Grant, ...]
    row: Row | None = None
    rows: tuple[GrantRow, ...] = ()

    @property
    def status(self) -> Status:
        """The least advanced of its grants that is not closed."""
        return status_of(self.grants)


def by_machine(grants: Iterable[Grant]) -> list[list[Grant]]:
    """Group a request's grants by VM, in order."""
    groups: dict[str, list[Grant]] = {}
    for grant in grants:
        groups.setdefault(arm_ids.key(grant.vm_id), []).append(grant)
    return list(groups.values())


def in_order(grants: Iterable[Grant]) -> tuple[Grant, ...]:
    """Return grants in the order of the request's body."""
    return tuple(sorted(grants, key=_ordinal))


def united(older: Iterable[Grant], newer: Iterable[Grant]) -> tuple[Grant, ...]:
    """Return *newer* grants with every id that *older* versions knew; nothing is forgotten."""
    found = {grant.id: grant for grant in older}
    for grant in newer:
        before = found.get(grant.id, grant)
        found[grant.id] = replace(
            grant,
            initiate=replace(grant.initiate, ids=_both(before.initiate.ids, grant.initiate.ids)),
            footprint=Footprint(
                rules=_both(before.footprint.rules, grant.footprint.rules),
                companions=_both(before.footprint.companions, grant.footprint.companions),
                private_ips=_both(before.footprint.private_ips, grant.footprint.private_ips),
            ),
        )
    return in_order(found.values())


def _both(older: tuple[str, ...], newer: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*older, *newer)))


def _ordinal(grant: Grant) -> tuple[int, int]:
    _, index, port = grant.id.rsplit("-", 2)
    return int(index), int(port)
