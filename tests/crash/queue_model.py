"""
Storage queues as the Functions host uses them: at least once, hidden during the work.

A message that the host takes stays hidden for the visibility timeout. The host deletes it when the
function returns. After five attempts it goes to the poison queue, which has no effect here.
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
    """One message, hidden until ``visible_at``."""

    queue: str
    text: str
    visible_at: datetime
    dequeued: int = 0


class QueueModel:
    """
    A ``Queues`` that keeps each message until the host takes it.

    Attributes:
        loses_messages: True if it accepts messages and does not deliver them.
        poisoned: Messages that were moved to the poison queue.
    """

    def __init__(self, clock: Callable[[], datetime], calls: Calls) -> None:
        """*clock* is the clock of the storage service."""
        self._clock = clock
        self._calls = calls
        self._messages: list[Message] = []
        self.loses_messages = False
        self.poisoned: list[Message] = []

    def send(self, queue: str, message: str, *, delay: timedelta = timedelta(0)) -> None:
        """Send *message*; it becomes visible after *delay*, in whole seconds."""
        with self._calls.call("queues.send"):
            self.put(queue, message, delay=delay)

    def put(self, queue: str, text: str, *, delay: timedelta = timedelta(0)) -> None:
        """Put a message on *queue* as an output binding does; the call is not counted."""
        whole = timedelta(seconds=math.ceil(max(delay, timedelta(0)).total_seconds()))
        if not self.loses_messages:
            self._messages.append(Message(queue, text, self._clock() + whole))

    def next_visible_at(self) -> datetime:
        """Return the time at which the next message becomes visible; ``NEVER`` if there is none."""
        return min((item.visible_at for item in self._messages), default=NEVER)

    def take(self) -> Message | None:
        """Take the message that has been visible longest, and hide it."""
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
        """Delete a message that was handled."""
        self._messages = [item for item in self._messages if item is not message]

    def lose_all(self) -> None:
        """Lose every message."""
        self._messages.clear()
