"""
The seams to everything outside: one Protocol per outside thing.

Each has a fake in ``tests/fakes`` and an adapter in ``jit/gateways``; one contract suite per
Protocol runs on both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from typing import Any, Protocol

Resource = Mapping[str, Any]
"""One ARM resource as JSON."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """
    One entity of a table.

    Attributes:
        partition: PartitionKey.
        key: RowKey.
        values: Properties: strings, integers, booleans. Instants are ISO text, so that text order
            is time order.
        etag: Opaque tag of the version that was read; empty on a row to be inserted.
        written_at: The service's clock when this version was written.
        read_at: The service's clock when it was read.
    """

    partition: str
    key: str
    values: Mapping[str, str | int | bool]
    etag: str = ""
    written_at: datetime | None = None
    read_at: datetime | None = None


class Verb(Enum):
    """What an operation of a transaction does to its row."""

    INSERT = "insert"  # fails if it exists
    REPLACE = "replace"  # fails unless the row still has the etag
    DELETE = "delete"  # the same


@dataclass(frozen=True, slots=True)
class Op:
    """One operation of a transaction; all operations of it share a partition."""

    verb: Verb
    row: Row


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Rows of a query in key order; *token* continues it, None at its end."""

    rows: tuple[Row, ...]
    token: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """
    What a query asks of one partition, or of all.

    Attributes:
        partition: PartitionKey; None asks every partition.
        first: Smallest RowKey, inclusive.
        last: Largest RowKey, exclusive.
        equal: Properties that must have these values.
        at_most: Text properties that must be at most these values.
    """

    partition: str | None = None
    first: str = ""
    last: str = ""
    equal: Mapping[str, str] = field(default_factory=dict)
    at_most: Mapping[str, str] = field(default_factory=dict)


class Table(Protocol):
    """
    One table with ETags and entity-group transactions.

    Every method raises ``Unavailable`` when the service does not answer or asks to wait, and
    ``Unknown`` when a write may or may not have happened.
    """

    def get(self, partition: str, key: str) -> Row | None:
        """Return one row; None if there is none."""

    def query(self, where: Where, *, limit: int = 1000, token: str | None = None) -> Page:
        """Return one page of at most *limit* rows, a page of 1,000 at most."""

    def write(self, ops: Sequence[Op]) -> tuple[str, ...]:
        """
        Do all of *ops* (1 to 100, one partition) or none of them.

        Returns:
            The etag of each row as written; an empty string for a deleted one.

        Raises:
            StateConflict: A row exists that should not, has another etag, or is gone.
        """


class Queues(Protocol):
    """Queues as the workers see them: messages are hints."""

    def send(self, queue: str, message: str, *, delay: timedelta = timedelta(0)) -> None:
        """Send *message*, visible after *delay* (0 to 7 days) of the service's own clock."""


class JitPolicies(Protocol):
    """Microsoft Defender for Cloud's just-in-time network access policies."""

    def get(self, policy_id: str) -> Resource:
        """
        Return a policy.

        Raises:
            Gone: There is no such policy.
        """

    def initiate(self, policy_id: str, body: Mapping[str, object]) -> None:
        """
        Ask Defender to open ports; 202 is all that it says.

        Raises:
            Refused: A 4xx: nothing was opened.
            Unknown: No answer: it may have been done.
        """

    def replace(self, policy_id: str, body: Mapping[str, object]) -> Resource:
        """Put the whole policy; there is no ETag (api-version 2020-01-01)."""

    def delete(self, policy_id: str) -> None:
        """Delete a policy; deleting nothing is fine."""


class Network(Protocol):
    """NSGs and classic-rules firewalls, read and changed with Microsoft.Network's own client."""

    def nsg(self, nsg_id: str) -> Resource:
        """Return an NSG with its rules."""

    def firewall(self, firewall_id: str) -> Resource:
        """Return a firewall with its rule collections."""

    def put_rule(self, rule_id: str, body: Mapping[str, object]) -> None:
        """Create or replace one security rule; returns before the change is done."""

    def delete_rule(self, rule_id: str) -> None:
        """Delete one security rule; returns before it is done; deleting nothing is fine."""

    def put_firewall(self, firewall_id: str, body: Mapping[str, object], *, etag: str) -> str:
        """
        Replace a whole firewall if it still has *etag*.

        Returns:
            The URL of the operation, which takes minutes.

        Raises:
            StateConflict: It was changed since.
            Busy: Another operation runs.
        """


class Arm(Protocol):
    """Azure Resource Manager, read without a management SDK: the thin way of the HTTP path."""

    def get(self, resource_id: str, api_version: str) -> Resource:
        """
        Return one resource.

        Raises:
            Gone: There is no such resource.
            PermissionLost: The broker's identity may not read it.
        """

    def list(self, path: str, api_version: str) -> list[Resource]:
        """Return every item of a list, all pages."""


class Clock(Protocol):
    """The present."""

    def __call__(self) -> datetime:
        """Return now; aware, UTC."""
