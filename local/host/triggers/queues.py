"""
Queue triggers over Azure Storage queues.

The order of things is that of the real ``QueueListener`` and ``QueueProcessor``
(Azure/azure-sdk-for-net, Microsoft.Azure.WebJobs.Extensions.Storage.Queues):
a message is held invisible for ten minutes and held again while its function
runs; done, it is deleted; failed, it is shown again after ``visibilityTimeout``;
failed ``maxDequeueCount`` times, it moves to the poison queue. A message that
fails there stays invisible until its hold ends, is tried ``maxDequeueCount``
times in all and then left to expire: a function on a poison queue must not raise.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from azure.core.exceptions import AzureError, ResourceNotFoundError
from azure.storage.queue import QueueClient
from azure.storage.queue import QueueMessage as StoredMessage

from local.host.app.functions import Function
from local.host.app.host_options import QueueOptions
from local.host.invocation import InvocationFailed, Invoker
from local.host.triggers import messages
from local.host.triggers.storage import ensure_queue

_log = logging.getLogger("local.host")
POISON = "-poison"
_FIRST_DELAY = 0.05  # seconds between two looks at an empty queue; doubles up to the longest


@dataclass(frozen=True, slots=True)
class Pace:
    """
    How a listener spends time.

    Attributes:
        longest_delay: Seconds between two looks at a queue that stays empty.
        hold_seconds: How long a message stays invisible without a sign of life.
    """

    longest_delay: float = 1.0
    hold_seconds: float = 600


@dataclass(slots=True)
class _Held:
    """A message that this host holds invisible, under its latest pop receipt."""

    message: StoredMessage
    receipt: str
    hold_again_at: float
    started: bool = False


class QueueListener:
    """
    Feeds one queue to one function.

    Args:
        function: The function; its trigger is a queue trigger.
        queue: The queue that it reads.
        poison: The queue for messages that fail too often; None for a poison queue itself.
        options: Batch size, visibility timeout and so on.
        invoker: Runs the function.
        pace: How often to look, and for how long to hold.
    """

    def __init__(
        self,
        function: Function,
        queue: QueueClient,
        poison: QueueClient | None,
        options: QueueOptions,
        invoker: Invoker,
        pace: Pace = Pace(),
    ) -> None:
        self._function, self._queue, self._poison = function, queue, poison
        self._options, self._invoker, self._pace = options, invoker, pace
        self._argument = messages.choose_argument(function)
        self._held: dict[str, _Held] = {}
        self._lock = threading.Lock()
        self._wake, self._stopping = threading.Event(), threading.Event()
        self._pool = ThreadPoolExecutor(invoker.threads)  # more could not run anyway
        self._thread = threading.Thread(target=self._watch, name=f"queue-{function.name}")
        self._thread.daemon = True

    @property
    def queue_name(self) -> str:
        """The name of the queue that it reads."""
        return str(self._queue.queue_name)

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def wake(self) -> None:
        """Look again now: a message was just sent here."""
        self._wake.set()

    def stop(self) -> None:
        """Take no more messages; give back the messages whose function has not started."""
        self._stopping.set()
        self._wake.set()
        self._thread.join()
        self._pool.shutdown(wait=False, cancel_futures=True)
        for held in self._list_held():
            if not held.started:
                self._attempt(self._show, held, 0)

    def _watch(self) -> None:
        delay, healthy = _FIRST_DELAY, True
        while not self._stopping.is_set():
            try:
                self._prolong_holds()
                found = self._take()
                healthy = True
            except AzureError as error:
                found = 0
                self._repair(error, first=healthy)
                healthy = False
            delay = _FIRST_DELAY if found else min(delay * 2, self._pace.longest_delay)
            self._wake.wait(delay)
            self._wake.clear()

    def _repair(self, error: AzureError, *, first: bool) -> None:
        """Create the queue if it is missing; otherwise log once that storage is away."""
        if isinstance(error, ResourceNotFoundError):
            self._attempt(ensure_queue, self._queue)
        elif first:
            _log.warning("queue %s cannot be read: %s", self.queue_name, _first_line(error))

    def _take(self) -> int:
        """Take a batch if there is room for one; return how many messages came."""
        if len(self._list_held()) > self._options.new_batch_threshold:
            return 0
        pages = self._queue.receive_messages(
            messages_per_page=self._options.batch_size,
            visibility_timeout=int(self._pace.hold_seconds),
        ).by_page()
        batch = list(next(pages, ()))
        for message in batch:
            held = _Held(message, message.pop_receipt or "", self._next_prolongation())
            with self._lock:
                self._held[message.id] = held
            self._pool.submit(self._handle, held)
        return len(batch)

    def _handle(self, held: _Held) -> None:
        held.started = True
        try:
            self._decide(held)
        except AzureError as error:  # the message will be seen again: nothing is lost
            _log.warning("message %s was not settled: %s", held.message.id, _first_line(error))
        except Exception:  # noqa: BLE001 - a defect of this host: say so and go on with the next
            _log.exception("message %s was not settled", held.message.id)
        finally:
            with self._lock:
                del self._held[held.message.id]
            self._wake.set()

    def _decide(self, held: _Held) -> None:
        tries = held.message.dequeue_count or 1
        body = messages.decode(held.message.content, self._options.message_encoding)
        if body is None or tries > self._options.max_dequeue_count:
            self._give_up(held)
            return
        try:
            self._invoker.invoke(self._function, self._argument(held.message, body))
        except InvocationFailed:
            self._fail(held, tries)
        else:
            self._delete(held)

    def _fail(self, held: _Held, tries: int) -> None:
        """Show the message again or give it up; a poison message stays invisible for its hold."""
        if tries >= self._options.max_dequeue_count:
            self._give_up(held)
        elif self._poison is not None:
            self._show(held, self._options.visibility_timeout.total_seconds())

    def _give_up(self, held: _Held) -> None:
        """Move the message to the poison queue; a poison message itself stays where it is."""
        if self._poison is None:
            return
        _log.error("message %s moves to %s", held.message.id, self._poison.queue_name)
        messages.post(self._poison, held.message.content)
        self._delete(held)

    def _delete(self, held: _Held) -> None:
        self._queue.delete_message(held.message.id, self._last_receipt(held))

    def _show(self, held: _Held, seconds: float) -> None:
        """Let the message be seen again in *seconds*; from now on it is not ours."""
        receipt = self._last_receipt(held)
        self._queue.update_message(held.message.id, receipt, visibility_timeout=int(seconds))

    def _last_receipt(self, held: _Held) -> str:
        """Return the valid pop receipt, and see to it that no other follows."""
        with self._lock:
            held.hold_again_at = float("inf")
            return held.receipt

    def _prolong_holds(self) -> None:
        """Prolong the hold on every message whose function still runs."""
        for held in self._list_held():
            self._attempt(self._prolong, held)

    def _prolong(self, held: _Held) -> None:
        with self._lock:  # or the function could end meanwhile and use the old receipt
            if time.monotonic() < held.hold_again_at:
                return
            updated = self._queue.update_message(
                held.message.id, held.receipt, visibility_timeout=int(self._pace.hold_seconds)
            )
            held.receipt = updated.pop_receipt or held.receipt
            held.hold_again_at = self._next_prolongation()

    def _attempt(self, action: Callable[..., None], *arguments: Any) -> None:
        """Try *action*; an error is only logged."""
        try:
            action(*arguments)
        except AzureError as error:
            _log.warning("queue %s: %s", self.queue_name, _first_line(error))

    def _list_held(self) -> list[_Held]:
        with self._lock:
            return list(self._held.values())

    def _next_prolongation(self) -> float:
        return time.monotonic() + self._pace.hold_seconds / 2


def _first_line(error: AzureError) -> str:
    return str(error).partition("\n")[0]
