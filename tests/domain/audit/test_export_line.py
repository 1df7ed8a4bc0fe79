"""Lines of an exported chain: three parts that fit each other."""

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jit.domain.audit.chain import write_hashed
from jit.domain.audit.export_line import parse_line, write_line
from tests.builders.exports import CHAIN, SALT, an_event, erase, make_records

(TOLD,) = make_records([an_event(reason="shift over")])
(PLAIN,) = make_records([an_event()])


def a_line(record):
    return write_line(record).encode("ascii")


def with_texts(texts):
    """The line of a record with other bytes in the place of its texts."""
    hashed, digest, _ = a_line(TOLD).split(b"\t")
    return b"\t".join((hashed, digest, texts + b"\n"))


def test_a_line_can_be_checked_with_the_documentation_alone():
    """The hash of a part is that of its bytes; a text has the salted hash in the record."""
    hashed, digest, texts = a_line(TOLD).rstrip(b"\n").split(b"\t")

    assert sha256(hashed).hexdigest() == digest.decode()
    assert hashed.decode() == write_hashed(TOLD)
    assert texts.decode() == f'{{"reason":{{"salt":"{SALT}","text":"shift over"}}}}'


@pytest.mark.parametrize(
    ("record", "is_erased"), [(TOLD, False), (PLAIN, False), (erase(TOLD), True)]
)
def test_a_line_is_read_as_it_was_written(record, is_erased):
    found = parse_line(a_line(record))

    assert (found.chain, found.sequence, found.previous) == (CHAIN, 1, "0" * 64)
    assert (found.hash, found.event, found.is_erased) == (record.hash, record.event, is_erased)


@given(st.text(alphabet=st.characters(exclude_categories=())))
def test_every_text_stands_in_one_line(text):
    """Tabs, newlines and lone surrogates too."""
    (record,) = make_records([an_event(reason=text)])

    line = a_line(record)
    assert (line.count(b"\n"), line.count(b"\t")) == (1, 2)
    assert parse_line(line).hash == record.hash


@pytest.mark.parametrize(
    "texts",
    [
        b"",
        b"{}",
        b"null",
        b'{"erased":1}',
        b'{"reason":"shift over"}',
        b'{"reason":{"salt":"","text":"shift over"}}',
        f'{{"reason":{{"salt":"{SALT}","text":"shift over" }}}}'.encode(),
        f'{{"reason":{{"salt":"{SALT.upper()}","text":"shift over"}}}}'.encode(),
        f'{{"reason":{{"salt":"{SALT}","text":"shift over","x":1}}}}'.encode(),
        f'{{"reason":{{"salt":"{SALT}","text":"\\u0073hift over"}}}}'.encode(),
        f'{{"reason":{{"salt":"{SALT}","text":"shift is over"}}}}'.encode(),
        f'{{"reason":{{"salt":"{SALT}","text":"shift over"}},"x":{{}}}}'.encode(),
    ],
)
def test_texts_that_are_not_those_of_the_record_are_refused(texts):
    """Another text, another spelling of the same one, one too many, one too few."""
    with pytest.raises(ValueError, match=r"\w"):
        parse_line(with_texts(texts))


def test_a_record_without_texts_cannot_be_erased():
    """Else a line would say that something was there."""
    hashed, digest, _ = a_line(PLAIN).split(b"\t")

    with pytest.raises(ValueError, match="record"):
        parse_line(b"\t".join((hashed, digest, b'{"erased":true}\n')))


@pytest.mark.parametrize(
    "hashed",
    [
        b"[]",
        b"1",
        b'{"chain":"x"}',
        b"[" * 100_000,
        b"\xff",
        PLAIN.hash.encode(),
        write_hashed(PLAIN).replace('"sequence":1', '"sequence":true').encode(),
    ],
)
def test_bytes_that_are_no_record_are_refused_although_their_hash_fits(hashed):
    """A forger can hash anything."""
    with pytest.raises(ValueError, match=r"\w"):
        parse_line(b"\t".join((hashed, sha256(hashed).hexdigest().encode(), b"{}\n")))
