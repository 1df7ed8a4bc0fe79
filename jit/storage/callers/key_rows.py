"""Rows of idempotency keys, and the rows by which those that have run out are found."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from jit.domain.errors import Conflict, Violation
from jit.storage import keys
from jit.storage.documents import INSTANT, Column, ColumnMap, RowKind, blank
from jit.storage.table import Row

KEPT = timedelta(days=7)
"""How long a caller's own key is remembered."""

KEPT_WITHOUT_KEY = timedelta(minutes=10)
"""How long the same body from the same caller counts as a repetition."""

_KEPT_EXTENSION = timedelta(minutes=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredKey:
    """
    A key as it is stored.

    Attributes:
        body_hash: SHA-256 of the body that the key was first used with, in hexadecimal.
        request_id: The request that the key stands for.
        until: When the key runs out.
        begun_at: When the call with it began; None if an older version wrote the key.
    """

    body_hash: str
    request_id: str
    until: datetime
    begun_at: datetime | None = None

    def has_run_out(self, now: datetime) -> bool:
        """Return True if the key is new again *now*."""
        return self.until < now

    def check_body(self, call: RepeatableCall) -> None:
        """
        Check that *call* has the body of the first call with the key.

        Raises:
            Conflict: It has another one.
        """
        if self.body_hash != call.body_hash:
            detail = (
                f"this Idempotency-Key was used with another body, for request {self.request_id}:"
                " send that body, or another key"
            )
            raise Conflict(detail, (Violation("#", "idempotency-key-reused", detail),))


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyEnding:
    """
    The end of a key: the row of a key cannot be found by its end.

    Attributes:
        row_key: The row of the key.
    """

    row_key: str


UNTIL = "Until"

KEY_KIND = RowKind("idempotency keys")
KEY = ColumnMap(
    StoredKey,
    Column("BodyHash", "body_hash"),
    Column("RequestId", "request_id"),
    Column(UNTIL, "until", INSTANT),
    Column("BegunAt", "begun_at", blank(INSTANT), default=None),
)

ENDING_KIND = RowKind("ends of idempotency keys")
ENDING = ColumnMap(KeyEnding, Column("Key", "row_key"))


@dataclass(frozen=True, slots=True)
class Use:
    """
    The kind of call that a key is for: one key of a caller may stand for a call of each kind.

    Attributes:
        name: Different for each kind.
        kept_without_key: How long the same body from the same caller counts as a repetition.
    """

    name: str
    kept_without_key: timedelta


ASKING = Use("", KEPT_WITHOUT_KEY)
"""The use of a key for ``POST access-requests``."""


def make_extension_use(request_id: str) -> Use:
    """Return the use of a key for extensions of a request."""
    return Use(f"extend {request_id} ", _KEPT_EXTENSION)


@dataclass(frozen=True, slots=True, kw_only=True)
class RepeatableCall:
    """
    A call that its caller may repeat.

    Attributes:
        caller: Object id.
        subscription: The subscription that the call is about; a key of another one is another key.
        key: The caller's ``Idempotency-Key``, if sent.
        body: As JSON; the order of its members does not matter.
    """

    caller: str
    subscription: str
    key: str | None
    body: Mapping[str, object]
    use: Use = ASKING

    @property
    def body_hash(self) -> str:
        """SHA-256 of the body, in hexadecimal."""
        return make_digest(json.dumps(self.body, sort_keys=True))

    @property
    def row_key(self) -> str:
        """The row key of the call's key, or of its body without one."""
        return keys.idempotency_key(make_digest(f"{self.caller} {self.digest}"))

    @property
    def digest(self) -> str:
        """SHA-256 of the call's key, or of its body without one, for one use; in hexadecimal."""
        key = f"body {self.body_hash}" if self.key is None else f"key {self.key}"
        return make_digest(f"{self.use.name}{key}")

    def find_end(self, now: datetime) -> datetime:
        """Return the time when the key runs out that is first used *now*."""
        return now + (self.use.kept_without_key if self.key is None else KEPT)


def make_key(call: RepeatableCall, request_id: str, now: datetime) -> StoredKey:
    """Return the key of *call*, first used *now*, for a request."""
    until = call.find_end(now)
    return StoredKey(body_hash=call.body_hash, request_id=request_id, until=until, begun_at=now)


def read_key(row: Row) -> StoredKey:
    """
    Return the key of a row.

    Raises:
        Defect: This version cannot read the row.
    """
    return KEY_KIND.read(row, parse_key)


def parse_key(row: Row) -> StoredKey:
    """Return the key from a row of a known format."""
    return KEY.read(row.values)


def write_key(place: Row, key: StoredKey) -> Row:
    """Return the row of a key, over the version *place*."""
    return replace(place, values=KEY_KIND.add_format(KEY.write(key)))


def write_ending(row: Row) -> Row:
    """Return a row that sorts by the end of the key in *row*; no other one has its row key."""
    stamp, mark = keys.write_stamp(read_key(row).until), secrets.token_hex(8)
    values = ENDING_KIND.add_format(ENDING.write(KeyEnding(row_key=row.key)))
    return Row(partition=row.partition, key=f"{keys.ENDINGS}|{stamp}|{mark}", values=values)


def parse_ending(row: Row) -> KeyEnding:
    """Return the end of a key from a row of a known format."""
    return ENDING.read(row.values)


def make_digest(text: str) -> str:
    """Return SHA-256 of *text* in hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()
