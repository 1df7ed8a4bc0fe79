"""Queries of callers: one request, a page of requests, virtual machines with their grants."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from jit.broker.requests.filters import BEGINNING, Filters, Place
from jit.broker.requests.last_look import add_last_looks, has_open_grant
from jit.broker.requests.lookup import find_visible
from jit.broker.requests.machine_access import group_shown, may_see_all
from jit.broker.shared_looks import SharedLooks
from jit.domain.errors import InvalidRequest, Violation
from jit.domain.model.grant import Grant
from jit.domain.model.machine import VirtualMachine
from jit.domain.model.people import Person
from jit.domain.model.shown_access import MachineAccess, ShownGrant
from jit.domain.values import arm_ids, request_ids
from jit.domain.values.listing import list_few
from jit.storage.inventory_store import InventoryStore
from jit.storage.keys import GRANTS
from jit.storage.request_store import RequestStore
from jit.storage.stored import StoredRequest
from jit.storage.subscription_rows import SubscriptionRow, SubscriptionRows

_PAGE = 100
_SCAN = 500  # requests that are looked at for one page
_MONTHS = 25  # two years of history in one list, at most

ListedMachine = tuple[VirtualMachine, MachineAccess]
"""A virtual machine with the people who have access to it, as a caller may see them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Queries:
    """
    Answers queries of callers.

    Attributes:
        looks: Only an inventory that was never filled needs one.
        named: The subscriptions of the settings.
    """

    requests: RequestStore
    inventory: InventoryStore
    subscriptions: SubscriptionRows
    looks: SharedLooks
    named: Sequence[str]

    def find_request(self, request_id: str, caller: Person) -> StoredRequest:
        """
        Return a request that *caller* may see, with the times of the last looks at its paths.

        Raises:
            NotFound: There is no such request, or *caller* may not see it: both look the same.
        """
        stored = find_visible(self.requests, request_id, caller)
        if not has_open_grant(stored):
            return stored
        subscription, _ = request_ids.parse_request_id(stored.request.id) or ("", None)
        return add_last_looks(stored, self.subscriptions.get(subscription))

    # ---- lists of requests ---------------------------------------------------------------------

    def list_requests(
        self, filters: Filters, caller: Person, *, begin: Place = BEGINNING
    ) -> tuple[list[StoredRequest], Place | None]:
        """
        Return a page of requests, live ones first, and the place at which the next page begins.

        A page looks at a bounded number of requests: it may be empty and still have a next page. A
        request that moves to history meanwhile may be seen on two pages, and is never missed.

        Returns:
            The requests; None instead of a place if there is no next page.
        """
        found: dict[str, StoredRequest] = {}  # by id: an unfinished move to history leaves two
        rows = {row.subscription: row for row in self.subscriptions.read().subscriptions}
        for looked, (place, stored) in enumerate(self._scan(filters, begin, rows), 1):
            if _is_wanted(stored, filters, caller):
                seen = add_last_looks(stored, rows.get(place.section[1]))
                found.setdefault(stored.request.id, seen)
            if len(found) == _PAGE or looked == _SCAN:
                return list(found.values()), place
        return list(found.values()), None

    def _scan(
        self, filters: Filters, begin: Place, kept: Iterable[str]
    ) -> Iterator[tuple[Place, StoredRequest]]:
        """Yield the requests behind *begin* with their places, one section after the other."""
        months = _list_months(filters.start, filters.end)
        for section in self._list_sections(len(months), kept):
            if section < begin.section:
                continue
            after = begin.after if section == begin.section else ""
            for stored in self._read_section(section, months, after):
                yield Place(section, stored.request.id), stored

    def _list_sections(self, months: int, kept: Iterable[str]) -> list[tuple[int, str]]:
        """Return the sections of a list in order: live requests, then one month after another."""
        names = sorted({*self.named, *kept})
        return [(part, name) for part in range(months + 1) for name in names]

    def _read_section(
        self, section: tuple[int, str], months: Sequence[datetime], after: str
    ) -> Iterator[StoredRequest]:
        part, subscription = section
        if part:
            history = self.requests.history
            return history.list_month(subscription, months[part - 1], after=after)
        return self.requests.list_live(subscription, after=after)

    # ---- virtual machines ----------------------------------------------------------------------

    def list_machines(
        self,
        subscription: str | None,
        caller: Person,
        *,
        now: datetime,
        name: str | None = None,
    ) -> list[ListedMachine]:
        """
        Return the virtual machines of one subscription, or of all that the settings name.

        Args:
            subscription: None means all.
            caller: Of other people's requests it is told only that somebody has access, if the
                caller may not see them.
            now: Aware, UTC.
            name: Only machines of this name, in any letter case.

        Raises:
            InvalidRequest: The settings do not name *subscription*.
        """
        if subscription is not None and subscription.lower() not in self.named:
            theirs = list_few(self.named)
            detail = f"the broker does not look after this subscription, but after {theirs}"
            raise InvalidRequest(detail, (Violation("#/subscription", "not-watched", detail),))
        chosen = [subscription.lower()] if subscription else self.named
        return [
            (vm, access)
            for each in chosen
            for vm, access in self._list_subscription(each, caller, now)
            if name is None or arm_ids.key(vm.name) == arm_ids.key(name)
        ]

    def _list_subscription(
        self, subscription: str, caller: Person, now: datetime
    ) -> Iterator[ListedMachine]:
        row = self.subscriptions.get(subscription)
        compared_at = row.compared_at if row is not None else None
        machines, observed_at = self._find_machines(subscription, compared_at, now)
        grants = self._find_live_grants(subscription, caller, row)
        for vm in sorted(machines, key=lambda vm: vm.name):
            access = MachineAccess(
                grants=tuple(grants.get(arm_ids.key(vm.id), ())),
                observed_at=observed_at,
                names_others=may_see_all(caller),
            )
            yield vm, access

    def _find_machines(
        self, subscription: str, compared_at: datetime | None, now: datetime
    ) -> tuple[Sequence[VirtualMachine], datetime | None]:
        """
        Return the inventory and its age.

        A new system has none before its first comparison, and reads it from Azure. After that
        comparison no list reads Azure: a subscription may have no VMs.
        """
        known = self.inventory.list_machines(subscription)
        if known or compared_at is not None:
            return known, compared_at
        looked_at = self.looks.renew(subscription, now=now)
        return self.inventory.list_machines(subscription), looked_at

    def _find_live_grants(
        self, subscription: str, caller: Person, row: SubscriptionRow | None
    ) -> Mapping[str, list[ShownGrant]]:
        """Return the live grants as *caller* may see them, by the key of their VM."""
        rows = self.requests.list_readable_grants(subscription, GRANTS).by_machine
        requests = {item.id: item for item in self.requests.list_requests(subscription)}
        grants = (grant for _, each in rows for grant in each.grants)
        return group_shown(grants, requests, caller, row)


def _is_wanted(stored: StoredRequest, filters: Filters, caller: Person) -> bool:
    request = stored.request
    ticket = request.ticket.id if request.ticket else None
    return (
        request.is_visible_to(caller)
        and _find_earliest_creation(stored, filters) <= request.created_at <= filters.end
        and filters.status in {None, stored.status}
        and (filters.requester is None or request.requester.matches(filters.requester))
        and (filters.person is None or request.requester.matches(filters.person))
        and filters.ticket in {None, ticket}
        and (filters.vm is None or any(_is_of_machine(each, filters.vm) for each in stored.grants))
    )


def _find_earliest_creation(stored: StoredRequest, filters: Filters) -> datetime:
    """Return the bound for a request: only the caller can set one for live requests."""
    is_live = stored.row is not None
    return filters.since or stored.request.created_at if is_live else filters.start


def _is_of_machine(grant: Grant, vm: str) -> bool:
    return arm_ids.key(vm) in {
        arm_ids.key(each) for each in (grant.vm_id, arm_ids.name(grant.vm_id))
    }


def _list_months(start: datetime, end: datetime) -> list[datetime]:
    """Return the first days of the months from *end* back to *start*."""
    months: list[datetime] = []
    month = end.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    while month > start - timedelta(days=31) and len(months) < _MONTHS:
        months.append(month)
        month = (month - timedelta(days=1)).replace(day=1)
    return months
