"""Azure Queue Storage, for messages with a delay; without one, output bindings send them."""

from __future__ import annotations

import base64
import contextlib
import math
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from typing import Any

from azure.core.credentials import TokenCredential
from azure.core.exceptions import (
    AzureError,
    HttpResponseError,
    ResourceExistsError,
    ResourceNotFoundError,
)
from azure.storage.queue import QueueClient

from jit.domain.errors import Defect, Unavailable

TIMING: Mapping[str, Any] = {
    "retry_total": 2,
    "initial_backoff": 1,
    "increment_base": 2,
    "random_jitter_range": 1,
    "connection_timeout": 3,
    "read_timeout": 10,
}
"""Seconds: at the SDK's own pace one lost message would hold a function for over a minute."""

QUICK: Mapping[str, Any] = {"retry_total": 0, "connection_timeout": 1, "read_timeout": 2}
"""Seconds, for a message that a caller waits for and that may be lost."""

_LONGEST = timedelta(days=7)
_KEPT = timedelta(days=7)
"""How long a message that nobody takes is kept once it is visible; a hint is soon stale."""

_REFUSED = {400, 413}


class StorageQueues:
    """A ``Queues`` over Azure Queue Storage, encoded in base64 as host.json says."""

    def __init__(self, make: Callable[[str], QueueClient]) -> None:
        """*make* returns a client for a queue's name."""
        self._make = make
        self._clients: dict[str, QueueClient] = {}

    @classmethod
    def build(
        cls,
        connection: str | None,
        account: str | None,
        credential: Callable[[], TokenCredential],
        timing: Mapping[str, Any] = TIMING,
    ) -> StorageQueues:
        """Return the queues of a connection string, or else of an account by its name."""

        def make(name: str) -> QueueClient:
            if connection:
                return QueueClient.from_connection_string(connection, name, **timing)
            endpoint = f"https://{account}.queue.core.windows.net"
            return QueueClient(endpoint, name, credential=credential(), **timing)

        return cls(make)

    def send(self, queue: str, message: str, *, delay: timedelta = timedelta(0)) -> None:
        """Send *message*, visible after *delay*; create the queue if it is missing."""
        client = self._clients.get(queue) or self._clients.setdefault(queue, self._make(queue))
        hidden = max(timedelta(0), min(delay, _LONGEST))
        with _errors():
            try:
                _send(client, message, hidden)
            except ResourceNotFoundError:
                with contextlib.suppress(ResourceExistsError):  # another instance was quicker
                    client.create_queue()
                _send(client, message, hidden)


def _send(client: QueueClient, message: str, hidden: timedelta) -> None:
    client.send_message(
        base64.b64encode(message.encode()).decode(),
        visibility_timeout=math.ceil(hidden.total_seconds()),
        time_to_live=math.ceil((hidden + _KEPT).total_seconds()),
    )


@contextlib.contextmanager
def _errors() -> Iterator[None]:
    """Speak the broker's errors; keep Azure's as the cause."""
    try:
        yield
    except AzureError as error:
        if isinstance(error, HttpResponseError) and error.status_code in _REFUSED:
            raise Defect("queue storage refused a message") from error
        raise Unavailable("queue storage did not take a message") from error
