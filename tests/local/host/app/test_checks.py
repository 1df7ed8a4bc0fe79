"""Checks at start: later faults are named before anything runs."""

import typing

import azure.functions as func
import pytest

from local.host.app import checks

HOST_JSON = {"version": "2.0"}
STORAGE = {"AzureWebJobsStorage": "UseDevelopmentStorage=true"}


@pytest.fixture
def app():
    """An empty app to add functions to."""
    return func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)


def add_http(app, name, route, methods=("GET",)):
    def handler(req: func.HttpRequest) -> func.HttpResponse:
        return func.HttpResponse(req.url)

    app.function_name(name)(app.route(route=route, methods=methods)(handler))


def add_timer(app, expression):
    @app.timer_trigger(arg_name="timer", schedule=expression)
    def tick(timer: func.TimerRequest) -> None:
        """Do nothing."""


def add_queue(app, name, connection="AzureWebJobsStorage"):
    @app.queue_trigger(arg_name="msg", queue_name=name, connection=connection)
    def work(msg: func.QueueMessage) -> None:
        """Do nothing."""


def faults(app, values=STORAGE, host_json=HOST_JSON):
    return checks.find_faults(app, values, host_json)


def test_an_app_of_every_kind_has_no_faults(app):
    """Routes, queues, timers and outputs as they should be."""

    @app.route(route="orders/{id:int}", methods=["POST"])
    @app.queue_output(arg_name="out", queue_name="orders", connection="AzureWebJobsStorage")
    def order(
        req: func.HttpRequest,
        out: func.Out[typing.List[str]],  # noqa: UP006 - as the worker reads it
        context: func.Context,
    ) -> func.HttpResponse:
        out.set([req.url, context.invocation_id])
        return func.HttpResponse()

    add_http(app, "health", "health")
    add_timer(app, "%TICK%")
    add_queue(app, "orders")

    assert faults(app, STORAGE | {"TICK": "0 * * * * *"}) == []


def test_a_second_look_finds_the_same(app):
    """Checking changes nothing about the app."""
    add_http(app, "health", "health")
    first = faults(app)

    assert faults(app) == first == []


def test_two_functions_of_one_name(app):
    """The worker refuses the whole app."""
    add_http(app, "same", "a")
    add_http(app, "same", "b")

    assert "same" in faults(app)[0]


def test_a_function_without_a_trigger(app):
    """The worker refuses the whole app."""

    @app.queue_output(arg_name="out", queue_name="orders", connection="AzureWebJobsStorage")
    def idle(out: func.Out[str]) -> None:
        out.set("")

    assert "idle does not have a trigger" in faults(app)[0]


def test_a_parameter_without_a_binding(app):
    """The worker would have no value to pass."""

    @app.route(route="x")
    def handler(req: func.HttpRequest, other: str) -> func.HttpResponse:
        return func.HttpResponse(req.url + other)

    assert faults(app) == ["handler: the parameter other has no binding"]


def test_a_binding_without_a_parameter(app):
    """The worker would have nowhere to pass it."""

    @app.route(route="x", trigger_arg_name="request")
    def handler() -> func.HttpResponse:
        return func.HttpResponse()

    assert faults(app) == ["handler: the binding request has no parameter"]


def test_an_annotation_that_does_not_exist_at_run_time(app):
    """The worker evaluates annotations: an import for type checkers only is not enough."""

    @app.route(route="x")
    def handler(req: "Missing") -> func.HttpResponse:  # type: ignore[name-defined]  # noqa: F821 - the law's case
        return func.HttpResponse(req.url)

    assert "name 'Missing' is not defined" in faults(app)[0]


def test_an_output_that_is_not_annotated_as_one(app):
    """An output is handed over in a ``func.Out``."""

    @app.route(route="x")
    @app.queue_output(arg_name="out", queue_name="orders", connection="AzureWebJobsStorage")
    def handler(req: func.HttpRequest, out: str) -> func.HttpResponse:
        return func.HttpResponse(req.url + out)

    assert faults(app) == ["handler: the parameter out must be annotated as func.Out[...]"]


def test_an_input_that_is_annotated_as_an_output(app):
    """A trigger's data is not handed over in a ``func.Out``."""

    @app.queue_trigger(arg_name="msg", queue_name="orders", connection="AzureWebJobsStorage")
    def work(msg: func.Out[str]) -> None:
        """Do nothing."""

    assert "must be annotated as an input type" in faults(app)[0]


def test_a_list_must_be_spelt_as_the_worker_reads_it(app):
    """The worker knows ``typing.List[str]``; ``list[str]`` ends its loading of the app."""

    @app.route(route="x")
    @app.queue_output(arg_name="out", queue_name="orders", connection="AzureWebJobsStorage")
    def handler(req: func.HttpRequest, out: func.Out[list[str]]) -> func.HttpResponse:
        out.set([req.url])
        return func.HttpResponse()

    assert "typing.List[...]" in faults(app)[0]


@pytest.mark.parametrize("kind", [func.HttpRequest, int, dict])
def test_an_annotation_of_the_wrong_kind(app, kind):
    """The worker asks its converters; the checks ask them too."""

    @app.queue_trigger(arg_name="msg", queue_name="orders", connection="AzureWebJobsStorage")
    def work(msg: kind) -> None:  # type: ignore[valid-type] # a parameter of the test
        """Do nothing."""

    assert "does not fit a queueTrigger" in faults(app)[0]


@pytest.mark.parametrize("kind", [str, bytes, func.QueueMessage])
def test_a_queue_message_may_come_as_text_bytes_or_itself(app, kind):
    """The three kinds that the worker passes."""

    @app.queue_trigger(arg_name="msg", queue_name="orders", connection="AzureWebJobsStorage")
    def work(msg: kind) -> None:  # type: ignore[valid-type] # a parameter of the test
        """Do nothing."""

    assert faults(app) == []


@pytest.mark.parametrize("kind", [dict, typing.Any])
def test_a_return_annotation_of_the_wrong_kind(app, kind):
    """An HTTP function answers with an ``HttpResponse`` or a string."""

    @app.route(route="x")
    def handler(req: func.HttpRequest) -> kind:  # type: ignore[valid-type] # a parameter
        return req

    assert "the return annotation does not fit" in faults(app)[0]


@pytest.mark.parametrize("name", ["1st", "a b", "x" * 128])
def test_a_name_that_azure_refuses(app, name):
    """Function names are part of URLs and of storage paths."""
    add_http(app, name, "x")

    assert "the name must be a letter" in faults(app)[0]


@pytest.mark.parametrize("expression", ["* * * * *", "@daily", "0 0 0 30 2 *", "00:05:00"])
def test_a_schedule_that_azure_refuses(app, expression):
    """The real host would disable this one timer, and only say so in its log."""
    add_timer(app, expression)

    assert faults(app)[0].startswith("tick: ")


def test_a_schedule_in_a_setting_that_is_wrong(app):
    """The value counts, not the expression."""
    add_timer(app, "%TICK%")

    assert "second" in faults(app, {"TICK": "61 * * * * *"})[0]


def test_a_setting_that_does_not_exist(app):
    """A schedule in a setting needs the setting."""
    add_timer(app, "%TICK%")

    assert faults(app) == ["tick: %TICK% names a setting that does not exist"]


@pytest.mark.parametrize("name", ["Orders", "or", "orders_1", "-orders", "orders--1", "o" * 64])
def test_a_queue_name_that_storage_refuses(app, name):
    """The trigger would wait for ever for a queue that cannot be created."""
    add_queue(app, name)

    assert "is not a queue name" in faults(app)[0]


def test_a_connection_that_is_not_configured(app):
    """A trigger without an account reads nothing."""
    add_queue(app, "orders", connection="Elsewhere")

    assert faults(app) == ["work: the connection Elsewhere is not configured"]


def test_a_connection_by_identity_is_configured(app):
    """In Azure there is no connection string."""
    add_queue(app, "orders")

    assert faults(app, {"AzureWebJobsStorage__accountName": "stjit"}) == []


@pytest.mark.parametrize("second", ["items/{id}", "ITEMS/{name}", "items/{id?}"])
def test_a_route_that_another_function_already_has(app, second):
    """The first name in the alphabet would get every request."""
    add_http(app, "alpha", "items/{id}")
    add_http(app, "beta", second)

    assert "is hidden by 'items/{id}' of alpha" in faults(app)[0]


def test_a_literal_route_behind_a_parameter(app):
    """The real host does not prefer literals: names decide."""
    add_http(app, "alpha", "items/{id}")
    add_http(app, "beta", "items/recent")

    assert "beta: the route 'items/recent' (GET) is hidden" in faults(app)[0]


def test_a_literal_route_before_a_parameter_is_no_fault(app):
    """Named first, it is tried first."""
    add_http(app, "alpha", "items/recent")
    add_http(app, "beta", "items/{id}")

    assert faults(app) == []


def test_one_route_with_two_methods_is_no_fault(app):
    """Functions that share a route share it by method."""
    add_http(app, "alpha", "items/{id}", ["GET"])
    add_http(app, "beta", "items/{id}", ["PUT", "DELETE"])

    assert faults(app) == []


def test_a_function_of_every_method_collides_with_any(app):
    """No list of methods means all of them."""
    add_http(app, "alpha", "items", None)
    add_http(app, "beta", "items", ["DELETE"])

    assert "(DELETE)" in faults(app)[0]


def test_a_route_that_cannot_be_parsed(app):
    """A template is wrong before the first request, not at it."""
    add_http(app, "alpha", "items/{id")

    assert "braces" in faults(app)[0]


def test_a_route_of_the_hosts_own(app):
    """Without a prefix, admin belongs to the host."""
    add_http(app, "alpha", "admin/users")
    bare = {"version": "2.0", "extensions": {"http": {"routePrefix": ""}}}

    assert "the host keeps 'admin/users'" in faults(app, host_json=bare)[0]


def test_a_function_that_wants_a_key():
    """It would be open here and closed in Azure: no picture of it at all."""
    locked = func.FunctionApp(http_auth_level=func.AuthLevel.FUNCTION)
    add_http(locked, "alpha", "items")

    assert "must be anonymous" in faults(locked)[0]


def test_a_binding_that_this_host_lacks(app):
    """Better no start than a function that never runs."""

    @app.blob_trigger(arg_name="blob", path="x/{name}", connection="AzureWebJobsStorage")
    def work(blob: func.InputStream) -> None:
        """Do nothing."""

    assert "no blobTrigger binding" in faults(app)[0]


def test_all_faults_are_named_at_once(app):
    """One start shows everything that is to be mended, host.json included."""
    add_timer(app, "%TICK%")
    add_queue(app, "Orders", connection="Elsewhere")

    assert len(faults(app, host_json={})) == 4
