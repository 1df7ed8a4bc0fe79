"""The app as a web site: routes to functions, requests to arguments, failures to status codes."""

import json

import azure.functions as func
import pytest

from local.host import functions, principal
from local.host.admin import Admin
from local.host.invocation import Invoker
from local.host.server import Request
from local.host.site import Site

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@app.route(route="shown/{id:int?}", methods=["GET", "POST"])
def shown(req: func.HttpRequest) -> func.HttpResponse:
    """Answer with what the function was given."""
    given = {
        "method": req.method,
        "url": req.url,
        "headers": dict(req.headers),
        "params": dict(req.params),
        "route": dict(req.route_params),
        "body": req.get_body().decode(),
    }
    return func.HttpResponse(json.dumps(given))


@app.route(route="any")
def any_method(req: func.HttpRequest) -> str:
    """Answer every method."""
    return str(req.method)


@app.route(route="health")
def health(req: func.HttpRequest) -> str:
    """Answer with who is calling."""
    return str(req.headers.get("x-ms-client-principal-name", "nobody"))


@app.route(route="raise")
def raising(req: func.HttpRequest) -> str:
    """Fail."""
    raise RuntimeError(req.url)


@app.route(route="note")
def note(req: func.HttpRequest) -> func.HttpResponse:
    """Answer with a header that the caller chooses."""
    return func.HttpResponse(headers={"X-Note": req.params["note"]})


@app.queue_trigger(arg_name="msg", queue_name="orders", connection="AzureWebJobsStorage")
def work(msg: func.QueueMessage) -> None:
    """Fail on the one body that tests fail on."""
    if msg.get_body() == b"fail":
        raise RuntimeError(str(msg.dequeue_count))


@app.timer_trigger(arg_name="timer", schedule="0 0 0 * * *")
def nightly(timer: func.TimerRequest) -> None:
    """Fail if fired by hand as past due."""
    if timer.past_due:
        raise RuntimeError("past due")


INDEXED = functions.index(app)


def nothing_is_sent(binding, bodies):
    """No function here has outputs."""
    raise AssertionError((binding, bodies))


@pytest.fixture
def ask(project):
    """Send one request to the site and return its response."""
    served = functions.of_type(INDEXED, functions.HTTP)
    people = principal.read(project / "local" / "landscape.json", ["/api/health"])
    site = Site(served, "api", people, Invoker(nothing_is_sent, 2))

    def send(target, method="GET", body=b"", **headers):
        named = {"host": "localhost:7071"} | {k.replace("_", "-"): v for k, v in headers.items()}
        return site.answer(Request(method, target, tuple(named.items()), body, ("127.0.0.1", 99)))

    return send


@pytest.fixture
def fire():
    """Send one request to the admin side and return its response."""
    admin = Admin(INDEXED, Invoker(nothing_is_sent, 2))

    def send(path, method="POST", body=b"", **headers):
        named = {k.replace("_", "-"): v for k, v in headers.items()}
        return admin.answer(Request(method, path, tuple(named.items()), body, ("127.0.0.1", 99)))

    return send


def test_a_function_sees_the_request_as_the_worker_shows_it(ask):
    """Absolute URL, lower-case header names, repeated parameters joined, decoded route values."""
    given = json.loads(
        ask("/API/Shown/7?a=1&a=2&b=&c=%C3%A9", "POST", b"{}", Content_Type="application/json").body
    )

    assert given["url"] == "http://localhost:7071/API/Shown/7?a=1&a=2&b=&c=%C3%A9"
    assert given["params"] == {"a": "1,2", "b": "", "c": "é"}
    assert given["route"] == {"id": "7"}
    assert (given["method"], given["body"]) == ("POST", "{}")
    assert given["headers"]["content-type"] == "application/json"
    assert given["headers"]["x-ms-client-principal-name"] == "Alice Ashdown"
    assert given["headers"]["x-forwarded-for"] == "127.0.0.1:99"


@pytest.mark.parametrize(
    ("target", "method"),
    [
        ("/", "GET"),
        ("/api", "GET"),
        ("/shown", "GET"),
        ("/api/nothing", "GET"),
        ("//localhost/api/any", "GET"),
        ("/api/shown/seven", "GET"),
        ("/api/shown", "DELETE"),
        ("/api/shown", "HEAD"),
        ("/api/shown", "OPTIONS"),
    ],
)
def test_what_no_function_takes_is_not_found(ask, target, method):
    """A wrong method is a 404 as well: the real host has no 405."""
    answer = ask(target, method)

    assert (answer.status, answer.body) == (404, b"")


@pytest.mark.parametrize("method", ["GET", "PUT", "HEAD", "OPTIONS"])
def test_a_function_without_methods_takes_all(ask, method):
    """No list is no limit."""
    assert ask("/api/any", method).status == 200


def test_a_path_that_is_not_text_is_a_bad_request(ask):
    """No function ever sees it."""
    assert ask("/api/%ff").status == 400


def test_a_function_that_raises_is_an_empty_500(ask):
    """Nothing of the error leaves the host."""
    answer = ask("/api/raise")

    assert (answer.status, answer.body) == (500, b"")


@pytest.mark.parametrize("value", ["a%0D%0AX-Forged:%20yes", "a%0Ab", "caf%C3%A9", "a%00b"])
def test_a_header_that_is_not_one_line_of_ascii_is_a_500(ask, value):
    """A response cannot be split in two."""
    assert ask(f"/api/note?note={value}").status == 500


def test_a_header_of_one_line_passes(ask):
    """What an app says is what a caller hears."""
    assert ("X-Note", "a b") in ask("/api/note?note=a%20b").headers


def test_a_stranger_is_a_401(ask):
    """The platform answers before the app does."""
    assert ask("/api/any", X_Local_User="mallory").status == 401


def test_an_excluded_path_knows_nobody(ask):
    """Not even the default person, and not who the caller says it is."""
    assert ask("/api/health", X_MS_CLIENT_PRINCIPAL_NAME="Mallory").body == b"nobody"


def test_a_timer_fired_by_hand_is_not_past_due(fire):
    """202 once it has started, 200 with waiting once it has ended."""
    assert fire("/admin/functions/nightly").status == 202
    assert fire("/admin/functions/Nightly", X_Local_Wait="true").status == 200


def test_a_queue_function_fired_by_hand_gets_the_input(fire):
    """And waiting tells whether it failed."""
    body = json.dumps({"input": "fail"}).encode()

    assert fire("/admin/functions/work", body=body, X_Local_Wait="true").status == 500
    assert fire("/admin/functions/work", X_Local_Wait="TRUE").status == 200


@pytest.mark.parametrize("body", [b"x", b"[]", b'{"input": 7}'])
def test_an_input_that_is_not_text_is_a_bad_request(fire, body):
    """The real host takes a string."""
    assert fire("/admin/functions/work", body=body).status == 400


def test_an_http_function_is_not_fired_by_hand(fire):
    """It has a route of its own."""
    assert fire("/admin/functions/health").status == 400


@pytest.mark.parametrize(
    ("path", "method"),
    [("/admin/functions/nobody", "POST"), ("/admin/x", "GET"), ("/admin/", "GET")],
)
def test_other_admin_paths_are_not_found(fire, path, method):
    """What the host does not have."""
    assert fire(path, method).status == 404


def test_the_host_says_what_it_runs(fire):
    """Enough for a readiness probe and for a curious developer."""
    assert json.loads(fire("/admin/host/status", "GET").body)["state"] == "Running"
    assert fire("/admin/host/ping", "GET").status == 200
    assert [f["name"] for f in json.loads(fire("/admin/functions", "GET").body)] == [
        "any_method",
        "health",
        "nightly",
        "note",
        "raising",
        "shown",
        "work",
    ]
