"""The simulator behind HTTP/1.1 on a loopback port: a thin shell with threads."""

from __future__ import annotations

import socket
import struct
import time
import traceback
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from local.azure.simulator import Azure
from local.azure.values.http import ArmError, Dropped, Request, Response

_LARGEST_BODY = 4 * 1024 * 1024  # ARM's own limit


class Server(ThreadingHTTPServer):
    """
    Serves *azure* on 127.0.0.1.

    Args:
        azure: The simulator that answers.
        port: 0 takes any free one; see ``url``.
    """

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, azure: Azure, port: int) -> None:
        self.azure = azure
        super().__init__(("127.0.0.1", port), _Handler)

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    """One connection."""

    server: Server
    protocol_version = "HTTP/1.1"
    server_version = "Microsoft-HTTPAPI/2.0"
    sys_version = ""
    wbufsize = -1  # head and body in one packet
    disable_nagle_algorithm = True
    timeout = 120

    def _serve(self) -> None:
        request = self._read()
        if request is None:
            return
        try:
            response = self.server.azure.handle(request)
        except Dropped:
            self._reset()
            return
        except Exception as error:  # noqa: BLE001 - a defect must not look like a lost answer
            traceback.print_exc()
            response = ArmError(500, "SimulatorDefect", repr(error)).response()
        if not request.path.startswith(("/_sim", "/msi")):
            self._wait()
        self._write(response)

    do_GET = do_PUT = do_POST = do_DELETE = do_PATCH = do_HEAD = _serve

    def _read(self) -> Request | None:
        """Return the request; None where it was refused before it was one."""
        headers = {name.lower(): value for name, value in self.headers.items()}
        length = headers.get("content-length", "0")
        if "transfer-encoding" in headers or not length.isdecimal():
            self._refuse(411, "LengthRequired", "A Content-Length is required.")
            return None
        if int(length) > _LARGEST_BODY:
            self._refuse(413, "RequestContentTooLarge", "The body is larger than 4 MiB.")
            return None
        body = self.rfile.read(int(length))
        host = headers.get("host") or self.server.url.removeprefix("http://")
        return Request(self.command, f"http://{host}{self.path}", headers, body)

    def _refuse(self, status: int, code: str, message: str) -> None:
        self.close_connection = True
        self._write(ArmError(status, code, message).response())

    def _write(self, response: Response) -> None:
        self.send_response(response.status)
        for name, value in response.headers.items():
            self.send_header(name, value)
        if response.status != 204:  # noqa: PLR2004 - No Content has no length either
            self.send_header("Content-Length", str(len(response.content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(response.content)

    def _wait(self) -> None:
        if self.server.azure.latency_seconds:
            time.sleep(self.server.azure.latency_seconds)

    def _reset(self) -> None:
        """Break the connection the hard way: the client sees a reset, not an end."""
        linger = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.close_connection = True
        self.connection.close()

    def finish(self) -> None:
        """End the connection; one that was reset has nothing left to flush."""
        try:
            super().finish()
        except OSError:
            self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Say nothing: the log is ``/_sim/log``."""
