"""The host as a process: its start, its refusals, its end."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from azure.storage.queue import QueueServiceClient

from local import clock
from local.clock import ClockState
from tests.local.calls import call

HELLO = """
@app.route(route="hello")
def hello(req: func.HttpRequest) -> str:
    return "hello " + os.environ["WEBSITE_AUTH_ENABLED"]
"""
QUEUE = """
@app.route(route="send", methods=["POST"])
@app.queue_output(arg_name="out", queue_name="orders", connection=STORAGE)
def send(req: func.HttpRequest, out: func.Out[str]) -> func.HttpResponse:
    out.set(req.get_body().decode())
    if "fail-send" in req.params:
        raise RuntimeError("after the set")
    return func.HttpResponse(status_code=202)

@app.queue_trigger(arg_name="msg", queue_name="orders", connection=STORAGE)
def work(msg: str) -> None:
    logging.info("working on %s", msg, extra={"secret": "never shown"})
    if msg == "fail":
        raise RuntimeError("as it was told")
    if msg == "wait":
        pathlib.Path("leave").read_text()  # a pipe: until somebody opens its other end
    logging.info("done with %s", msg)

@app.queue_trigger(arg_name="msg", queue_name="orders-poison", connection=STORAGE)
def alert(msg: str) -> None:
    logging.info("poisoned: %s", msg)
"""
TIMER = """
@app.timer_trigger(arg_name="timer", schedule="%TICK%")
def tick(timer: func.TimerRequest) -> None:
    logging.info("ticked, past due: %s", timer.past_due)
"""


def logged(host, text, count=1):
    """Wait until *text* stands *count* times in the log of *host*."""
    waiting = threading.Event()
    looks = (host.log.count(text) >= count for _ in range(1000))
    return any(found or waiting.wait(0.02) for found in looks)


def test_a_host_serves_its_app(host_of):
    """Routes lie under the prefix, and the platform's settings are there."""
    host = host_of(HELLO)

    assert call(f"{host.url}/api/hello").body == b"hello True"


def test_an_app_with_faults_does_not_start(run_host):
    """All faults in one message, and exit code 1."""
    code, output = run_host(
        TIMER + QUEUE.replace('"orders"', '"Orders"'), {"version": "1"}, AzureWebJobsStorage=""
    )

    assert code == 1
    assert "%TICK%" in output
    assert "'Orders' is not a queue name" in output
    assert "AzureWebJobsStorage is not configured" in output
    assert 'version must be "2.0"' in output


def test_an_app_that_cannot_be_imported_does_not_start(run_host):
    """With the reason, and exit code 1."""
    code, output = run_host("raise RuntimeError('at import')")

    assert (code, "at import" in output) == (1, True)


def test_a_file_without_an_app_does_not_start(run_host):
    """The worker looks for the name ``app``."""
    code, output = run_host("app = None")

    assert (code, "no FunctionApp named app" in output) == (1, True)


def test_a_message_travels_from_an_output_to_a_trigger(host_of):
    """And of the app's log only the formatted message is seen."""
    host = host_of(QUEUE)
    answer = call(f"{host.url}/api/send", "POST", b"a")

    assert answer.status == 202
    assert logged(host, "done with a")
    assert "never shown" not in host.log


def test_a_message_of_a_function_that_raised_does_not_travel(host_of):
    """The caller sees an empty 500, the queue sees nothing."""
    host = host_of(QUEUE)
    failed = call(f"{host.url}/api/send?fail-send=1", "POST", b"lost")
    call(f"{host.url}/api/send", "POST", b"later")

    assert (failed.status, failed.body) == (500, b"")
    assert logged(host, "done with later")
    assert "working on lost" not in host.log


def test_a_message_that_keeps_failing_reaches_the_alert(host_of):
    """As often as host.json says, then the function on the poison queue."""
    host = host_of(QUEUE)
    call(f"{host.url}/api/send", "POST", b"fail")

    assert logged(host, "poisoned: fail")
    assert host.log.count("working on fail") == 2


@pytest.fixture
def leave(tmp_path):
    """The pipe on which the message "wait" waits."""
    path = tmp_path / "leave"
    os.mkfifo(path)
    return path


def test_a_stopped_host_finishes_work_that_it_has_begun(host_of, leave, storage):
    """SIGTERM: exit code 0, nothing half done, nothing left."""
    host = host_of(QUEUE)
    call(f"{host.url}/api/send", "POST", b"wait")
    assert logged(host, "working on wait")
    with ThreadPoolExecutor() as pool:
        code = pool.submit(host.stop)
        assert logged(host, "host stopping")
        leave.write_text("")

        assert code.result(30) == 0
    assert "done with wait" in host.log
    with QueueServiceClient.from_connection_string(storage) as service:
        queue = service.get_queue_client("orders")
        assert queue.get_queue_properties().approximate_message_count == 0


@pytest.mark.usefixtures("leave")
def test_a_killed_host_leaves_only_invisible_messages(host_of, storage):
    """The message is still there, unseen until its hold ends."""
    host = host_of(QUEUE)
    call(f"{host.url}/api/send", "POST", b"wait")
    assert logged(host, "working on wait")
    host.kill()

    with QueueServiceClient.from_connection_string(storage) as service:
        queue = service.get_queue_client("orders")
        assert queue.get_queue_properties().approximate_message_count == 1
        assert queue.receive_message() is None


def test_a_killed_host_starts_again_on_its_port(host_of):
    """Nothing of the old life is in the way."""
    host = host_of(HELLO)
    host.kill()
    host.start()

    assert call(f"{host.url}/api/hello").status == 200


@pytest.fixture
def clock_file(tmp_path):
    """A clock that stands at noon."""
    path = tmp_path / "clock.json"
    clock.write(path, ClockState(frozen_at=datetime(2026, 11, 22, 12, tzinfo=UTC)))
    return path


def test_timers_follow_the_stacks_clock(host_of, clock_file):
    """A jump of an hour is one late call, in one of two instances."""
    env = {"JIT_LOCAL_CLOCK": str(clock_file), "TICK": "0 0 13 * * *"}
    first = host_of(TIMER, 1, **env)
    assert logged(first, "timer tick is ours")
    second = host_of(TIMER, 2, **env)
    clock.write(clock_file, ClockState(frozen_at=datetime(2026, 11, 22, 14, tzinfo=UTC)))

    assert logged(first, "past due: True")
    assert "ticked" not in second.log


def test_the_broker_gets_the_stacks_clock(host_of, clock_file, tmp_path):
    """The composition root's one seam is set after the app is imported."""
    (tmp_path / "jit").mkdir()
    (tmp_path / "jit" / "__init__.py").touch()
    (tmp_path / "jit" / "wiring.py").write_text("clock = None\n")
    source = """
from jit import wiring

@app.route(route="now")
def now(req: func.HttpRequest) -> str:
    return wiring.clock().isoformat()
"""
    host = host_of(source, JIT_LOCAL_CLOCK=str(clock_file))

    assert call(f"{host.url}/api/now").body == b"2026-11-22T12:00:00+00:00"
