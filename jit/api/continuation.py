"""
Continuation tokens: the place at which the next page of a list begins.

A token holds no secret and proves nothing. A list with a forged token begins elsewhere, and still
shows only the requests that its caller may see. A token names no other request.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from jit.api.query import OF_THE_HOST, TOKEN
from jit.broker.requests.filters import BEGINNING, Place
from jit.domain.errors import InvalidRequest, Violation
from jit.domain.model.people import Person
from jit.domain.values.arm_ids import UUID

_LONGEST = 256  # characters; ours are shorter, and a long one could nest too deep to be read
_MARK = 12  # characters
_OLDEST = 12 * 9999  # the age of a month in months, at most
_AFTER = re.compile(r"|[0-9a-z]{26}|(?:[0-9a-z]{26}\|){2}[0-9a-z]{52}|[0-9a-z]{52}")
"""Nothing, a hash in a row key, the hashes and the id in the key of grants, an id."""
_SUBSCRIPTION = re.compile(UUID)


def write_token(place: Place | None, query: Mapping[str, str], caller: Person) -> str | None:
    """
    Return the continuation token of a list; None if there is no next page.

    Args:
        place: The place at which the next page begins.
        query: The parameters of the list; the token is for the same ones.
        caller: The token is for the same person.
    """
    if place is None:
        return None
    document = [*place.section, place.after, _make_mark(query, caller)]
    text = json.dumps(document, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def read_token(query: Mapping[str, str], caller: Person) -> Place:
    """
    Return the place of the continuation token; the beginning of the list if there is none.

    Raises:
        InvalidRequest: ``write_token`` did not write it for this caller and these parameters.
    """
    token = query.get(TOKEN)
    if token is None:
        return BEGINNING
    age, subscription, after, mark = _read_document(token)
    is_place = type(age) is int and 0 <= age <= _OLDEST and _matches(_SUBSCRIPTION, subscription)
    if not (is_place and _matches(_AFTER, after) and mark == _make_mark(query, caller)):
        raise _refuse_token()
    return Place((age, subscription), after)


def _read_document(token: str) -> tuple[Any, Any, Any, Any]:
    padded = token[:_LONGEST].encode() + b"=="
    try:
        age, subscription, after, mark = json.loads(base64.b64decode(padded, b"-_"))
    except (binascii.Error, ValueError, TypeError, RecursionError) as error:
        raise _refuse_token() from error
    return age, subscription, after, mark


def _matches(pattern: re.Pattern[str], value: object) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None


def _make_mark(query: Mapping[str, str], caller: Person) -> str:
    """Return a text that tells the lists of two callers, or with other parameters, apart."""
    named = sorted((name, value) for name, value in query.items() if name not in _NO_PART)
    return sha256(json.dumps([caller.id, named]).encode()).hexdigest()[:_MARK]


_NO_PART = {TOKEN, *OF_THE_HOST}


def _refuse_token() -> InvalidRequest:
    detail = "the continuation token is not one of this list: begin the list without it"
    return InvalidRequest(detail, (Violation(f"#/{TOKEN}", "token-malformed", detail),))
