"""Query parameters of the API's requests."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

import azure.functions as func

from jit.broker.requests.filters import BEGINNING, DEFAULT_SPAN, Filters, Place
from jit.domain.errors import InvalidRequest, Malformed, Violation
from jit.domain.model.grant import Status
from jit.domain.values import request_ids
from jit.domain.values.json_pointer import ROOT, at
from jit.domain.values.times import parse_instant

_OF_THE_HOST = {"code", "clientId"}  # a function key, and its name
_FILTERS = ("status", "vm", "requester", "person", "ticket", "from", "to", "continuationToken")
_TOKEN = 512  # characters; ours are shorter, and a long one could nest too deep to be read


def refuse_unknown(req: func.HttpRequest, *known: str) -> None:
    """
    Refuse query parameters that are not *known*.

    On a route that changes something, ``?dryrun=true`` must never act.

    Raises:
        InvalidRequest: It names each of them.
    """
    faults = _list_unknown(set(req.params) - _OF_THE_HOST, known)
    if faults:
        raise InvalidRequest("the query has faults", tuple(faults))


def _list_unknown(names: Iterable[str], known: Sequence[str]) -> list[Violation]:
    detail = f"no such parameter; known are {', '.join(known)}" if known else "no such parameter"
    unknown = sorted(set(names) - set(known))
    return [Violation(at(ROOT, name), "unknown-field", detail) for name in unknown]


def read_flag(req: func.HttpRequest, name: str) -> bool:
    """Return a boolean of the query; False if it is missing."""
    text = str(req.params.get(name, "false")).lower()
    if text not in {"true", "false"}:
        detail = f"{name} is true or false"
        raise InvalidRequest(detail, (Violation(f"#/{name}", "wrong-type", detail),))
    return text == "true"


# ---- a list of requests --------------------------------------------------------------------------


def read_filters(query: Mapping[str, str], *, now: datetime) -> Filters:
    """
    Read the query of ``GET access-requests``; ``read_token`` reads the place in its list.

    Raises:
        InvalidRequest: It names every fault, that of the token included.
    """
    faults = _list_unknown(query, _FILTERS)
    end = min(_read_instant(query, "to", faults) or now, now)
    since = _read_instant(query, "from", faults)
    status = _read_status(query.get("status"), faults)
    _check_token(query.get("continuationToken"), faults)
    if faults:
        raise InvalidRequest("the query has faults", tuple(faults))
    return Filters(
        status=status,
        vm=query.get("vm"),
        requester=query.get("requester"),
        person=query.get("person"),
        ticket=query.get("ticket"),
        since=since,
        start=since or end - DEFAULT_SPAN,
        end=end,
    )


def _read_instant(query: Mapping[str, str], name: str, faults: list[Violation]) -> datetime | None:
    text = query.get(name)
    if text is None:
        return None
    try:
        return parse_instant(text)
    except Malformed as error:
        faults.append(Violation(at(ROOT, name), error.code, str(error)))
        return None


def _read_status(text: str | None, faults: list[Violation]) -> Status | None:
    if text is None:
        return None
    try:
        return Status(text)
    except ValueError:
        detail = f"a status is one of {', '.join(Status)}"
        faults.append(Violation("#/status", "status-unknown", detail))
        return None


def write_token(place: Place | None) -> str | None:
    """Return the continuation token for *place*; None if there is no next page."""
    if place is None:
        return None
    document = [place.section[0], place.section[1], place.after]
    return base64.urlsafe_b64encode(json.dumps(document).encode()).decode()


def read_token(token: str | None) -> Place:
    """
    Return the place of a continuation token; the beginning of the list if there is none.

    Raises:
        InvalidRequest: ``write_token`` did not write it.
    """
    if token is None:
        return BEGINNING
    try:
        part, subscription, after = json.loads(base64.urlsafe_b64decode(token[:_TOKEN]))
    except (ValueError, TypeError) as error:
        raise _refuse_token() from error
    if not (isinstance(part, int) and isinstance(subscription, str) and isinstance(after, str)):
        raise _refuse_token()
    if request_ids.parse_request_id(after) is None:
        raise _refuse_token()
    return Place((part, subscription), after)


def _check_token(token: str | None, faults: list[Violation]) -> None:
    try:
        read_token(token)
    except InvalidRequest as error:
        faults.extend(error.violations)


def _refuse_token() -> InvalidRequest:
    detail = "the continuation token is not one of ours: begin the list without it"
    fault = Violation("#/continuationToken", "token-malformed", detail)
    return InvalidRequest(detail, (fault,))
