"""Pages of the list of requests: bounded in storage calls, complete, and silent about others."""

import base64
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jit.api.continuation import write_token
from jit.api.list_query import read_list
from jit.api.query import TOKEN
from jit.broker.requests.pages.request_pages import RequestPages
from jit.domain.model.grant import Status
from jit.storage.history import write_history_rows
from jit.storage.stored import StoredRequest
from tests.builders.crowds import (
    MINE,
    OPERATOR,
    OTHER,
    SUBSCRIPTION,
    a_whole_request,
    close,
    insert_rows,
    list_live_rows,
    list_old_rows,
    list_strangers,
)
from tests.builders.searches import a_search
from tests.builders.stores import stores_over
from tests.fakes.calls import Calls
from tests.fakes.clock import FakeClock
from tests.fakes.tables import FakeTable
from tests.sizes import examples

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
MOST_CALLS = 12
PAGES = examples(20, 1000)
"""The pages of a walk that are looked at: all of them in the long run."""


class Shelf:
    """Two tables, and the list over them as a caller sees it."""

    def __init__(self, *, scanned: int = 1000, others: tuple[str, ...] = ()) -> None:
        self.calls = Calls()
        clock = FakeClock(NOON)
        self.state = FakeTable(clock, calls=self.calls, name="state", scanned=scanned)
        self.history = FakeTable(clock, calls=self.calls, name="history", scanned=scanned)
        stores = stores_over(self.state, self.history)
        self.requests = stores.requests
        self.pages = RequestPages(
            lists=stores.lists,
            subscriptions=stores.subscriptions,
            named=(SUBSCRIPTION, *others),
        )
        self.costs: list[int] = []
        self.tokens: list[str] = []

    def put_live(self, *wholes: StoredRequest) -> None:
        insert_rows(self.state, (row for whole in wholes for row in list_live_rows(whole)))

    def put_finished(self, *wholes: StoredRequest) -> None:
        closed = map(close, wholes)
        insert_rows(self.history, (row for whole in closed for row in write_history_rows(whole)))

    def put_strangers(self, count, *, finished=False, every=timedelta(seconds=7)) -> None:
        rows = list_strangers(count, end=NOON, every=every, finished=finished)
        insert_rows(self.history if finished else self.state, rows)

    def page(self, caller, token=None, **query):
        """Return the ids of a page and the token of the next one; note its cost."""
        before = self.calls.count()
        params = query | ({} if token is None else {TOKEN: token})
        filters, begin = read_list(params, caller, now=NOON)
        found, end = self.pages.list_page(filters, caller, begin=begin)
        self.costs.append(self.calls.count() - before)
        following = write_token(end, params, caller)
        self.tokens += [following] if following is not None else []
        return [stored.request.id for stored in found], following

    def walk(self, caller, **query) -> Iterator[list[str]]:
        """Yield the ids of each page in turn."""
        ids, token = self.page(caller, **query)
        yield ids
        while token is not None:
            ids, token = self.page(caller, token, **query)
            yield ids

    def list_all(self, caller, **query) -> list[str]:
        return [each for page in self.walk(caller, **query) for each in page]

    def list_ids(self) -> set[str]:
        """Return the ids of all requests, of anybody."""
        rows = [*self.state.rows("r|"), *self.history.rows()]
        return {part for row in rows for part in row.key.split("|") if len(part) == 52}

    def tell(self) -> set[str]:
        """Return all that the tokens say, as texts."""
        texts = (base64.urlsafe_b64decode(token + "==") for token in self.tokens)
        return {str(value) for text in texts for value in json.loads(text)}


def make_crowd(count, person=OTHER, *, end=NOON, every=timedelta(seconds=7), number=1, **kinds):
    """Return requests of one person, the last one just before *end*."""
    return [
        a_whole_request(end - every * (count - n), person, number=number + n, **kinds)
        for n in range(count)
    ]


def ids_of(wholes):
    return [whole.request.id for whole in wholes]


# ---- others --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("finished", "pages"), [(False, 2), (True, 3)])
def test_ten_thousand_requests_of_others_cost_an_empty_page_twelve_calls_and_no_id(finished, pages):
    """The list of somebody who asked for nothing: it goes on, and says nothing about others."""
    shelf = Shelf()
    shelf.put_strangers(10_000, finished=finished)

    walked = list(shelf.walk(MINE))

    assert walked == [[]] * pages
    assert max(shelf.costs) <= MOST_CALLS
    assert shelf.tell() & shelf.list_ids() == set()


def test_a_token_between_others_requests_is_a_round_time():
    """The place of a scan would tell when somebody asked; the hour does for thousands."""
    shelf = Shelf()
    shelf.put_strangers(10_000)

    _, token = shelf.page(MINE)

    age, subscription, after, _ = json.loads(base64.urlsafe_b64decode(token + "=="))
    assert (age, subscription) == (0, SUBSCRIPTION)
    assert after == a_whole_request(NOON - timedelta(hours=2), number=0).request.id


def test_the_token_of_an_own_list_names_an_own_request_at_most():
    """Behind a full page it is the last request on it."""
    shelf = Shelf()
    mine = make_crowd(150, MINE)
    shelf.put_live(*mine, *make_crowd(150, OTHER, number=1000))

    first, _ = shelf.page(MINE)

    assert first == ids_of(mine)[:100]
    assert shelf.tell() & shelf.list_ids() == {first[-1]}


@pytest.mark.parametrize("caller", [MINE, OPERATOR], ids=["requester", "operator"])
def test_the_own_requests_among_ten_thousand_are_found(caller):
    """A few, from the first to the last."""
    shelf = Shelf()
    mine = make_crowd(5, MINE, every=timedelta(hours=4), number=20_000)
    shelf.put_strangers(10_000)
    shelf.put_live(*mine)

    found = shelf.list_all(caller, requester=MINE.id)

    assert found == ids_of(mine)
    assert max(shelf.costs) <= MOST_CALLS


# ---- costs ---------------------------------------------------------------------------------------


@pytest.mark.scaled
@pytest.mark.parametrize("query", [{}, {"status": "open"}, {"vm": "web03"}, {"vm": "no"}])
@pytest.mark.parametrize("live", [90, 300, 1100])
def test_no_page_costs_more_than_twelve_calls(live, query):
    """Requests of many people, with filters that fit all, some or none."""
    shelf = Shelf()
    shelf.put_strangers(live, every=timedelta(minutes=5))
    shelf.put_live(*make_crowd(10, MINE, number=5000, vms=3))
    shelf.put_strangers(300, finished=True)

    for caller in (MINE, OPERATOR):
        assert list(islice(shelf.walk(caller, **query), PAGES))

    assert max(shelf.costs) <= MOST_CALLS


def test_a_page_of_a_small_subscription_costs_three_calls():
    """The rows of subscriptions, the requests, and all their grants; an open one is not history."""
    shelf = Shelf()
    shelf.put_live(*make_crowd(99))

    found, end = shelf.page(OPERATOR, status="open")

    assert (len(found), end, shelf.costs) == (99, None, [3])


def test_requests_of_other_machines_are_passed_over_without_their_grants():
    """The row of a request names its machines."""
    shelf = Shelf()
    wholes = make_crowd(200)
    shelf.put_live(*wholes)

    found, end = shelf.page(OPERATOR, vm="WEB07", status="open")

    assert (found, end, shelf.costs) == ([wholes[6].request.id], None, [3])


@pytest.mark.parametrize("row_kind", ["state", "history"])
def test_a_list_of_twenty_subscriptions_goes_on_page_by_page(row_kind):
    """Each of them costs a call, and each of their months."""
    others = tuple(f"5c0ffee0-0000-4000-8000-0000000001{n:02}" for n in range(19))
    shelf = Shelf(others=others)
    last = a_whole_request(NOON - timedelta(days=1))
    (shelf.put_live if row_kind == "state" else shelf.put_finished)(last)

    assert shelf.list_all(MINE) == [last.request.id]
    assert max(shelf.costs) <= MOST_CALLS


def test_large_requests_fill_a_page_earlier():
    """A page of 100 requests for 90 machines each would be 9,000 rows of grants."""
    shelf = Shelf()
    wholes = make_crowd(20, vms=90)
    shelf.put_live(*wholes)

    assert sorted(shelf.list_all(OPERATOR)) == sorted(ids_of(wholes))
    assert max(shelf.costs) <= MOST_CALLS


# ---- rows of older versions ----------------------------------------------------------------------


@pytest.mark.parametrize("query", [{}, {"vm": "web02"}, {"ticket": "CHG2"}])
def test_rows_of_the_version_before_are_found(query):
    """They do not name their machines, and their grants do not name their person."""
    shelf = Shelf()
    live = [a_whole_request(NOON, number=n, vms=2, ticket=f"CHG{n}") for n in (1, 2)]
    past = [
        close(a_whole_request(NOON - timedelta(days=1), number=n, ticket=f"CHG{n}")) for n in (1, 2)
    ]
    insert_rows(shelf.state, (row for each in live for row in list_old_rows(each)))
    insert_rows(shelf.history, (row for each in past for row in list_old_rows(each, finished=True)))
    fitting = {"vm": [*live, past[1]], "ticket": [live[1], past[1]]}
    expected = next((fitting[name] for name in query), [*live, *past])

    for caller in (MINE, OPERATOR):
        assert shelf.list_all(caller, **query) == ids_of(expected)
    assert max(shelf.costs) <= MOST_CALLS


def test_history_that_two_versions_wrote_is_found():
    """The version before wrote some grants of a request, and this one the rest."""
    shelf = Shelf()
    whole = close(a_whole_request(NOON, vms=3))
    new, old = write_history_rows(whole), list_old_rows(whole, finished=True)
    insert_rows(shelf.history, [new[0], old[1], *new[2:]])

    assert shelf.list_all(MINE) == [whole.request.id]


# ---- changes -------------------------------------------------------------------------------------


def test_a_request_that_is_in_history_by_now_is_listed_once():
    """Its rows were read before and after it moved."""
    shelf = Shelf()
    whole = close(a_whole_request(NOON, vms=2))
    own, first, _ = list_live_rows(whole)
    insert_rows(shelf.state, [own, first])  # one of its grants has become a tombstone
    shelf.put_finished(whole)

    ids, _ = shelf.page(MINE)
    listed = shelf.pages.lists.list_month(SUBSCRIPTION, NOON, a_search()).requests

    assert ids == [whole.request.id]
    assert [len(each.grants) for each in listed] == [2]


def test_a_list_goes_on_in_its_month_when_the_month_ends():
    """The age of a month stays; a number that counts from now would not."""
    shelf = Shelf()
    shelf.put_finished(*make_crowd(150, MINE, end=NOON))
    first, token = shelf.page(MINE)
    params = {TOKEN: token}
    filters, begin = read_list(params, MINE, now=NOON + timedelta(days=10))

    rest, end = shelf.pages.list_page(filters, MINE, begin=begin)

    assert (len(first), len(rest), end) == (100, 50, None)
    assert len({*first, *(each.request.id for each in rest)}) == 150


moments = st.integers(0, 3 * 3600 * 1000).map(lambda ms: NOON - timedelta(milliseconds=ms))
crowds = st.lists(st.tuples(moments, st.booleans(), st.booleans()), max_size=40)


@settings(max_examples=examples(25, 1000), deadline=None)
@given(
    before=crowds,
    during=st.lists(crowds.map(lambda items: items[:4]), max_size=4),
    scanned=st.sampled_from([1, 2, 7, 1000]),
    caller=st.sampled_from([MINE, OPERATOR]),
    moves=st.lists(st.integers(0, 39), max_size=4),
)
@pytest.mark.scaled
def test_a_walk_has_each_request_that_was_there_when_it_began(
    before, during, scanned, caller, moves
):
    """
    Once each, whatever comes meanwhile, however few rows the service reads for one query.

    A request that moves to history between two pages may come once more. One that is stored
    meanwhile comes once or not at all.
    """
    shelf = Shelf(scanned=scanned)
    wholes = [make_one(n, *item) for n, item in enumerate(before)]
    put(shelf, wholes)
    later = iter(
        [
            [make_one(100 * (k + 1) + n, *item) for n, item in enumerate(items)]
            for k, items in enumerate(during)
        ]
    )
    moving = iter(moves)

    pages = []
    for page in shelf.walk(caller):
        pages.append(page)
        put(shelf, next(later, []))
        move(shelf, wholes, next(moving, None))

    visible = {
        each.request.id for each in wholes if caller is OPERATOR or each.request.requester == MINE
    }
    found = [each for page in pages for each in page]
    moved = {wholes[n].request.id for n in moves if n < len(wholes)}
    twice = {each for each in found if found.count(each) > 1}
    assert visible <= set(found)
    assert twice <= moved
    assert caller is OPERATOR or shelf.tell() & shelf.list_ids() <= set(found)


def make_one(number, at, is_mine, is_live):
    """A request; a finished one has no live grant."""
    person = MINE if is_mine else OTHER
    status = Status.OPEN if is_live else Status.CLOSED
    return a_whole_request(at, person, number=number, status=status)


def put(shelf, wholes):
    shelf.put_live(*(each for each in wholes if each.status is Status.OPEN))
    shelf.put_finished(*(each for each in wholes if each.status is Status.CLOSED))


def move(shelf, wholes, number):
    """Let a live request finish, and move to history."""
    if number is None or number >= len(wholes):
        return
    stored = shelf.requests.load(wholes[number].request.id)
    if stored is None or stored.row is None:
        return
    closed = [(row, close(StoredRequest(stored.request, row.grants)).grants) for row in stored.rows]
    shelf.requests.save(closed, [])
    shelf.requests.archive(shelf.requests.load(stored.request.id), now=NOON)
