"""
Pages of the access that people have now: by grants, then the access that no grant gives.

A page costs a bounded number of storage calls, however many grants and machines there are. So it
may be empty and still have a next page.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from jit.broker.requests.filters import BEGINNING, AccessFilters, Place
from jit.broker.requests.last_look import add_last_look
from jit.broker.requests.machine_access import may_see_all
from jit.broker.requests.pages.inventory_pages import InventoryPages
from jit.domain.errors import InvalidRequest, Violation
from jit.domain.model.bastion import BY_BASTION
from jit.domain.model.grant import Grant, Status
from jit.domain.model.machine import OtherAccess, VirtualMachine
from jit.domain.model.occupied_ports import list_others
from jit.domain.model.people import Person
from jit.domain.model.request import Request
from jit.domain.model.shown_access import BROKER, AccessEntry
from jit.domain.values import arm_ids
from jit.domain.values.listing import list_few
from jit.storage.lists.grant_pages import LEAST, ListedGrants
from jit.storage.lists.query_budget import QueryBudget
from jit.storage.lists.request_lists import RequestLists
from jit.storage.lists.search import Search, Sought
from jit.storage.subscription_rows import SubscriptionRow, SubscriptionRows

_ENTRIES = 1000  # on one page, and the others of the last step
_STEP = 1000  # requests or machines that are looked at at once, at most
_OWN, _GRANTS, _OTHERS = 0, 1, 2  # sections of each subscription
_LEAST = {_OWN: 7, _GRANTS: LEAST, _OTHERS: 4}  # storage calls with which a step gets somewhere
_UUID = re.compile(arm_ids.UUID)

Step = tuple[str, Sequence[AccessEntry]]
"""The place behind a request, a row of grants or a machine, and the entries that it has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessPages:
    """
    The list of access.

    Attributes:
        named: The subscriptions of the settings.
    """

    lists: RequestLists
    subscriptions: SubscriptionRows
    machines: InventoryPages
    named: Sequence[str]

    def list_page(
        self, filters: AccessFilters, caller: Person, *, now: datetime, begin: Place = BEGINNING
    ) -> tuple[list[AccessEntry], Place | None]:
        """
        Return a page of access, and the place at which the next page begins.

        Access that is there when a list begins, and stays all the while, is on one of its pages.
        Subscriptions that are not named any more count as long as the broker closes grants there.

        Args:
            filters: The access that is wanted.
            caller: Sees the own requests, or everybody's access.
            now: Aware, UTC.
            begin: The place at which the page begins.

        Returns:
            About 1,000 entries at most; None instead of a place if there is no next page.

        Raises:
            InvalidRequest: The broker does not look after a subscription of *filters*: an empty
                list would say that nobody gets in there.
        """
        budget = QueryBudget()
        rows = {row.subscription: row for row in self.subscriptions.read().subscriptions}
        budget.left -= 1
        page = _Page(self, filters, caller, now, rows, budget)
        found: list[AccessEntry] = []
        for section in _list_sections(filters, caller, {*self.named, *rows}, self.named):
            if section < begin.section:
                continue
            after: str | None = begin.after if section == begin.section else ""
            while after is not None:
                if len(found) >= _ENTRIES or budget.left < _LEAST[section[0]]:
                    return found, Place(section, after)
                steps, after = page.read(section, after)
                for place, entries in steps:
                    found += entries
                    if len(found) >= _ENTRIES:
                        return found, Place(section, place)
        return found, None


def _list_sections(
    filters: AccessFilters, caller: Person, known: Iterable[str], named: Sequence[str]
) -> list[tuple[int, str]]:
    """Return the sections of a list in order; a caller who sees only the own has one kind."""
    wanted = {name for name in known if _UUID.fullmatch(name)}
    for field, text in _list_wanted_subscriptions(filters):
        if text not in wanted:
            theirs = list_few(sorted(named))
            detail = f"the broker does not look after this subscription, but after {theirs}"
            raise InvalidRequest(detail, (Violation(f"#/{field}", "not-watched", detail),))
    for _, text in _list_wanted_subscriptions(filters):
        wanted &= {text}
    kinds = (_GRANTS, _OTHERS) if may_see_all(caller) else (_OWN,)
    return [(kind, name) for kind in kinds for name in sorted(wanted)]


def _list_wanted_subscriptions(filters: AccessFilters) -> Iterator[tuple[str, str]]:
    """Yield the subscriptions that the filters name, each with the name of its parameter."""
    if filters.subscription is not None:
        yield "subscription", filters.subscription.lower()
    if filters.vm is not None and "/" in filters.vm:
        yield "vm", arm_ids.subscription(filters.vm)


@dataclass(frozen=True, slots=True)
class _Page:
    """One page while it is read."""

    pages: AccessPages
    filters: AccessFilters
    caller: Person
    now: datetime
    rows: Mapping[str, SubscriptionRow]
    budget: QueryBudget

    def read(self, section: tuple[int, str], after: str) -> tuple[list[Step], str | None]:
        """Return the next steps of a section, and the place behind them; None at its end."""
        kind, subscription = section
        reads = {_OWN: self._read_own, _GRANTS: self._read_grants, _OTHERS: self._read_others}
        return reads[kind](subscription, after)

    # ---- by grants -----------------------------------------------------------------------------

    def _read_own(self, subscription: str, after: str) -> tuple[list[Step], str | None]:
        """Return the next requests of the caller: they are found by their columns."""
        search = Search(
            sought=Sought(requester=self.caller.id, machine=self.filters.vm, last=self.now),
            fits_request=lambda request: request.is_own_of(self.caller),
            fits=lambda stored: stored.status is not Status.CLOSED,
            budget=self.budget,
            room=_STEP,
            after=after,
        )
        stretch = self.pages.lists.list_live(subscription, search)
        row = self.rows.get(subscription)
        return [
            (stored.request.id, self._describe_grants(stored.request, stored.grants, row))
            for stored in stretch.requests
        ], stretch.reached

    def _read_grants(self, subscription: str, after: str) -> tuple[list[Step], str | None]:
        """Return the next grants of anybody, also if their request cannot be read."""
        found, reached = self.pages.lists.read_grant_page(subscription, after, self.budget)
        row = self.rows.get(subscription)
        return [(each.place, self._describe_row(each, row)) for each in found], reached

    def _describe_row(self, listed: ListedGrants, row: SubscriptionRow | None) -> list[AccessEntry]:
        request = listed.request
        if listed.grants is not None:
            return self._describe_grants(request, listed.grants, row)
        is_wanted = not listed.vm_id or self._is_wanted(listed.vm_id)
        return [_describe_unreadable(listed)] if is_wanted and self._wants_person(request) else []

    def _describe_grants(
        self, request: Request | None, grants: Iterable[Grant], row: SubscriptionRow | None
    ) -> list[AccessEntry]:
        return [
            _describe_grant(request, add_last_look(grant, row))
            for grant in grants
            if grant.may_have_path and self._is_wanted(grant.vm_id) and self._wants_person(request)
        ]

    def _wants_person(self, request: Request | None) -> bool:
        """Return True if the person is wanted; also if nobody knows the person."""
        person = self.filters.person
        return person is None or request is None or request.requester.matches(person)

    def _is_wanted(self, vm_id: str) -> bool:
        vm = self.filters.vm
        names = {arm_ids.key(vm_id), arm_ids.key(vm_id.rsplit("/", 1)[-1])}
        return vm is None or arm_ids.key(vm) in names

    # ---- without a grant -----------------------------------------------------------------------

    def _read_others(self, subscription: str, after: str) -> tuple[list[Step], str | None]:
        row = self.rows.get(subscription)
        found, looked_at, reached = self._read_machines(subscription, after)
        seen_at = looked_at or (row.compared_at if row is not None else None)
        steps: list[Step] = [
            (arm_ids.row_hash(vm.id), self._describe_others(vm, seen_at))
            for vm in found
            if self._is_wanted(vm.id)
        ]
        return steps, reached

    def _read_machines(
        self, subscription: str, after: str
    ) -> tuple[Sequence[VirtualMachine], datetime | None, str | None]:
        """Return machines as `InventoryPages.read` does; the one that is named by its id, alone."""
        pages, vm = self.pages.machines, self.filters.vm or ""
        if "/" in vm and (found := pages.find(vm, self.budget)) is not None:
            return [found], None, None
        if subscription in self.pages.named:
            return pages.read(subscription, self.now, after, _STEP, self.budget)
        known, reached = pages.read_known(subscription, after, _STEP, self.budget)
        return known, None, reached

    def _describe_others(self, vm: VirtualMachine, seen_at: datetime | None) -> list[AccessEntry]:
        return [
            _describe_other(vm, other, seen_at)
            for other in list_others(vm, now=self.now)
            if self._wants_requestor(other.requestor)
        ]

    def _wants_requestor(self, requestor: str | None) -> bool:
        person = self.filters.person
        return person is None or (
            requestor is not None and requestor.casefold() == person.casefold()
        )


# ---- entries -------------------------------------------------------------------------------------


def _describe_grant(request: Request | None, grant: Grant) -> AccessEntry:
    is_by_bastion = grant.bastion is not None and not grant.own_sources
    return AccessEntry(
        origin=BROKER,
        person_id=request.requester.id if request is not None else None,
        person_name=request.requester.name if request is not None else None,
        caller=request.asked_by if request is not None else None,
        request_id=grant.request_id,
        grant_id=grant.id,
        vm_id=grant.vm_id,
        port=grant.port,
        sources=tuple(map(str, grant.sources)),
        via=BY_BASTION if is_by_bastion else grant.via.value,
        opened_at=grant.opened_at,
        expires_at=grant.expires_at,
        status=grant.status,
        observed_at=grant.observed_at,
        is_readable=request is not None,
    )


def _describe_unreadable(listed: ListedGrants) -> AccessEntry:
    """Return an entry for a row of grants that cannot be read: somebody may get in by them."""
    request = listed.request
    return AccessEntry(
        origin=BROKER,
        person_id=request.requester.id if request is not None else None,
        person_name=request.requester.name if request is not None else None,
        caller=request.asked_by if request is not None else None,
        request_id=listed.request_id,
        vm_id=listed.vm_id or None,
        is_readable=False,
    )


def _describe_other(
    vm: VirtualMachine, other: OtherAccess, seen_at: datetime | None
) -> AccessEntry:
    """Return access without a grant; Defender names a person by object id, or by e-mail."""
    requestor = other.requestor
    has_id = requestor is not None and _UUID.fullmatch(requestor.lower()) is not None
    return AccessEntry(
        origin=other.origin.value,
        person_id=requestor if has_id else None,
        person_name=None if has_id else requestor,
        vm_id=vm.id,
        port=other.port,
        sources=other.sources,
        via=vm.via.value,
        expires_at=other.until,
        observed_at=seen_at,
    )
