"""
Rows of audit events: one event each, or several.

One row may hold several events, if they belong to one transaction. A pass over a crowd tells one
event of each grant, and a row costs more than an event.

An event that is too large for a row has the digest of its facts in their place.
"""

from __future__ import annotations

import itertools
import json
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import reduce
from hashlib import sha256
from typing import Any, NamedTuple

from jit.domain.audit.event import Event
from jit.domain.audit.texts import SALT_BYTES, split_texts
from jit.storage import keys
from jit.storage.documents import LARGEST, RowKind, read_document, write_text
from jit.storage.table import BYTES, OPERATIONS, Op, Row, measure_op

ONE_KIND, SEVERAL_KIND = RowKind("an audit event"), RowKind("audit events", newest=2)
OUTBOX_KIND = RowKind("audit events with texts", newest=3)
"""
A row with one event has format 1, as ever; a row with several has format 2.

A row with texts has format 3: an older version would write the texts into the chain.
"""

MOST_TOGETHER = 40
"""Events of one row: the drainer appends them in one transaction, each as a record of its own."""

_CHARACTERS = 120_000  # in a row of several events; a longer event has its own row

_numbers = itertools.count()  # one for each event of this process


def write_event_row(partition: str, event: Event) -> Row:
    """
    Return the outbox row of an event.

    Its key sorts by time, then by the order in which this process wrote events, and never repeats.
    So a cause comes before its effect, although both may have the same instant.

    If its facts are too long for a row, their digest stands in their place: an act that is recorded
    before it is made must not wait for ever.
    """
    return _write_row(partition, [(event, _write_event(event))])


def _write_event(event: Event) -> str:
    """
    Return *event* as JSON that a row can hold, each text with a salt.

    The salts are chosen here, once: if the row is appended twice, both records are the same.
    """
    texts = {
        name: {"salt": secrets.token_hex(SALT_BYTES), "text": text}
        for name, text in event.list_texts().items()
    }
    beside = {"texts": texts} if texts else {}
    text = json.dumps(event.doc() | beside)
    if len(text) <= LARGEST:
        return text
    facts = json.dumps(event.facts, sort_keys=True)
    digest = {"sha256": sha256(facts.encode()).hexdigest(), "characters": len(facts)}
    return json.dumps(replace(event, facts=digest).doc() | beside)


def _make_event_key(at: datetime) -> str:
    order = f"{next(_numbers):012d}"
    return f"{keys.OUTBOX}|{keys.write_stamp(at)}|{order}|{secrets.token_hex(8)}"


class _Fill(NamedTuple):
    """The number of rows of events, with the events and characters in the last one."""

    rows: int = 0
    events: int = 0
    characters: int = 0

    def add(self, text: str) -> _Fill:
        """Return the fill with one more event: in the last row, or in a new one."""
        characters = self.characters + len(text)
        if not self.rows or self.events == MOST_TOGETHER or characters > _CHARACTERS:
            return _Fill(self.rows + 1, 1, len(text))
        return _Fill(self.rows, self.events + 1, characters)


def pack_changes(
    changes: Iterable[tuple[Op, Sequence[Event]]], partition: str
) -> Iterator[tuple[list[Op], list[Row]]]:
    """
    Yield operations in order, with the outbox rows of their events: each group fits a transaction.

    An operation that is too large by itself, with its events, is a group of its own.
    """
    ops, told, fill, size = list[Op](), list[tuple[Event, str]](), _Fill(), 0
    for op, events in changes:
        texts = [_write_event(event) for event in events]
        more = measure_op(op) + 2 * sum(map(len, texts))
        after = reduce(_Fill.add, texts, fill)
        if ops and (len(ops) + 1 + after.rows > OPERATIONS or size + more > BYTES):
            yield ops, _write_rows(partition, told)
            ops, told, size = [], [], 0
            after = reduce(_Fill.add, texts, _Fill())
        ops.append(op)
        told += zip(events, texts, strict=True)
        fill, size = after, size + more
    if ops:
        yield ops, _write_rows(partition, told)


def _write_rows(partition: str, told: Iterable[tuple[Event, str]]) -> list[Row]:
    """Return the outbox rows of events, each given with its JSON, in their order."""
    groups: list[list[tuple[Event, str]]] = []
    fill = _Fill()
    for event, text in told:
        fill = fill.add(text)
        if fill.rows > len(groups):
            groups.append([])
        groups[-1].append((event, text))
    return [_write_row(partition, group) for group in groups]


def _write_row(partition: str, told: Sequence[tuple[Event, str]]) -> Row:
    texts = [text for _, text in told]
    kind, text = (ONE_KIND, texts[0]) if len(told) == 1 else (SEVERAL_KIND, f"[{', '.join(texts)}]")
    if any(event.list_texts() for event, _ in told):
        kind = OUTBOX_KIND
    key = _make_event_key(told[0][0].at)
    return Row(partition=partition, key=key, values=kind.add_format(write_text(text)))


def read_events(row: Row) -> tuple[Mapping[str, Any], ...]:
    """
    Return the events of a row, as JSON, in their order; ``texts`` has texts with their salts.

    Raises:
        Defect: This version cannot read the row.
    """
    return OUTBOX_KIND.read(row, _parse_events)


def check_events(row: Row) -> Row:
    """Return *row*, if its events can be read, and their texts can be hashed."""
    for event in _parse_events(row):
        split_texts(event)
    return row


def _parse_events(row: Row) -> tuple[Mapping[str, Any], ...]:
    document = read_document(row)
    return tuple(document) if isinstance(document, list) else (document,)
