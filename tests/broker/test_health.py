"""Health: storage, Azure, authentication, and timers that may be dead."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from jit.broker.health import PROBE_PAUSE, HealthCheck
from jit.domain.errors import Unavailable
from tests.broker.inprocess import farm, wish
from tests.broker.reconciling import Reconciling
from tests.local.azure.sim import DEVELOPMENT, PRODUCTION

MINUTE = timedelta(minutes=1)


def checker(it, fault=""):
    broker = it.broker
    return HealthCheck(
        lambda: broker.subscription_rows, broker.observer.list_readable, broker.subscriptions, fault
    )


def check(it, **how):
    """Check afresh, as a process that has just started."""
    return checker(it, **how).check(now=it.broker.now)


def codes(health):
    return [(problem.code, problem.resource) for problem in health.problems]


def compare_all(it):
    it.run(PRODUCTION)
    it.run(DEVELOPMENT)


def tick(it, minutes=0):
    """Tick once a minute, for that long, and once more."""
    for _ in range(minutes):
        it.due_work.tick(now=it.broker.now)
        it.broker.advance(MINUTE)
    it.due_work.tick(now=it.broker.now)


# ---- well ----------------------------------------------------------------------------------------


def test_a_broker_whose_timers_run_is_well(it):
    """It says when each of them ran last."""
    tick(it)
    compare_all(it)
    now = it.broker.now

    health = check(it)

    assert health.is_well
    assert (health.storage, health.azure, health.tick) == ("ok", "ok", now)
    assert health.comparisons == {PRODUCTION: now, DEVELOPMENT: now}


def test_a_broker_is_well_for_30_minutes_after_its_first_tick(it):
    """The first comparisons take their time."""
    tick(it, minutes=30)

    health = check(it)

    assert health.is_well
    assert health.comparisons == {PRODUCTION: None, DEVELOPMENT: None}


# ---- dead timers ---------------------------------------------------------------------------------


def test_a_broker_that_never_ticked_is_not_well(it):
    """After a deployment the timers of an app may never run."""
    compare_all(it)

    health = check(it)

    assert codes(health) == [("tick-late", None)]
    assert health.tick is None


@pytest.mark.parametrize(("minutes", "expected"), [(10, []), (11, [("tick-late", None)])])
def test_a_tick_is_late_after_10_minutes(it, minutes, expected):
    """HTTP goes on meanwhile."""
    compare_all(it)
    tick(it)
    last = it.broker.now
    it.broker.advance(minutes * MINUTE)

    health = check(it)

    assert codes(health) == expected
    assert [problem.since for problem in health.problems] == [last for _ in expected]


def test_a_broker_whose_timers_run_again_is_well_again(it):
    """Without a restart."""
    tick(it)
    it.broker.advance(timedelta(hours=2))
    assert not check(it).is_well

    tick(it)
    compare_all(it)

    assert check(it).is_well


def test_a_tick_that_fails_half_way_does_not_count(it):
    """A policy may be due that it did not wake."""
    tick(it)
    it.broker.advance(11 * MINUTE)
    it.broker.accept(wish(farm(1)))

    def fail(name, _):
        if name == "state.query":
            raise Unavailable("no answer")

    it.broker.calls.before = fail
    with pytest.raises(Unavailable):
        tick(it)
    it.broker.calls.before = lambda *_: None

    assert ("tick-late", None) in codes(check(it))


def test_a_subscription_that_is_not_compared_for_30_minutes_is_named(it):
    """The ticks go on, and the other subscription is compared."""
    tick(it)
    compare_all(it)
    last = it.broker.now
    tick(it, minutes=31)
    it.run(PRODUCTION)

    health = check(it)

    assert codes(health) == [("comparison-late", f"/subscriptions/{DEVELOPMENT}")]
    assert health.problems[0].since == last


def test_the_first_comparison_is_late_30_minutes_after_the_first_tick(it):
    """No queue message came to its function."""
    first = it.broker.now
    tick(it, minutes=31)

    health = check(it)

    assert codes(health) == [
        ("comparison-late", f"/subscriptions/{PRODUCTION}"),
        ("comparison-late", f"/subscriptions/{DEVELOPMENT}"),
    ]
    assert [problem.since for problem in health.problems] == [first, first]


def test_a_comparison_that_could_not_observe_does_not_count(it):
    """The role was taken away: the rules are not compared with the grants."""
    tick(it)
    action = "Microsoft.Network/networkSecurityGroups/read"
    it.broker.sim.control("PUT", "state", {"deniedActions": [action]})
    tick(it, minutes=31)
    it.run(PRODUCTION)

    assert ("comparison-late", f"/subscriptions/{PRODUCTION}") in codes(check(it))


def test_a_subscription_named_later_has_30_minutes_of_its_own(it):
    """The first tick was long ago."""
    it.broker.name(PRODUCTION)
    it = Reconciling(it.broker)
    tick(it)
    it.broker.advance(timedelta(days=1))
    it.broker.name(PRODUCTION, DEVELOPMENT)
    it = Reconciling(it.broker)

    tick(it)
    it.run(PRODUCTION)

    assert check(it).is_well


def test_a_dropped_subscription_does_not_make_the_broker_unwell(it):
    """It has alerts of its own while it has grants."""
    tick(it)
    compare_all(it)
    it.broker.name(PRODUCTION)
    it = Reconciling(it.broker)
    tick(it, minutes=40)
    it.run(PRODUCTION)

    health = check(it)

    assert health.is_well
    assert list(health.comparisons) == [PRODUCTION, DEVELOPMENT]


# ---- other reasons -------------------------------------------------------------------------------


def test_storage_that_does_not_answer_is_the_only_problem_then(it):
    """Nothing is known about the timers."""

    def fail(name, _):
        if name.startswith("state."):
            raise Unavailable("storage did not answer")

    it.broker.calls.before = fail

    health = check(it)

    assert codes(health) == [("storage-failing", None)]
    assert (health.storage, health.azure) == ("storage did not answer", "ok")
    assert health.tick is None


def test_azure_that_does_not_answer_is_a_problem(it):
    """No path can be opened, and none be seen closed."""
    tick(it)
    compare_all(it)
    it.broker.sim.faults({"match": {"path": "/"}, "times": None, "answer": {"status": 503}})

    health = check(it)

    assert codes(health) == [("azure-failing", None)]
    assert health.azure != "ok"


def test_authentication_that_is_misconfigured_is_a_problem(it):
    """All other routes answer 401 then."""
    tick(it)
    compare_all(it)

    health = check(it, fault="WEBSITE_AUTH_ENABLED is not true")

    assert codes(health) == [("authentication-misconfigured", None)]
    assert health.problems[0].detail == "WEBSITE_AUTH_ENABLED is not true"


# ---- cost ----------------------------------------------------------------------------------------


def test_a_check_is_one_query_and_one_call_to_azure(it):
    """The number of grants and subscriptions does not matter."""
    tick(it)
    before = len(it.broker.calls.names)

    check(it)

    assert it.broker.calls.names[before:] == ["state.query", "arm.list"]


def test_a_second_check_within_seconds_calls_nothing(it):
    """Anybody may call the route; the instant of the check still counts."""
    tick(it)
    compare_all(it)
    health = checker(it)
    assert health.check(now=it.broker.now).is_well
    before = len(it.broker.calls.names)

    later = health.check(now=it.broker.now + timedelta(hours=1))

    assert it.broker.calls.names[before:] == []
    assert codes(later)[0] == ("tick-late", None)


CALLERS = 20


class Azure:
    """An Azure that answers when it is let go, and counts its calls."""

    def __init__(self, error=None):
        self.begun, self.let_go = threading.Event(), threading.Event()
        self.calls, self.error = 0, error

    def __call__(self):
        self.calls += 1
        self.begun.set()
        self.let_go.wait(5)
        if self.error is not None:
            raise self.error


def check_at_once(it, azure, **how):
    """Let one caller begin, and the others come while it looks; return their futures."""
    rows = it.broker.subscription_rows
    health = HealthCheck(lambda: rows, azure, it.broker.subscriptions, **how)
    now = it.broker.now
    with ThreadPoolExecutor(CALLERS) as pool:
        first = pool.submit(health.check, now=now)
        azure.begun.wait(5)
        others = [pool.submit(health.check, now=now) for _ in range(CALLERS - 1)]
        azure.let_go.set()
    return [first, *others]


def test_twenty_checks_at_once_are_one_probe(it):
    """It asks storage and Azure; all callers get its answer."""
    tick(it)
    compare_all(it)
    azure, before = Azure(), it.broker.calls.count("state.query")

    found = check_at_once(it, azure)

    assert [each.result().is_well for each in found] == [True] * CALLERS
    assert (azure.calls, it.broker.calls.count("state.query") - before) == (1, 1)


def test_a_probe_that_dies_leaves_nobody_waiting(it):
    """503 for the others; and nobody chooses how often it is tried."""
    tick(it)
    azure = Azure(RuntimeError("a defect"))

    first, *others = check_at_once(it, azure)

    assert isinstance(first.exception(), RuntimeError)
    assert {each.result().is_well for each in others} == {False}
    assert azure.calls == 1


def test_a_probe_that_fails_is_made_again_after_ten_seconds(it):
    """It is an answer like any other: callers get it meanwhile."""
    seconds = [0.0]
    azure = Azure(Unavailable("no"))
    azure.let_go.set()
    rows = it.broker.subscription_rows
    health = HealthCheck(lambda: rows, azure, it.broker.subscriptions, clock=lambda: seconds[0])

    for at in (0.0, PROBE_PAUSE / 2, PROBE_PAUSE - 0.1):
        seconds[0] = at
        assert codes(health.check(now=it.broker.now))[0] == ("azure-failing", None)
    assert azure.calls == 1

    seconds[0], azure.error = PROBE_PAUSE, None
    assert health.check(now=it.broker.now).azure == "ok"
