"""HTTP on the wire: bodies, limits, connections. Spoken byte by byte where it matters."""

import socket
import threading

import pytest

from local.host.invocation import Response
from local.host.web.server import LARGEST_BODY, Server
from tests.local.calls import call


def echo(request):
    """Answer with the request, so that tests can see it."""
    shown = f"{request.method} {request.target} {len(request.body)} ".encode()
    return Response(200, (("Content-Type", "text/plain"),), shown + request.body[:100])


@pytest.fixture
def serve():
    """Start a server on any port with the given answer; it drains at the end."""
    running = []

    def start(answer=echo):
        server = Server(0, answer)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        running.append(server)
        return server

    yield start
    for server in running:
        server.drain(5)


def speak(server, *packets):
    """Send *packets* on one connection, close our side, and return all that comes back."""
    with socket.create_connection(("127.0.0.1", server.server_port), timeout=10) as connection:
        connection.sendall(b"".join(packets))
        connection.shutdown(socket.SHUT_WR)
        with connection.makefile("rb") as answer:
            return answer.read()


def post(*headers, body=b""):
    lines = [b"POST /x HTTP/1.1", b"Host: localhost", *headers, b"", b""]
    return b"\r\n".join(lines) + body


def test_a_body_with_a_length_arrives_whole(serve):
    """Every byte, also NUL and line ends."""
    assert b"\r\n\r\nPOST /x 5 a\0b\r\n" in speak(
        serve(), post(b"Content-Length: 5", body=b"a\0b\r\n")
    )


def test_a_body_in_chunks_arrives_whole(serve):
    """Chunk extensions and trailers are dropped."""
    chunks = b"3;name=value\r\nabc\r\nA\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\n"

    assert b"POST /x 13 abc0123456789" in speak(
        serve(), post(b"Transfer-Encoding: chunked", body=chunks)
    )


def test_a_request_without_a_body_has_an_empty_one(serve):
    """No length means no body."""
    assert b"POST /x 0 " in speak(serve(), post())


@pytest.mark.parametrize(
    "headers",
    [
        (b"Content-Length: 1", b"Content-Length: 2"),
        (b"Content-Length: -1",),
        (b"Content-Length: 1x",),
        (b"Content-Length: 1", b"Transfer-Encoding: chunked"),
        (b"Transfer-Encoding: gzip, chunked",),
    ],
)
def test_a_body_of_two_minds_is_refused(serve, headers):
    """A body that two readers could read differently is not read at all."""
    assert speak(serve(), post(*headers, body=b"a")).startswith(b"HTTP/1.1 400")


@pytest.mark.parametrize(
    "chunks",
    [b"x\r\n", b"\r\n", b"3\r\nabcd\r\n0\r\n\r\n", b"5\r\nabc", b"0\r\n" + b"a: b\r\n" * 200],
)
def test_chunks_that_do_not_add_up_are_refused(serve, chunks):
    """A size that is missing, wrong, or followed by no end."""
    answer = speak(serve(), post(b"Transfer-Encoding: chunked", body=chunks))

    assert answer.startswith(b"HTTP/1.1 400")


def test_a_body_that_ends_early_is_refused(serve):
    """Half a body must not look like a whole one."""
    assert speak(serve(), post(b"Content-Length: 9", body=b"a")).startswith(b"HTTP/1.1 400")


@pytest.mark.parametrize(
    "packet",
    [
        post(b"Content-Length: %d" % (LARGEST_BODY + 1)),
        post(b"Transfer-Encoding: chunked", body=b"%x\r\n" % (LARGEST_BODY + 1)),
    ],
)
def test_a_body_beyond_the_limit_is_refused_before_it_is_read(serve, packet):
    """The size it announces is enough."""
    assert speak(serve(), packet).startswith(b"HTTP/1.1 413")


def test_a_refused_body_ends_the_connection(serve):
    """The bytes after it could be anything."""
    answer = speak(serve(), post(b"Content-Length: x"), post())

    assert answer.count(b"HTTP/1.1") == 1
    assert b"Connection: close" in answer


def test_a_target_that_is_not_a_path_is_refused(serve):
    """No proxying."""
    packet = b"GET http://example.com/ HTTP/1.1\r\nHost: example.com\r\n\r\n"

    assert speak(serve(), packet).startswith(b"HTTP/1.1 400")


def test_one_connection_carries_many_requests(serve):
    """Keep-alive, also right after a body."""
    answer = speak(serve(), post(b"Content-Length: 1", body=b"a"), post())

    assert answer.count(b"HTTP/1.1 200") == 2


def test_head_is_answered_without_a_body(serve):
    """The length is that of the body that a GET would have."""
    answer = call(f"{serve().url}/x", "HEAD")

    assert (answer.status, answer.headers["content-length"], answer.body) == (200, "10", b"")


def test_a_response_without_content_has_no_length(serve):
    """204 ends with its headers."""
    answer = call(f"{serve(lambda _: Response(204)).url}/x", "DELETE")

    assert (answer.status, "content-length" in answer.headers) == (204, False)


def test_an_app_cannot_set_the_length_itself(serve):
    """The host knows how long the body is."""
    wrong = Response(200, (("Content-Length", "1"),), b"four")

    assert call(f"{serve(lambda _: wrong).url}/x").body == b"four"


def test_a_defect_of_the_host_is_a_500(serve):
    """And the connection lives on."""

    def fail(_):
        raise RuntimeError("a defect")

    assert speak(serve(fail), post(), post()).count(b"HTTP/1.1 500") == 2


def test_draining_waits_for_the_answers_under_way(serve):
    """A request that was taken is answered."""
    entered, leave, answers = threading.Event(), threading.Event(), []

    def slowly(_):
        entered.set()
        leave.wait(10)
        return Response(200)

    server = serve(slowly)
    client = threading.Thread(target=lambda: answers.append(call(f"{server.url}/x").status))
    client.start()
    entered.wait(10)
    draining = threading.Thread(target=server.drain, args=(10,))
    draining.start()
    leave.set()
    draining.join(10)
    client.join(10)

    assert answers == [200]


def test_a_draining_server_refuses_on_old_connections(serve):
    """A request that comes too late gets 503, and may go to another host."""
    server = serve()
    server.is_draining = True

    assert b"HTTP/1.1 503" in speak(server, post())
