"""Calls of the API: the way of a token, and the meaning of each answer."""

import socket

import pytest

from jit.cli import api_client
from jit.cli.api_client import ApiClient, Outage, Refused, WrongUse
from tests.cli.served import serve

TOKEN = {"Authorization": "Bearer secret"}


def test_an_answer_has_its_headers_and_its_body():
    with serve({"/api/audit": (200, {"Jit-Audit-Next": "7"}, b"lines")}) as place:
        answer = ApiClient(place.url, TOKEN).get("audit")

    assert (answer.headers.get("Jit-Audit-Next"), answer.body) == ("7", b"lines")
    assert place.asked[0].headers["Authorization"] == "Bearer secret"


def test_parameters_stand_in_the_query():
    with serve({"/api/audit?after=7&x=%26": (200, {}, b"")}) as place:
        assert ApiClient(f"{place.url}/", {}).get("audit", after="7", x="&").body == b""


@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_a_refusal_has_its_reason(status):
    with (
        serve({"/api/audit": (status, {}, b"no\x1b[2J")}) as place,
        pytest.raises(Refused, match=f"{status}: no") as caught,
    ):
        ApiClient(place.url, TOKEN).get("audit")

    assert "\x1b" not in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("status", [429, 500, 503])
def test_an_answer_that_asks_to_wait_is_an_outage(status):
    with (
        serve({"/api/audit": (status, {"Retry-After": "5"}, b"later")}) as place,
        pytest.raises(Outage, match=f"{status}: later"),
    ):
        ApiClient(place.url, TOKEN).get("audit")


def test_a_token_follows_no_redirect():
    """It would lead to another server."""
    with serve({}) as other:
        moved = {"/api/audit": (302, {"Location": f"{other.url}/api/audit"}, b"")}
        with serve(moved) as place, pytest.raises(Refused):
            ApiClient(place.url, TOKEN).get("audit")

    assert other.asked == []


def test_an_answer_that_breaks_off_is_an_outage():
    with (
        serve({"/api/audit": (200, {"Content-Length": "100"}, b"half")}) as place,
        pytest.raises(Outage),
    ):
        ApiClient(place.url, TOKEN).get("audit")


def test_an_answer_without_an_end_is_an_outage(monkeypatch):
    monkeypatch.setattr(api_client, "LONGEST_ANSWER", 10)
    with serve({"/api/audit": (200, {}, b"x" * 11)}) as place, pytest.raises(Outage):
        ApiClient(place.url, TOKEN).get("audit")


def test_a_port_without_a_server_is_an_outage():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    with pytest.raises(Outage):
        ApiClient(f"http://127.0.0.1:{port}", TOKEN).get("audit")


@pytest.mark.parametrize(
    "url",
    ["http://jit.example", "file:///etc/passwd", "ftp://x", "x", "", "https://", "https://x/?a=b"],
)
def test_a_token_goes_nowhere_in_clear_and_reads_no_file(url):
    with pytest.raises(WrongUse, match="--url"):
        ApiClient(url, TOKEN)


@pytest.mark.parametrize("url", ["https://jit.example", "http://127.0.0.1:7071", "http://[::1]:1"])
def test_a_token_goes_to_https_or_to_this_machine(url):
    client = ApiClient(url, TOKEN)

    assert "secret" not in repr(client)
