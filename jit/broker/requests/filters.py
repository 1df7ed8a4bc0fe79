"""Filters of lists, and the place at which a page of a list ends."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from jit.domain.model.grant import Status

DEFAULT_SPAN = timedelta(days=30)
"""The part of history that is listed if the caller names no beginning."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """
    The requests that a caller wants to see; None means any.

    Attributes:
        status: Status of the request.
        vm: Id or name of a virtual machine; upper and lower case are equal.
        requester: Object id or a name of the requester; upper and lower case are equal.
        person: The same; if both are named, both must fit.
        ticket: Id of the ticket.
        since: The earliest creation, if the caller named it. It also holds for live requests.
        start: The earliest creation of finished requests: *since*, or a default.
        end: The latest creation.
    """

    status: Status | None = None
    vm: str | None = None
    requester: str | None = None
    person: str | None = None
    ticket: str | None = None
    since: datetime | None = None
    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessFilters:
    """
    The access that a caller wants to see; None means any. Upper and lower case are equal.

    Attributes:
        vm: Id or name of a virtual machine.
        person: Object id or a name of the person who gets in.
        subscription: Id of a subscription.
    """

    vm: str | None = None
    person: str | None = None
    subscription: str | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """
    The place at which a page ended.

    Attributes:
        section: A part of the list: a number, such as 0 for live requests, and a subscription.
        after: The id behind which the next page begins in that section; empty at its beginning. It
            is the id of a request that the caller may see, a round time in the form of an id, the
            hash of a machine's id, or a part of the key of grants that the caller may see.
    """

    section: tuple[int, str] = (0, "")
    after: str = ""


BEGINNING = Place()
