"""
Lines of an exported chain: the bytes that were hashed, a tab, their hash, a tab, the texts.

A line ends with one newline and is ASCII. The texts are canonical JSON: ``{}`` if the record has
none, ``{"erased":true}`` if they were erased, else each text with its salt. A part can hold
no tab: JSON escapes it.
"""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any, NamedTuple

from jit.domain.audit.chain import Record, write_canonical_json, write_hashed

ERASED = '{"erased":true}'

_NO_TEXTS, _ERASED = b"{}", ERASED.encode()
_decode = json.JSONDecoder().raw_decode
_quote = json.encoder.encode_basestring_ascii
_PARTS = 3
_MEMBERS = {"chain", "event", "previous", "recordedAt", "sequence"}


class ExportLine(NamedTuple):
    """
    A line that was read, and whose parts fit each other.

    Attributes:
        chain: Subscription id, or ``people``.
        sequence: 1, 2, 3, …
        previous: Hash of the record before.
        hash: SHA-256 of the first part.
        event: As it was hashed.
        is_erased: True if the texts were erased.
    """

    chain: str
    sequence: int
    previous: str
    hash: str
    event: dict[str, Any]
    is_erased: bool


def write_line(record: Record) -> str:
    """Return the line of *record*, with its newline."""
    texts = ERASED if record.erased else write_canonical_json(record.texts)
    return f"{write_hashed(record)}\t{record.hash}\t{texts}\n"


def parse_line(line: bytes) -> ExportLine:
    """
    Read a line, and compare the hash with the first part and each text with its salted hash.

    Raises:
        ValueError: A part is malformed, not canonical, or does not fit another one.
    """
    try:
        return _parse_line(line)
    except (LookupError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError("the line is no record of a chain") from error


def _parse_line(line: bytes) -> ExportLine:
    parts = line.split(b"\t")
    if len(parts) != _PARTS:
        raise ValueError("the line has more or fewer than three parts")
    hashed, digest, texts = parts
    expected = sha256(hashed).hexdigest()
    if digest.decode("ascii") != expected:
        raise ValueError("the hash is not that of the record")
    record = _read_json(hashed)
    if record.keys() != _MEMBERS or type(record["sequence"]) is not int:
        raise ValueError("the record has other members")
    event = record["event"]
    is_erased = _check_texts(event.get("texts") or {}, texts)
    return ExportLine(
        record["chain"], record["sequence"], record["previous"], expected, event, is_erased
    )


def _read_json(data: bytes) -> Any:
    """Return JSON without space around it."""
    value, end = _decode(str(data, "ascii"))
    if end != len(data):
        raise ValueError("there is more than one value")
    return value


def _check_texts(hashes: dict[str, str], texts: bytes) -> bool:
    """
    Return True if the texts are erased.

    The bytes must be the one spelling of the texts, which is built here: another one would be an
    edit that no hash shows.
    """
    if texts[-1:] != b"\n":
        raise ValueError("the line has no end")
    found = texts[:-1]
    if found == _ERASED and hashes:
        return True
    if found == _NO_TEXTS and not hashes:
        return False
    told = _read_json(found)
    parts = []
    for name in sorted(told):
        salt, text = told[name]["salt"], told[name]["text"]
        raw = bytes.fromhex(salt)
        if sha256(raw + text.encode("utf-8", "surrogatepass")).hexdigest() != hashes[name]:
            raise ValueError(f"the text {name} is not the one that was hashed")
        parts.append(f'{_quote(name)}:{{"salt":"{raw.hex()}","text":{_quote(text)}}}')
    if len(parts) != len(hashes) or f"{{{','.join(parts)}}}".encode() != found:
        raise ValueError("the texts are not those of the record")
    return False
