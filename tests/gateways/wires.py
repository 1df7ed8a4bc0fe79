"""A wire that can be cut: an SDK client's way to a real service, or to a script."""

import io
from collections.abc import Callable, Mapping
from typing import Any

import requests
from azure.core.pipeline.transport import RequestsTransport
from requests.adapters import HTTPAdapter
from urllib3 import HTTPResponse
from urllib3.connection import HTTPConnection
from urllib3.exceptions import NewConnectionError, ProtocolError

Step = Callable[["Wire", requests.PreparedRequest, dict[str, Any]], requests.Response]


class Wire(HTTPAdapter):
    """
    The last step of a requests session.

    Attributes:
        sent: The sent requests, in order.
        slept: Seconds that the client wanted to wait between its attempts.
    """

    def __init__(self, *script: Step) -> None:
        """Each call takes the next step of *script*; after its end calls pass."""
        super().__init__()
        self.sent: list[requests.PreparedRequest] = []
        self.slept: list[float] = []
        self._script = list(script)

    def send(self, request: requests.PreparedRequest, **how: Any) -> requests.Response:  # type: ignore[override] # passed on as they come
        """Take the next step."""
        self.sent.append(request)
        step = self._script.pop(0) if self._script else passes
        return step(self, request, how)

    def passed(self, request: requests.PreparedRequest, how: dict[str, Any]) -> requests.Response:
        """Return the real service's answer."""
        return super().send(request, **how)

    @property
    def transport(self) -> Any:
        """The transport for an SDK client; it notes its waiting instead of waiting."""
        return _Transport(self)


class _Transport(RequestsTransport):  # type: ignore[misc] # azure-core exports it lazily
    def __init__(self, wire: Wire) -> None:
        session = requests.Session()
        session.trust_env = False
        session.mount("http://", wire)
        session.mount("https://", wire)
        super().__init__(session=session, session_owner=False, use_env_settings=False)
        self._wire = wire

    def sleep(self, duration: float) -> None:
        self._wire.slept.append(duration)


def passes(wire: Wire, request: requests.PreparedRequest, how: dict[str, Any]) -> requests.Response:
    """Let the call through."""
    return wire.passed(request, how)


def refused(
    _wire: Wire, request: requests.PreparedRequest, _how: dict[str, Any]
) -> requests.Response:
    """Fail to connect: nothing was sent."""
    raise requests.ConnectionError(
        NewConnectionError(HTTPConnection("x"), "refused"), request=request
    )


def lost_after(
    wire: Wire, request: requests.PreparedRequest, how: dict[str, Any]
) -> requests.Response:
    """Let the call through and lose its answer."""
    wire.passed(request, how)
    reset = ConnectionResetError(104, "Connection reset by peer")
    raise requests.ConnectionError(ProtocolError("Connection aborted.", reset), request=request)


def silent(
    _wire: Wire, request: requests.PreparedRequest, _how: dict[str, Any]
) -> requests.Response:
    """Say nothing until the client gives up."""
    raise requests.ReadTimeout(request=request)


def answers(status: int, body: bytes = b"", *, headers: Mapping[str, str] | None = None) -> Step:
    """Return a step that gives these answers to any request."""

    def step(
        wire: Wire, request: requests.PreparedRequest, _how: dict[str, Any]
    ) -> requests.Response:
        raw = HTTPResponse(
            body=io.BytesIO(body),
            headers={
                "Content-Type": "application/json",
                "Content-Length": str(len(body)),
                **(headers or {}),
            },
            status=status,
            preload_content=False,
        )
        return wire.build_response(request, raw)

    return step


PAGE_OF_A_PROXY = answers(200, b"<html>Welcome to our guest network</html>")
"""What a captive portal may say to anything."""
