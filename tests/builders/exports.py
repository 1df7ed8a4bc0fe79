"""Exported chains: lines as the broker writes them, with texts, without, and with erased ones."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import repeat
from typing import Any

from jit.domain.audit import chain
from jit.domain.audit.chain import Head, Record
from jit.domain.audit.export_line import write_line
from jit.domain.audit.texts import split_texts
from jit.domain.audit.verification import ERASURE
from jit.storage.keys import write_stamp

CHAIN = "5c0ffee0-0000-4000-8000-000000000001"
ALICE, OLGA = "a11ce000-0000-4000-8000-000000000001", "01ga0000-0000-4000-8000-000000000001"
SALT = "00112233445566778899aabbccddeeff"


def an_event(number: int = 1, *, actor: str = ALICE, **texts: str) -> dict[str, Any]:
    """Return an event as it waits in the outbox, with these texts."""
    event = {
        "at": f"2026-11-22T12:{number // 60:02d}:{number % 60:02d}Z",
        "what": "thing.happened",
        "actor": actor,
        "requestId": f"r{number}",
        "grantId": None,
        "facts": {"number": number},
    }
    told = {name: {"salt": SALT, "text": text} for name, text in texts.items()}
    return event | ({"texts": told} if told else {})


def an_erasure(number: int, person: str) -> dict[str, Any]:
    """Return the event of an erasure."""
    event = an_event(number, actor=OLGA, reason="asked for it")
    return event | {"what": ERASURE, "facts": {"person": person}}


def make_records(
    events: Iterable[dict[str, Any]], *, name: str = CHAIN, times: Sequence[datetime] = ()
) -> list[Record]:
    """Return the records of a chain of these events, each recorded at its time, else at noon."""
    records, head = list[Record](), Head(chain=name)
    noon = datetime(2026, 11, 22, 12, tzinfo=UTC)
    for event, at in zip(events, times or repeat(noon), strict=False):
        hashed, texts = split_texts(event)
        record = chain.append(head, hashed, recorded_at=write_stamp(at))
        records.append(replace(record, texts=texts))
        head = chain.head_of(record)
    return records


def erase(record: Record) -> Record:
    """Return *record* without its texts."""
    return replace(record, texts={}, erased=True)


def write_lines(records: Iterable[Record]) -> list[bytes]:
    """Return the lines of an export."""
    return [write_line(record).encode("ascii") for record in records]


def a_trail(count: int = 5) -> list[Record]:
    """Return records: the last but one has no text, the last has two, the others have one."""
    events = [an_event(number, reason=f"because of {number}") for number in range(1, count - 1)]
    return make_records(
        [*events, an_event(count - 1), an_event(count, reason="é", justification="a\tb\n")]
    )
