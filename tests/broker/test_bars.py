"""A barred person gets nothing new, and keeps open paths unless they are revoked."""

import json
from datetime import timedelta

import pytest

from jit.domain.errors import AccessDenied, CannotTell, InvalidRequest, Unavailable
from tests.broker.inprocess import ALICE, BOB, farm, wish
from tests.local.azure.sim import HUB01

MINUTE = timedelta(minutes=1)


def codes(error):
    return [each.code for each in error.value.violations]


@pytest.mark.parametrize("vm", [farm(1), HUB01], ids=["allowed", "without a policy"])
def test_a_barred_person_is_denied_before_any_policy_is_asked(broker, vm):
    """403 with one reason; Azure is not read for them."""
    broker.bar(ALICE)
    before = broker.calls.count("arm")

    with pytest.raises(AccessDenied) as error:
        broker.accept(wish(vm))

    assert codes(error) == ["barred"]
    assert broker.calls.count("arm") == before
    assert broker.state.rows("r|") == ()


def test_the_denial_of_a_barred_person_is_recorded(broker):
    """The reason of the bar is not in it: the person sees the answer."""
    broker.bar(ALICE)
    with pytest.raises(AccessDenied) as error:
        broker.accept(wish(farm(1)))

    events = [json.loads(str(row.values["Doc"])) for row in broker.state.rows("a|")]
    (found,) = [each for each in events if each["what"] == "request.denied"]
    assert found["requestId"] == error.value.request_id
    assert [each["code"] for each in found["facts"]["errors"]] == ["barred"]
    assert "left the company" not in str(found)


def test_a_fault_comes_before_the_bar(broker):
    """400: its caller can repair it."""
    broker.bar(ALICE)

    with pytest.raises(InvalidRequest):
        broker.accept(wish(farm(1), duration="P2D"))


def test_a_dry_run_tells_of_the_bar(broker):
    broker.bar(ALICE)

    decision = broker.preview(wish(farm(1)))

    assert (decision.allowed, [each.code for each in decision.errors]) == (False, ["barred"])


def test_other_people_ask_as_before(broker):
    broker.bar(ALICE)

    assert broker.accept(wish(farm(1)), BOB)


def test_a_repetition_gets_the_request_of_the_first_call(broker):
    """It gives no new access: the request was accepted before the bar."""
    first = broker.accept(wish(farm(1)), key="CHG0030001")
    broker.bar(ALICE)

    assert broker.accept(wish(farm(1)), key="CHG0030001").request.id == first.request.id


def test_a_lifted_bar_stops_nobody(broker):
    """Its denial left the key free."""
    broker.bar(ALICE)
    with pytest.raises(AccessDenied):
        broker.accept(wish(farm(1)), key="CHG0030001")
    broker.bar_changes.lift(ALICE.id, BOB, broker.now)

    assert broker.accept(wish(farm(1)), key="CHG0030001")


def test_acceptance_reads_the_bars_once_a_minute(broker):
    """One query more for the first caller of a minute."""

    def count():
        before = broker.calls.count("state")
        broker.accept(wish(farm(2)), BOB, key=str(before))
        return broker.calls.count("state") - before

    broker.accept(wish(farm(2)), BOB)
    usual = count()
    broker.advance(MINUTE)

    assert count() == usual + 1


def test_if_bars_cannot_be_read_nothing_is_accepted(broker, monkeypatch):
    """503, and the key stays free. Bars of the last minute are enough."""

    def fail():
        raise Unavailable("storage did not answer")

    broker.accept(wish(farm(2)), BOB)
    monkeypatch.setattr(broker.stores.bars, "read", fail)
    assert broker.accept(wish(farm(1)))
    broker.advance(MINUTE)

    with pytest.raises(CannotTell):
        broker.accept(wish(farm(3)), key="CHG0030001")
    monkeypatch.undo()
    assert broker.accept(wish(farm(3)), key="CHG0030001")


def test_an_extension_of_a_barred_person_is_refused(broker):
    """By the bars of now; the path stays until its end."""
    request_id = broker.ask(wish(farm(1)))
    broker.live(5)
    end = broker.grant(request_id).expires_at
    broker.bar(ALICE)

    with pytest.raises(AccessDenied) as error:
        broker.extend(request_id, timedelta(hours=2))

    assert codes(error) == ["barred"]
    assert (broker.status(request_id), broker.grant(request_id).expires_at) == ("open", end)


def test_if_bars_cannot_be_read_no_end_moves(broker, monkeypatch):
    """An extension asks anew, however recent the last answer is."""

    def fail():
        raise Unavailable("storage did not answer")

    request_id = broker.ask(wish(farm(1)))
    broker.live(5)
    monkeypatch.setattr(broker.stores.bars, "read", fail)

    with pytest.raises(CannotTell):
        broker.extend(request_id, timedelta(hours=2))
