"""Filters of a list of requests, and the place at which a page of it ends."""

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


@dataclass(frozen=True, slots=True)
class Place:
    """
    The place at which a page ended.

    Attributes:
        section: A part of the list: 0 for live requests or the age of a month, and a subscription.
        after: The id behind which the next page begins in that section; empty at its beginning. It
            is the id of a request that the caller may see, or a round time in the form of an id.
    """

    section: tuple[int, str] = (0, "")
    after: str = ""


BEGINNING = Place()
