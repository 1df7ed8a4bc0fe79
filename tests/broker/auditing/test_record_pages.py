"""Pages of records: newest first, each on one page, in a bounded number of calls."""

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jit.broker.auditing.record_pages import BEGINNING, PAGE, RecordPages, RecordPlace
from jit.domain.audit.record_filter import RecordFilter
from jit.storage.lists.query_budget import PAGE_QUERIES
from tests.builders.exports import an_event
from tests.builders.trails import ELSEWHERE, HERE, NOON, StoredTrail
from tests.sizes import examples

MANY = [f"5c0ffee0-0000-4000-8000-0000000000{number:02d}" for number in range(10, 22)]


def list_all(trail, **wanted):
    """Return the records of all pages, the number of pages, and the most calls of one."""
    found, most, pages = [], 0, 0
    place: RecordPlace | None = BEGINNING
    while place is not None:
        before = trail.calls.count()
        page, place = RecordPages(trail.chains).list_page(RecordFilter(**wanted), begin=place)
        assert len(page) <= PAGE
        most, pages = max(most, trail.calls.count() - before), pages + 1
        found += page
    return found, pages, most


def names(records):
    return [(record.chain, record.sequence) for record in records]


def test_the_newest_record_comes_first():
    trail = StoredTrail()
    trail.store_many(250)

    found, pages, most = list_all(trail)

    assert names(found) == [(HERE, number) for number in range(250, 0, -1)]
    assert pages == 3
    assert most <= PAGE_QUERIES


def test_records_of_several_chains_are_merged_by_their_time():
    trail = StoredTrail()
    trail.store([an_event(number) for number in range(3)], name=HERE, minutes=[1, 4, 6])
    trail.store([an_event(number) for number in range(2)], name=ELSEWHERE, minutes=[3, 5])
    trail.store([an_event(1)], name="people", minutes=[2])

    found, _, _ = list_all(trail)

    older = [("people", 1), (HERE, 1)]
    assert names(found) == [(HERE, 3), (ELSEWHERE, 2), (HERE, 2), (ELSEWHERE, 1), *older]


@settings(max_examples=examples(15, 300), deadline=None)
@given(st.lists(st.integers(0, 230), min_size=1, max_size=12), st.sampled_from([None, "w"]))
def test_each_record_is_on_one_page(lengths, what):
    """However many chains there are, and however long each is."""
    trail = StoredTrail(MANY[: len(lengths)])
    for name, length in zip(MANY, lengths, strict=False):
        trail.store([an_event(n) | {"what": "wv"[n % 2]} for n in range(length)], name=name)

    found, _, most = list_all(trail, what=what)

    expected = {
        (name, number + 1)
        for name, length in zip(MANY, lengths, strict=False)
        for number in range(length)
        if what is None or number % 2 == 0
    }
    assert sorted(names(found)) == sorted(expected)
    assert most <= PAGE_QUERIES


def test_one_chain_is_listed_alone():
    trail = StoredTrail()
    trail.store_many(3, name=HERE)
    trail.store_many(3, name=ELSEWHERE)

    assert names(list_all(trail, chain=ELSEWHERE)[0]) == [(ELSEWHERE, n) for n in (3, 2, 1)]
    assert list_all(trail, chain="people")[0] == []


@pytest.mark.scaled
def test_a_search_that_finds_little_costs_no_more_calls_a_page():
    """One record among many thousand, on a page behind empty ones."""
    trail = StoredTrail([HERE])
    trail.store([an_event(n) | {"facts": {"person": "x"} if n == 5 else {}} for n in range(7000)])

    found, pages, most = list_all(trail, person="x")

    assert names(found) == [(HERE, 6)]
    assert pages > 1
    assert most <= PAGE_QUERIES


def test_records_before_the_wanted_time_are_not_read():
    """An event may be recorded late, and the clocks of instances differ by an hour at most."""
    trail = StoredTrail([HERE])
    minutes = [5 * number for number in range(600)]
    events = [
        an_event(1) | {"at": (NOON + timedelta(minutes=m)).isoformat().replace("+00:00", "Z")}
        for m in minutes
    ]
    trail.store(events, minutes=minutes)
    before = trail.calls.count()

    since = NOON + timedelta(minutes=minutes[-20])
    found, place = RecordPages(trail.chains).list_page(RecordFilter(since=since))

    assert names(found) == [(HERE, number) for number in range(600, 580, -1)]
    assert place is None
    assert trail.calls.count() - before <= 5
