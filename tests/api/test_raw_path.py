"""Raw paths: every part of the platform must read a path alike."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jit.api.raw_path import check_path, is_plain, read_path
from jit.domain.errors import NotFound
from tests.api.http_requests import make_request

PLAIN = [
    "",
    "/",
    "/page",
    "/api/access-requests",
    "/api/access-requests/",
    "/api/access-requests/0190a1b2/outcome",
    "/api/access-requests/a|b",
    "/api/access-requests/a%20b%25",
    "/api/openapi.json",
    "/api/.hidden",
    "/api/x..y",
    "/api/...",
    "/page/0123456789ab/vendor/lit-html/directives/live.js",
]
SPOILED = [
    "/page/../api/reconcile",
    "/page/./../api/reconcile",
    "/page/..",
    "/page/.",
    "/..",
    "/page/%2e%2e/api/reconcile",
    "/page/.%2E/api/reconcile",
    "/page/%2E./api/reconcile",
    "/page%2f..%2fapi",
    "/page%2Fx",
    "/page%5cx",
    "/page%5C..%5Capi",
    "/page\\..\\api",
    "/api\\reconcile",
    "//api/reconcile",
    "/api//reconcile",
    "/api/reconcile//",
    "/page;/../api",
    "/api/reconcile;x=1",
    "/api/x/#/../y",
]
SERVERS = ["", "https://jit.example", "http://127.0.0.1:7071", "HTTPS://[::1]:7071"]


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("path", PLAIN)
def test_a_path_without_escapes_of_dots_and_slashes_is_plain(server, path):
    """Dots inside a name and other escapes have one reading."""
    assert is_plain(server + path)


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("path", SPOILED)
def test_a_path_with_a_second_reading_is_not_plain(server, path):
    """One part of the platform sees a page where another sees the API."""
    assert not is_plain(f"{server}{path}")
    assert not is_plain(f"{server}{path}?dryRun=true")


def test_a_target_that_is_a_dot_segment_alone_is_not_plain():
    """A target without its first slash."""
    assert not is_plain("..")
    assert not is_plain("../api?x=1")


@pytest.mark.parametrize("query", ["?x=../y", "?x=%2e%2F//", "?next=https://x/y;z\\"])
def test_the_query_is_not_part_of_the_path(query):
    """Names of machines and addresses may have slashes there."""
    assert is_plain(f"https://jit.example/api/access-requests{query}")


@given(st.text(alphabet="ab./%2eE5cCfF\\;?", max_size=12))
def test_a_plain_path_stays_itself_when_it_is_normalised(path):
    """No decoding and no dot segment leads a plain path to another place."""
    target = f"/{path}"
    decoded = target.partition("?")[0]
    for escape, sign in {"%2e": ".", "%2f": "/", "%5c": "/", "\\": "/"}.items():
        decoded = decoded.replace(escape, sign).replace(escape.upper(), sign)

    if is_plain(target):
        assert not {".", ".."} & set(decoded.split("/"))
        assert decoded == target.partition("?")[0]
        assert "//" not in decoded


@pytest.mark.parametrize("server", ["", "https://jit.example", "http://[", "http://]:x", "http://"])
@pytest.mark.parametrize("query", ["", "?x=http://y/z"])
def test_a_path_is_cut_from_any_target(server, query):
    """The server may be the caller's ``Host``, and then no URL."""
    assert read_path(f"{server}/api/access-requests{query}") == "/api/access-requests"


def test_a_request_with_a_plain_path_passes():
    """With the headers of the front end, or without."""
    check_path(make_request())
    check_path(make_request(X_Original_URL="/api/access-requests?x=%2e%2e"))


@pytest.mark.parametrize("path", SPOILED)
def test_a_request_with_another_path_is_not_found(path):
    """The URL as the development host builds it."""
    with pytest.raises(NotFound):
        check_path(make_request(url=f"https://jit.example{path}"))


@pytest.mark.parametrize("name", ["X_Original_URL", "X_WAWS_Unencoded_URL"])
def test_the_target_that_the_front_end_received_must_be_plain_too(name):
    """The host has normalised the URL by then."""
    with pytest.raises(NotFound):
        check_path(
            make_request(
                url="https://jit.example/api/reconcile", **{name: "/page/../api/reconcile"}
            )
        )
