"""Azure Queue Storage, for messages with a delay; without one, output bindings send them."""

from __future__ import annotations

import base64
import math
from collections.abc import Callable
from datetime import timedelta

from azure.core.exceptions import AzureError, ResourceNotFoundError
from azure.storage.queue import QueueClient

from jit.domain.errors import Unavailable

_LONGEST = timedelta(days=7)


class StorageQueues:
    """A ``Queues`` over Azure Queue Storage, encoded in base64 as host.json says."""

    def __init__(self, make: Callable[[str], QueueClient]) -> None:
        """*make* returns a client for a queue's name."""
        self._make = make
        self._clients: dict[str, QueueClient] = {}

    def send(self, queue: str, message: str, *, delay: timedelta = timedelta(0)) -> None:
        """Send *message*, visible after *delay*; create the queue if it is missing."""
        text = base64.b64encode(message.encode()).decode()
        # Rounded up: a message that comes too early finds nothing due, and ends.
        seconds = math.ceil(max(timedelta(0), min(delay, _LONGEST)).total_seconds())
        client = self._clients.get(queue) or self._clients.setdefault(queue, self._make(queue))
        try:
            try:
                client.send_message(text, visibility_timeout=seconds)
            except ResourceNotFoundError:
                client.create_queue()
                client.send_message(text, visibility_timeout=seconds)
        except AzureError as error:
            raise Unavailable("queue storage did not take a message") from error
