"""Calls of the HTTP API with the caller's own token."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode, urlsplit

LONGEST_ANSWER = 64 * 1024 * 1024
"""Bytes of one answer: a part of an export has about four million characters."""

_TIMEOUT = 60.0  # seconds without a byte
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}
_SERVER_ERROR = 500
_TOO_MANY = 429
_LONGEST_REASON = 2000  # characters of a problem that are shown


class WrongUse(Exception):
    """The caller of the command can repair it."""


class Refused(Exception):
    """The broker refused the call."""


class Outage(Exception):
    """The broker did not answer, or asked to wait: repeat the command later."""


@dataclass(frozen=True, slots=True)
class ApiAnswer:
    """The headers and the body of an answer with 200."""

    headers: Mapping[str, str]
    body: bytes


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A redirect would carry the token to another server."""

    def redirect_request(self, *_: Any) -> None:
        return None


@dataclass(frozen=True, slots=True)
class ApiClient:
    """
    A caller of one broker.

    Attributes:
        url: Base address of the app, without ``/api``.
        headers: They say who calls.
    """

    url: str
    headers: Mapping[str, str] = field(repr=False)

    def __post_init__(self) -> None:
        """Refuse an address that would show the token to others, or read a file."""
        parts = urlsplit(self.url)
        is_local = parts.scheme == "http" and parts.hostname in _LOOPBACK
        if not parts.hostname or not (parts.scheme == "https" or is_local):
            raise WrongUse("--url must be https, or http to this machine")
        if parts.query or parts.fragment:
            raise WrongUse("--url is the address of the app, without a query")

    def get(self, path: str, **query: str) -> ApiAnswer:
        """
        Return the answer of ``GET /api/<path>``.

        Raises:
            Refused: The status is 4xx, or a redirect.
            Outage: The status is 429 or 5xx, or there is no whole answer.
        """
        asked = f"?{urlencode(query)}" if query else ""
        request = urllib.request.Request(  # noqa: S310 - the scheme was checked
            f"{self.url.rstrip('/')}/api/{path}{asked}", headers=dict(self.headers)
        )
        opener = urllib.request.build_opener(_NoRedirects)
        try:
            with opener.open(request, timeout=_TIMEOUT) as answer:
                body = answer.read(LONGEST_ANSWER + 1)
        except urllib.error.HTTPError as error:
            raise _explain_status(error) from error
        except (OSError, http.client.HTTPException) as error:
            raise Outage(f"no whole answer from {self.url}: {error}") from error
        if len(body) > LONGEST_ANSWER:
            raise Outage("the answer is too large for an answer of the broker")
        if answer.headers.get("Content-Length") not in {None, str(len(body))}:
            raise Outage(f"no whole answer from {self.url}")
        return ApiAnswer(answer.headers, body)


def _explain_status(error: urllib.error.HTTPError) -> Exception:
    reason = error.read(_LONGEST_REASON).decode(errors="replace")
    plain = "".join(character if character.isprintable() else " " for character in reason)
    text = f"{error.code}: {plain.strip()}"
    waits = error.code >= _SERVER_ERROR or error.code == _TOO_MANY
    return Outage(text) if waits else Refused(text)
