"""
Laws of every HTTP function of the app, read from its index.

A new function without a decorator of ``jit.triggers.answers`` fails here.
"""

import json
import re

import azure.functions as func
import pytest

import function_app
from jit.domain.errors import Unavailable
from jit.domain.model.people import Role
from tests.api.http_requests import WatchedValues
from tests.triggers.app_functions import CHANGING, ROUTES, call, make_principal, make_request

OPEN = {"get_health"}  # an excluded path: the platform signs nobody in
GUARDED = sorted(set(ROUTES) - OPEN)
SPOILED = ["/page/../api/x", "/page/%2E%2e/api/x", "/api%2fx", "/api%5Cx", "/api\\x", "//x", "/x;y"]
READERS = "Requester, Operator, Auditor, Approver"
EVERY_ROLE = ", ".join(role.removeprefix("Jit.") for role in Role)
PRINCIPAL = re.compile(r"x-ms-(?:client-principal|token)", re.IGNORECASE)


class Watched(WatchedValues):
    """Headers that refuse to be read, except the named ones."""

    def __iter__(self):
        raise AssertionError("all headers were read")


class Untouchable(func.HttpRequest):
    """A request whose body, query and route cannot be read, and whose headers are watched."""

    def __init__(self, url, values):
        super().__init__(method="POST", url=url, body=b"")
        self.watched = Watched(values)

    @property
    def headers(self):
        return self.watched

    @property
    def params(self):
        raise AssertionError("the query was read")

    @property
    def route_params(self):
        raise AssertionError("the route was read")

    def get_body(self):
        raise AssertionError("the body was read")


def headers_with(**headers):
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return {
        "X-MS-CLIENT-PRINCIPAL": make_principal(),
        "Content-Type": "application/json",
        "Host": "jit.example",
        **named,
    }


def codes_of(answer):
    return [fault["code"] for fault in json.loads(answer.get_body())["errors"]]


# ---- paths ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", SPOILED)
@pytest.mark.parametrize("name", ROUTES)
def test_a_raw_path_that_is_not_plain_is_404_before_anything_is_read(name, path):
    """No header of the caller, no body, no role, no storage."""
    request = Untouchable(f"https://jit.example{path}", {})

    answer = call(name, request)

    assert answer.status_code == 404
    assert request.watched.asked == {"X-Original-URL", "X-WAWS-Unencoded-URL"}


@pytest.mark.parametrize("name", ROUTES)
def test_the_target_of_the_client_is_404_too_if_the_host_has_normalised_it(name):
    """The real host builds the URL from the path by which it routes."""
    headers = headers_with(X_Original_URL="/page/../api/x")

    assert call(name, make_request(name, headers=headers)).status_code == 404


# ---- headers -------------------------------------------------------------------------------------


def is_marked(answer):
    headers = answer.headers
    return (headers["Jit-Now"], headers["X-Content-Type-Options"], headers["Cache-Control"]) == (
        "2026-11-22T12:00:00Z",
        "nosniff",
        "no-store",
    )


@pytest.mark.parametrize("name", ROUTES)
def test_every_problem_has_the_headers_of_every_answer(name):
    """A browser stores no 404, no 401 and no 400."""
    spoiled = make_request(name, url="https://jit.example/page/../api/x")
    unknown = make_request(name, params={"unknown": "1"})
    nobody = make_request(name, params={"unknown": "1"}, headers={})

    found = [call(name, request) for request in (spoiled, nobody, unknown)]

    expected = [404, 400 if name in OPEN else 401, 400]
    assert [answer.status_code for answer in found] == expected
    assert all(map(is_marked, found))


def test_an_answer_and_an_outage_have_the_headers_of_every_answer(use_case):
    """200 and 503."""
    use_case("queries", list_requests=([], None))
    well = call("list_access_requests", make_request("list_access_requests"))
    use_case("queries", list_requests=Unavailable("no"))
    ill = call("list_access_requests", make_request("list_access_requests"))

    assert [(each.status_code, is_marked(each)) for each in (well, ill)] == [
        (200, True),
        (503, True),
    ]


@pytest.mark.parametrize("host", ["[", "evil.example", "]:x"])
@pytest.mark.parametrize("name", ROUTES)
def test_no_header_host_spoils_or_enters_a_problem(name, host):
    """A client writes that header, and the host builds the URL of the request with it."""
    plain = make_request(name, params={"unknown": "1"})
    path = plain.url.removeprefix("https://jit.example")
    headers = headers_with(Host=host)
    chosen = make_request(name, url=f"http://{host}{path}", headers=headers, params=plain.params)

    assert call(name, chosen).get_body() == call(name, plain).get_body()


# ---- cross-origin --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers", [{"Sec_Fetch_Site": "cross-site"}, {"Origin": "https://evil.example"}]
)
@pytest.mark.parametrize("name", CHANGING)
def test_a_change_for_a_page_of_another_site_is_403(name, headers):
    """The session of a signed-in person came along."""
    answer = call(name, make_request(name, headers=headers_with(**headers)))

    assert (answer.status_code, codes_of(answer)) == (403, ["cross-origin"])


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Sec_Fetch_Site": "same-origin"},
        {"Origin": "https://jit.example"},
        {"Origin": "https://jit.example", "Host": "behind.example"},
    ],
)
@pytest.mark.parametrize("name", CHANGING)
def test_a_change_for_our_own_page_or_for_no_page_passes(name, headers):
    """The next check answers: the query."""
    request = make_request(name, headers=headers_with(**headers), params={"unknown": "1"})

    assert (call(name, request).status_code, codes_of(call(name, request))) == (
        400,
        ["unknown-field"],
    )


# ---- callers -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", GUARDED)
def test_a_caller_without_a_principal_is_401(name):
    """Even on a path that the platform should have signed in."""
    assert call(name, make_request(name, headers={})).status_code == 401


def read_callers():
    """Yield (function, role, True if the table of the app names the role)."""
    for line in (function_app.__doc__ or "").splitlines():
        cells = re.split(r"  +", line)
        if len(cells) == 4 and cells[2] in GUARDED:
            words = cells[3].replace("READERS", READERS).replace("signed in", EVERY_ROLE)
            named = words.split(", ")
            yield from ((cells[2], role, role.removeprefix("Jit.") in named) for role in Role)


@pytest.mark.parametrize(("name", "role", "allowed"), list(read_callers()))
def test_a_role_may_call_the_functions_that_the_table_says(name, role, allowed):
    """403, or the next check: the query."""
    headers = headers_with(X_MS_CLIENT_PRINCIPAL=make_principal([role]))

    answer = call(name, make_request(name, headers=headers, params={"unknown": "1"}))

    assert answer.status_code == (400 if allowed else 403)


def test_the_table_names_the_callers_of_every_guarded_function():
    """Roles are read from it above: each row must be found."""
    assert {name for name, _, _ in read_callers()} == set(GUARDED)


@pytest.mark.parametrize("name", sorted(OPEN))
def test_a_function_of_an_excluded_path_reads_no_principal(name, use_case):
    """The platform leaves the client's headers there: a principal would be forged."""
    use_case("health", check=type("Health", (), {"is_well": True})())
    request = make_request(name)
    watched = Watched(headers_with())
    setattr(request, "_HttpRequest__headers", watched)  # noqa: B010 # it has no setter

    answer = call(name, request)

    assert answer.status_code == 200
    assert [header for header in watched.asked if PRINCIPAL.match(header)] == []
    assert "X-Original-URL" in watched.asked  # the watch sees reads


# ---- queries and bodies --------------------------------------------------------------------------


@pytest.mark.parametrize("name", ROUTES)
def test_no_route_takes_an_unknown_parameter(name):
    """``?dryrun=true`` is a 400 that names it, before anything is done."""
    answer = call(name, make_request(name, params={"dryrun": "true"}))

    fault = json.loads(answer.get_body())["errors"][0]
    assert (answer.status_code, fault["pointer"]) == (400, "#/dryrun")


@pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded", ""])
@pytest.mark.parametrize("name", CHANGING)
def test_a_body_that_is_not_called_json_is_415(name, media_type):
    """A form of another site can send such a body."""
    headers = headers_with(Content_Type=media_type)

    answer = call(name, make_request(name, headers=headers, body={}))

    assert (answer.status_code, codes_of(answer)) == (415, ["unsupported-media-type"])
