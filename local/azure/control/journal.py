"""The log of calls: requests and answers, without tokens."""

from __future__ import annotations

import json
from collections import deque
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from local.azure.values.http import Json, Request, Response
from local.azure.values.times import format_rfc3339

_ENTRIES = 50_000
_BYTES = 64 * 1024 * 1024  # for all bodies: 50,000 long lists would not fit in memory
_SECRET_HEADERS = {"x-identity-header"}


@dataclass(frozen=True, slots=True)
class Entry:
    """
    One call.

    Attributes:
        at: The simulator's time.
        request: As it came.
        response: As it was sent; None if the connection broke before the work.
        principal: Short name of the caller; None if it is unknown.
        dropped: ``before`` or ``after`` the work if no answer went out; else None.
    """

    at: datetime
    request: Request
    response: Response | None
    principal: str | None
    dropped: str | None

    @property
    def size(self) -> int:
        """Bytes of bodies that the entry keeps alive."""
        return len(self.request.body) + (len(self.response.content) if self.response else 0)

    def document(self) -> Json:
        """Return the entry as JSON; bodies as JSON values where they are JSON."""
        response = self.response
        shown: Json = {
            "method": self.request.method,
            "path": self.request.decoded_path,
            "query": self.request.query,
            "requestHeaders": self._show_headers(),
            "requestBody": _read_body(self.request.body),
            "status": None if response is None else response.status,
            "responseHeaders": {} if response is None else dict(response.headers),
            "responseBody": None
            if response is None
            else _hide_tokens(_read_body(response.content)),
            "principal": self.principal,
            "at": format_rfc3339(self.at),
        }
        return shown if self.dropped is None else {**shown, "dropped": self.dropped}

    def _show_headers(self) -> dict[str, str]:
        hidden = dict.fromkeys(_SECRET_HEADERS, "hidden")
        hidden["authorization"] = f"Bearer {self.principal or 'unknown'}"
        headers = self.request.headers
        return {name: hidden.get(name, value) for name, value in headers.items()}


@dataclass(slots=True)
class Journal:
    """The latest calls, bounded in number as well as in bytes."""

    _entries: deque[Entry] = field(default_factory=deque)
    _bytes: int = 0

    def add(self, entry: Entry) -> None:
        """Remember *entry*; forget the oldest ones if there are too many."""
        self._entries.append(entry)
        self._bytes += entry.size
        while len(self._entries) > _ENTRIES or self._bytes > _BYTES:
            self._bytes -= self._entries.popleft().size

    def clear(self) -> None:
        """Forget all calls."""
        self._entries.clear()
        self._bytes = 0

    def documents(self) -> list[Json]:
        """Return the calls as JSON, oldest first."""
        return [entry.document() for entry in self._entries]


def _read_body(content: bytes) -> Any:
    if not content:
        return None
    try:
        return json.loads(content)
    except ValueError:
        return content.decode("utf-8", "replace")


def _hide_tokens(body: Any) -> Any:
    if isinstance(body, dict) and "access_token" in body:
        return {**body, "access_token": "hidden"}
    return body
