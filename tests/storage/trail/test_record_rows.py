"""Rows of audit chains: a record with its texts, and without them once they are erased."""

import json
from dataclasses import replace

import pytest

from jit.domain.audit import chain
from jit.domain.audit.chain import Head
from jit.domain.audit.texts import split_texts
from jit.domain.errors import Defect
from jit.storage.documents import FORMAT
from jit.storage.trail.record_rows import (
    erase_texts,
    make_record_key,
    read_head,
    read_record,
    write_head_row,
    write_record_row,
)

CHAIN = "5c0ffee0-0000-4000-8000-000000000001"
SALT = "00112233445566778899aabbccddeeff"
AT = "2026-11-22T12:00:00.000000Z"


def a_record(text="shift over"):
    event = {"what": "grant.closed", "texts": {"reason": {"salt": SALT, "text": text}}}
    hashed, texts = split_texts(event)
    return replace(chain.append(Head(chain=CHAIN), hashed, recorded_at=AT), texts=texts)


@pytest.mark.parametrize("text", ["shift over", "é\n", "x" * 100_000])
def test_a_record_is_read_with_its_texts(text):
    """However long they are."""
    record = read_record(write_record_row(a_record(text)))

    assert (record, record.texts) == (a_record(text), a_record(text).texts)
    assert not record.erased


def test_an_erased_record_has_neither_texts_nor_salts_and_the_same_hash():
    """The salted hash stays: the chain says that there was a text."""
    row = erase_texts(write_record_row(a_record("x" * 100_000)))

    record = read_record(row)
    assert (record.erased, record.texts) == (True, {})
    assert chain.digest(record) == record.hash == a_record("x" * 100_000).hash
    assert SALT not in json.dumps(dict(row.values))


def test_a_record_that_was_never_erased_has_no_column_for_it():
    """A record of an older version is the same row."""
    assert "Erased" not in write_record_row(a_record()).values


def test_keys_of_records_sort_by_sequence():
    assert sorted(map(make_record_key, [10, 9, 1000])) == [
        "c|000000000009",
        "c|000000000010",
        "c|000000001000",
    ]


def test_a_head_is_read_as_it_was_written():
    head = chain.head_of(a_record())

    assert read_head(CHAIN, write_head_row(head)) == head
    assert read_head(CHAIN, None) == Head(chain=CHAIN)


def test_a_record_of_a_newer_version_is_a_defect():
    row = write_record_row(a_record())
    newer = replace(row, values={**row.values, FORMAT: 9})

    with pytest.raises(Defect):
        read_record(newer)
