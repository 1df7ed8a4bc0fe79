"""Workers of the queues: what happens to a message that keeps failing."""

import json

import azure.functions as func
import pytest

from tests.triggers.app_functions import find_call


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
