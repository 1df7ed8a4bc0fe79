"""The same request twice is one request; the same key with another body is an error."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from threading import Barrier

import pytest

from jit.api.render import render_request
from jit.domain.errors import (
    AccessDenied,
    Conflict,
    InvalidRequest,
    StateConflict,
    Unavailable,
    Unknown,
)
from jit.storage import keys
from jit.storage.callers.key_rows import KEPT, KEPT_WITHOUT_KEY
from jit.storage.keys import write_stamp
from jit.storage.table import Op, Row, Verb
from tests.broker.inprocess import ALICE, DAVE, ELSEWHERE, farm, wish
from tests.local.azure.sim import DB01, DEVELOPMENT, PRODUCTION

SECOND = timedelta(seconds=1)


def _requests(broker):
    return [row.key for row in broker.state.rows("r|")]


def _keys(broker):
    return broker.state.rows("i|")


def _ends(broker):
    return broker.state.rows("x|")


def _others(broker):
    """Have the inventory read, so that the test is about one request alone."""
    broker.preview(wish(farm(9)))


# ---- with a key ----------------------------------------------------------------------------------


def test_the_same_key_with_the_same_body_is_the_same_request(broker):
    """Logic Apps sends one call up to five times."""
    first = broker.accept(wish(farm(1)), key="k")

    again = broker.accept(wish(farm(1)), key="k")

    assert render_request(again) == render_request(first)
    assert len(_requests(broker)) == 1


def test_the_order_of_a_bodys_members_does_not_matter(broker):
    """The values of a body count, not its text."""
    first = broker.accept(wish(farm(1)), key="k")

    again = broker.accept(dict(reversed(wish(farm(1)).items())), key="k")

    assert again.request.id == first.request.id


def test_the_same_key_with_another_body_is_a_conflict(broker):
    """It would be two requests that look like one."""
    first = broker.accept(wish(farm(1)), key="k")

    with pytest.raises(Conflict) as caught:
        broker.accept(wish(farm(2)), key="k")

    assert [each.code for each in caught.value.violations] == ["idempotency-key-reused"]
    assert f"for request {first.request.id}" in str(caught.value)
    assert _requests(broker) == [f"r|{first.request.id}"]


def test_the_same_key_of_two_callers_is_two_requests(broker):
    """A key is the caller's own."""
    broker.accept(wish(farm(1)), ALICE, key="k")

    broker.accept(wish(farm(1)), DAVE, key="k")

    assert len(_requests(broker)) == 2


def test_two_keys_with_the_same_body_are_two_requests(broker):
    """A new key means a new request."""
    broker.accept(wish(farm(1)), key="k")

    broker.accept(wish(farm(1)), key="l")

    assert len(_requests(broker)) == 2


def test_a_repetition_shows_how_far_the_request_has_come(broker):
    """It answers with the present, not with the past."""
    broker.ask(wish(farm(1)), key="k")
    broker.live(1)

    assert broker.accept(wish(farm(1)), key="k").status == "open"


def test_a_repetition_of_a_finished_request_returns_it_from_history(broker):
    """A key never opens a path a second time."""
    request_id = broker.ask(wish(farm(1)), key="k")
    broker.live(70)

    again = broker.accept(wish(farm(1)), key="k")

    assert (again.request.id, again.status) == (request_id, "closed")


def test_a_call_that_could_not_be_stored_leaves_no_key(broker):
    """Key and request are one transaction: the repetition is a first call, in another month too."""
    _others(broker)
    new_year = datetime(broker.now.year + 1, 1, 1, tzinfo=UTC)
    broker.advance(new_year - timedelta(seconds=5) - broker.now)

    def refuse(name: str, _: int) -> None:
        if name == "state.write":
            raise Unavailable("storage is away")

    broker.calls.before = refuse
    with pytest.raises(Unavailable):
        broker.accept(wish(farm(1)), key="k")
    broker.calls.before = lambda *_: None
    left = (_keys(broker), _requests(broker))
    broker.advance(timedelta(seconds=10))

    whole = broker.accept(wish(farm(1)), key="k")

    assert left == ((), [])
    assert whole.request.created_at == whole.request.starts_at == broker.now


def test_a_key_stands_in_the_transaction_of_its_request_as_its_first_row(broker):
    """So a repetition changes nothing: the row of the key is there already."""
    _others(broker)
    broker.accept(wish(farm(1)), key="k")

    kinds = [key.partition("|")[0] for key in broker.state.transactions[-1]]
    assert kinds == ["i", "x", "q", "q", "r", "g", "a"]


def test_a_key_of_another_subscription_is_another_key(broker):
    """The row of a key stands beside its request; a caller may number the calls of each anew."""
    first = broker.accept(wish(farm(1)), key="k")

    other = broker.accept(wish(DB01), key="k")

    assert other.request.id != first.request.id
    assert {row.partition for row in _keys(broker)} == {DEVELOPMENT, PRODUCTION}


def test_a_late_repetition_is_answered_though_its_start_has_passed(broker):
    """An accepted request stays accepted: the start was good when it was sent."""
    body = wish(farm(1), startTime=(broker.now + timedelta(minutes=10)).isoformat())
    first = broker.accept(body, key="k")
    broker.advance(timedelta(hours=1))

    assert broker.accept(body, key="k").request.id == first.request.id


def test_a_late_first_try_is_refused_because_its_start_has_passed(broker):
    """Without an earlier acceptance there is nothing to return."""
    body = wish(farm(1), startTime=(broker.now + timedelta(minutes=10)).isoformat())
    broker.advance(timedelta(hours=1))

    with pytest.raises(InvalidRequest):
        broker.accept(body, key="k")


def test_a_faulty_body_under_the_key_of_an_accepted_one_is_refused(broker):
    """A late repetition is the same body, not any body."""
    broker.accept(wish(farm(1)), key="k")

    with pytest.raises(InvalidRequest):
        broker.accept(wish(farm(1), justification="x"), key="k")


def test_a_key_is_remembered_for_a_week(broker):
    """A retry over a weekend still finds its request."""
    first = broker.accept(wish(farm(1)), key="k")
    broker.advance(KEPT - SECOND)

    assert broker.accept(wish(farm(1)), key="k").request.id == first.request.id


def test_a_key_of_more_than_a_week_ago_is_new(broker):
    """Rows do not pile up for ever."""
    first = broker.accept(wish(farm(1)), key="k")
    broker.advance(KEPT + SECOND)

    assert broker.accept(wish(farm(2)), key="k").request.id != first.request.id


def test_a_denied_body_is_decided_again_under_its_key(broker):
    """A refusal is not remembered: the policy may allow it tomorrow."""
    with pytest.raises(AccessDenied):
        broker.accept(wish(DB01, 443), key="k")

    with pytest.raises(AccessDenied):
        broker.accept(wish(DB01, 443), key="k")

    assert _keys(broker) == _ends(broker) == ()


# ---- without a key -------------------------------------------------------------------------------


def test_the_same_body_within_ten_minutes_is_the_same_request(broker):
    """A caller without a key who double-clicks gets one path."""
    first = broker.accept(wish(farm(1)))
    broker.advance(KEPT_WITHOUT_KEY - SECOND)

    assert broker.accept(wish(farm(1))).request.id == first.request.id


def test_the_same_body_after_ten_minutes_is_a_new_request(broker):
    """By then it is meant."""
    first = broker.accept(wish(farm(1)))
    broker.advance(KEPT_WITHOUT_KEY + SECOND)

    assert broker.accept(wish(farm(1))).request.id != first.request.id


def test_the_same_body_of_somebody_else_is_a_new_request(broker):
    """Two people who want the same are two requests."""
    first = broker.accept(wish(farm(1)), ALICE)

    assert broker.accept(wish(farm(1)), DAVE).request.id != first.request.id


def test_the_same_body_after_a_revocation_is_a_new_request(broker):
    """A person who gave access back may ask again at once."""
    first = broker.ask(wish(farm(1)))
    broker.revoke(first)

    assert broker.ask(wish(farm(1))) != first


def test_a_key_never_meets_a_body_without_one(broker):
    """A key that is the hash of a body is still only a key."""
    keyless = broker.accept(wish(farm(1)))
    row = _keys(broker)[0]

    keyed = broker.accept(wish(farm(1)), key=str(row.values["BodyHash"]))

    assert keyed.request.id != keyless.request.id


# ---- at the same time ----------------------------------------------------------------------------


def test_many_at_the_same_moment_are_one_request(broker):
    """The second call finishes or returns the request that the first one began."""
    _others(broker)
    together = Barrier(8)

    def post(_: int) -> str:
        together.wait()
        return str(broker.accept(wish(farm(1)), key="k").request.id)

    with ThreadPoolExecutor(8) as pool:
        answers = set(pool.map(post, range(8)))

    assert [f"r|{answer}" for answer in answers] == _requests(broker)
    assert len(broker.state.rows("g|")) == 1


def test_a_call_that_was_overtaken_answers_with_the_stored_request(broker):
    """Two answers to one request never differ."""
    _others(broker)
    elsewhere = broker.use_cases.acceptance(broker.idempotency)
    answers = []

    def overtake(name: str, _: int) -> None:
        if name == "state.write":
            broker.calls.before = lambda *_: None
            broker.advance(SECOND)
            again = broker.submission(wish(farm(1)), key="k")
            answers.append(elsewhere.accept(again, now=broker.now))

    broker.calls.before = overtake
    slow = broker.accept(wish(farm(1)), key="k")

    assert (
        render_request(slow)
        == render_request(answers[0])
        == render_request(broker.whole(slow.request.id))
    )


def _meanwhile(broker, act):
    """Have *act* done once, after the next look at Azure has ended, and its VM was read."""

    def hook(name: str, _: int) -> None:
        looks = broker.state.rows(keys.LOOK)
        if name == "state.get" and looks and not looks[0].values["Owner"]:
            broker.calls.after = lambda *_: None
            act()

    broker.calls.after = hook


def _seen_anew(broker):
    """Have Azure looked at again: nothing of a moment ago counts."""
    broker.observer = broker.azure.observer()
    found = broker.observer.read_machines(DEVELOPMENT, now=broker.now)
    broker.inventory.write_machines(DEVELOPMENT, found, complete=True)


def test_a_slow_denial_gives_way_to_the_request_of_its_accepted_repetition(broker):
    """The key is read before the denial: one request, one key, and no answer denies it."""
    broker.occupy(farm(1), 22, ELSEWHERE, minutes=5)
    answers = []

    def repeat() -> None:
        broker.live(6)
        _seen_anew(broker)
        answers.append(broker.accept(wish(farm(1)), key="k"))

    _meanwhile(broker, repeat)
    slow = broker.accept(wish(farm(1)), key="k")

    again = broker.accept(wish(farm(1)), key="k")
    assert {whole.request.id for whole in (slow, again)} == {answers[0].request.id}
    assert len(broker.state.rows("g|")) == 1


def test_a_slow_acceptance_is_stored_once_though_its_repetition_was_denied(broker):
    """The denial left nothing. A third call is answered with the request, and opens nothing."""

    def repeat() -> None:
        broker.occupy(farm(1), 22, ELSEWHERE)
        _seen_anew(broker)
        with pytest.raises(Conflict):
            broker.accept(wish(farm(1)), key="k")

    _meanwhile(broker, repeat)
    slow = broker.accept(wish(farm(1)), key="k")

    assert broker.accept(wish(farm(1)), key="k").request.id == slow.request.id
    assert _requests(broker) == [f"r|{slow.request.id}"]


def test_a_repetition_is_answered_though_it_would_be_denied_and_azure_is_down(broker):
    """An accepted request stays accepted; Azure is not asked about it again."""
    first = broker.accept(wish(farm(1)), key="k")
    broker.inventory.write_machines(DEVELOPMENT, [], complete=True)
    broker.sim.faults(
        {"match": {"path": "/"}, "times": None, "answer": {"status": 503, "code": "Down"}}
    )

    assert broker.accept(wish(farm(1)), key="k").request.id == first.request.id


def test_a_transaction_that_never_succeeds_is_tried_five_times_more(broker):
    """Then it is an outage: repeat with the same key. The pauses grow, and differ by chance."""
    _others(broker)
    pauses: list[float] = []
    broker.acceptance = replace(broker.acceptance, pause=pauses.append)

    def refuse(name: str, _: int) -> None:
        if name == "state.write":
            raise StateConflict("somebody was quicker")

    broker.subscription_rows.ensure(DEVELOPMENT, broker.now)
    broker.calls.before = refuse
    before = broker.calls.count("state.write")
    with pytest.raises(Unavailable, match="kept coming first"):
        broker.accept(wish(farm(1)), key="k")

    assert (broker.calls.count("state.write") - before, len(pauses)) == (6, 5)
    assert all(0 <= pause <= 0.05 * 2**number for number, pause in enumerate(pauses))


def test_a_write_whose_answer_was_lost_is_resolved_by_reading(broker):
    """It happened: the caller gets 202, not 503."""
    _others(broker)
    broker.subscription_rows.ensure(DEVELOPMENT, broker.now)

    def lose(name: str, _: int) -> None:
        if name == "state.write":
            broker.calls.after = lambda *_: None
            raise Unknown("the answer was lost")

    broker.calls.after = lose
    whole = broker.accept(wish(farm(1)), key="k")

    assert render_request(broker.whole(whole.request.id)) == render_request(whole)
    assert len(_requests(broker)) == 1


# ---- keys that have run out ----------------------------------------------------------------------


def test_keys_that_have_run_out_are_swept(broker):
    """Only they: a key in use stays."""
    broker.accept(wish(farm(1)))
    broker.accept(wish(farm(2)), key="k")
    broker.advance(KEPT_WITHOUT_KEY + SECOND)

    assert broker.idempotency.sweep(DEVELOPMENT, now=broker.now) == 1
    assert len(_keys(broker)) == len(_ends(broker)) == 1


def test_a_key_that_is_used_anew_while_it_is_swept_stays(broker):
    """Another ETag is another key; its own end is still to come."""
    broker.accept(wish(farm(1)))
    broker.advance(KEPT_WITHOUT_KEY + SECOND)

    def renew(name: str, _: int) -> None:
        if name == "state.write":
            broker.calls.before = lambda *_: None
            broker.accept(wish(farm(1)))

    broker.calls.before = renew
    for _ in range(2):
        broker.idempotency.sweep(DEVELOPMENT, now=broker.now)

    assert len(_keys(broker)) == len(_ends(broker)) == 1


def test_the_end_of_a_key_that_was_used_anew_goes_alone(broker):
    """The key has another end by now."""
    broker.accept(wish(farm(1)))
    broker.advance(KEPT_WITHOUT_KEY + SECOND)
    broker.accept(wish(farm(1)))

    swept = broker.idempotency.sweep(DEVELOPMENT, now=broker.now)

    assert (swept, len(_keys(broker)), len(_ends(broker))) == (1, 1, 1)


def test_a_key_that_was_used_anew_more_often_than_a_transaction_holds_is_swept(broker):
    """One person asks and gives back all day; each time leaves an end of the same key."""
    for _ in range(103):
        broker.ask(wish(farm(1)))
        broker.state.write(_without_requests(broker))
    broker.advance(KEPT_WITHOUT_KEY + SECOND)

    broker.idempotency.sweep(DEVELOPMENT, now=broker.now)

    assert _keys(broker) == _ends(broker) == ()


def _without_requests(broker):
    """Deletions of all requests with their grants, as if somebody had removed them."""
    rows = (*broker.state.rows("r|"), *broker.state.rows("g|"))
    return [Op(Verb.DELETE, row) for row in rows]


def test_a_sweep_reads_no_key_that_is_in_use(broker):
    """Its cost depends on the keys that have run out, and not on those of a week."""
    for number in range(1, 9):
        broker.accept(wish(farm(1)), key=f"k{number}")
    broker.accept(wish(farm(1)))
    broker.advance(KEPT_WITHOUT_KEY + SECOND)
    before = broker.calls.count()

    broker.idempotency.sweep(DEVELOPMENT, now=broker.now)

    assert broker.calls.names[before:] == ["state.query", "state.get", "state.write"]
    assert len(_keys(broker)) == 8


def test_a_key_that_this_version_cannot_read_stays_with_its_end_and_the_others_are_swept(broker):
    """A newer version wrote it, and will sweep it: an update was taken back."""
    for number in (1, 11, 21):
        broker.accept(wish(farm(number)))
    newer = replace(_keys(broker)[0], values={**_keys(broker)[0].values, "Format": 99})
    broker.state.write([Op(Verb.REPLACE, newer)])
    broker.advance(KEPT_WITHOUT_KEY + SECOND)

    broker.idempotency.sweep(DEVELOPMENT, now=broker.now)

    assert [row.key for row in _keys(broker)] == [newer.key]
    assert [row.values["Key"] for row in _ends(broker)] == [newer.key]


def test_a_sweep_is_bounded(broker):
    """The next one goes on."""
    row = Row(partition=DEVELOPMENT, key="", values={"Key": "i|none", "Format": 1})
    stamp = write_stamp(broker.now)
    for number in range(203):
        broker.state.write([Op(Verb.INSERT, replace(row, key=f"x|{stamp}|{number:03}"))])
    broker.advance(SECOND)

    swept = [broker.idempotency.sweep(DEVELOPMENT, now=broker.now) for _ in range(3)]

    assert swept == [200, 3, 0]
