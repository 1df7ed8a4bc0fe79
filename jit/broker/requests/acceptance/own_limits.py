"""The limits of the person who asks: its rows, read before anything that they are compared with."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from jit.broker.requests.new_grants import OtherGrants
from jit.domain.decision.person_limits import find_full_counts, find_full_ports
from jit.domain.decision.verdict import Finding
from jit.domain.limits import Limits
from jit.domain.model.request import AccessRequest
from jit.storage.callers.person_rows import PersonRows, PersonState
from jit.storage.request_store import RequestStore


class OwnLimits(NamedTuple):
    """
    Compares a request with the other requests of its person.

    The rows of a person are read first, then grants; the request is stored over these rows. So each
    request of the person counts that was stored before.
    """

    rows: PersonRows
    requests: RequestStore
    limits: Limits

    def find_full_counts(
        self, person: PersonState, now: datetime, *, counts_today: bool = True
    ) -> tuple[Finding, ...]:
        """
        Return a finding for each number of requests that is reached.

        *counts_today* is False for a request in the person's name: others may ask however often.
        """
        live = len(person.places)
        if live >= self.limits.live_requests:
            live -= self._forget_left_behind(person)
        accepted = person.accepted if counts_today else person.accepted._replace(times=())
        return tuple(find_full_counts(live, accepted, now=now, limits=self.limits))

    def _forget_left_behind(self, person: PersonState) -> int:
        """
        Delete places whose request is gone, and return their number.

        An older version moves a request to history without its place. Such places must lock nobody
        out. So the requests themselves are listed before a person is refused.
        """
        partition, person_id = person.version.partition, person.accepted.person
        left = person.places.keys() - self.requests.list_ids_of(partition, person_id)
        self.rows.forget(person, left)
        return len(left)

    def find_full_ports(
        self, access: AccessRequest, person: PersonState, others: OtherGrants, now: datetime
    ) -> tuple[Finding, ...]:
        """Return the findings for the ports of *access* that the person has had enough of."""
        own = {
            vm_port: [grant for grant in grants if grant.request_id in person.places]
            for vm_port, grants in others.items()
        }
        return tuple(find_full_ports(access, own, now=now, limits=self.limits))
