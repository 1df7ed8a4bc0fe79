r"""
The audit chain: each record names the hash of the one before it.

How to verify a chain offline. A record's hash is the SHA-256, in lower-case hexadecimal, of the
bytes of one JSON object with the members ``chain``, ``event``, ``previous``, ``recordedAt`` and
``sequence``, written like this: members sorted by name at every depth, no space between tokens,
every character outside ASCII as ``\uXXXX`` (lower-case digits, surrogate pairs), control
characters too unless JSON has a short form for them (``\n``), numbers as they stand. In Python:
``json.dumps(value, sort_keys=True, separators=(",", ":"))``. ``chain`` is the subscription id,
lower-case; sequences count from 1 without a gap; the first ``previous`` is 64 zeros. ``event`` has
salted hashes in place of texts (`jit.domain.audit.texts`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any

from jit.domain.audit.texts import Texts

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """
    The end of a chain.

    Attributes:
        chain: Subscription id, lower-case.
        sequence: Sequence of the last record; 0 for an empty chain.
        hash: Hash of the last record; 64 zeros for an empty chain.
    """

    chain: str
    sequence: int = 0
    hash: str = "0" * 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """
    One link of a chain.

    Attributes:
        chain: Subscription id, lower-case.
        sequence: 1, 2, 3, …
        previous: Hash of the record before.
        recorded_at: Time of the append, RFC 3339, UTC; the event has its own time.
        event: JSON of the event, as `split_texts` returns it. It has hashes in place of texts.
        hash: `digest` of the attributes above.
        texts: The texts beside the chain, by name; no hash of the chain depends on their presence.
        erased: True if they were erased.
    """

    chain: str
    sequence: int
    previous: str
    recorded_at: str
    event: Json
    hash: str
    texts: Texts = field(default_factory=dict, compare=False)
    erased: bool = field(default=False, compare=False)


def append(head: Head, event: Json, *, recorded_at: str) -> Record:
    """Return the record that follows *head*."""
    record = Record(
        chain=head.chain,
        sequence=head.sequence + 1,
        previous=head.hash,
        recorded_at=recorded_at,
        event=event,
        hash="",
    )
    return replace(record, hash=digest(record))


def head_of(record: Record) -> Head:
    """Return the head of a chain with *record* as its last record."""
    return Head(chain=record.chain, sequence=record.sequence, hash=record.hash)


def digest(record: Record) -> str:
    """Return the hash that *record* should have."""
    return sha256(write_hashed(record).encode()).hexdigest()


def write_hashed(record: Record) -> str:
    """Return the canonical JSON of *record* that is hashed."""
    value = {
        "chain": record.chain,
        "event": record.event,
        "previous": record.previous,
        "recordedAt": record.recorded_at,
        "sequence": record.sequence,
    }
    return write_canonical_json(value)


def write_canonical_json(value: object) -> str:
    """Write JSON in the one form that is hashed; ASCII only."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def verify(records: Iterable[Record], *, start: Head, end: Head | None = None) -> int | None:
    """
    Return the first sequence that is broken: altered, missing or out of place.

    Args:
        records: In order, beginning right after *start*.
        start: ``Head(chain=subscription)`` for a whole chain, else a head that was kept.
        end: The last anchored head. Without it, nobody notices if records at the end are missing:
            therefore anchors are kept elsewhere.

    Returns:
        None if every record has the right hash and follows the one before.
    """
    head = start
    for record in records:
        expected = append(head, record.event, recorded_at=record.recorded_at)
        if record != expected:
            return head.sequence + 1
        head = head_of(record)
        if end is not None and head.sequence == end.sequence and head != end:
            return head.sequence
    return head.sequence + 1 if end is not None and head.sequence < end.sequence else None
