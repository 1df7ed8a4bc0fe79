"""
Queues in memory; messages can stay hidden for a while.

Limits: https://learn.microsoft.com/rest/api/storageservices/put-message.
"""

from __future__ import annotations

import math
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from jit.domain.errors import Defect
from tests.fakes.calls import Calls

LONGEST_DELAY = timedelta(days=7)
MESSAGE_BYTES = 48 * 1024  # 64 KiB once it is base64
_NAME = re.compile(r"(?=.{3,63}$)[a-z0-9]+(-[a-z0-9]+)*")


@dataclass(frozen=True, slots=True)
class Sent:
    """A message on a queue."""

    text: str
    visible_at: datetime


class FakeQueues:
    """A ``Queues`` without a service; the test delivers the messages."""

    def __init__(self, clock: Callable[[], datetime], *, calls: Calls | None = None) -> None:
        """*clock* is the clock of the service."""
        self._clock = clock
        self._calls = calls or Calls()
        self._lock = threading.Lock()
        self._queues: dict[str, list[Sent]] = {}

    def send(self, queue: str, message: str, *, delay: timedelta = timedelta(0)) -> None:
        """Send *message*; visible after *delay* (0 to 7 days), in whole seconds."""
        with self._calls.call("queues.send"):
            if not _NAME.fullmatch(queue):
                raise Defect("a queue has a name of 3 to 63 lower-case letters, digits, hyphens")
            if len(message.encode()) > MESSAGE_BYTES:
                raise Defect("a message has 64 KiB at most")
            bounded = max(timedelta(0), min(delay, LONGEST_DELAY))
            whole = timedelta(seconds=math.ceil(bounded.total_seconds()))
            with self._lock:
                sent = Sent(message, self._clock() + whole)
                self._queues.setdefault(queue, []).append(sent)

    def receive(self, queue: str) -> str | None:
        """Take the oldest visible message off *queue*; None if all are hidden."""
        with self._lock:
            messages = self._queues.get(queue, [])
            visible = [item for item in messages if item.visible_at <= self._clock()]
            if not visible:
                return None
            first = min(visible, key=lambda item: item.visible_at)
            messages.remove(first)
            return first.text

    def waiting(self, queue: str) -> tuple[Sent, ...]:
        """Return the messages on *queue*, hidden ones too."""
        with self._lock:
            return tuple(self._queues.get(queue, ()))

    def lose(self) -> None:
        """Lose every message of every queue: messages are hints, and nothing may depend on them."""
        with self._lock:
            self._queues.clear()
