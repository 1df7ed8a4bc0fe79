"""
Storage queues as the Functions host uses them: at least once, hidden while worked on.

A message that is handed out stays hidden for the visibility timeout and is deleted when its
function returns; after five attempts it goes to the poison queue, which decides nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from tests.fakes.calls import Calls

VISIBILITY = timedelta(seconds=30)
"""host.json's ``visibilityTimeout``."""

DEQUEUES = 5
"""host.json's ``maxDequeueCount``."""

NEVER = datetime.max.replace(tzinfo=UTC)


@dataclass(eq=False, slots=True)
class Message:
    """One message, hidden until it is visible."""

    queue: str
    text: str
    visible_at: datetime
    dequeued: int = 0


class Post:
    """
    A ``Queues`` that keeps what it is given until the host takes it.

    Attributes:
        deaf: Takes messages and delivers none of them: lost on the way.
        poisoned: Messages given up.
    """

    def __init__(self, clock: Callable[[], datetime], calls: Calls) -> None:
        """*clock* is the service's own."""
        self._clock = clock
        self._calls = calls
        self._messages: list[Message] = []
        self.deaf = False
        self.poisoned: list[Message] = []

    def send(self, queue: str, message: str, *, delay: timedelta = timedelta(0)) -> None:
        """Send *message*; visible after *delay*, in whole seconds."""
        with self._calls.call("queues.send"):
            self.put(queue, message, delay=delay)

    def put(self, queue: str, text: str, *, delay: timedelta = timedelta(0)) -> None:
        """Put a message on *queue*, uncounted: what the host does by an output binding."""
        whole = timedelta(seconds=math.ceil(max(delay, timedelta(0)).total_seconds()))
        if not self.deaf:
            self._messages.append(Message(queue, text, self._clock() + whole))

    def due(self) -> datetime:
        """Return when the next message becomes visible."""
        return min((item.visible_at for item in self._messages), default=NEVER)

    def take(self) -> Message | None:
        """Hand out the message that has been visible longest, hidden from others for a while."""
        visible = [item for item in self._messages if item.visible_at <= self._clock()]
        if not visible:
            return None
        first = min(visible, key=lambda item: item.visible_at)
        first.dequeued += 1
        if first.dequeued > DEQUEUES:
            self.delete(first)
            self.poisoned.append(first)
            return self.take()
        first.visible_at = self._clock() + VISIBILITY
        return first

    def delete(self, message: Message) -> None:
        """Take a message off its queue: it was handled."""
        self._messages = [item for item in self._messages if item is not message]

    def lose(self) -> None:
        """Lose every message."""
        self._messages.clear()
