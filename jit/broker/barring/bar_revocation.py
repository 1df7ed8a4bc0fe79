"""The end of all access that a barred person has, or waits for, in every subscription."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from jit import telemetry
from jit.broker.requests.change import RequestChanges
from jit.domain.errors import Defect, NotFound
from jit.domain.model.bar import Bar
from jit.domain.model.people import Person, Role
from jit.domain.requests.revocation import Revocation
from jit.domain.values.request_ids import parse_request_id
from jit.storage.request_store import RequestStore

TOLD = "barred"
"""The reason that the requester reads in the grants: no more than that."""


@dataclass(frozen=True, slots=True)
class Revoked:
    """
    The requests that one call has ended.

    Attributes:
        requests: Their number; a request that was closing already does not count.
        policies: Ids of their JIT policies: these have work now.
        is_complete: False if a request could not be read, so that its access may go on.
    """

    requests: int
    policies: tuple[str, ...]
    is_complete: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class BarRevocation:
    """
    Revokes the requests of one person as an operator would, each in its own transactions.

    It begins with the rows as they are. If it dies half-way, the next call does the rest.

    Attributes:
        subscriptions: Returns those with access that may be live.
    """

    requests: RequestStore
    changes: RequestChanges
    subscriptions: Callable[[], Iterable[str]]

    def revoke_all(self, bar: Bar, now: datetime) -> Revoked:
        """
        End all live and waiting requests of the barred person from before the end of the order.

        They are those that the person has, and those that the person made in the name of others.

        The bar may be lifted meanwhile, and the person let in: a request from after *now* is left
        to the next call, which reads the bar anew. A grant that cannot be observed is not given up:
        an operator does that for one request.

        Raises:
            Unavailable: Storage did not answer, or a request kept changing.
        """
        operator = Person(id=bar.by.id, name=bar.by.name, roles=frozenset({Role.OPERATOR}))
        revocation = Revocation(reason=TOLD, may_give_up=False)
        count, policies, is_complete = 0, dict[str, None](), True
        for request_id in self._list_requests(bar, now):
            with suppress(NotFound):  # it is history by now
                try:
                    done = self.changes.revoke(request_id, operator, revocation, now)
                except Defect as error:
                    telemetry.alert("revocation.stuck", request_id=request_id, reason=str(error))
                    is_complete = False
                    continue
                if done.changed:
                    count += 1
                    policies |= dict.fromkeys(done.stored.request.policies)
        return Revoked(count, tuple(policies), is_complete)

    def _list_requests(self, bar: Bar, now: datetime) -> Iterable[str]:
        end = min(bar.order_end or now, now)
        for subscription in self.subscriptions():
            for request_id in sorted(self.requests.list_ids_by(subscription, bar.person_id)):
                if not _is_later(request_id, end):
                    yield request_id


def _is_later(request_id: str, end: datetime) -> bool:
    """Return True if the request was made after *end*."""
    parsed = parse_request_id(request_id)
    return parsed is not None and parsed[1] > end
