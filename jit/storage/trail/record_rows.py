"""
Rows of audit chains: records, and the head of each chain.

The texts of a record stand beside its document, in properties of their own. They can be erased; the
document is what is hashed, and never changes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from jit.domain.audit import chain
from jit.domain.audit.chain import Head, Record
from jit.storage.documents import (
    Column,
    ColumnMap,
    RowKind,
    read_document,
    read_text,
    write_text,
)
from jit.storage.table import Row

HEAD_KEY, RECORDS = "h", "c"
"""The row key of a head in the partition of its chain, and the prefix of the keys of records."""

TEXTS = "Texts"
"""Property that holds the texts of a record; ``Texts1``, … hold the parts after the first."""

HEAD_KIND = RowKind("heads of audit chains")
HEAD = ColumnMap(Head, Column("Sequence", "sequence"), Column("Hash", "hash"))

RECORD_KIND = RowKind("audit records")
RECORD = ColumnMap(
    Record,
    Column("Sequence", "sequence"),
    Column("Previous", "previous"),
    Column("Hash", "hash"),
    Column("RecordedAt", "recorded_at"),
    Column("Erased", "erased", default=False, is_sparse=True),
)


def make_record_key(sequence: int) -> str:
    """Return the row key of a record."""
    return f"{RECORDS}|{sequence:012d}"


def write_record_row(record: Record) -> Row:
    """Return the row of a record; queries select by the columns beside the document."""
    event = record.event
    texts = json.dumps(record.texts, sort_keys=True, separators=(",", ":"))
    values: dict[str, Any] = RECORD.write(record) | {
        "What": str(event.get("what") or ""),
        "Actor": str(event.get("actor") or ""),
        "RequestId": str(event.get("requestId") or ""),
        **write_text(chain.write_canonical_json(event)),
        **(write_text(texts, TEXTS) if record.texts else {}),
    }
    return Row(
        partition=record.chain,
        key=make_record_key(record.sequence),
        values=RECORD_KIND.add_format(values),
    )


def read_record(row: Row) -> Record:
    """
    Return the record of a row.

    Raises:
        Defect: This version cannot read the row.
    """
    return RECORD_KIND.read(row, parse_record)


def parse_record(row: Row) -> Record:
    """Return the record of a row; raise whatever its columns give rise to."""
    texts = json.loads(read_text(row, TEXTS) or "{}")
    return RECORD.read(row.values, chain=row.partition, event=read_document(row), texts=texts)


def erase_texts(row: Row) -> Row:
    """Return the row of a record without its texts and their salts; the rest is as it was."""
    kept: Mapping[str, Any] = {
        name: value for name, value in row.values.items() if not name.startswith(TEXTS)
    }
    return replace(row, values={**kept, "Erased": True})


def read_head(chain_name: str, row: Row | None) -> Head:
    """
    Return the head of a row; without a row, that of an empty chain.

    Raises:
        Defect: This version cannot read the row.
    """
    if row is None:
        return Head(chain=chain_name)
    return HEAD_KIND.read(row, lambda stored: HEAD.read(stored.values, chain=chain_name))


def write_head_row(head: Head) -> Row:
    """Return the row of a head."""
    values = HEAD_KIND.add_format(HEAD.write(head))
    return Row(partition=head.chain, key=HEAD_KEY, values=values)
