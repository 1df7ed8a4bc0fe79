"""Reads for callers: one request, lists of requests, virtual machines."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from jit.api import render
from jit.broker.requests.change import may_see
from jit.domain.errors import InvalidRequest, Malformed, NotFound, Violation
from jit.domain.model.grant import Grant, Status
from jit.domain.model.machine import VirtualMachine
from jit.domain.model.people import Person
from jit.domain.values import arm_ids, request_ids
from jit.domain.values.times import parse_instant
from jit.observer.subscription import Observer
from jit.storage.inventory_store import InventoryStore
from jit.storage.keys import GRANTS
from jit.storage.request_store import RequestStore
from jit.storage.stored import StoredRequest
from jit.storage.subscription_rows import SubscriptionRows

DEFAULT_SPAN = timedelta(days=30)
_PAGE = 100
_SCAN = 500  # requests looked at for one page
_MONTHS = 25  # two years of history in one listing, at most
_TOKEN = 512  # characters; ours are shorter, and a long one could nest too deep to be read


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """
    What a list of requests is narrowed by; None means any.

    Attributes:
        start: Where history is read from.
        since: From when, if the caller said it: what lives is listed however old it is.
    """

    status: Status | None = None
    vm: str | None = None
    requester: str | None = None
    ticket: str | None = None
    since: datetime | None = None
    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a page ended: a section of the list, and the last request that was looked at."""

    section: tuple[int, str]
    after: str


class Views:
    """Reads for callers."""

    def __init__(
        self,
        requests: RequestStore,
        inventory: InventoryStore,
        subscriptions: SubscriptionRows,
        observer: Callable[[], Observer],
        named: Sequence[str],
    ) -> None:
        """*observer* is built when first called; *named* are the ids of the settings."""
        self._requests = requests
        self._inventory = inventory
        self._subscriptions = subscriptions
        self._named = named
        self._observer = observer

    def one(self, request_id: str, caller: Person) -> StoredRequest:
        """
        Return a request that *caller* may see.

        Raises:
            NotFound: There is none, or it is somebody else's: both look the same.
        """
        whole = self._requests.load(request_id)
        if whole is None or not may_see(whole.request, caller):
            raise NotFound(f"there is no request {request_id[:64]}")
        return whole

    # ---- lists ---------------------------------------------------------------------------------

    def page(
        self, query: Mapping[str, str], caller: Person, *, now: datetime
    ) -> tuple[list[StoredRequest], str | None]:
        """
        Return a page of requests, live first, then finished ones, and how to go on.

        Raises:
            InvalidRequest: The query has faults; every one is named.

        The scan is bounded: a page may be empty and still carry a token. A request that moves to
        history meanwhile may be seen twice across pages, never missed.
        """
        filters, begin = read_filters(query, now=now), _read_token(query.get("continuationToken"))
        found: dict[
            str, StoredRequest
        ] = {}  # a move to history that stopped half-way stands in both
        for looked, (place, whole) in enumerate(self._every(filters, begin), 1):
            if _fits(whole, filters, caller):
                found.setdefault(whole.request.id, whole)
            if len(found) == _PAGE or looked == _SCAN:
                return list(found.values()), _token(place)
        return list(found.values()), None

    def _every(self, filters: Filters, begin: _Place) -> Iterator[tuple[_Place, StoredRequest]]:
        """Yield requests behind *begin* with their places, a section after the other."""
        for section in self._sections(filters):
            if section < begin.section:
                continue
            after = begin.after if section == begin.section else ""
            for whole in self._section(section, filters, after):
                yield _Place(section, whole.request.id), whole

    def _sections(self, filters: Filters) -> list[tuple[int, str]]:
        """Return the parts of the list in order: 0 is what lives, then a number a month."""
        months = range(len(_months(filters.start, filters.end)))
        names = self._listed()
        return [(part, name) for part in (0, *(month + 1 for month in months)) for name in names]

    def _listed(self) -> list[str]:
        """Return where requests may be: in the named subscriptions and in those dropped since."""
        kept = (item.subscription for item in self._subscriptions.read().subscriptions)
        return sorted({*self._named, *kept})

    def _section(
        self, section: tuple[int, str], filters: Filters, after: str
    ) -> Iterator[StoredRequest]:
        part, subscription = section
        if part:
            month = _months(filters.start, filters.end)[part - 1]
            yield from self._requests.history.list_month(subscription, month, after=after)
            return
        yield from self._requests.list_live(subscription, after=after)

    # ---- virtual machines ----------------------------------------------------------------------

    def machines(self, subscription: str | None, caller: Person, *, now: datetime) -> list[Any]:
        """Return the virtual machines of the watched subscriptions with their open grants."""
        if subscription is not None and subscription.lower() not in self._named:
            detail = "the broker does not look after this subscription"
            raise InvalidRequest(detail, (Violation("#/subscription", "not-watched", detail),))
        chosen = [subscription.lower()] if subscription else self._named
        return [item for part in chosen for item in self._of_subscription(part, caller, now)]

    def _of_subscription(
        self, subscription: str, caller: Person, now: datetime
    ) -> list[dict[str, Any]]:
        machines = self._known(subscription, now)
        grants = self._open_grants(subscription, caller)
        return [render.render_machine(vm, grants.get(arm_ids.key(vm.id), ())) for vm in machines]

    def _known(self, subscription: str, now: datetime) -> Sequence[VirtualMachine]:
        """Return the inventory; on a new system, where there is none yet, read it from Azure."""
        known = self._inventory.list_machines(subscription)
        if known:
            return sorted(known, key=lambda vm: vm.name)
        fresh = self._observer().read_machines(subscription, now=now)
        self._inventory.write_machines(subscription, fresh, complete=True)
        return sorted(fresh, key=lambda vm: vm.name)

    def _open_grants(self, subscription: str, caller: Person) -> Mapping[str, Sequence[Grant]]:
        """Return live grants by VM: the caller's own, or all for those who may see all."""
        rows = self._requests.list_readable_grants(subscription, GRANTS).rows
        asked = {item.id: item for item in self._requests.list_requests(subscription)}
        found: dict[str, list[Grant]] = {}
        for item in (grant for held in rows for grant in held.grants if grant.live):
            request = asked.get(item.request_id)
            if request is not None and may_see(request, caller):
                found.setdefault(arm_ids.key(item.vm_id), []).append(item)
        return found


def read_filters(query: Mapping[str, str], *, now: datetime) -> Filters:
    """
    Read the query of ``GET access-requests``.

    Raises:
        InvalidRequest: Every fault is named.
    """
    faults: list[Violation] = []
    unknown = set(query) - {
        "status",
        "vm",
        "requester",
        "ticket",
        "from",
        "to",
        "continuationToken",
    }
    faults += [Violation(f"#/{name}", "unknown-field", "no such filter") for name in unknown]
    end = min(_instant(query.get("to"), "to", faults) or now, now)
    since = _instant(query.get("from"), "from", faults)
    status = _status(query.get("status"), faults)
    if faults:
        raise InvalidRequest("the query has faults", tuple(faults))
    return Filters(
        status=status,
        vm=query.get("vm"),
        requester=query["requester"].lower() if "requester" in query else None,
        ticket=query.get("ticket"),
        since=since,
        start=since or end - DEFAULT_SPAN,
        end=end,
    )


def _instant(text: str | None, name: str, faults: list[Violation]) -> datetime | None:
    if text is None:
        return None
    try:
        return parse_instant(text)
    except Malformed as error:
        faults.append(Violation(f"#/{name}", error.code, str(error)))
        return None


def _status(text: str | None, faults: list[Violation]) -> Status | None:
    if text is None:
        return None
    try:
        return Status(text)
    except ValueError:
        detail = f"a status is one of {', '.join(Status)}"
        faults.append(Violation("#/status", "status-unknown", detail))
        return None


def _fits(whole: StoredRequest, filters: Filters, caller: Person) -> bool:
    asked = whole.request
    ticket = asked.ticket.id if asked.ticket else None
    return (
        may_see(whole.request, caller)
        and _begins(whole, filters) <= asked.created_at <= filters.end
        and filters.status in {None, whole.status}
        and filters.requester in {None, asked.requester.id}
        and filters.ticket in {None, ticket}
        and (filters.vm is None or any(_is_vm(item, filters.vm) for item in whole.grants))
    )


def _begins(whole: StoredRequest, filters: Filters) -> datetime:
    """Return from when a request is listed: of what lives, the caller alone sets a bound."""
    live = whole.row is not None
    return filters.since or whole.request.created_at if live else filters.start


def _is_vm(item: Grant, vm: str) -> bool:
    return arm_ids.key(vm) in {arm_ids.key(item.vm_id), arm_ids.name(item.vm_id).lower()}


def _months(start: datetime, end: datetime) -> list[datetime]:
    """Return the first days of the months from *end* back to *start*."""
    months: list[datetime] = []
    month = end.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    while month > start - timedelta(days=31) and len(months) < _MONTHS:
        months.append(month)
        month = (month - timedelta(days=1)).replace(day=1)
    return months


def _token(place: _Place) -> str:
    doc = [place.section[0], place.section[1], place.after]
    return base64.urlsafe_b64encode(json.dumps(doc).encode()).decode()


def _read_token(token: str | None) -> _Place:
    if token is None:
        return _Place((0, ""), "")
    try:
        part, subscription, after = json.loads(base64.urlsafe_b64decode(token[:_TOKEN]))
    except (ValueError, TypeError) as error:
        raise _bad_token() from error
    if not (isinstance(part, int) and isinstance(subscription, str) and isinstance(after, str)):
        raise _bad_token()
    if request_ids.parse_request_id(after) is None:
        raise _bad_token()
    return _Place((part, subscription), after)


def _bad_token() -> InvalidRequest:
    detail = "the continuation token is not one of ours"
    fault = Violation("#/continuationToken", "token-malformed", detail)
    return InvalidRequest(detail, (fault,))
