"""
The lists of Azure that tell the rights of people, one call each.

If they cannot be read, nobody is refused for it, and nothing opens by it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING

from jit import telemetry
from jit.api_versions import AUTHORIZATION
from jit.broker.rights.reading_pace import Purpose, ReadingPace
from jit.domain.authorization.deny_assignments import read_deny_assignments
from jit.domain.authorization.permission_json import Unreadable
from jit.domain.authorization.rights import RightsRules
from jit.domain.authorization.role_assignments import RoleAssignment, read_assignments
from jit.domain.authorization.role_definitions import read_roles
from jit.domain.errors import (
    BrokerError,
    CannotTell,
    Malformed,
    PermissionLost,
    Throttled,
    Unavailable,
)
from jit.domain.values.object_ids import parse_object_id

if TYPE_CHECKING:
    from jit.domain.azure.arm_json import Resource
    from jit.interfaces import Arm

_AT_GROUPS_TOO = "atScopeAndBelow()"
"""Without it, roles that can be assigned at a resource group only would be missing."""

_LATER = 60  # seconds: a person must change something first

_UNREADABLE = 30  # seconds: Azure answers, but the next answer is most likely the same

_RULES = "rules"
"""The key of the roles and deny assignments; the key of role assignments is an object id."""

_OF_ALL = (Throttled, PermissionLost)
"""They concern each list of a subscription."""


class RightsReader:
    """Reads role assignments, role definitions and deny assignments, at a pace."""

    def __init__(
        self,
        arm: Callable[[], Arm],
        pace: ReadingPace,
        open_pool: Callable[[int], Executor] = ThreadPoolExecutor,
    ) -> None:
        """*arm* is built when something is read: most calls need no reading."""
        self._arm = arm
        self._pace = pace
        self._open_pool = open_pool

    def read_rules(
        self, subscription: str, now: datetime, purpose: Purpose = Purpose.OPENING
    ) -> RightsRules:
        """
        Return the roles and the deny assignments of a subscription: two calls, at once.

        Raises:
            CannotTell: Azure did not answer, did not let the broker read them, or was asked too
                often.
        """
        with self._begin("roles and deny assignments", subscription, _RULES, now, purpose):
            with self._open_pool(2) as pool:
                roles = pool.submit(self._list, subscription, "roleDefinitions", _AT_GROUPS_TOO)
                denials = pool.submit(self._list, subscription, "denyAssignments")
            return RightsRules(read_roles(roles.result()), read_deny_assignments(denials.result()))

    def read_assignments(
        self,
        subscription: str,
        person_id: str,
        now: datetime,
        purpose: Purpose = Purpose.OPENING,
    ) -> tuple[RoleAssignment, ...]:
        """
        Return the role assignments of a person, those of the person's groups included: one call.

        Args:
            subscription: Lower-case id.
            person_id: Object id; it becomes a part of a filter, so it is checked here.
            now: Aware, UTC.
            purpose: It decides which share of the pace the reading may use.

        Raises:
            CannotTell: As `read_rules`, or the answer of Azure is not about this person.
        """
        try:
            oid = parse_object_id(person_id)
        except Malformed as error:
            detail = "the person has no object id, so roles in Azure could not be read"
            raise CannotTell(detail) from error
        with self._begin("role assignments", subscription, oid, now, purpose):
            chosen = f"assignedTo('{oid}')"
            return read_assignments(self._list(subscription, "roleAssignments", chosen), oid)

    def has_failed(self, subscription: str, person_id: str) -> bool:
        """Return True if the last reading of a person failed, for a reason of that person alone."""
        return self._pace.has_failed(subscription, person_id.lower())

    def _list(self, subscription: str, kind: str, chosen: str = "") -> list[Resource]:
        path = f"/subscriptions/{subscription}/providers/Microsoft.Authorization/{kind}"
        return self._arm().list(path, AUTHORIZATION, chosen=chosen)

    @contextmanager
    def _begin(
        self, what: str, subscription: str, key: str, now: datetime, purpose: Purpose
    ) -> Iterator[None]:
        """Begin a reading, and turn each failure of it into `CannotTell`."""
        with self._pace.take(subscription, now, key, purpose):
            try:
                yield
            except (BrokerError, Unreadable) as error:
                wait = _find_wait(error)
                self._rest(error, subscription, key, wait, now)
                _report(error, subscription)
                detail = f"{what} in Azure could not be read"
                raise CannotTell(detail, retry_after_seconds=wait) from error

    def _rest(
        self, error: Exception, subscription: str, key: str, wait: int, now: datetime
    ) -> None:
        """Let the subscription rest if the failure concerns everybody, else its key alone."""
        is_of_rules = key == _RULES and isinstance(error, BrokerError)
        if is_of_rules or isinstance(error, _OF_ALL):
            self._pace.wait(subscription, wait, now)
        else:
            self._pace.wait_for_key(subscription, key, wait, now)


def _find_wait(error: BrokerError | Unreadable) -> int:
    """Return the seconds after which another reading is worth its call."""
    if isinstance(error, Unreadable):
        return _UNREADABLE
    return error.retry_after_seconds if isinstance(error, Unavailable) else _LATER


def _report(error: Exception, subscription: str) -> None:
    """Tell of a failure; one that waiting does not repair is an alert."""
    name, code = type(error).__name__, getattr(error, "code", "")
    if isinstance(error, Unavailable):
        telemetry.warning("rights.unread", subscription=subscription, error=name)
    else:
        telemetry.alert("rights.refused", subscription=subscription, error=name, code=code)
