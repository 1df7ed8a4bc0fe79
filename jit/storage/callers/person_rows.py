"""
Rows of a person: the times of accepted requests, and the places of live ones.

The row ``q|<person>`` has the times of acceptance. Each live request has a row
``q|<person>|<request>``, which is inserted with the request and deleted before the request is moved
to history. One query reads both. Each acceptance writes the first row under its ETag. So of two
calls of one person at once, the second one counts the first one.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import replace
from datetime import UTC, datetime
from typing import NamedTuple

from jit.domain.errors import CannotTell, Defect
from jit.domain.model.sums.accepted_requests import AcceptedRequests
from jit.storage import keys
from jit.storage.documents import Column, ColumnMap, Form, RowKind, alert_unreadable
from jit.storage.table import Op, Row, Table, Verb, Where, delete_rows, read_all

PERSON_KIND = RowKind("requests of a person")
_TIMES = Form(  # whole seconds since 1970, in UTC: 2,000 of them fit one property
    lambda text: tuple(datetime.fromtimestamp(int(each), UTC) for each in text.split()),
    lambda times: " ".join(str(math.ceil(each.timestamp())) for each in times),
)
ACCEPTED = ColumnMap(AcceptedRequests, Column("Person", "person"), Column("Times", "times", _TIMES))


class PersonState(NamedTuple):
    """
    The rows of a person as they were read.

    Attributes:
        version: The row of the times; without an ETag if it is not there yet.
        accepted: The times.
        places: The rows of the live requests, by the request's id.
    """

    version: Row
    accepted: AcceptedRequests
    places: dict[str, Row]


class PersonRows:
    """Rows of people in ``JitState``, in the partition of the subscription."""

    def __init__(self, state: Table) -> None:
        """Keep rows in *state*."""
        self._state = state

    def read(self, partition: str, person_id: str) -> PersonState:
        """
        Return the rows of a person in a subscription: one query.

        Raises:
            CannotTell: This version cannot read the row of the times. That is an alert.
            Unavailable: Storage did not answer.
        """
        first = keys.person_key(person_id)
        where = Where(partition=partition, first=first, last=keys.keys_after(first))
        rows = {row.key.rpartition("|")[2]: row for row in read_all(self._state, where)}
        version = rows.pop(first.rpartition("|")[2], None)
        if version is None:
            version = Row(partition=partition, key=first, values={})
            return PersonState(version, AcceptedRequests(person_id), rows)
        try:
            return PersonState(version, read_accepted(version), rows)
        except Defect as error:
            alert_unreadable(version, error)
            raise CannotTell("the requests of this person could not be counted") from error

    def delete_place(self, partition: str, person_id: str, request_id: str) -> None:
        """
        Delete the place of a closed request; if it has none, nothing happens.

        An older version accepts requests without such a row.
        """
        row = self._state.get(partition, keys.own_request_key(person_id, request_id))
        if row is not None:
            delete_rows(self._state, [row])

    def forget(self, person: PersonState, request_ids: Collection[str]) -> None:
        """Delete the rows of requests that are not there any more."""
        delete_rows(self._state, [person.places[each] for each in sorted(request_ids)])


def claim_request(
    person: PersonState, request_id: str, now: datetime, *, counts_today: bool = True
) -> tuple[Op, ...]:
    """
    Return the operations that count a request of *person* which is accepted *now*.

    *counts_today* is False for a request in the person's name: it takes a place, and no turn of
    the day. The row of the times gets a new ETag all the same: it is the lock of the places.
    """
    accepted = person.accepted.add(now) if counts_today else person.accepted
    verb = Verb.REPLACE if person.version.etag else Verb.INSERT
    key = keys.own_request_key(accepted.person, request_id)
    own = Row(partition=person.version.partition, key=key, values={"Person": accepted.person})
    return Op(verb, write_accepted(person.version, accepted)), Op(Verb.INSERT, own)


def read_accepted(row: Row) -> AcceptedRequests:
    """
    Return the accepted requests of a row.

    Raises:
        Defect: This version cannot read the row.
    """
    return PERSON_KIND.read(row, lambda stored: ACCEPTED.read(stored.values))


def write_accepted(place: Row, accepted: AcceptedRequests) -> Row:
    """Return the row of accepted requests, over the version *place*."""
    return replace(place, values=PERSON_KIND.add_format(ACCEPTED.write(accepted)))
