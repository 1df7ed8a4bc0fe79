"""Filters and places: defaults."""

from datetime import UTC, datetime

from jit.broker.requests.filters import BEGINNING, Filters, Place

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def test_filters_ask_for_any_request_of_a_span():
    """Each filter that is not named lets every request through."""
    filters = Filters(start=NOON, end=NOON)

    assert {filters.status, filters.vm, filters.requester, filters.person, filters.ticket} == {None}
    assert filters.since is None


def test_the_beginning_is_before_every_place():
    """Sections are compared: live requests, then months."""
    assert BEGINNING.section < Place((0, "5c0ffee0")).section < Place((1, "")).section
    assert BEGINNING.after == ""
