"""The simulator behind HTTP."""

import http.client
import json
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from local.azure.server import Server
from tests.local.azure.sim import API, COMPUTE, DB01, WEB01, rule


@pytest.fixture
def petra(server: Server) -> Callable[..., tuple[int, Any]]:
    """Plain HTTP calls by the portal's user."""
    token = ask(server, "POST", "/_sim/token", {"as": "petra"})[1]["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    return lambda method, path, body=None: ask(server, method, path, body, headers)


def ask(
    server: Server, method: str, path: str, body: Any = None, headers: Any = None
) -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_address[1], timeout=10)
    content = None if body is None else json.dumps(body)
    connection.request(method, path, content, headers or {})
    response = connection.getresponse()
    text = response.read()
    connection.close()
    return response.status, json.loads(text) if text else None


def test_connection_is_kept_alive(server: Server):
    """Many calls go over one connection."""
    connection = http.client.HTTPConnection("127.0.0.1", server.server_address[1], timeout=10)
    connection.request("GET", "/_sim/clock")
    first = connection.getresponse()
    first.read()
    local = connection.sock.getsockname()
    connection.request("POST", "/_sim/reset")
    second = connection.getresponse()
    second.read()
    connection.request("GET", "/_sim/clock")
    connection.getresponse().read()

    assert (first.status, second.status) == (200, 204)
    assert connection.sock.getsockname() == local
    connection.close()


def test_links_name_the_host_that_was_called(server: Server, petra: Any):
    """Paging leads back to the same server, under the name the client used."""
    server.azure.world.options.change({"pageSize": 1})
    page = petra("GET", "/subscriptions?api-version=2022-12-01")[1]

    assert page["nextLink"].startswith(server.url)


def test_latency_delays_arm_and_not_the_control_plane(server: Server, petra: Any):
    """The wait is outside of the state machine."""
    ask(server, "PUT", "/_sim/latency", {"seconds": 0.2})
    begin = time.monotonic()
    ask(server, "GET", "/_sim/clock")
    control = time.monotonic() - begin
    petra("GET", f"{WEB01}?api-version={COMPUTE}")
    arm = time.monotonic() - begin - control

    assert control < 0.2 <= arm


def test_waiting_calls_do_not_wait_for_each_other(server: Server, petra: Any):
    """Ten slow calls at once take about the time of one."""
    ask(server, "PUT", "/_sim/latency", {"seconds": 0.3})
    begin = time.monotonic()
    with ThreadPoolExecutor(10) as pool:
        statuses = list(
            pool.map(lambda _: petra("GET", f"{WEB01}?api-version={COMPUTE}")[0], range(10))
        )

    assert statuses == [200] * 10
    assert time.monotonic() - begin < 2.0


def test_concurrent_writers_of_one_group_have_one_winner(server: Server, petra: Any):
    """The state machine is behind one lock."""
    path = f"{DB01.partition('/providers/')[0]}/providers/Microsoft.Network/networkSecurityGroups"
    barrier = threading.Barrier(8)

    def write(number: int) -> int:
        barrier.wait()
        name = f"{path}/nsg-db/securityRules/r{number}?api-version={API}"
        status: int = petra("PUT", name, rule(priority=300 + number))[0]
        return status

    with ThreadPoolExecutor(8) as pool:
        statuses = sorted(pool.map(write, range(8)))

    assert statuses == [201] + [429] * 7


def raw(server: Server, text: str) -> bytes:
    """Send *text* as it is; return all that comes back until the server hangs up."""
    where = ("127.0.0.1", server.server_address[1])
    with socket.create_connection(where, timeout=10) as connection:
        connection.sendall(text.encode())
        return b"".join(iter(lambda: connection.recv(4096), b""))


@pytest.mark.parametrize(
    ("head", "status"),
    [
        ("Transfer-Encoding: chunked", b"411"),
        ("Content-Length: -1", b"411"),
        ("Content-Length: x", b"411"),
        ("Content-Length: 4194305", b"413"),
    ],
)
def test_body_that_cannot_be_read_is_refused(server: Server, head, status):
    """The connection ends there, because the bytes after it are unknown."""
    answer = raw(server, f"PUT /subscriptions HTTP/1.1\r\nHost: x\r\n{head}\r\n\r\n")

    assert answer.split()[1] == status


def test_head_has_no_body(server: Server):
    """A verb that no route knows, answered as HTTP wants it."""
    request = "HEAD /_sim/clock HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    head, _, body = raw(server, request).partition(b"\r\n\r\n")

    assert (head.split()[1], body) == (b"405", b"")


def test_hundreds_of_calls_take_seconds(server: Server, petra: Any):
    """Quick enough to be driven by a benchmark: generous here, for a busy machine."""
    server.azure.world.options.change({"throttling": False})
    begin = time.monotonic()
    statuses = {petra("GET", f"{WEB01}?api-version={COMPUTE}")[0] for _ in range(200)}

    assert statuses == {200}
    assert time.monotonic() - begin < 10
