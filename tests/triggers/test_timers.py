"""Functions of the timers: each calls one use case."""

import json
from dataclasses import replace

import pytest

from jit import wiring
from jit.domain.authorization.platform_authentication import find_fault
from tests.triggers.app_functions import CLIENT_ID, SETTINGS, find_call
from tests.triggers.conftest import NOON


def test_a_tick_looks_at_the_brokers_clock(use_case):
    """The local stack moves that clock."""
    calls = use_case("due_work", tick=None)

    find_call("tick")(timer=None)

    assert calls == [("tick", (), {"now": NOON})]


@pytest.mark.parametrize(
    ("fault", "setting"),
    [
        ({"tenant_id": ""}, "JIT_TENANT_ID"),
        ({"auth_enabled": False}, "WEBSITE_AUTH_ENABLED"),
        (
            {"application_fault": find_fault("{}", client_id=CLIENT_ID)},
            "WEBSITE_AUTH_V2_CONFIG_JSON",
        ),
    ],
)
def test_a_tick_alerts_while_authentication_is_misconfigured_and_still_works(
    fault, setting, use_case, monkeypatch, caplog
):
    """Every caller gets 401, so the log must name the setting; paths are closed as before."""
    calls = use_case("due_work", tick=None)
    monkeypatch.setattr(wiring, "settings", lambda: replace(SETTINGS, **fault))

    find_call("tick")(timer=None)

    (told,) = [json.loads(record.getMessage()) for record in caplog.records]
    assert (told["event"], told["detail"].partition(" ")[0]) == (
        "authentication.misconfigured",
        setting,
    )
    assert len(calls) == 1


def test_the_timer_has_every_subscription_compared(use_case):
    """It sends messages, and compares nothing itself."""
    calls = use_case("due_work", enqueue_comparisons=None)

    find_call("reconcile")(timer=None)

    assert calls == [("enqueue_comparisons", (), {})]
