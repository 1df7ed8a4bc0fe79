"""The throttle of HTTP requests: so many run at once, so many more wait, the others are refused."""

import itertools
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import azure.functions as func
import pytest

from local.host.app import functions
from local.host.app.host_options import HttpOptions
from local.host.invocation import Invoker, Response
from local.host.web.throttle import Throttle

PATIENCE = 30  # seconds until a test counts as hung
DONE = Response(204)


class Site:
    """Requests wait here until they may leave; each one that has come in is counted."""

    def __init__(self):
        self.gate, self.came = threading.Event(), threading.Semaphore(0)
        self.running, self.most, self._lock = 0, 0, threading.Lock()

    def answer(self, _request):
        with self._lock:
            self.running += 1
            self.most = max(self.most, self.running)
        self.came.release()
        if not self.gate.wait(PATIENCE):
            raise TimeoutError
        with self._lock:
            self.running -= 1
        return DONE


@pytest.fixture
def pool():
    with ThreadPoolExecutor(64) as pool:
        yield pool


def wait_until_there(throttle, count):
    """Wait until so many requests run or wait."""
    looks = threading.Event()
    assert any(throttle.outstanding == count or looks.wait(0.01) for _ in range(100 * PATIENCE))


def test_so_many_requests_run_at_once_and_the_others_wait(pool):
    """Each of them is answered in the end."""
    site = Site()
    throttle = Throttle(site.answer, HttpOptions(max_concurrent_requests=3))
    answers = [pool.submit(throttle.answer, "x") for _ in range(9)]
    for _ in range(3):
        assert site.came.acquire(timeout=PATIENCE)
    wait_until_there(throttle, 9)
    running = site.running
    site.gate.set()

    assert [each.result(PATIENCE) for each in answers] == [DONE] * 9
    assert (running, site.most, throttle.outstanding) == (3, 3, 0)


def test_a_request_too_many_is_429_at_once_without_a_body(pool):
    """As the real host writes it. When one has left, the next one may come."""
    site = Site()
    options = HttpOptions(max_concurrent_requests=1, max_outstanding_requests=2)
    throttle = Throttle(site.answer, options)
    answers = [pool.submit(throttle.answer, "x") for _ in range(2)]
    wait_until_there(throttle, 2)

    refused = throttle.answer("x")

    assert refused == Response(429, (("X-FUNCTION-SCALEOUT", "1"),), b"")
    site.gate.set()
    assert [each.result(PATIENCE) for each in answers] == [DONE] * 2
    assert throttle.answer("x") == DONE


def test_without_numbers_every_request_runs_at_once(pool):
    """The default of most plans."""
    site = Site()
    throttle = Throttle(site.answer, HttpOptions())
    answers = [pool.submit(throttle.answer, "x") for _ in range(20)]
    for _ in range(20):
        assert site.came.acquire(timeout=PATIENCE)
    site.gate.set()

    assert [each.result(PATIENCE) for each in answers] == [DONE] * 20


def test_a_site_that_fails_gives_its_place_back():
    """A defect of one request must not shut the host."""
    calls = itertools.count()

    def answer(_request: str) -> Response:
        if next(calls) == 0:
            raise ZeroDivisionError
        return DONE

    throttle = Throttle(answer, HttpOptions(max_concurrent_requests=1, max_outstanding_requests=1))
    with pytest.raises(ZeroDivisionError):
        throttle.answer("x")

    assert throttle.answer("x") == DONE


def test_requests_that_wait_for_ever_keep_no_queue_function_from_running(pool):
    """The worker has more threads than HTTP may take: closing goes on under any flood."""
    site, app = Site(), func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)

    @app.route(route="x")
    def slow(req: func.HttpRequest) -> func.HttpResponse:
        site.answer(req)
        return func.HttpResponse(status_code=204)

    ran = []

    @app.queue_trigger(arg_name="msg", queue_name="orders", connection="AzureWebJobsStorage")
    def work(msg: str) -> None:
        ran.append(msg)

    found = {each.name: each for each in functions.index(app)}
    invoker = Invoker(lambda *_: None, 4)
    req = func.HttpRequest("GET", "http://localhost/api/x", body=b"")
    throttle = Throttle[str](
        lambda _: invoker.invoke(found["slow"], req), HttpOptions(max_concurrent_requests=3)
    )
    with ExitStack() as leaving:
        leaving.callback(site.gate.set)
        for _ in range(12):
            pool.submit(throttle.answer, "x")
        for _ in range(3):
            assert site.came.acquire(timeout=PATIENCE)

        pool.submit(invoker.invoke, found["work"], "close it").result(PATIENCE)

    assert ran == ["close it"]
