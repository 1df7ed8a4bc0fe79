"""The dispatcher: routes to functions, requests to arguments, failures to status codes."""

import json
from contextlib import nullcontext

import azure.functions as func
import pytest

from local.host.app import functions
from local.host.invocation import Invoker
from local.host.web import platform_auth
from local.host.web.admin import Admin
from local.host.web.dispatcher import Dispatcher
from local.host.web.server import Request

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)


def show(req: func.HttpRequest) -> func.HttpResponse:
    """Answer with the request, as the function was given it."""
    given = {
        "method": req.method,
        "url": req.url,
        "headers": dict(req.headers),
        "params": dict(req.params),
        "route": dict(req.route_params),
        "body": req.get_body().decode(),
    }
    return func.HttpResponse(json.dumps(given))


@app.route(route="shown/{id:int?}", methods=["GET", "POST"])
def shown(req: func.HttpRequest) -> func.HttpResponse:
    """Answer with the request."""
    return show(req)


@app.route(route="any")
def any_method(req: func.HttpRequest) -> str:
    """Answer every method."""
    return str(req.method)


@app.route(route="health")
def health(req: func.HttpRequest) -> str:
    """Answer with the name of the caller."""
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
bare_app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@bare_app.route(route="shown/{id:int?}")
def shown_bare(req: func.HttpRequest) -> func.HttpResponse:
    """Answer with the request."""
    return show(req)


@bare_app.route(route="{root:maxlength(0)?}")
def root(req: func.HttpRequest) -> str:
    """Answer at the root."""
    return "root"


def nothing_is_sent(binding, bodies):
    """No function here has outputs."""
    raise AssertionError((binding, bodies))


def sender(project, indexed, prefix, *excluded):
    """Return a function that sends one request to a site and returns its response."""
    served = functions.select_by_trigger(indexed, functions.HTTP)
    people = platform_auth.read(project / "local" / "landscape.json", excluded)
    site = Dispatcher(served, prefix, people, Invoker(nothing_is_sent, 2))

    def send(target, method="GET", body=b"", **headers):
        named = {"host": "localhost:7071"} | {k.replace("_", "-"): v for k, v in headers.items()}
        return site.answer(Request(method, target, tuple(named.items()), body, ("127.0.0.1", 99)))

    return send


@pytest.fixture
def ask(project):
    """Send one request to the site, whose routes lie under a prefix."""
    return sender(project, INDEXED, "api", "/api/health")


@pytest.fixture
def ask_bare(project):
    """Send one request to the site, whose routes have no prefix."""
    return sender(project, functions.index(bare_app), "", "/health", "/page/*")


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
def test_a_request_that_no_function_takes_is_not_found(ask, target, method):
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
    """The header of the app reaches the caller."""
    assert ("X-Note", "a b") in ask("/api/note?note=a%20b").headers


def test_a_stranger_is_a_401(ask):
    """The platform answers before the app does."""
    assert ask("/api/any", X_Local_User="mallory").status == 401


def test_an_excluded_path_has_no_principal_of_the_platform(ask):
    """Not even the default person; a name that the client sends passes as it is."""
    assert ask("/api/health").body == b"nobody"
    assert ask("/api/health", X_MS_CLIENT_PRINCIPAL_NAME="Mallory").body == b"Mallory"


def test_a_path_that_is_not_excluded_has_the_principal_of_the_platform(ask):
    """A name that the client sends does not count."""
    given = json.loads(ask("/api/shown", X_MS_CLIENT_PRINCIPAL_NAME="Mallory").body)

    assert given["headers"]["x-ms-client-principal-name"] == "Alice Ashdown"


@pytest.mark.parametrize(
    "target",
    [
        "/page/../shown/7",
        "/page/%2e%2e/shown/7",
        "/page/%2E./Shown/7",
        "/page//../shown/7",
        "/page/x/../../shown/7",
        "/page%2f..%2fshown%2f7",
        "/page\\..\\shown\\7",
        "/page/..%5cshown/7",
        "/PAGE/../shown/7",
        "/page;/../shown/7",
    ],
)
def test_an_excluded_path_reaches_the_function_that_it_resolves_to(ask_bare, target):
    """The worse case: excluded by the raw path, routed by the normalised one, headers untouched."""
    given = json.loads(ask_bare(target, X_MS_CLIENT_PRINCIPAL="forged").body)

    assert given["route"] == {"id": "7"}
    assert given["headers"]["x-ms-client-principal"] == "forged"
    assert "x-ms-client-principal-name" not in given["headers"]


def test_a_function_sees_the_target_as_the_client_sent_it(ask_bare):
    """In the URL and in a header of the front end: the app can refuse a path that is not plain."""
    target = "/page/%2e%2e/shown/7?a=%2e"
    given = json.loads(ask_bare(target, X_Original_URL="/forged").body)

    assert given["url"] == f"http://localhost:7071{target}"
    assert given["headers"]["x-original-url"] == target
    assert given["headers"]["x-waws-unencoded-url"] == target


@pytest.mark.parametrize("target", ["/", "/?a=1", "//", "/page/.."])
def test_a_root_template_matches_the_empty_path(ask_bare, target):
    """An app without a prefix can answer at the root."""
    assert ask_bare(target).body == b"root"


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
    """The host has no such routes."""
    assert fire(path, method).status == 404


@pytest.mark.parametrize(("busy", "status"), [(False, 200), (True, 503)])
def test_the_host_tells_when_no_function_runs(monkeypatch, busy, status):
    """A test must not begin while a pass of the one before goes on."""
    monkeypatch.setattr("local.host.web.admin._PATIENCE_SECONDS", 0.0)
    invoker = Invoker(nothing_is_sent, 2)
    ask = Request("GET", "/admin/host/status", (("X-Local-Wait", "true"),), b"", ("127.0.0.1", 99))

    with invoker.running.one() if busy else nullcontext():
        assert Admin(INDEXED, invoker).answer(ask).status == status


def test_the_host_lists_its_functions(fire):
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
