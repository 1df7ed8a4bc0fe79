"""Rows of subscriptions: written once, dated by comparisons, removed only as they were read."""

from datetime import timedelta

import pytest

from jit.domain.errors import Unknown
from jit.domain.model.trouble import Trouble
from jit.domain.values import arm_ids
from jit.storage.subscription_rows import MOST_TROUBLES, MOST_UNSEEN, SubscriptionRows
from tests.fakes.calls import Calls
from tests.fakes.clock import FakeClock
from tests.fakes.tables import FakeTable

ONE, TWO = "5c0ffee0-0000-4000-8000-000000000001", "5c0ffee0-0000-4000-8000-000000000002"
LATER = timedelta(minutes=5)


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def calls():
    return Calls()


@pytest.fixture
def table(clock, calls):
    return FakeTable(clock, calls=calls, name="state")


@pytest.fixture
def rows(table):
    return SubscriptionRows(table)


def test_a_new_row_was_never_compared(rows, clock):
    """It says since when the broker looks after the subscription."""
    rows.ensure(ONE, clock())

    (item,) = rows.read().subscriptions
    assert (item.subscription, item.since, item.compared_at) == (ONE, clock(), None)


def test_all_rows_are_listed_in_the_order_of_their_ids(rows, clock):
    """However they were written."""
    rows.ensure(TWO, clock())
    rows.ensure(ONE, clock())

    assert [item.subscription for item in rows.read().subscriptions] == [ONE, TWO]


def test_a_subscription_without_row_is_none(rows):
    """Nothing is made up."""
    assert rows.get(ONE) is None


def test_a_row_is_ensured_with_one_read(rows, calls, clock):
    """The path of a caller must not pay for it each time."""
    rows.ensure(ONE, clock())
    before = calls.count()

    rows.ensure(ONE, clock())

    assert calls.count() == before


def test_a_row_that_is_there_stays_as_it_is(rows, table, clock):
    """Another process wrote it."""
    rows.ensure(ONE, clock())

    SubscriptionRows(table).ensure(ONE, clock() + LATER)

    assert rows.get(ONE).since == clock()


def test_two_processes_may_ensure_the_same_row(rows, table, calls, clock):
    """The second one comes between the read and the write of the first."""
    calls.before = lambda name, _: name == "state.write" and write_first()
    other = SubscriptionRows(table)

    def write_first():
        calls.before = lambda *_: None
        other.ensure(ONE, clock())

    rows.ensure(ONE, clock())

    assert [item.subscription for item in rows.read().subscriptions] == [ONE]


def test_a_comparison_dates_the_row(rows, clock):
    """The rest of the row stays."""
    rows.ensure(ONE, clock())

    rows.note_comparison(ONE, rows.get(ONE), clock() + LATER)

    item = rows.get(ONE)
    assert (item.since, item.compared_at) == (clock(), clock() + LATER)


@pytest.mark.parametrize(
    ("unseen", "first", "second"),
    [((), True, True), ((ONE,), False, True), ((ONE, TWO), False, False)],
)
def test_a_comparison_names_the_vms_that_it_did_not_see_open(rows, clock, unseen, first, second):
    """By short names: a row holds thousands."""
    rows.note_comparison(ONE, None, clock(), unseen=[arm_ids.row_hash(each) for each in unseen])

    assert (rows.get(ONE).has_seen(ONE), rows.get(ONE).has_seen(TWO)) == (first, second)


def test_a_comparison_that_did_not_see_too_many_vms_has_seen_none(rows, clock):
    """The row has no room for their names."""
    rows.note_comparison(ONE, None, clock(), unseen=list(map(str, range(MOST_UNSEEN + 1))))

    assert not rows.get(ONE).has_seen(TWO)


def test_as_many_unseen_vms_as_possible_fit_one_property(rows, clock):
    """64 KiB of UTF-16."""
    names = [arm_ids.row_hash(str(number)) for number in range(MOST_UNSEEN)]
    rows.note_comparison(ONE, None, clock(), unseen=names)

    assert not rows.get(ONE).has_seen("7")


def test_a_comparison_without_row_writes_it(rows, clock):
    """A subscription can be compared before its first tick."""
    rows.note_comparison(ONE, None, clock())

    assert rows.get(ONE).compared_at == clock()


def test_a_comparison_that_began_earlier_does_not_date_the_row_back(rows, clock):
    """Another one ended in between; its row has another ETag."""
    rows.ensure(ONE, clock())
    before = rows.get(ONE)
    rows.note_comparison(ONE, before, clock() + LATER)

    rows.note_comparison(ONE, before, clock())

    assert rows.get(ONE).compared_at == clock() + LATER


def test_a_row_is_removed_as_it_was_read(rows, clock):
    """Somebody else may have needed it since."""
    rows.ensure(ONE, clock())
    before = rows.get(ONE)
    rows.note_comparison(ONE, before, clock())

    rows.remove(before)
    assert rows.get(ONE) is not None

    rows.remove(rows.get(ONE))
    assert rows.get(ONE) is None


# ---- ticks ---------------------------------------------------------------------------------------


def test_there_is_no_tick_before_the_first(rows, clock):
    """A row of a subscription is none."""
    rows.ensure(ONE, clock())

    assert rows.read().tick is None


def test_a_tick_keeps_the_instant_of_the_first_one(rows, clock):
    """The first comparisons are given time from then on."""
    rows.note_tick(None, clock())
    rows.note_tick(rows.read().tick, clock() + LATER)

    tick = rows.read().tick
    assert (tick.first_at, tick.last_at) == (clock(), clock() + LATER)


def test_a_tick_that_began_earlier_does_not_date_the_row_back(rows, clock):
    """Two instances may tick at once for a moment."""
    rows.note_tick(None, clock())
    before = rows.read().tick
    rows.note_tick(before, clock() + LATER)

    rows.note_tick(before, clock() + LATER / 2)
    rows.note_tick(None, clock())

    assert rows.read().tick.last_at == clock() + LATER


def test_a_tick_is_no_subscription(rows, clock):
    """Both stand in one partition."""
    rows.note_tick(None, clock())

    assert rows.read().subscriptions == ()


def test_a_row_whose_answer_was_lost_is_found_by_a_read(rows, calls, clock):
    """A caller gets 202, not 503, although storage lost one answer."""

    def lose(name, _):
        if name == "state.write":
            raise Unknown("the answer was lost")

    calls.after = lose

    rows.ensure(ONE, clock())

    assert rows.get(ONE) is not None


def test_a_row_that_was_not_written_is_an_outage(rows, calls, clock):
    """Nothing is accepted in a subscription without its row."""

    def refuse(name, _):
        if name == "state.write":
            raise Unknown("no answer")

    calls.before = refuse

    with pytest.raises(Unknown):
        rows.ensure(ONE, clock())


def test_a_comparison_forgets_that_the_subscription_was_dropped_once(rows, clock):
    """If it is dropped again, its row stays an hour again."""
    rows.ensure(ONE, clock())
    rows.note_dropped(rows.get(ONE), clock())
    dropped = rows.get(ONE)

    rows.note_comparison(ONE, dropped, clock() + LATER)

    assert dropped.dropped_at == clock()
    assert rows.get(ONE).dropped_at is None


# ---- troubles ------------------------------------------------------------------------------------


def make_trouble(clock, text="t"):
    return Trouble(code="update-failed", detail=text, resource="/subscriptions/s", since=clock())


def test_a_comparison_replaces_the_troubles_of_the_one_before(rows, clock):
    """A trouble that it does not see is gone."""
    rows.note_comparison(ONE, None, clock(), [make_trouble(clock)])
    (before,) = rows.read().subscriptions

    rows.note_comparison(ONE, before, clock())

    assert before.troubles == (make_trouble(clock),)
    assert rows.get(ONE).troubles == ()


def test_a_comparison_that_broke_off_is_no_comparison(rows, clock):
    """Its troubles are written, and the instant of the last complete one stays."""
    rows.note_troubles(ONE, None, clock(), [make_trouble(clock)])

    row = rows.get(ONE)
    assert (row.compared_at, row.troubles) == (None, (make_trouble(clock),))


def test_the_troubles_of_a_large_subscription_fit_a_row(rows, clock):
    """A property holds 32,768 characters. Names of groups may have letters of any script."""
    longest = make_trouble(clock, "日" * 700)

    rows.note_comparison(ONE, None, clock(), [longest] * 1000)

    row = rows.get(ONE)
    assert len(row.troubles) == MOST_TROUBLES
    assert len(row.version.values["Troubles"]) <= 32_768
