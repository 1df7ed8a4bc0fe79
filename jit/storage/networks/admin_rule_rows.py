"""Rows of security admin rules: what Azure listed for each virtual network, and when."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace
from datetime import timedelta

from jit.domain.errors import StateConflict
from jit.domain.model.admin_reading import AdminReading
from jit.domain.values import arm_ids
from jit.storage import keys
from jit.storage.documents import (
    INSTANT,
    LARGEST,
    Column,
    ColumnMap,
    Form,
    RowKind,
    read_document,
    read_text,
    write_document,
)
from jit.storage.table import Op, Row, Table, Verb, Where, delete_rows, read_all

ADMIN_KIND = RowKind("security admin rules")
ADMIN = ColumnMap(
    AdminReading,
    Column("network", "network_id"),
    Column("readAt", "read_at", INSTANT),
    Column("items", "items", Form(tuple, list)),
    Column("unread", "unread", default=""),
    Column("forbidden", "forbidden", default=False),
)
"""The document of a reading. The rules stand in it as ARM returned them."""

_NETWORK = "Network"
_TOO_LARGE = "its security admin rules are too many to be kept"


def parse_admin_reading(row: Row) -> AdminReading:
    """Return the reading of a row of a known format."""
    return ADMIN.read(read_document(row))


def write_admin_row(reading: AdminReading, partition: str, *, etag: str = "") -> Row:
    """Return the row of a reading; if it is too large for a row, it counts as unread."""
    row = _build_row(reading, partition, etag)
    if len(read_text(row)) <= LARGEST:
        return row
    return _build_row(replace(reading, items=(), unread=_TOO_LARGE), partition, etag)


def _build_row(reading: AdminReading, partition: str, etag: str) -> Row:
    values = {_NETWORK: reading.network_id, **write_document(ADMIN.write(reading))}
    key = keys.admin_rules_key(reading.network_id)
    return Row(partition=partition, key=key, values=ADMIN_KIND.add_format(values), etag=etag)


_KEPT = timedelta(days=1)


class AdminRuleRows:
    """
    The readings in ``JitState``, in the partition of their network's subscription.

    A row that this version cannot read is an alert, and counts as missing.
    """

    def __init__(self, state: Table) -> None:
        """Keep the rows in *state*."""
        self._state = state

    def list_readings(self, subscription: str) -> list[AdminReading]:
        """Return the last reading of each network of a subscription."""
        rows = self._list_rows(subscription)
        return list(ADMIN_KIND.read_all(rows, parse_admin_reading))

    def find_readings(self, network_ids: Iterable[str]) -> list[AdminReading]:
        """Return the last readings of some networks; a network that was never read is left out."""
        rows = [row for each in network_ids if (row := self._find_row(each)) is not None]
        return list(ADMIN_KIND.read_all(rows, parse_admin_reading))

    def keep(self, readings: Iterable[AdminReading]) -> None:
        """
        Store *readings*; a reading that is not older, or that somebody stores just now, stays.

        A reading that failed says nothing about the rules: what was read in the last day stays.

        The rows save calls of Azure. No path becomes open because of them.
        """
        for reading in readings:
            old = self._find_row(reading.network_id)
            if old is not None and not _is_replaced(old, reading):
                continue
            partition = arm_ids.subscription(reading.network_id)
            row = write_admin_row(reading, partition, etag=old.etag if old is not None else "")
            try:
                self._state.write([Op(Verb.REPLACE if row.etag else Verb.INSERT, row)])
            except StateConflict:
                continue

    def forget_others(self, subscription: str, network_ids: Iterable[str]) -> None:
        """Delete the rows of a subscription's networks that are not among *network_ids*."""
        kept: Collection[str] = {keys.admin_rules_key(each) for each in network_ids}
        delete_rows(self._state, [r for r in self._list_rows(subscription) if r.key not in kept])

    def _find_row(self, network_id: str) -> Row | None:
        key = keys.admin_rules_key(network_id)
        return self._state.get(arm_ids.subscription(network_id), key)

    def _list_rows(self, subscription: str) -> Iterable[Row]:
        first, last = keys.key_range(keys.ADMIN_RULES)
        return read_all(self._state, Where(partition=subscription, first=first, last=last))


def _is_replaced(row: Row, reading: AdminReading) -> bool:
    """Return True if *reading* says more than the one in *row*."""
    stored = next(ADMIN_KIND.read_all([row], parse_admin_reading), None)
    if stored is None or not reading.unread or reading.forbidden or stored.unread:
        return stored is None or stored.read_at < reading.read_at
    return stored.read_at + _KEPT < reading.read_at
