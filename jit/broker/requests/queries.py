"""Queries of callers: requests, the access that people have now, virtual machines."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from jit.broker.requests.filters import BEGINNING, AccessFilters, Filters, Place
from jit.broker.requests.last_look import add_last_looks, has_open_grant
from jit.broker.requests.lookup import find_visible
from jit.broker.requests.machine_access import group_shown, may_see_all
from jit.broker.requests.pages.access_pages import AccessPages
from jit.broker.requests.pages.inventory_pages import InventoryPages
from jit.broker.requests.pages.request_pages import RequestPages
from jit.broker.shared_looks import SharedLooks
from jit.domain.errors import InvalidRequest, Violation
from jit.domain.model.machine import VirtualMachine
from jit.domain.model.people import Person, Role
from jit.domain.model.shown_access import YES, AccessEntry, MachineAccess, MayRequest
from jit.domain.values import arm_ids, request_ids
from jit.domain.values.listing import list_few
from jit.storage.inventory_store import InventoryStore
from jit.storage.lists.query_budget import QueryBudget
from jit.storage.lists.request_lists import RequestLists
from jit.storage.request_store import RequestStore
from jit.storage.stored import StoredRequest
from jit.storage.subscription_rows import SubscriptionRows

if TYPE_CHECKING:  # loaded only if the rights of people in Azure count
    from jit.broker.rights.asked_rights import AskedRights

_MACHINES = 1000  # on one page
_LEAST = 4  # storage calls for the machines of one subscription and their access, at least
_FOR_ACCESS = 3  # of these, for the access

_NO_REQUESTER = MayRequest(False, f"this needs the app role {Role.REQUESTER}")

ListedMachine = tuple[VirtualMachine, MachineAccess]
"""A virtual machine with the people who have access to it, as a caller may see them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Queries:
    """
    Answers queries of callers.

    Attributes:
        looks: Only an inventory that was never filled needs one.
        named: The subscriptions of the settings.
        rights: None if the rights of people in Azure do not count.
    """

    requests: RequestStore
    lists: RequestLists
    inventory: InventoryStore
    subscriptions: SubscriptionRows
    looks: SharedLooks
    named: Sequence[str]
    rights: Callable[[], AskedRights] | None = None

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

        See `RequestPages.list_page`.
        """
        pages = RequestPages(lists=self.lists, subscriptions=self.subscriptions, named=self.named)
        return pages.list_page(filters, caller, begin=begin)

    def list_access(
        self, filters: AccessFilters, caller: Person, *, now: datetime, begin: Place = BEGINNING
    ) -> tuple[list[AccessEntry], Place | None]:
        """
        Return a page of the access that people have now, and the place of the next page.

        See `AccessPages.list_page`.
        """
        pages = AccessPages(
            lists=self.lists,
            subscriptions=self.subscriptions,
            machines=self._open_inventory(reserve=0),
            named=self.named,
        )
        return pages.list_page(filters, caller, now=now, begin=begin)

    # ---- virtual machines ----------------------------------------------------------------------

    def list_machines(
        self,
        subscription: str | None,
        caller: Person,
        *,
        now: datetime,
        name: str | None = None,
        mine: bool = False,
        begin: Place = BEGINNING,
    ) -> tuple[list[ListedMachine], Place | None]:
        """
        Return a page of the virtual machines of one subscription, or of all in the settings.

        A page has machines of as many subscriptions as its storage calls suffice for. Inside a
        subscription, machines go from page to page in the order of their row keys.

        Args:
            subscription: None means all.
            caller: Of other people's requests it is told only that somebody has access, if the
                caller may not see them.
            now: Aware, UTC.
            name: Only machines of this name, in any letter case.
            mine: Without the machines that *caller* may not ask for.
            begin: The place at which the page begins.

        Returns:
            At most 1,000 machines, by subscription, then by name; None instead of a place if there
            is no next page.

        Raises:
            InvalidRequest: The settings do not name *subscription*.
        """
        budget = QueryBudget()
        found: list[ListedMachine] = []
        inventory = self._open_inventory(reserve=_FOR_ACCESS)
        for each in self._choose_subscriptions(subscription):
            section = (0, each)
            if section < begin.section:
                continue
            after: str | None = begin.after if section == begin.section else ""
            while after is not None:
                if len(found) == _MACHINES or budget.left < _LEAST:
                    return found, Place(section, after)
                most = _MACHINES - len(found)
                machines, read_at, after = inventory.read(each, now, after, most, budget)
                wanted = [vm for vm in machines if _has_name(vm, name)]
                listed = self._add_access(each, wanted, read_at, caller, budget)
                found += self._add_own(listed, caller, now, mine=mine)
        return found, None

    def _choose_subscriptions(self, subscription: str | None) -> list[str]:
        if subscription is not None and subscription.lower() not in self.named:
            theirs = list_few(self.named)
            detail = f"the broker does not look after this subscription, but after {theirs}"
            raise InvalidRequest(detail, (Violation("#/subscription", "not-watched", detail),))
        return [subscription.lower()] if subscription else sorted(self.named)

    def _open_inventory(self, *, reserve: int) -> InventoryPages:
        return InventoryPages(
            inventory=self.inventory,
            subscriptions=self.subscriptions,
            looks=self.looks,
            reserve=reserve,
        )

    def _add_access(
        self,
        subscription: str,
        machines: Sequence[VirtualMachine],
        read_at: datetime | None,
        caller: Person,
        budget: QueryBudget,
    ) -> Iterator[ListedMachine]:
        """Yield *machines* by name, with their live grants as *caller* may see them."""
        if not machines:
            return
        row = self.subscriptions.get(subscription)
        budget.left -= 1
        requester = None if may_see_all(caller) else caller.id
        live = self.lists.read_live_access(subscription, requester, budget)
        grants = group_shown(live.grants, live.requests, caller, row)
        compared_at = row.compared_at if row is not None else None
        for vm in sorted(machines, key=lambda vm: vm.name):
            access = MachineAccess(
                grants=tuple(grants.get(arm_ids.key(vm.id), ())),
                observed_at=read_at or compared_at,
                names_others=may_see_all(caller),
            )
            yield vm, access

    def _add_own(
        self, listed: Iterable[ListedMachine], caller: Person, now: datetime, *, mine: bool
    ) -> Iterator[ListedMachine]:
        """Yield *listed* with the answer to the own wish of *caller*."""
        machines = list(listed)
        answers = self._judge_own([vm for vm, _ in machines], caller, now)
        for (vm, access), answer in zip(machines, answers, strict=True):
            if not mine or answer.may is not False:
                yield vm, replace(access, may_request=answer)

    def _judge_own(
        self, machines: Sequence[VirtualMachine], caller: Person, now: datetime
    ) -> list[MayRequest]:
        if Role.REQUESTER not in caller.roles:
            return [_NO_REQUESTER] * len(machines)
        if self.rights is None:
            return [YES] * len(machines)
        return self.rights().describe_machines(caller.id, machines, now)


def _has_name(vm: VirtualMachine, name: str | None) -> bool:
    return name is None or arm_ids.key(vm.name) == arm_ids.key(name)
