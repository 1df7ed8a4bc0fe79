"""
HTTP on the wire: a thread a connection, whole requests in, whole responses out.

Bodies come with a length or in chunks and are limited to the real host's 100 MB.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from local.host.invocation import Response
from local.host.running_count import RunningCount

_log = logging.getLogger("local.host")
LARGEST_BODY = 100 * 1024 * 1024
_LONGEST_TRAILER = 100  # lines
_IDLE_SECONDS = 120
_CHUNK = 64 * 1024
_NO_BODY = (204, 304)
_HEX = re.compile(rb"[0-9A-Fa-f]{1,8}")
_PLAIN = (("Content-Type", "text/plain"),)


class BadRequest(Exception):
    """The request cannot be read; the connection is closed after the answer *status*."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


@dataclass(frozen=True, slots=True)
class Request:
    """A request as it came: the target as sent, the headers in order, the whole body."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    peer: tuple[str, int]

    @property
    def path(self) -> str:
        """The path of the target, still encoded."""
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        """The part after the first question mark, still encoded."""
        return self.target.partition("?")[2]

    def header(self, name: str) -> str | None:
        """Return the first header of that *name* (lower case)."""
        return next((value for key, value in self.headers if key.lower() == name), None)


class Server(ThreadingHTTPServer):
    """Listens on loopback and hands whole requests to *answer*."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, port: int, answer: Callable[[Request], Response]) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.answer = answer
        self.answering = RunningCount()
        self.is_draining = False

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.server_port}"

    def drain(self, seconds: float) -> None:
        """Accept nothing more and wait up to *seconds* for the answers under way."""
        self.is_draining = True
        self.shutdown()
        self.server_close()
        self.answering.wait_for_none(seconds)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "jit-local-host", ""
    timeout = _IDLE_SECONDS
    wbufsize = -1  # one packet for head and body
    disable_nagle_algorithm = True
    server: Server

    def _serve(self) -> None:
        try:
            request = self._read_request()
        except BadRequest as error:
            self.close_connection = True
            self._send(Response(error.status, _PLAIN, str(error).encode()))
            return
        with self.server.answering.one():
            self._send(self._answer(request))

    def _answer(self, request: Request) -> Response:
        if self.server.is_draining:
            self.close_connection = True
            return Response(503, _PLAIN, b"the host is stopping")
        try:
            return self.server.answer(request)
        except Exception:  # noqa: BLE001 - a defect of this host; the app's own end in the invoker
            _log.exception("the host failed on %s %s", request.method, request.path)
            return Response(500)

    def _read_request(self) -> Request:
        if not self.path.startswith("/"):
            raise BadRequest(400, "the target must be a path")
        return Request(
            method=self.command.upper(),
            target=self.path,
            headers=tuple(self.headers.items()),
            body=self._read_body(),
            peer=(str(self.client_address[0]), int(self.client_address[1])),
        )

    def _read_body(self) -> bytes:
        encoding = self.headers.get("Transfer-Encoding")
        lengths = self.headers.get_all("Content-Length", [])
        if encoding is not None:
            if encoding.strip().lower() != "chunked" or lengths:
                raise BadRequest(400, "a body is either chunked or has a length")
            return self._read_chunks()
        if not lengths:
            return b""
        if len(set(lengths)) > 1 or not (lengths[0].isascii() and lengths[0].isdigit()):
            raise BadRequest(400, "Content-Length is not one number")
        length = int(lengths[0])
        if length > LARGEST_BODY:
            raise BadRequest(413, f"the body is larger than {LARGEST_BODY} bytes")
        return self._read_exactly(length)

    def _read_chunks(self) -> bytes:
        """Read a chunked body (RFC 9112, section 7.1); extensions and trailers are dropped."""
        body = bytearray()
        while size := self._read_chunk_size():
            if len(body) + size > LARGEST_BODY:
                raise BadRequest(413, f"the body is larger than {LARGEST_BODY} bytes")
            body += self._read_exactly(size)
            if self._read_line():
                raise BadRequest(400, "a chunk is longer than it says")
        for _ in range(_LONGEST_TRAILER):
            if not self._read_line():
                return bytes(body)
        raise BadRequest(400, "the trailer does not end")

    def _read_chunk_size(self) -> int:
        size = self._read_line().partition(b";")[0].strip()
        if _HEX.fullmatch(size) is None:
            raise BadRequest(400, "a chunk has no size")
        return int(size, 16)

    def _read_line(self) -> bytes:
        line = self.rfile.readline(_CHUNK)
        if not line.endswith(b"\n"):
            raise BadRequest(400, "the body ends early")
        return line.rstrip(b"\r\n")

    def _read_exactly(self, length: int) -> bytes:
        body = self.rfile.read(length)
        if len(body) < length:
            raise BadRequest(400, "the body ends early")
        return body

    def _send(self, response: Response) -> None:
        self.send_response(response.status)
        for name, value in response.headers:
            if name.lower() not in {"content-length", "transfer-encoding", "connection"}:
                self.send_header(name, value)
        if response.status not in _NO_BODY:
            self.send_header("Content-Length", str(len(response.body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD" and response.status not in _NO_BODY:
            self.wfile.write(response.body)
        self.wfile.flush()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Stay silent: the invocation's own line says more."""

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = _serve
