"""Functions of operations: health, comparisons, the caller's address."""

import json
from types import SimpleNamespace

import pytest

from tests.triggers.app_functions import call, call_and_listen, make_principal, make_request


def test_a_comparison_is_asked_for_by_one_message_a_subscription(use_case):
    """202: the workers do it."""
    use_case("reconciler", subscriptions=("s1", "s2"))

    answer, sent = call_and_listen("start_reconcile", make_request("start_reconcile"))

    assert (answer.status_code, json.loads(answer.get_body())) == (
        202,
        {"dryRun": False, "subscriptions": ["s1", "s2"]},
    )
    assert sent == ['{"subscription": "s1"}', '{"subscription": "s2"}']


def test_a_dry_run_returns_the_plan_and_sends_no_message(use_case):
    """It looks, and does not act."""
    use_case("reconciler", dry_run=[SimpleNamespace(doc=lambda: {"action": "report"})])

    answer, sent = call_and_listen(
        "start_reconcile", make_request("start_reconcile", params={"dryRun": "true"})
    )

    assert (answer.status_code, sent) == (200, None)
    assert json.loads(answer.get_body()) == {"dryRun": True, "plan": [{"action": "report"}]}


@pytest.mark.parametrize("text", ["", "1", "yes"])
def test_a_misspelt_dry_run_never_acts(text):
    """400; no use case is called."""
    request = make_request("start_reconcile", params={"dryRun": text})

    assert call_and_listen("start_reconcile", request)[0].status_code == 400


@pytest.mark.parametrize(("well", "status"), [(True, 200), (False, 503)])
def test_health_is_200_only_if_all_is_well(use_case, well, status):
    """A load balancer reads the status alone."""
    health = SimpleNamespace(well=well, doc=lambda: {"status": "told"})
    use_case("health", look=health)

    answer = call("get_health", make_request("get_health", headers={}))

    assert (answer.status_code, json.loads(answer.get_body())) == (status, {"status": "told"})


def test_my_address_is_the_last_hop():
    """The platform appended it; a client can write the others."""
    headers = {
        "X-MS-CLIENT-PRINCIPAL": make_principal(),
        "X-Forwarded-For": "1.2.3.4, 203.0.113.99:50123",
    }

    answer = call("get_my_address", make_request("get_my_address", headers=headers))

    assert json.loads(answer.get_body()) == {"address": "203.0.113.99"}
