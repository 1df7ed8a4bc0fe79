"""
An azure-core transport that ends in the simulator, without a socket.

The real SDK clients, the real credential, all their policies run unchanged on
it; a lost answer looks to them as it would on a wire.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Mapping
from typing import Any

import requests
from azure.core.pipeline.transport import RequestsTransport
from requests.adapters import HTTPAdapter
from urllib3 import HTTPResponse
from urllib3.exceptions import ProtocolError

from local.azure.simulator import Azure
from local.azure.values.http import Dropped, Request


class SimulatorTransport(RequestsTransport):  # type: ignore[misc] # lazily imported: Any to mypy
    """
    Sends the requests of an SDK client to *azure*, with any host in their URLs.

    Args:
        azure: The simulator.
        sleep: Called when a client waits; in a test it may advance the clock.
    """

    def __init__(self, azure: Azure, sleep: Callable[[float], None] = time.sleep) -> None:
        session = requests.Session()
        session.trust_env = False
        for scheme in ("http://", "https://"):
            session.mount(scheme, _Adapter(azure))
        super().__init__(session=session, session_owner=False, use_env_settings=False)
        self._sleep = sleep

    def sleep(self, duration: float) -> None:
        """Wait *duration* seconds by the function that this transport was given."""
        self._sleep(duration)


class _Adapter(HTTPAdapter):
    """The last step of a requests session, answered by the simulator."""

    def __init__(self, azure: Azure) -> None:
        super().__init__()
        self._azure = azure

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,  # noqa: ARG002 - the base class's arguments
        timeout: Any = None,  # noqa: ARG002
        verify: Any = True,  # noqa: ARG002
        cert: Any = None,  # noqa: ARG002
        proxies: Mapping[str, str] | None = None,  # noqa: ARG002
    ) -> requests.Response:
        """
        Answer *request*.

        Raises:
            requests.ConnectionError: A fault broke the connection: as real ones do.
        """
        try:
            response = self._azure.handle(_request(request))
        except Dropped as dropped:
            reset = ConnectionResetError(104, "Connection reset by peer")
            broken = ProtocolError("Connection aborted.", reset)
            raise requests.ConnectionError(broken, request=request) from dropped
        raw = HTTPResponse(
            body=io.BytesIO(response.content),
            headers=dict(response.headers),
            status=response.status,
            preload_content=False,
        )
        return self.build_response(request, raw)


def _request(request: requests.PreparedRequest) -> Request:
    headers = {name.lower(): str(value) for name, value in request.headers.items()}
    return Request(str(request.method), str(request.url), headers, _content(request.body))


def _content(body: Any) -> bytes:
    """Return the body's bytes: it may be text, or a file as ``initiate(IO[bytes])`` sends it."""
    if hasattr(body, "read"):
        body = body.read()
    return body.encode() if isinstance(body, str) else bytes(body or b"")
