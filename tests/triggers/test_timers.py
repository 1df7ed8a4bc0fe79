"""Functions of the timers: each calls one use case."""

from tests.triggers.app_functions import find_call
from tests.triggers.conftest import NOON


def test_a_tick_looks_at_the_brokers_clock(use_case):
    """The local stack moves that clock."""
    calls = use_case("due_work", tick=None)

    find_call("tick")(timer=None)

    assert calls == [("tick", (), {"now": NOON})]


def test_the_timer_has_every_subscription_compared(use_case):
    """It sends messages, and compares nothing itself."""
    calls = use_case("due_work", enqueue_comparisons=None)

    find_call("reconcile")(timer=None)

    assert calls == [("enqueue_comparisons", (), {})]
