"""
JSON read from bytes without surprises.

`json.loads` alone accepts NaN and keeps the last of two equal keys. It ends in a RecursionError on
deep input, turns ``1e999`` into infinity, and raises an error of its own on integers of 4,301
digits.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterator

from jit.domain.errors import InvalidRequest, TooLarge, Violation
from jit.domain.requests.json_node import WRONG_TYPE, name_type
from jit.domain.values.json_pointer import ROOT, at

TOO_LARGE = "body-too-large"
EMPTY = "body-empty"
ENCODING = "body-not-utf8"
MALFORMED = "json-malformed"
DEPTH = "json-too-deep"
DUPLICATE_KEY = "json-duplicate-key"
NUMBER = "json-number"
SURROGATE = "json-surrogate"

_LONGEST_NUMBER = 40
_MOST_VIOLATIONS = 1000
_BOM = b"\xef\xbb\xbf"  # RFC 8259 section 8.1: a parser may ignore it, and PowerShell sends it
_SURROGATE = re.compile(r"[\ud800-\udfff]")
# Possessive, and never failing once a quote is passed: linear on any input.
_TOKEN = re.compile(r'[\[{]|[\]}]|"(?:[^"\\]|\\.?)*+"?', re.DOTALL)


def read_bytes(body: bytes, *, limit: int = 65_536, depth: int = 16) -> dict[str, object]:
    """
    Read the JSON object in *body*.

    Args:
        body: As sent; UTF-8, a byte order mark in front is ignored.
        limit: Bytes at most.
        depth: Levels of nested lists and objects at most; the object itself is the first.

    Returns:
        A value of dict, list, str, int, float, bool, None; every string has a UTF-8 form, every
        number is finite and was at most 40 characters long.

    Raises:
        TooLarge: More than *limit* bytes.
        InvalidRequest: With one violation per fault: ``body-empty``, ``body-not-utf8``,
            ``json-malformed``, ``json-too-deep``, ``json-duplicate-key``, ``json-number``,
            ``json-surrogate``, ``wrong-type``.
    """
    if len(body) > limit:
        raise TooLarge(
            f"The body has {len(body)} bytes; at most {limit} are accepted.",
            (Violation(ROOT, TOO_LARGE, f"at most {limit} bytes are accepted"),),
        )
    text = _decode(body.removeprefix(_BOM))
    _check_depth(text, depth)
    value = _parse(text)
    violations = tuple(_find_faults(value, ROOT))[:_MOST_VIOLATIONS]
    if violations:
        raise InvalidRequest("The body is not acceptable JSON.", violations)
    if not isinstance(value, dict):
        raise _make_error(WRONG_TYPE, f"the body must be an object, not {name_type(value)}")
    return value


def read_optional_bytes(
    body: bytes, *, limit: int = 65_536, depth: int = 16
) -> dict[str, object] | None:
    """Read the JSON object in *body* as `read_bytes` does; return None if the body is blank."""
    blank = len(body) <= limit and not body.removeprefix(_BOM).strip(b" \t\r\n")
    return None if blank else read_bytes(body, limit=limit, depth=depth)


class _BadNumber:
    """The place of a number that cannot be kept."""


class _DoubledKeys(dict[str, object]):
    """An object with keys that occur more than once."""

    def __init__(self, pairs: list[tuple[str, object]]) -> None:
        super().__init__(pairs)
        keys = [key for key, _ in pairs]
        self.doubled = {key for key, times in Counter(keys).items() if times > 1}


def _decode(body: bytes) -> str:
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise _make_error(ENCODING, f"byte {error.start} is not UTF-8") from error
    if not text.strip(" \t\r\n"):
        raise _make_error(EMPTY, "a JSON object is required")
    return text


def _check_depth(text: str, most: int) -> None:
    level = 0
    for token in _TOKEN.finditer(text):
        level += {"[": 1, "{": 1, "]": -1, "}": -1}.get(token[0], 0)
        if level > most:
            raise _make_error(DEPTH, f"at most {most} levels of lists and objects are accepted")


def _parse(text: str) -> object:
    try:
        return json.loads(
            text,
            object_pairs_hook=_build_object,
            parse_int=_read_integer,
            parse_float=_read_float,
            parse_constant=lambda _: _BadNumber(),
        )
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise _make_error(MALFORMED, f"not JSON at {where}") from error


def _build_object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    plain = dict(pairs)
    return plain if len(plain) == len(pairs) else _DoubledKeys(pairs)


def _read_integer(literal: str) -> int | _BadNumber:
    return int(literal) if len(literal) <= _LONGEST_NUMBER else _BadNumber()


def _read_float(literal: str) -> float | _BadNumber:
    number = float(literal) if len(literal) <= _LONGEST_NUMBER else math.inf
    return number if math.isfinite(number) else _BadNumber()


def _find_faults(value: object, pointer: str) -> Iterator[Violation]:
    """Yield the faults that `json.loads` accepts; the depth of *value* has been checked."""
    if isinstance(value, _BadNumber):
        yield Violation(pointer, NUMBER, "a number must be finite and of at most 40 characters")
    elif isinstance(value, str) and _SURROGATE.search(value):
        yield Violation(pointer, SURROGATE, "half a surrogate pair is not a character")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _find_faults(item, at(pointer, index))
    elif isinstance(value, dict):
        yield from _find_object_faults(value, pointer)


def _find_object_faults(value: dict[str, object], pointer: str) -> Iterator[Violation]:
    doubled = value.doubled if isinstance(value, _DoubledKeys) else ()
    for key, item in value.items():
        below = at(pointer, key)
        if key in doubled:
            yield Violation(below, DUPLICATE_KEY, "this key stands more than once in its object")
        if _SURROGATE.search(key):
            yield Violation(below, SURROGATE, "half a surrogate pair is not a character")
        yield from _find_faults(item, below)


def _make_error(code: str, detail: str) -> InvalidRequest:
    return InvalidRequest("The body cannot be read.", (Violation(ROOT, code, detail),))
