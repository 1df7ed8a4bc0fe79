"""The queries of lists: their filters, and the place at which a page begins."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from jit.api.continuation import read_token
from jit.api.query import OF_THE_HOST, TOKEN, list_unknown
from jit.broker.requests.filters import BEGINNING, DEFAULT_SPAN, AccessFilters, Filters, Place
from jit.domain.errors import InvalidRequest, Malformed, Violation
from jit.domain.limits import LIMITS
from jit.domain.model.grant import Status
from jit.domain.model.people import Person
from jit.domain.requests.fields import TEXT_TOO_LONG
from jit.domain.values import arm_ids
from jit.domain.values.json_pointer import ROOT, at
from jit.domain.values.times import parse_instant

_FILTERS = ("status", "vm", "requester", "person", "ticket", "from", "to", TOKEN)

_ACCESS_FILTERS = ("vm", "person", "subscription", TOKEN)

_LONGEST = 1024
"""Characters of a filter: an ARM id, the name of a person, and their like are shorter."""

_LONGEST_TEXTS = {
    "vm": _LONGEST,
    "requester": _LONGEST,
    "person": _LONGEST,
    "ticket": LIMITS.ticket_id[1],  # table storage gets it, and refuses a long one
}


def read_list(query: Mapping[str, str], caller: Person, *, now: datetime) -> tuple[Filters, Place]:
    """
    Read the query of ``GET access-requests``: the filters, and the place at which a page begins.

    Raises:
        InvalidRequest: It names every fault, that of the token included.
    """
    unknown = list_unknown(set(query) - OF_THE_HOST, _FILTERS)
    faults = [*unknown, *_list_too_long(query, _LONGEST_TEXTS)]
    end = min(_read_instant(query, "to", faults) or now, now)
    since = _read_instant(query, "from", faults)
    status = _read_status(query.get("status"), faults)
    begin = _read_place(query, caller, faults)
    if faults:
        raise InvalidRequest("the query has faults", tuple(faults))
    filters = Filters(
        status=status,
        vm=query.get("vm"),
        requester=query.get("requester"),
        person=query.get("person"),
        ticket=query.get("ticket"),
        since=since,
        start=since or end - DEFAULT_SPAN,
        end=end,
    )
    return filters, begin


def read_access_list(query: Mapping[str, str], caller: Person) -> tuple[AccessFilters, Place]:
    """
    Read the query of ``GET access``: the filters, and the place at which a page begins.

    Raises:
        InvalidRequest: It names every fault, that of the token included.
    """
    faults = list_unknown(set(query) - OF_THE_HOST, _ACCESS_FILTERS)
    faults += _list_too_long(query, ("vm", "person"))
    vm = query.get("vm")
    if vm is not None and "/" in vm and not faults:
        faults += _list_faults_of_id(vm)
    begin = _read_place(query, caller, faults)
    if faults:
        raise InvalidRequest("the query has faults", tuple(faults))
    person, subscription = query.get("person"), query.get("subscription")
    return AccessFilters(vm=vm, person=person, subscription=subscription), begin


def _list_faults_of_id(vm: str) -> list[Violation]:
    """Return the fault of an ARM id: an empty list would say that nobody is in."""
    try:
        arm_ids.parse_vm_id(vm)
    except Malformed as error:
        return [Violation("#/vm", error.code, str(error))]
    return []


def _list_too_long(query: Mapping[str, str], names: Iterable[str]) -> list[Violation]:
    """Return the faults of texts that nothing stored can be equal to."""
    return [
        Violation(at(ROOT, name), TEXT_TOO_LONG, f"characters: {length}; write at most {most}")
        for name, most in ((each, _LONGEST_TEXTS[each]) for each in names)
        if (length := len(query.get(name, ""))) > most
    ]


def _read_place(query: Mapping[str, str], caller: Person, faults: list[Violation]) -> Place:
    try:
        return read_token(query, caller)
    except InvalidRequest as error:
        faults.extend(error.violations)
        return BEGINNING


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
