"""The queries of the audit trail: filters, formats, and the place at which a page begins."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Mapping
from enum import StrEnum
from hashlib import sha256
from typing import Any, TypeVar

from jit.api.query import OF_THE_HOST, TOKEN, list_unknown
from jit.broker.auditing.record_pages import BEGINNING, GROUP, RecordPlace
from jit.domain.audit.record_filter import RecordFilter
from jit.domain.errors import InvalidRequest, Malformed, NotFound, Violation
from jit.domain.model.people import Person
from jit.domain.requests.fields import TEXT_TOO_LONG
from jit.domain.values.arm_ids import UUID
from jit.domain.values.json_pointer import ROOT, at
from jit.domain.values.times import parse_instant

FORMAT_UNKNOWN = "format-unknown"
CHAIN_UNKNOWN = "chain-unknown"
NUMBER_MALFORMED = "number-malformed"
TOKEN_MALFORMED = "token-malformed"  # noqa: S105 - the code of a fault

_TEXTS = ("person", "vm", "request", "ticket", "what")
_KNOWN = ("subscription", "from", "to", *_TEXTS, "format", TOKEN)
_LONGEST = 1024  # characters of a filter, and of a token
_MARK = 12  # characters
_CHAIN = re.compile(rf"{UUID}|people")
_NUMBER = re.compile(r"0|[1-9][0-9]{0,11}")
_MOST = 10**12

T = TypeVar("T")


class RecordFormat(StrEnum):
    """How records are written."""

    JSON = "json"
    JSONL = "jsonl"
    CSV = "csv"


def read_records_query(
    query: Mapping[str, str], caller: Person
) -> tuple[RecordFilter, RecordFormat, RecordPlace]:
    """
    Read the query of ``GET audit``: filters, format, and the place at which a page begins.

    Raises:
        InvalidRequest: It names every fault, that of the token included.
    """
    faults = list_unknown(set(query) - OF_THE_HOST, _KNOWN)
    texts = {name: _read_text(query, name, faults) for name in _TEXTS}
    wanted = RecordFilter(
        chain=_read(query, "subscription", _parse_chain, faults),
        since=_read(query, "from", parse_instant, faults),
        until=_read(query, "to", parse_instant, faults),
        **texts,
    )
    written = _read(query, "format", _parse_format, faults) or RecordFormat.JSON
    begin = _read(query, TOKEN, lambda text: _parse_token(text, query, caller), faults)
    if faults:
        raise InvalidRequest("the query has faults", tuple(faults))
    return wanted, written, begin or BEGINNING


def write_record_token(
    place: RecordPlace | None, query: Mapping[str, str], caller: Person
) -> str | None:
    """
    Return the continuation token of a page of records; None if there is no next page.

    It holds no secret and proves nothing: it is for the same caller and the same parameters.
    """
    if place is None:
        return None
    document = [place.behind, place.ends, _make_mark(query, caller)]
    text = json.dumps(document, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def read_chain_name(name: str) -> str:
    """
    Return the name of a chain in a path, in lower case.

    Raises:
        NotFound: No chain can have it.
    """
    try:
        return _parse_chain(name)
    except Malformed as error:
        raise NotFound("there is no such chain") from error


def read_after(query: Mapping[str, str]) -> int:
    """
    Return the sequence after which an export begins: 0 for the whole chain.

    Raises:
        InvalidRequest: It is no number.
    """
    faults: list[Violation] = []
    after = _read(query, "after", _parse_number, faults)
    if faults:
        raise InvalidRequest("the query has faults", tuple(faults))
    return after or 0


def _read(
    query: Mapping[str, str], name: str, parse: Callable[[str], T], faults: list[Violation]
) -> T | None:
    text = query.get(name)
    if text is None:
        return None
    try:
        return parse(text)
    except Malformed as error:
        faults.append(Violation(at(ROOT, name), error.code, str(error)))
        return None


def _read_text(query: Mapping[str, str], name: str, faults: list[Violation]) -> str | None:
    text = query.get(name)
    if text is not None and len(text) > _LONGEST:
        detail = f"characters: {len(text)}; write at most {_LONGEST}"
        faults.append(Violation(at(ROOT, name), TEXT_TOO_LONG, detail))
        return None
    return text


def _parse_chain(text: str) -> str:
    name = text.lower()
    if _CHAIN.fullmatch(name) is None:
        raise Malformed(CHAIN_UNKNOWN, "name a chain by the id of a subscription, or people")
    return name


def _parse_format(text: str) -> RecordFormat:
    try:
        return RecordFormat(text)
    except ValueError as error:
        detail = f"a format is one of {', '.join(RecordFormat)}"
        raise Malformed(FORMAT_UNKNOWN, detail) from error


def _parse_number(text: str) -> int:
    if _NUMBER.fullmatch(text) is None:
        raise Malformed(NUMBER_MALFORMED, "write the sequence of a record, 0 or more")
    return int(text)


def _parse_token(text: str, query: Mapping[str, str], caller: Person) -> RecordPlace:
    """Return the place of a token; refuse one that `write_record_token` did not write for this."""
    try:
        padded = text[:_LONGEST].encode() + b"=="
        behind, ends, mark = json.loads(base64.b64decode(padded, b"-_"))
        place = RecordPlace(behind, tuple((name, end) for name, end in ends))
    except (binascii.Error, ValueError, TypeError, RecursionError) as error:
        raise _refuse_token() from error
    if mark != _make_mark(query, caller) or not _is_place(place):
        raise _refuse_token()
    return place


def _is_place(place: RecordPlace) -> bool:
    names = [place.behind, *(name for name, _ in place.ends)]
    are_names = all(type(each) is str and _CHAIN.fullmatch(each) for each in names[1:])
    is_behind = type(place.behind) is str and (not place.behind or _CHAIN.fullmatch(place.behind))
    are_ends = all(type(end) is int and 0 < end <= _MOST for _, end in place.ends)
    return bool(are_names and is_behind and are_ends and len(place.ends) <= GROUP)


def _make_mark(query: Mapping[str, str], caller: Person) -> str:
    """Return a text that tells the lists of two callers, or with other parameters, apart."""
    no_part = {TOKEN, *OF_THE_HOST}
    named: list[Any] = sorted((name, text) for name, text in query.items() if name not in no_part)
    return sha256(json.dumps([caller.id, named]).encode()).hexdigest()[:_MARK]


def _refuse_token() -> Malformed:
    detail = "the continuation token is not one of this list: begin the list without it"
    return Malformed(TOKEN_MALFORMED, detail)
