"""
Pages of the list of requests: live ones first, then history, month by month.

A page costs a bounded number of storage calls, however many requests there are. So it may be empty
and still have a next page.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from jit.broker.requests.filters import BEGINNING, Filters, Place
from jit.broker.requests.last_look import add_last_looks
from jit.broker.requests.machine_access import may_see_all
from jit.domain.model.grant import Grant, Status
from jit.domain.model.people import Person
from jit.domain.model.request import Request
from jit.domain.values import arm_ids
from jit.storage.lists.query_budget import QueryBudget
from jit.storage.lists.request_lists import RequestLists
from jit.storage.lists.search import Search, Sought, Stretch
from jit.storage.stored import StoredRequest
from jit.storage.subscription_rows import SubscriptionRows

_PAGE = 100
_MONTHS = 25  # two years of history in one list, at most
_LEAST_LIVE, _LEAST_PAST = 7, 3  # storage calls with which a search gets somewhere
_LAST_YEAR = 9999
_UUID = re.compile(arm_ids.UUID)  # the row of a subscription that cannot be read may have any name

Section = tuple[int, str]
"""A part of the list: 0 for live requests or the age of a month, and a subscription."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestPages:
    """
    The list of requests.

    Attributes:
        named: The subscriptions of the settings.
    """

    lists: RequestLists
    subscriptions: SubscriptionRows
    named: Sequence[str]

    def list_page(
        self, filters: Filters, caller: Person, *, begin: Place = BEGINNING
    ) -> tuple[list[StoredRequest], Place | None]:
        """
        Return a page of requests, and the place at which the next page begins.

        A request that is stored when a list begins, and fits all the while, is on one of its pages.
        It is on one page only, unless it moves to history meanwhile: then it may be on a later page
        once more. A request that is stored later is on one page or on none.

        Returns:
            At most 100 requests; None instead of a place if there is no next page.
        """
        budget = QueryBudget()
        rows = {row.subscription: row for row in self.subscriptions.read().subscriptions}
        budget.left -= 1
        found: dict[str, StoredRequest] = {}  # by id: an unfinished move to history leaves two
        for section in _list_sections(filters, [*self.named, *rows]):
            if section < begin.section:
                continue
            after: str | None = begin.after if section == begin.section else ""
            while after is not None:
                least = _LEAST_PAST if section[0] else _LEAST_LIVE
                if len(found) == _PAGE or budget.left < least:
                    return list(found.values()), Place(section, after)
                wanted = _Wanted(filters, caller, found.keys())
                search = wanted.build_search(section, after, budget, _PAGE - len(found))
                stretch = self._read_section(section, search)
                for stored in stretch.requests:
                    found[stored.request.id] = add_last_looks(stored, rows.get(section[1]))
                after = stretch.reached
        return list(found.values()), None

    def _read_section(self, section: Section, search: Search) -> Stretch:
        age, subscription = section
        if age:
            return self.lists.list_month(subscription, _find_month(age), search)
        return self.lists.list_live(subscription, search)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """The requests that a caller wants and may see, and that are not on the page yet."""

    filters: Filters
    caller: Person
    listed: Collection[str]

    def build_search(self, section: Section, after: str, budget: QueryBudget, room: int) -> Search:
        """Return the search for them in a section, behind the id *after*."""
        filters, is_live = self.filters, section[0] == 0
        return Search(
            sought=Sought(
                requester=None if may_see_all(self.caller) else self.caller.id,
                ticket=filters.ticket,
                machine=filters.vm,
                first=filters.since if is_live else filters.start,
                last=filters.end,
            ),
            fits_request=self._wants_request,
            fits=self._wants,
            budget=budget,
            room=room,
            after=after,
        )

    def _wants_request(self, request: Request) -> bool:
        filters, person = self.filters, request.requester
        ticket = request.ticket.id if request.ticket else None
        return (
            request.is_visible_to(self.caller)
            and request.id not in self.listed
            and (filters.since or request.created_at) <= request.created_at <= filters.end
            and (filters.requester is None or person.matches(filters.requester))
            and (filters.person is None or person.matches(filters.person))
            and filters.ticket in {None, ticket}
        )

    def _wants(self, stored: StoredRequest) -> bool:
        filters = self.filters
        return (
            (stored.row is not None or filters.start <= stored.request.created_at)
            and filters.status in {None, stored.status}
            and (filters.vm is None or any(_is_of_machine(g, filters.vm) for g in stored.grants))
        )


def _is_of_machine(grant: Grant, vm: str) -> bool:
    return arm_ids.key(vm) in {
        arm_ids.key(each) for each in (grant.vm_id, arm_ids.name(grant.vm_id))
    }


# ---- sections ------------------------------------------------------------------------------------


def _list_sections(filters: Filters, subscriptions: Iterable[str]) -> list[Section]:
    """
    Return the sections of a list in order: live requests, then one month after another.

    All finished requests are closed: for another status, history is left out.
    """
    names = sorted({each for each in subscriptions if _UUID.fullmatch(each)})
    has_past = filters.status in {None, Status.CLOSED}
    months = _list_months(filters.start, filters.end) if has_past else []
    return [(age, name) for age in (0, *map(_find_age, months)) for name in names]


def _list_months(start: datetime, end: datetime) -> list[datetime]:
    """Return the first days of the months from *end* back to *start*."""
    months: list[datetime] = []
    month = end.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    while month > start - timedelta(days=31) and len(months) < _MONTHS:
        months.append(month)
        month = (month - timedelta(days=1)).replace(day=1)
    return months


def _find_age(month: datetime) -> int:
    """Return a number above 0 that is larger for an earlier month, and the same for ever."""
    return (_LAST_YEAR - month.year) * 12 + 13 - month.month


def _find_month(age: int) -> datetime:
    years, months = divmod(age - 1, 12)
    return datetime(_LAST_YEAR - years, 12 - months, 1, tzinfo=UTC)
