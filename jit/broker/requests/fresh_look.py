"""
Fresh looks at open paths for callers who ask: a message for the worker, once in 30 s for a policy.

Callers choose how often they ask, and for how many requests. So each one leaves a wish in a row,
and the next look at the policy serves all wishes: nobody's wish can push out another one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from jit import messages, telemetry
from jit.broker.look_pace import ALL_PATHS, LOOK_PAUSE
from jit.domain.errors import BrokerError, StateConflict
from jit.domain.grants.lifetime import needs_look
from jit.domain.grants.timing import LOOK_NOTED
from jit.domain.values import arm_ids
from jit.interfaces import Queues
from jit.storage.control_rows import ControlRows, LooksRow
from jit.storage.stored import StoredRequest

MOST_ASKED = 500
"""Wishes under one policy in a minute: a property holds so many. One more is for all paths."""

_ATTEMPTS = 3
_ON_THE_WAY = timedelta(seconds=2)
"""A message that comes sooner may be read before the row has one more wish."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FreshLooks:
    """
    Asks the workers to look at open paths whose last look is old.

    Attributes:
        rows: Built when a look is wanted.
        queues: The same; the SDK is slow to import.
    """

    rows: Callable[[], ControlRows]
    queues: Callable[[], Queues]

    def ask(self, stored: StoredRequest, *, now: datetime) -> None:
        """
        Have the next look at each policy of *stored* serve its open paths that need one.

        A policy is looked at once in 30 seconds at most, and a request once a minute, by all
        instances together. The caller gets the answer in any case: a failure here is an event and
        no error.

        Args:
            stored: With the times of the last looks.
            now: Aware, UTC.
        """
        stale = {grant.policy_id for grant in stored.grants if needs_look(grant, now=now)}
        for policy_id in sorted(stale):
            try:
                self._ask_once(policy_id, stored.request.id, now)
            except BrokerError as error:
                telemetry.warning("look.not_asked", policy_id=policy_id, error=type(error).__name__)
                return  # the storage service does not answer: the caller waits for no second try

    def _ask_once(self, policy_id: str, request_id: str, now: datetime) -> None:
        for _ in range(_ATTEMPTS):
            row = self.rows().read_looks(policy_id)
            after = _add_wish(row, arm_ids.row_hash(request_id), now)
            if after is None:
                return
            try:
                self.rows().put(after)
            except StateConflict:
                continue  # another call asked just now
            if after.message_at is not None and after.message_at != row.message_at:
                text = messages.policy(policy_id, look=request_id)
                self.queues().send(messages.POLICY, text, delay=after.message_at - now)
            return


def _add_wish(row: LooksRow, name: str, now: datetime) -> LooksRow | None:
    """Return *row* with one more wish; None if it was noted within the last minute."""
    recent = _keep_recent(row.asked, now)
    wish = name if name in recent or len(recent) < MOST_ASKED else ALL_PATHS
    if wish in recent:
        return None
    message_at = _plan_message(row.message_at, now)
    return replace(row, asked={**recent, wish: now}, message_at=message_at)


def _plan_message(last: datetime | None, now: datetime) -> datetime:
    """Return the time when the message arrives that serves a new wish; *last* itself if it does."""
    if last is None or last > now + 2 * LOOK_PAUSE:  # so far ahead only by a clock that was wrong
        return now
    return last if last > now + _ON_THE_WAY else max(now, last + LOOK_PAUSE)


def _keep_recent(asked: Mapping[str, datetime], now: datetime) -> dict[str, datetime]:
    """Return the entries of the last minute: only they matter, and the row stays small."""
    return {name: at for name, at in asked.items() if at + LOOK_NOTED > now}
