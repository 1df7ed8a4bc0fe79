"""Refused changes of requests: each is recorded before it is answered."""

import json
from datetime import timedelta

import pytest

from jit.domain.errors import AccessDenied, Conflict, Forbidden, InvalidRequest, NotFound
from tests.broker.inprocess import ALICE, AUDRA, DAVE, farm, wish
from tests.local.azure.sim import DB01

HOUR = timedelta(hours=1)


@pytest.fixture
def request_id(broker):
    """A request of Alice's, open."""
    found = broker.ask(wish(farm(1)), ALICE)
    broker.live(5)
    return found


def refused(broker):
    """Return event, person and sentence of each refused change."""
    events = [json.loads(str(row.values["Doc"])) for row in broker.state.rows("a|")]
    return [
        (each["what"], each["actor"], each["facts"]["why"])
        for each in events
        if each["what"].endswith(".refused")
    ]


def test_a_refused_extension_is_recorded_with_its_reasons(broker, request_id):
    """The person, the wish, and each reason."""
    with pytest.raises(AccessDenied):
        broker.extend(request_id, 23 * HOUR)

    (found,) = refused(broker)
    event = json.loads(str(broker.state.rows("a|")[-1].values["Doc"]))
    assert found[:2] == ("extension.refused", ALICE.id)
    assert (event["requestId"], event["facts"]["duration"]) == (request_id, "PT23H")
    assert event["facts"]["errors"][0]["code"] == "over-maximum"


def test_an_extension_that_would_change_nothing_is_recorded(broker, request_id):
    with pytest.raises(Conflict):
        broker.extend(request_id, timedelta(minutes=5))

    assert [found[0] for found in refused(broker)] == ["extension.refused"]


@pytest.mark.parametrize(
    ("caller", "refusal"),
    [(AUDRA, Forbidden), (DAVE, NotFound)],
    ids=["sees it", "does not see it"],
)
def test_a_try_to_change_another_persons_access_is_recorded(broker, request_id, caller, refusal):
    """Although the answer is that there is no such request: somebody has its id."""
    with pytest.raises(refusal):
        broker.revoke(request_id, caller)
    with pytest.raises(refusal):
        broker.extend(request_id, HOUR, caller)

    assert [found[:2] for found in refused(broker)] == [
        ("revocation.refused", caller.id),
        ("extension.refused", caller.id),
    ]
    assert broker.status(request_id) == "open"


def test_a_revocation_of_a_vm_outside_the_request_is_recorded(broker, request_id):
    with pytest.raises(InvalidRequest):
        broker.revoke(request_id, ALICE, reason="shift over", virtualMachines=[{"id": DB01}])

    event = json.loads(str(broker.state.rows("a|")[-1].values["Doc"]))
    assert event["what"] == "revocation.refused"
    assert event["facts"]["virtualMachines"] == [DB01]
    assert event["texts"]["reason"]["text"] == "shift over"
    assert event["facts"]["errors"][0]["code"] == "not-in-request"


@pytest.mark.parametrize("made_up", ["x", "a" * 52])
def test_an_id_without_a_request_leaves_no_record(broker, made_up):
    """Anybody can make up ids."""
    with pytest.raises(NotFound):
        broker.revoke(made_up, DAVE)

    assert broker.state.rows("a|") == ()


def test_a_change_that_is_done_leaves_no_refusal(broker, request_id):
    broker.extend(request_id, 2 * HOUR)
    broker.revoke(request_id)

    assert refused(broker) == []
