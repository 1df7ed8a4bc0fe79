"""Keys of an older version: honoured until they run out, swept a bounded number at a time."""

from dataclasses import replace
from datetime import timedelta

import pytest

from jit.domain.errors import Conflict, InvalidRequest
from jit.storage.callers.earlier_keys import EarlierKeys
from jit.storage.callers.key_rows import (
    KEPT,
    RepeatableCall,
    make_extension_use,
    make_key,
    write_key,
)
from jit.storage.keys import write_stamp
from jit.storage.table import Op, Row, Verb
from tests.broker.inprocess import ALICE, farm, wish
from tests.fakes.calls import Calls
from tests.fakes.clock import FakeClock
from tests.fakes.tables import FakeTable
from tests.local.azure.sim import DB01, DEVELOPMENT

SWEPT, PAGES = 200, 20
MINUTE = timedelta(minutes=1)


@pytest.fixture
def clock():
    return FakeClock()


# ---- the week after the update -------------------------------------------------------------------


def write_earlier(broker, body, request_id, *, key="k", **changes):
    """Write the row of a key as the version before did."""
    call = RepeatableCall(caller=ALICE.id, subscription=DEVELOPMENT, key=key, body=body, **changes)
    place = Row(partition=ALICE.id, key=call.digest, values={})
    row = write_key(place, make_key(call, request_id, broker.now))
    broker.keys.write([Op(Verb.INSERT, row)])


def accepted_before_the_update(broker, body, *, key="k"):
    """A request that the version before accepted under a key; return its id."""
    request_id = broker.ask(body, key="another")
    for row in (*broker.state.rows("i|"), *broker.state.rows("x|")):
        broker.state.write([Op(Verb.DELETE, row)])
    write_earlier(broker, body, request_id, key=key)
    broker.advance(MINUTE)  # an empty table counts as empty so long
    return request_id


@pytest.mark.parametrize("key", ["k", None])
def test_a_call_that_an_older_version_accepted_is_not_accepted_again(broker, key):
    """The update may come between a call and its repetition."""
    request_id = accepted_before_the_update(broker, wish(farm(1)), key=key)

    again = broker.accept(wish(farm(1)), key=key)

    assert again.request.id == request_id
    assert len(broker.state.rows("r|")) == 1


def test_an_earlier_key_with_another_body_is_a_conflict(broker):
    """As it was before the update."""
    accepted_before_the_update(broker, wish(farm(1)))

    with pytest.raises(Conflict):
        broker.accept(wish(farm(2)), key="k")


def test_an_earlier_key_of_another_subscription_is_another_key(broker):
    """The law of today holds for it, too."""
    request_id = accepted_before_the_update(broker, wish(farm(1)))

    assert broker.accept(wish(DB01), key="k").request.id != request_id


def test_an_earlier_key_whose_request_was_never_stored_is_free(broker):
    """The version before wrote the key first, and died."""
    request_id = accepted_before_the_update(broker, wish(farm(1)))
    for row in (*broker.state.rows("r|"), *broker.state.rows("g|")):
        broker.state.write([Op(Verb.DELETE, row)])

    assert broker.accept(wish(farm(1)), key="k").request.id != request_id


def test_an_earlier_key_of_more_than_a_week_ago_is_new(broker):
    """Nothing is remembered for longer because of an update."""
    request_id = accepted_before_the_update(broker, wish(farm(1)))
    broker.advance(KEPT)

    assert broker.accept(wish(farm(1)), key="k").request.id != request_id


def test_a_late_repetition_of_an_earlier_call_is_answered_though_its_start_has_passed(broker):
    """An accepted request stays accepted."""
    body = wish(farm(1), startTime=(broker.now + 10 * MINUTE).isoformat())
    request_id = accepted_before_the_update(broker, body)
    broker.advance(60 * MINUTE)

    assert broker.accept(body, key="k").request.id == request_id
    with pytest.raises(InvalidRequest):
        broker.accept(body | {"justification": "another text"}, key="k")


def test_an_extension_of_an_older_version_is_not_done_again(broker):
    """Its mark comes from the row of its key."""
    request_id = broker.ask(wish(farm(1)))
    broker.live(2)
    use, begun = make_extension_use(request_id), broker.now
    write_earlier(broker, {"duration": "PT2H"}, request_id, use=use)
    broker.advance(MINUTE)
    first = broker.extend(request_id, timedelta(hours=2), key="k").stored.grants[0].expires_at
    broker.advance(MINUTE)

    again = broker.extend(request_id, timedelta(hours=2), key="k").stored.grants[0].expires_at

    assert again == first == (begun + timedelta(hours=2)).replace(microsecond=0)


def test_an_empty_table_is_asked_once_a_minute(broker):
    """Then accepting costs no call for the version before."""
    broker.accept(wish(farm(1)), key="k")
    broker.advance(MINUTE / 2)
    before = broker.calls.count("keys.")

    broker.accept(wish(farm(1)), key="l")

    assert (before, broker.calls.count("keys.")) == (1, 1)


# ---- keys that have run out ----------------------------------------------------------------------


def a_table(clock, *, old=0, fresh=0, scanned=1000, calls=None):
    """Keys of as many callers, some of them run out."""
    table = FakeTable(clock, calls=calls, scanned=scanned)
    for number in range(old + fresh):
        spare = timedelta(hours=1 if number >= old else -1)
        row = Row(
            partition=f"caller{number:04}",
            key="k",
            values={"BodyHash": "h", "RequestId": "r", "Until": write_stamp(clock.now + spare)},
        )
        table.write([Op(Verb.INSERT, row)])
    return table


def test_keys_that_have_run_out_go_and_the_others_stay(clock):
    """Also of several callers."""
    table = a_table(clock, old=3, fresh=2)

    swept = EarlierKeys(table).sweep(now=clock.now)

    assert swept == 3
    assert len(table.rows()) == 2


def test_a_sweep_is_bounded(clock):
    """The next one goes on."""
    table = a_table(clock, old=SWEPT + 9)

    EarlierKeys(table).sweep(now=clock.now)

    assert len(table.rows()) == 9


def test_a_sweep_goes_on_after_an_empty_page(clock):
    """The service answers without rows, and with a token, where its filter matched little."""
    table = a_table(clock, old=1, fresh=0, scanned=1)
    late = Row(
        partition="aaa",
        key="k",
        values={"BodyHash": "h", "RequestId": "r", "Until": "9999-12-31T23:59:59.000000Z"},
    )
    table.write([Op(Verb.INSERT, late)])

    swept = EarlierKeys(table).sweep(now=clock.now)

    assert swept == 1


def test_a_sweep_gives_up_after_some_pages(clock):
    """A table of a million keys in use is not read through every five minutes."""
    calls = Calls()
    table = a_table(clock, fresh=PAGES + 5, scanned=1, calls=calls)

    EarlierKeys(table).sweep(now=clock.now)

    assert calls.count("table.query") == PAGES


def test_a_key_that_is_taken_over_meanwhile_stays(clock):
    """It has another version than the one that was found."""
    calls = Calls()
    table = a_table(clock, old=1, calls=calls)
    (row,) = table.rows()

    def renew(name, _number):
        calls.before = lambda _name, _number: None
        table.write([Op(Verb.REPLACE, replace(row, values={**row.values, "RequestId": "new"}))])

    calls.before = lambda name, number: renew(name, number) if name == "table.write" else None

    EarlierKeys(table).sweep(now=clock.now)

    assert [kept.values["RequestId"] for kept in table.rows()] == ["new"]
