"""
Claims on shared things: one worker at a time acts for a JIT policy, one policy on a firewall.

A claim is a row won under its ETag. A policy's lease is aged by the storage service's clock; a
firewall's turn is a courtesy that avoids our own collisions: ``If-Match`` is the safety.
"""

from __future__ import annotations

import secrets
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from jit.domain.errors import StateConflict
from jit.domain.values import arm_ids
from jit.storage import keys
from jit.storage.store import Store
from jit.storage.table import Row

LEASE = timedelta(seconds=60)
"""Longer than any pass: each call of a pass is bounded by its own time-out."""

TURN = timedelta(minutes=15)
"""After this long a turn that nobody gave back is free again."""

_QUIET = (timedelta(seconds=3), timedelta(seconds=10))
_BURST = timedelta(seconds=45)


@dataclass(frozen=True, slots=True)
class PolicyLease:
    """A won controller row, and what it says."""

    row: Row

    @property
    def not_before(self) -> datetime | None:
        """When a pass may be tried again after one that failed; the broker's clock."""
        return self._instant("NotBefore")

    @property
    def asks_from(self) -> datetime | None:
        """When Azure may be asked again to open something, if it wanted us to wait."""
        return self._instant("AsksFrom")

    def _instant(self, name: str) -> datetime | None:
        text = str(self.row.values.get(name) or "")
        return keys.read_stamp(text) if text else None

    @property
    def attempts(self) -> int:
        """Failed attempts in a row."""
        return int(self.row.values.get("Attempts") or 0)

    @property
    def quiet_seconds(self) -> int:
        """How long to gather more requests before the next initiate; 0 when none was just made."""
        last = str(self.row.values.get("InitiatedAt") or "")
        now = self.row.read_at
        if not last or now is None:
            return 0
        step = _QUIET[min(int(self.row.values.get("Burst") or 0), len(_QUIET)) - 1]
        rest = keys.read_stamp(last) + step - now
        return max(0, -(-rest // timedelta(seconds=1)))

    @property
    def awaited(self) -> bool:
        """Whether a message is on its way that will look at the new grants."""
        wake, now = str(self.row.values.get("WakeAt") or ""), self.row.read_at
        return bool(wake) and now is not None and keys.read_stamp(wake) > now


class Locks:
    """Takes and gives back claims."""

    def __init__(self, store: Store) -> None:
        """Keep claims in *store*."""
        self._store = store

    def claim(self, policy_id: str) -> PolicyLease | None:
        """
        Win the policy's controller row, or return None while somebody else holds it.

        Whoever was quicker may not have claimed it, only noted something: hence a second try.
        """
        partition, key = arm_ids.subscription(policy_id), keys.policy_key(policy_id)
        for _ in range(2):
            row = self._store.control(partition, key) or Row(
                partition=partition, key=key, values={"Policy": policy_id}
            )
            if row.values.get("Owner") and not _aged(row):
                return None
            with suppress(StateConflict):
                return self._won(self._store.put_control(_with(row, Owner=secrets.token_hex(8))))
        return None

    def _won(self, row: Row) -> PolicyLease | None:
        """Return a row just won; one just inserted is read once for the service's clock."""
        if row.read_at is not None:
            return PolicyLease(row)
        read = self._store.control(row.partition, row.key)
        return PolicyLease(read) if read is not None and read.etag == row.etag else None

    def release(
        self,
        claim: PolicyLease,
        *,
        not_before: datetime | None = None,
        asks_from: datetime | None = None,
        attempts: int = 0,
        initiated: bool = False,
    ) -> None:
        """
        Give the row back; a row that was taken over meanwhile is not ours to give.

        Where *asks_from* is None, what the row says about it stays.
        """
        row = _with(
            claim.row,
            Owner="",
            NotBefore=keys.write_stamp(not_before) if not_before else "",
            Attempts=attempts,
        )
        if asks_from is not None:
            row = _with(row, AsksFrom=keys.write_stamp(asks_from))
        if initiated and row.read_at is not None:
            row = _with(row, InitiatedAt=keys.write_stamp(row.read_at), Burst=_burst(row))
        try:
            self._store.put_control(row)
        except StateConflict:
            return  # the lease ran out; its new holder decides

    def holds(self, claim: PolicyLease) -> bool:
        """Tell whether nobody has taken the row over since it was won."""
        row = self._store.control(claim.row.partition, claim.row.key)
        return row is not None and row.etag == claim.row.etag

    def look(self, policy_id: str) -> PolicyLease | None:
        """Return what a policy's controller row says, unclaimed; None if there is none."""
        row = self._store.control(arm_ids.subscription(policy_id), keys.policy_key(policy_id))
        return PolicyLease(row) if row is not None else None

    def expect(self, seen: PolicyLease, delay: timedelta) -> None:
        """Note that a message comes after *delay*: new grants until then need none of their own."""
        if seen.row.read_at is None or seen.row.values.get("Owner"):
            return
        wake = keys.write_stamp(seen.row.read_at + delay)
        try:
            self._store.put_control(_with(seen.row, WakeAt=wake))
        except StateConflict:
            return  # somebody has just claimed it, and will look again afterwards

    def firewall_free(self, firewall_id: str, policy_id: str, now: datetime) -> bool:
        """Tell whether *policy_id* may take, or has, the firewall's turn."""
        row = self._store.control(arm_ids.subscription(firewall_id), keys.firewall_key(firewall_id))
        return row is None or _may_take(row, policy_id, now)

    def take_firewall(self, firewall_id: str, policy_id: str, now: datetime) -> bool:
        """Take the firewall's turn for a policy; False if another one has it."""
        partition, key = arm_ids.subscription(firewall_id), keys.firewall_key(firewall_id)
        row = self._store.control(partition, key) or Row(
            partition=partition, key=key, values={"Firewall": firewall_id}
        )
        if not _may_take(row, policy_id, now):
            return False
        try:
            self._store.put_control(
                _with(row, Holder=arm_ids.row_hash(policy_id), Since=keys.write_stamp(now))
            )
        except StateConflict:
            return False
        return True

    def note_operation(self, firewall_id: str, *, url: str, foreign: str) -> None:
        """Remember a running update: its URL, and a digest of what must come back unchanged."""
        partition, key = arm_ids.subscription(firewall_id), keys.firewall_key(firewall_id)
        row = self._store.control(partition, key)
        if row is not None:
            self._store.put_control(_with(row, Operation=url, Foreign=foreign))

    def noted(self, firewall_id: str) -> tuple[str, str]:
        """Return the running update's URL and digest; empty strings if there is none."""
        row = self._store.control(arm_ids.subscription(firewall_id), keys.firewall_key(firewall_id))
        values = row.values if row is not None else {}
        return str(values.get("Operation") or ""), str(values.get("Foreign") or "")

    def has_firewall(self, firewall_id: str, policy_id: str) -> bool:
        """Tell whether it is this policy's turn on the firewall."""
        row = self._store.control(arm_ids.subscription(firewall_id), keys.firewall_key(firewall_id))
        return row is not None and row.values.get("Holder") == arm_ids.row_hash(policy_id)

    def return_firewall(self, firewall_id: str, policy_id: str) -> None:
        """Give the turn back, if this policy has it."""
        row = self._store.control(arm_ids.subscription(firewall_id), keys.firewall_key(firewall_id))
        if row is None or row.values.get("Holder") != arm_ids.row_hash(policy_id):
            return
        try:
            self._store.put_control(_with(row, Holder="", Since="", Operation="", Foreign=""))
        except StateConflict:
            return  # somebody else changed it: it is theirs now


def _aged(row: Row) -> bool:
    if row.written_at is None or row.read_at is None:
        return False
    return row.read_at - row.written_at > LEASE


def _may_take(row: Row, policy_id: str, now: datetime) -> bool:
    holder, since = str(row.values.get("Holder") or ""), str(row.values.get("Since") or "")
    if not holder or holder == arm_ids.row_hash(policy_id):
        return True
    return bool(since) and now - keys.read_stamp(since) > TURN


def _burst(row: Row) -> int:
    """Count initiates that follow each other closely: the more, the longer we gather."""
    last = str(row.values.get("InitiatedAt") or "")
    if not last or row.read_at is None or row.read_at - keys.read_stamp(last) > _BURST:
        return 1
    return int(row.values.get("Burst") or 0) + 1


def _with(row: Row, **values: str | int) -> Row:
    return replace(row, values={**row.values, **values})
