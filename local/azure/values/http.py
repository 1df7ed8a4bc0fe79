"""HTTP requests, answers and errors as plain values."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

JSON_TYPE = "application/json; charset=utf-8"
Json = dict[str, Any]


@dataclass(frozen=True)
class Request:
    """
    One HTTP request.

    Attributes:
        method: Upper case.
        url: Absolute; its scheme, host, port come back in every link.
        headers: Names in lower case.
        body: As sent; empty when there was none.
    """

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @cached_property
    def path(self) -> str:
        """The path, still percent-encoded."""
        return urlsplit(self.url).path

    @cached_property
    def decoded_path(self) -> str:
        """The path with percent-encoding undone; faults match against it."""
        return unquote(self.path)

    @cached_property
    def base(self) -> str:
        """Scheme with authority, for absolute links: ``http://127.0.0.1:7072``."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}"

    @cached_property
    def query(self) -> dict[str, str]:
        """Query parameters by name in lower case; the last of a name wins."""
        pairs = parse_qsl(urlsplit(self.url).query, keep_blank_values=True)
        return {name.lower(): value for name, value in pairs}

    def json(self) -> Any:
        """
        Return the body as JSON; None for an empty body.

        Raises:
            ArmError: 400, the body is not JSON.
        """
        if not self.body:
            return None
        try:
            return json.loads(self.body)
        except ValueError as error:
            raise ArmError(
                400,
                "InvalidRequestContent",
                "The request content was invalid and could not be deserialized: "
                f"'{str(error)[:120]}'.",
            ) from error

    def json_object(self) -> Json:
        """
        Return the body as a JSON object.

        Raises:
            ArmError: 400, the body is something else.
        """
        document = self.json()
        if not isinstance(document, dict):
            raise ArmError(
                400,
                "InvalidRequestContent",
                "The request content was invalid and could not be deserialized: "
                "'a JSON object was expected'.",
            )
        return document


@dataclass(frozen=True)
class Response:
    """One HTTP answer; *content* is final, so nobody sees later changes of the state."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes = b""

    def json(self) -> Any:
        """Return the content as JSON; None when empty."""
        return json.loads(self.content) if self.content else None

    def with_headers(self, more: Mapping[str, str]) -> Response:
        """Return this answer with *more* headers; its own win."""
        return Response(self.status, {**more, **self.headers}, self.content)


def answer(status: int, document: Any = None, headers: Mapping[str, str] | None = None) -> Response:
    """Return an answer whose body is *document* as JSON; without a body where it is None."""
    if document is None:
        return Response(status, dict(headers or {}))
    content = json.dumps(document, separators=(",", ":")).encode()
    return Response(status, {"Content-Type": JSON_TYPE, **(headers or {})}, content)


class ArmError(Exception):
    """An answer in ARM's error shape, ``{"error": {"code", "message", "details"?}}``."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        details: list[Json] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Take the parts of the answer; *details* hold ``code`` with ``message`` each."""
        super().__init__(f"{status} {code}: {message}")
        self.status = status
        self.code = code
        self.message = message
        self.details = details
        self.headers = dict(headers or {})

    def response(self) -> Response:
        """Return the error as an answer."""
        error: Json = {"code": self.code, "message": self.message}
        if self.details is not None:
            error["details"] = self.details
        return answer(self.status, {"error": error}, self.headers)


class Dropped(Exception):
    """The connection breaks and no answer arrives, though the work may have happened."""
