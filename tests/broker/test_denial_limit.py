"""Denials an hour: how many refusals of one caller the trail takes."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from jit.domain.audit.refusal import PREVIEWED, Refusal
from jit.domain.errors import AccessDenied, LimitReached, StateConflict, Unavailable, Unknown
from jit.storage.keys import CALLERS, denials_key
from jit.storage.table import Op, Row, Verb
from tests.broker.inprocess import ALICE, BOB, farm, wish
from tests.local.azure.sim import DB01, DEVELOPMENT, PRODUCTION

MOST = 3


@pytest.fixture
def trail(broker):
    """The trail of one instance; a caller may be denied three times an hour."""
    return make_trail(broker)


def make_trail(broker):
    trail = broker.use_cases.trail
    limits = replace(trail.limits, denials_per_hour=MOST)
    return replace(trail, denials=replace(trail.denials, limits=limits))


def refusal(number, caller=ALICE, what="request.denied"):
    return Refusal(what=what, caller=caller, request_id=f"r{number}", wish={"n": number}, why="no")


def deny(broker, trail, numbers, caller=ALICE, subscription=DEVELOPMENT):
    """Record refusals; return the numbers of the recorded ones."""
    recorded = []
    for number in numbers:
        try:
            trail.record_refusal(subscription, refusal(number, caller), now=broker.now)
        except LimitReached:
            continue
        recorded.append(number)
    return recorded


def names(broker):
    """The names of the events that wait, in the order of their keys."""
    return [json.loads(str(row.values["Doc"]))["what"] for row in broker.state.rows("a|")]


def test_a_caller_is_denied_so_often_an_hour_and_then_429(broker, trail):
    """Beyond it nothing is recorded for a call; the trail says once that it is so."""
    assert deny(broker, trail, range(10)) == [0, 1, 2]
    stored = broker.state.rows()

    with pytest.raises(LimitReached) as caught:
        trail.record_refusal(DEVELOPMENT, refusal(11), now=broker.now)

    (violation,) = caught.value.violations
    assert (violation.code, caught.value.retry_after_seconds) == ("limit-denials", 3600)
    assert "3 times an hour" in violation.detail
    assert sorted(names(broker)) == ["denials.limited", *["request.denied"] * MOST]
    assert broker.state.rows() == stored


def test_the_record_of_the_limit_says_until_when_denials_leave_no_trace(broker, trail):
    """An auditor must know that the trail has gaps."""
    deny(broker, trail, range(10))

    docs = [json.loads(str(row.values["Doc"])) for row in broker.state.rows("a|")]
    (told,) = [doc for doc in docs if doc["what"] == "denials.limited"]
    assert (told["actor"], told["texts"]["actorName"]["text"]) == (ALICE.id, ALICE.name)
    assert told["facts"]["limit"] == MOST
    assert told["facts"]["since"] < told["facts"]["until"]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("lost", [1, 2])
def test_the_record_of_the_limit_is_never_lost(broker, trail, lost, when):
    """Whichever write of the first call beyond the limit fails, or loses its answer."""
    deny(broker, trail, range(MOST))
    writes = []

    def lose(name, _number):
        if name == "state.write":
            writes.append(name)
            if len(writes) == lost:
                raise Unknown("no answer")

    setattr(broker.calls, when, lose)
    with pytest.raises(Unavailable):
        trail.record_refusal(DEVELOPMENT, refusal(10), now=broker.now)
    setattr(broker.calls, when, lambda *_: None)

    assert deny(broker, trail, range(11, 15)) == []
    assert names(broker).count("denials.limited") == 1


def test_the_next_hour_begins_an_hour_after_the_first_denial(broker, trail):
    """However many calls came beyond the limit."""
    deny(broker, trail, range(10))
    broker.advance(timedelta(minutes=59))
    assert deny(broker, trail, [10]) == []

    broker.advance(timedelta(minutes=1))

    assert deny(broker, trail, range(11, 20)) == [11, 12, 13]


def test_a_limit_is_the_callers_own_and_the_same_in_each_subscription(broker, trail):
    """Nobody is stopped by another, and nobody gets more by another subscription."""
    deny(broker, trail, range(10))

    assert deny(broker, trail, range(10), subscription=PRODUCTION) == []
    assert deny(broker, trail, range(10), BOB) == [0, 1, 2]


def test_a_repeated_denial_is_one_denial(broker, trail):
    """It is one record with a number."""
    assert deny(broker, trail, [0] * 9) == [0] * 9
    assert deny(broker, trail, [1, 2, 3]) == [1, 2]


def test_a_denial_that_is_recorded_is_answered_again_beyond_the_limit(broker, trail):
    """A caller whose answer was lost gets it; it takes no new record, until it would be one."""
    assert deny(broker, trail, [0, 1, 2, 2, 3, 2, 0]) == [0, 1, 2, 2, 2, 0]

    broker.advance(timedelta(minutes=10))

    assert deny(broker, trail, [2]) == []


def test_a_denial_that_a_newer_version_counts_is_limited_too(broker, trail):
    """It becomes a record of its own each time."""
    deny(broker, trail, [0])
    (row,) = broker.state.rows("d|")
    broker.state.write([Op(Verb.REPLACE, replace(row, values={**row.values, "Format": 99}))])

    assert deny(broker, trail, [0] * 9) == [0, 0]
    assert names(broker).count("request.denied") == MOST


def test_a_dry_run_is_no_denial(broker, trail):
    """It asked whether."""
    for number in range(9):
        trail.record_refusal(DEVELOPMENT, refusal(number, what=PREVIEWED), now=broker.now)

    assert deny(broker, trail, range(9)) == [0, 1, 2]


def test_two_instances_that_deny_at_once_record_no_more_than_one_would(broker, trail):
    """The count is written under its ETag, before the record."""
    other, calls = make_trail(broker), list[int]()

    def meanwhile(name, _number):
        if name == "state.write" and len(calls) < MOST:
            calls.append(len(calls))
            deny(broker, other, [100 + len(calls)])

    broker.calls.before = meanwhile

    deny(broker, trail, range(9))

    assert names(broker).count("request.denied") == MOST


@pytest.mark.parametrize("call", ["state.get", "state.write"])
def test_without_the_count_no_denial_is_answered(broker, trail, call):
    """503, as without the record: nothing opens, and nothing is recorded in part."""
    deny(broker, trail, [0])  # the row of the subscription is there

    def fail(name, _number):
        if name == call:
            raise Unavailable("no")

    broker.calls.before = fail

    with pytest.raises(Unavailable):
        trail.record_refusal(DEVELOPMENT, refusal(1), now=broker.now)
    assert names(broker) == ["request.denied"]


def test_a_count_that_keeps_changing_is_503(broker, trail, monkeypatch):
    """The caller sends too many calls at once."""

    def lose(*_):
        raise StateConflict("somebody was quicker")

    monkeypatch.setattr(type(trail.denials.counts), "put", lose)

    with pytest.raises(Unavailable, match="kept changing"):
        trail.record_refusal(DEVELOPMENT, refusal(1), now=broker.now)
    assert names(broker) == []


def test_a_count_that_this_version_cannot_read_hides_no_denial(broker, trail):
    """The denials are recorded and answered as ever; an alert names the row."""
    row = Row(partition=CALLERS, key=denials_key(ALICE.id), values={"Format": 99})
    broker.state.write([Op(Verb.INSERT, row)])

    assert deny(broker, trail, range(9)) == list(range(9))
    assert names(broker) == ["request.denied"] * 9


def test_a_row_that_a_newer_version_writes_meanwhile_is_left_as_it_is(broker, trail):
    """During an update of the app, both versions run."""
    newer = Row(partition=CALLERS, key=denials_key(ALICE.id), values={"Format": 99})

    def overtake(name, _number):
        if name == "state.write":
            broker.calls.before = lambda *_: None
            broker.state.write([Op(Verb.INSERT, newer)])

    deny(broker, trail, [0], BOB)  # the row of the subscription is there
    broker.calls.before = overtake

    assert deny(broker, trail, [1]) == [1]
    assert [row.values for row in broker.state.rows("c|") if row.key == newer.key] == [newer.values]


# ---- the calls of people -------------------------------------------------------------------------


def limited(broker):
    """The same broker, with that trail."""
    trail = make_trail(broker)
    broker.acceptance = replace(broker.acceptance, trail=lambda: trail)
    broker.request_changes = replace(broker.request_changes, trail=trail)
    return broker


def denied(number):
    return wish(DB01, 443, justification=f"CHG003000{number} monthly patch")


def test_a_denial_beyond_the_limit_is_429_and_an_allowed_request_is_accepted(broker):
    """A caller who has found the right body is not kept waiting; the key stays free."""
    limited(broker)
    for number in range(MOST):
        with pytest.raises(AccessDenied):
            broker.accept(denied(number))

    with pytest.raises(LimitReached):
        broker.accept(denied(MOST), key="k")

    assert broker.accept(wish(farm(1)), key="k").status == "pending"
    assert broker.state.rows("i|")  # of the accepted request


def test_a_refused_extension_counts_as_a_denial(broker):
    """It is recorded like one."""
    limited(broker)
    request_id = broker.ask(wish(farm(1)))
    broker.live(1)
    for hours in range(4, 4 + MOST):
        with pytest.raises(AccessDenied):
            broker.extend(request_id, timedelta(hours=hours))

    with pytest.raises(LimitReached):
        broker.extend(request_id, timedelta(hours=9))
    assert broker.status(request_id) == "open"
    assert broker.revoke(request_id).changed
