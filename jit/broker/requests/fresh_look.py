"""A fresh look at open paths for a caller who asks: a message for the worker, once a minute."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from jit import messages, telemetry
from jit.domain.errors import BrokerError, StateConflict
from jit.domain.grants.lifetime import needs_look
from jit.domain.grants.timing import LOOK_NOTED
from jit.domain.values import arm_ids
from jit.interfaces import Queues
from jit.storage.control_rows import ControlRows
from jit.storage.stored import StoredRequest

MOST_ASKED = 500
"""Looks that are asked for under one policy in a minute: a property holds so many."""


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
        Send one message for each policy of *stored* with an open path that needs a look.

        A message is sent once a minute at most for each policy of a request, by all instances
        together. The caller gets the answer in any case: a failure here is an event and no error.

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
        row = self.rows().read_looks(policy_id)
        recent = _keep_recent(row.asked, now)
        name = arm_ids.row_hash(request_id)
        if name in recent or len(recent) >= MOST_ASKED:
            return
        try:
            self.rows().put(replace(row, asked={**recent, name: now}))
        except StateConflict:
            return  # another call asked just now; the next one asks again
        self.queues().send(messages.POLICY, messages.policy(policy_id, look=request_id))


def _keep_recent(asked: Mapping[str, datetime], now: datetime) -> dict[str, datetime]:
    """Return the entries of the last minute: only they matter, and the row stays small."""
    return {name: at for name, at in asked.items() if at + LOOK_NOTED > now}
