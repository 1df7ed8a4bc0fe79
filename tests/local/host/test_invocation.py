"""One invocation: arguments, outputs, losses."""

import logging

import azure.functions as func
import pytest

from local.host import invocation
from local.host.app import functions
from local.host.invocation import InvocationFailed, Invoker, Response


class Post:
    """Collects the messages of output bindings, or refuses them."""

    def __init__(self, refuses=False):
        self.sent, self.refuses = [], refuses

    def __call__(self, binding, bodies):
        if self.refuses:
            raise ConnectionError("storage is away")
        self.sent.append((binding.fields["queueName"], bodies))


@pytest.fixture
def app():
    """An empty app to add functions to."""
    return func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)


def only(app):
    return functions.index(app)[0]


def output(app, name="out", queue="orders"):
    return app.queue_output(arg_name=name, queue_name=queue, connection="AzureWebJobsStorage")


def request():
    return func.HttpRequest("GET", "http://localhost/api/x", body=b"")


def test_outputs_leave_after_the_function(app):
    """Every binding sends the value that was set last."""

    @app.route(route="x")
    @output(app, "one", "first-queue")
    @output(app, "two", "second-queue")
    def handler(
        req: func.HttpRequest, one: func.Out[str], two: func.Out[list[str]]
    ) -> func.HttpResponse:
        one.set("overwritten")
        one.set("a")
        two.set(["b", "c"])
        return func.HttpResponse(req.method)

    post = Post()
    Invoker(post, 1).invoke(only(app), request())

    assert sorted(post.sent) == [("first-queue", ["a"]), ("second-queue", ["b", "c"])]


def test_an_output_that_is_never_set_sends_nothing(app):
    """A message is sent because somebody said so."""

    @app.route(route="x")
    @output(app)
    def handler(req: func.HttpRequest, out: func.Out[str]) -> func.HttpResponse:
        return func.HttpResponse(f"{req.method}{out.get()}")

    post = Post()
    answer = Invoker(post, 1).invoke(only(app), request())

    assert (post.sent, answer.body) == ([], b"GETNone")


def test_a_function_that_raises_loses_its_outputs(app):
    """Set is not sent."""

    @app.route(route="x")
    @output(app)
    def handler(req: func.HttpRequest, out: func.Out[str]) -> func.HttpResponse:
        out.set(req.method)
        raise RuntimeError("after the set")

    post = Post()
    with pytest.raises(InvocationFailed):
        Invoker(post, 1).invoke(only(app), request())

    assert post.sent == []


def test_an_output_that_cannot_be_sent_fails_the_invocation(app):
    """Otherwise the answer would promise work that no worker does."""

    @app.route(route="x")
    @output(app)
    def handler(req: func.HttpRequest, out: func.Out[str]) -> func.HttpResponse:
        out.set(req.method)
        return func.HttpResponse()

    with pytest.raises(InvocationFailed):
        Invoker(Post(refuses=True), 1).invoke(only(app), request())


def test_a_string_is_a_plain_text_response(app):
    """The worker's shorthand."""

    @app.route(route="x")
    def handler(req: func.HttpRequest) -> str:
        return str(req.method)

    answer = Invoker(Post(), 1).invoke(only(app), request())

    assert answer == Response(200, (("Content-Type", "text/plain; charset=utf-8"),), b"GET")


def test_a_response_keeps_status_headers_cookies_and_body(app):
    """Cookies travel apart, one header each."""

    @app.route(route="x")
    def handler(req: func.HttpRequest) -> func.HttpResponse:
        response = func.HttpResponse(req.method, status_code=202, mimetype="application/json")
        response.headers["Location"] = "https://localhost/there"
        response.headers.add("Set-Cookie", "a=1")
        response.headers.add("Set-Cookie", "b=2")
        return response

    answer = Invoker(Post(), 1).invoke(only(app), request())

    assert (answer.status, answer.body) == (202, b"GET")
    assert ("Location", "https://localhost/there") in answer.headers
    assert ("content-type", "application/json") in answer.headers
    assert [value for name, value in answer.headers if name == "Set-Cookie"] == ["a=1", "b=2"]


@pytest.mark.parametrize("result", [None, {"a": 1}, b"bytes"])
def test_an_output_that_the_worker_cannot_encode_fails(app, result):
    """Forgetting to return a response is a failure, not an empty answer."""

    @app.route(route="x")
    def handler(req: func.HttpRequest):
        return result

    with pytest.raises(InvocationFailed):
        Invoker(Post(), 1).invoke(only(app), request())


def test_a_result_without_a_return_binding_fails(app):
    """The worker refuses a value that nobody takes."""

    @app.queue_trigger(arg_name="msg", queue_name="orders", connection="AzureWebJobsStorage")
    def work(msg: str) -> str:
        return msg

    with pytest.raises(InvocationFailed):
        Invoker(Post(), 1).invoke(only(app), "x")


def test_a_result_with_a_return_binding_is_sent(app):
    """``$return`` may be a queue."""

    @app.queue_trigger(arg_name="msg", queue_name="orders", connection="AzureWebJobsStorage")
    @output(app, "$return", "answers")
    def work(msg: str) -> str:
        return msg.upper()

    post = Post()
    Invoker(post, 1).invoke(only(app), "x")

    assert post.sent == [("answers", ["X"])]


def test_a_parameter_named_context_receives_the_invocation(app):
    """The function learns its own name and the id of this run."""

    @app.route(route="x")
    def handler(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
        return func.HttpResponse(f"{context.function_name} {len(context.invocation_id)} {req.url}")

    answer = Invoker(Post(), 1).invoke(only(app), request())

    assert answer.body.startswith(b"handler 36 ")


def test_a_coroutine_is_awaited(app):
    """Functions may be ``async``."""

    @app.route(route="x")
    async def handler(req: func.HttpRequest) -> func.HttpResponse:
        return func.HttpResponse(req.method)

    assert Invoker(Post(), 1).invoke(only(app), request()).body == b"GET"


def test_each_invocation_is_one_line(app, caplog):
    """Name, outcome, id and duration."""

    @app.route(route="x")
    def handler(req: func.HttpRequest) -> func.HttpResponse:
        return func.HttpResponse(req.method)

    with caplog.at_level(logging.INFO, "local.host"):
        Invoker(Post(), 1).invoke(only(app), request())

    assert len(caplog.messages) == 1
    assert caplog.messages[0].startswith("Executed handler (Succeeded, Id=")


def test_a_failure_is_logged_with_its_cause(app, caplog):
    """The caller sees an empty 500; the developer sees why."""

    @app.route(route="x")
    def handler(req: func.HttpRequest) -> func.HttpResponse:
        raise RuntimeError(f"no {req.method} today")

    with caplog.at_level(logging.INFO, "local.host"), pytest.raises(InvocationFailed):
        Invoker(Post(), 1).invoke(only(app), request())

    assert "no GET today" in caplog.text
    assert "Failed" in caplog.text


@pytest.mark.parametrize(
    ("value", "bodies"),
    [
        ("a", ["a"]),
        (b"a", [b"a"]),
        (["a", "b"], ["a", "b"]),
        ((), []),
        (func.QueueMessage(body="a"), [b"a"]),
        ([func.QueueMessage(body="a"), "b"], [b"a", "b"]),
    ],
)
def test_an_output_value_is_one_message_or_a_list_of_them(value, bodies):
    """The answer of the worker's converter."""
    assert invocation.messages(value) == bodies


@pytest.mark.parametrize("value", [1, [1], [b"a"], [["a"]]])
def test_other_output_values_are_refused(value):
    """The worker refuses them as well."""
    with pytest.raises(TypeError):
        invocation.messages(value)
