"""Queue messages between the wire and the function: encoding, arguments, sending."""

from __future__ import annotations

import base64
import binascii
import typing
import uuid
from collections.abc import Callable, Sequence
from typing import Any

from azure.core.exceptions import ResourceNotFoundError
from azure.functions.queue import QueueMessage
from azure.storage.queue import QueueClient
from azure.storage.queue import QueueMessage as StoredMessage

from local.host.app.functions import Function
from local.host.triggers.storage import ensure_queue


def encode(body: str | bytes, encoding: str) -> str:
    """Return *body* as the text that goes on the wire; *encoding* is ``base64`` or ``none``."""
    raw = body.encode() if isinstance(body, str) else body
    return base64.b64encode(raw).decode() if encoding == "base64" else raw.decode()


def decode(content: str, encoding: str) -> bytes | None:
    """Return the body of a message from the wire; None if it is not in this *encoding*."""
    if encoding != "base64":
        return content.encode()
    try:
        return base64.b64decode(content, validate=True)
    except (binascii.Error, ValueError):
        return None


def send(queue: QueueClient, bodies: Sequence[str | bytes], encoding: str) -> None:
    """
    Send *bodies* in order; the queue is created if it is missing, as the real host does.

    Raises:
        AzureError: Storage refused, or did not answer.
    """
    for body in bodies:
        post(queue, encode(body, encoding))


def post(queue: QueueClient, content: str) -> None:
    """Send one message as it goes on the wire; raises as ``send`` does."""
    try:
        queue.send_message(content)
    except ResourceNotFoundError:
        ensure_queue(queue)
        queue.send_message(content)


def choose_argument(function: Function) -> Callable[[StoredMessage, bytes], Any]:
    """Return how *function* wants its message: as text, as bytes or as a ``QueueMessage``."""
    hint = typing.get_type_hints(function.call).get(function.trigger.name)
    if hint is str:
        return lambda _, body: body.decode(errors="replace")
    if hint is bytes:
        return lambda _, body: body
    return lambda message, body: _make_message(body, message)


def make_by_hand(text: str) -> StoredMessage:
    """Return a message with the body *text* that was never in a queue."""
    message = StoredMessage(text)
    message.id, message.dequeue_count, message.pop_receipt = str(uuid.uuid4()), 1, ""
    return message


def _make_message(body: bytes, message: StoredMessage) -> QueueMessage:
    return QueueMessage(  # type: ignore[no-untyped-call] # the package types its surface only
        id=message.id,
        body=body,
        dequeue_count=message.dequeue_count,
        expiration_time=message.expires_on,
        insertion_time=message.inserted_on,
        time_next_visible=message.next_visible_on,
        pop_receipt=message.pop_receipt,
    )
