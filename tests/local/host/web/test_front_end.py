"""The front end: the path that it hands on, and the headers that it adds."""

import pytest

from local.host.web import front_end

PEER = ("203.0.113.7", 5555)


@pytest.mark.parametrize(
    ("path", "rewritten"),
    [
        ("/api/health", "/api/health"),
        ("/API/Health/", "/API/Health/"),
        ("/", "/"),
        ("//", "/"),
        ("/page//../api/x", "/page/../api/x"),
        ("/page%2F..%2fapi/x", "/page/../api/x"),
        ("/page\\..%5Capi%5cx", "/page/../api/x"),
        ("/page/%2e%2e/api/x", "/page/%2e%2e/api/x"),
        ("/page/%252f", "/page/%252f"),
    ],
)
def test_slashes_of_all_kinds_become_one(path, rewritten):
    """Other escapes stay: the host decodes them, once."""
    assert front_end.rewrite_path(path) == rewritten


def test_the_peer_is_added_to_those_it_names_itself():
    """Only the last address is the platform's word."""
    headers = front_end.add_headers([("X-Forwarded-For", "10.0.0.1")], PEER, "/")

    assert dict(headers)["X-Forwarded-For"] == "10.0.0.1, 203.0.113.7:5555"


def test_a_local_address_stands_in_for_the_peer():
    """On one machine every peer is loopback, so a test names another."""
    headers = front_end.add_headers([("X-Local-Address", "2001:db8::7")], ("127.0.0.1", 5555), "/")

    assert ("X-Forwarded-For", "[2001:db8::7]:5555") in headers
    assert "x-local-address" not in [name.lower() for name, _ in headers]


@pytest.mark.parametrize("name", ["X-Original-URL", "X-WAWS-Unencoded-URL"])
def test_the_target_of_the_client_is_in_a_header(name):
    """The app can see the raw path; a client cannot set another."""
    target = "/page/%2e%2e/api/x?a=%2F"

    headers = front_end.add_headers([(name.lower(), "/forged")], PEER, target)

    assert [value for key, value in headers if key.lower() == name.lower()] == [target]


def test_other_headers_pass():
    """In their order, repeated ones too."""
    given = [("Accept", "a"), ("X-Other", "b"), ("Accept", "c")]

    assert front_end.add_headers(given, PEER, "/")[:3] == given
