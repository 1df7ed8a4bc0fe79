"""Functions of the queues: the work of a message, and a message that keeps failing."""

import json

import azure.functions as func
import pytest

from jit import messages
from jit.domain.errors import Defect
from tests.triggers.app_functions import find_call
from tests.triggers.conftest import NOON


@pytest.mark.parametrize(
    ("function", "use", "verb", "key", "more"),
    [
        ("work_policy", "worker", "work", "policy", {"look": None}),
        ("reconcile_subscription", "reconciler", "run", "subscription", {}),
    ],
)
def test_a_message_names_its_work(use_case, function, use, verb, key, more):
    """It carries a key and no state."""
    calls = use_case(use, **{verb: None, "drain": None})

    find_call(function)(msg=func.QueueMessage(body=json.dumps({key: "k1"}).encode()))

    assert calls == [(verb, ("k1",), {"now": NOON, **more})]


def test_a_message_may_name_a_request_to_look_at(use_case):
    """A caller asked for the state of its paths."""
    calls = use_case("worker", work=None)

    body = messages.policy("k1", look="r1").encode()
    find_call("work_policy")(msg=func.QueueMessage(body=body))

    assert calls == [("work", ("k1",), {"now": NOON, "look": "r1"})]


def test_a_message_may_want_the_audit_outbox_alone(use_case):
    """No comparison: a flood of records must not read Azure."""
    calls = use_case("reconciler", drain=None, run=None)

    find_call("reconcile_subscription")(msg=func.QueueMessage(body=messages.drain("s1").encode()))

    assert calls == [("drain", ("s1",), {"now": NOON})]


def test_a_message_may_want_the_access_of_barred_people_revoked(use_case):
    """Their policies are woken then; no subscription is compared."""
    finished = use_case("bar_changes", revoke_rest=("p1",))
    woken = use_case("due_work", wake=None)

    body = messages.revoke_barred("s1").encode()
    find_call("reconcile_subscription")(msg=func.QueueMessage(body=body))

    assert finished == [("revoke_rest", (NOON,), {})]
    assert woken == [("wake", (("p1",),), {})]


@pytest.mark.parametrize("function", ["work_policy", "reconcile_subscription"])
@pytest.mark.parametrize("body", [b"", b"{}", b'{"policy": 1, "subscription": 1}'])
def test_a_message_that_is_not_ours_is_a_defect(function, body):
    """It ends in the poison queue, and a person sees it."""
    with pytest.raises(Defect):
        find_call(function)(msg=func.QueueMessage(body=body))


@pytest.mark.parametrize(
    ("function", "queue"),
    [("alert_policy_poison", "jit-policy"), ("alert_reconcile_poison", "jit-reconcile")],
)
def test_a_poisoned_message_is_an_alert(caplog, function, queue):
    """Grants do not depend on it, but something keeps failing."""
    find_call(function)(msg=func.QueueMessage(id="m1", body=b"{}"))

    (record,) = caplog.records
    assert record.levelname == "ERROR"
    assert json.loads(record.getMessage()) == {
        "event": "message.poisoned",
        "queue": queue,
        "message_id": "m1",
    }
