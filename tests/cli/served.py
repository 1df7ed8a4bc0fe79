"""A server on this machine with the answers of a test."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Canned = tuple[int, Mapping[str, str], bytes]


@dataclass
class Asked:
    """A call: its target and its headers."""

    target: str
    headers: Mapping[str, str]


@dataclass
class Served:
    """The address of the server, and the calls so far."""

    url: str
    asked: list[Asked] = field(default_factory=list)


@contextmanager
def serve(answers: Mapping[str, Canned]) -> Iterator[Served]:
    """Answer each target as *answers* has it, others with 404."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            place.asked.append(Asked(self.path, dict(self.headers.items())))
            status, headers, body = answers.get(self.path, (404, {}, b"unknown"))
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    place = Served(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield place
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
