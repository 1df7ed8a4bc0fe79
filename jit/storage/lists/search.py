"""
Searches of a list: the requests that are wanted, as far as the rows of requests tell.

A row of a request names its person, its ticket and its machines in columns. So most requests are
passed over before the rows of their grants are read. The time of a request is in its key.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from jit.domain.model.request import Request
from jit.domain.values import arm_ids, request_ids
from jit.storage.lists.machine_names import HALF, MACHINES
from jit.storage.lists.query_budget import QueryBudget
from jit.storage.request_rows import CALLER, REQUESTER, TICKET
from jit.storage.stored import StoredRequest
from jit.storage.table import Row

_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sought:
    """
    The columns and keys of the requests that are wanted; None means any.

    Attributes:
        requester: Object id of a person who may see the own requests only: as requester or as
            caller.
        ticket: Id of the ticket.
        machine: Id or name of a virtual machine, in any letter case.
        first: The earliest creation.
        last: The latest creation.
    """

    requester: str | None = None
    ticket: str | None = None
    machine: str | None = None
    first: datetime | None = None
    last: datetime

    @property
    def columns(self) -> Mapping[str, str]:
        """The values of columns, by which the service itself passes rows over."""
        return {} if self.ticket is None else {TICKET: self.ticket}

    @property
    def either(self) -> Mapping[str, str]:
        """Columns of which one must have its value: the person asked, or got access."""
        return name_own_columns(self.requester)

    def matches(self, row: Row) -> bool:
        """Return True if the row of a request may be wanted; its key is not looked at."""
        if any(row.values.get(name) != value for name, value in self.columns.items()):
            return False
        either = self.either.items()
        if either and all(row.values.get(name) != value for name, value in either):
            return False
        names = row.values.get(MACHINES)
        if self.machine is None or names is None:
            return True
        short = arm_ids.row_hash(self.machine)[:HALF]
        return any(short in {word[:HALF], word[HALF:]} for word in str(names).split())

    def find_first_id(self, subscription: str) -> str:
        """Return a text that no wanted id of a subscription is below."""
        return make_bound(subscription, self.first) if self.first is not None else ""

    def find_last_id(self, subscription: str) -> str:
        """Return a text that each wanted id of a subscription is below."""
        return make_bound(subscription, self.last + _MILLISECOND)


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """
    A search for the requests of one page, in one part of a list.

    Attributes:
        fits_request: Called before the grants of a request are read.
        fits: Called with them.
        budget: The storage calls that are left for the page.
        room: How many requests the page still holds.
        after: Id behind which the search begins; empty at the beginning.
    """

    sought: Sought
    fits_request: Callable[[Request], bool]
    fits: Callable[[StoredRequest], bool]
    budget: QueryBudget
    room: int
    after: str = ""


@dataclass(frozen=True, slots=True)
class Stretch:
    """
    The requests that a search found.

    Attributes:
        requests: In the order of their ids.
        reached: The id behind which the search goes on; None if it is at its end. It is the id of a
            request that the caller may see, or a round time in the form of an id.
    """

    requests: tuple[StoredRequest, ...]
    reached: str | None


def name_own_columns(person_id: str | None) -> Mapping[str, str]:
    """Return the columns by which the own requests of a person are found; none for None."""
    return {} if person_id is None else {REQUESTER: person_id, CALLER: person_id}


def make_bound(subscription: str, moment: datetime) -> str:
    """Return the smallest id that a request of *moment* can have, cut to the millisecond."""
    nothing = bytes(request_ids.RANDOM_BYTES)
    return request_ids.make_request_id(subscription, max(moment, _BEGINNING), nothing)
