"""Rights of people that were read a short time ago; each caller says how short."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import NamedTuple

from jit.broker.rights.reading_pace import Purpose
from jit.broker.rights.recent_readings import Dated, RecentReadings
from jit.broker.rights.rights_reader import RightsReader
from jit.domain.authorization.rights import Rights, RightsRules, build_rights
from jit.domain.authorization.role_assignments import RoleAssignment
from jit.domain.errors import CannotTell, Unavailable

MOST_PEOPLE = 500
"""People whose rights are kept; beyond it, those that were asked for least lately are forgotten."""

MOST_SUBSCRIPTIONS = 100


class KnownRights(NamedTuple):
    """
    The rights of a person.

    Attributes:
        read_at: When the older one of the two readings began.
    """

    rights: Rights
    read_at: datetime


class KeptRights:
    """Knows the rights of people in subscriptions; any thread may call it."""

    def __init__(self, reader: RightsReader) -> None:
        """Begin without a reading."""
        self._reader = reader
        self._rules: RecentReadings[RightsRules] = RecentReadings(MOST_SUBSCRIPTIONS)
        self._own: RecentReadings[tuple[RoleAssignment, ...]] = RecentReadings(MOST_PEOPLE)

    def find(
        self,
        person_id: str,
        subscription: str,
        *,
        since: datetime,
        now: datetime,
        groups: frozenset[str] | None = None,
        purpose: Purpose = Purpose.OPENING,
    ) -> KnownRights:
        """
        Return the rights of a person: three calls of Azure if nothing is kept, else fewer or none.

        Args:
            person_id: Object id.
            subscription: Lower-case id of a subscription that the settings name.
            since: The readings begin later than this, or are made by this call.
            now: Aware, UTC.
            groups: Lower-case object ids of the person's groups; None if they are not known.
            purpose: It decides which share of the pace the readings may use.

        Raises:
            CannotTell: They could not be read.
        """
        rules = self.find_rules(subscription, since=since, now=now, purpose=purpose)
        own = self.find_assignments(person_id, subscription, since=since, now=now, purpose=purpose)
        rights = build_rights(rules.value, own.value, person_id.lower(), groups)
        return KnownRights(rights, min(rules.read_at, own.read_at))

    def find_rules(
        self,
        subscription: str,
        *,
        since: datetime,
        now: datetime,
        purpose: Purpose = Purpose.OPENING,
    ) -> Dated[RightsRules]:
        """Return the roles and deny assignments of a subscription; for the rest see `find`."""

        def read() -> RightsRules:
            return self._reader.read_rules(subscription, now, purpose)

        with _explain_waiting():
            return self._rules.get(subscription, read, since=since, now=now)

    def find_assignments(
        self,
        person_id: str,
        subscription: str,
        *,
        since: datetime,
        now: datetime,
        purpose: Purpose = Purpose.OPENING,
    ) -> Dated[tuple[RoleAssignment, ...]]:
        """Return the role assignments of a person; for the rest see `find`."""

        def read() -> tuple[RoleAssignment, ...]:
            return self._reader.read_assignments(subscription, person_id, now, purpose)

        with _explain_waiting():
            return self._own.get(_make_key(person_id, subscription), read, since=since, now=now)

    def has_assignments(
        self, person_id: str, subscription: str, *, since: datetime, now: datetime
    ) -> bool:
        """Return True if `find_assignments` would need no call of Azure."""
        key = _make_key(person_id, subscription)
        return self._own.find_kept(key, since=since, now=now) is not None

    def has_failed(self, person_id: str, subscription: str) -> bool:
        """Return True if the last reading of a person failed, for a reason of that person alone."""
        return self._reader.has_failed(subscription, person_id)


def _make_key(person_id: str, subscription: str) -> str:
    return f"{subscription} {person_id.lower()}"


@contextmanager
def _explain_waiting() -> Iterator[None]:
    """Let the failure of another caller's reading be `CannotTell`, too."""
    try:
        yield
    except CannotTell:
        raise
    except Unavailable as error:
        detail = "roles in Azure could not be read"
        raise CannotTell(detail, retry_after_seconds=error.retry_after_seconds) from error
