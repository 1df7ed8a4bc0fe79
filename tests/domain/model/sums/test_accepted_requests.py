"""The requests of one person that were accepted in the last day."""

from datetime import UTC, datetime, timedelta

from jit.domain.model.sums.accepted_requests import DAY, AcceptedRequests

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def test_a_request_counts_for_a_day():
    accepted = AcceptedRequests(person="p").add(NOON)

    assert accepted.list_recent(NOON + DAY - SECOND) == (NOON,)
    assert accepted.list_recent(NOON + DAY) == ()


def test_requests_of_an_earlier_day_are_forgotten_with_the_next_one():
    """The row does not grow."""
    accepted = AcceptedRequests(person="p").add(NOON).add(NOON + DAY)

    assert accepted.times == (NOON + DAY,)


def test_a_request_of_an_instance_whose_clock_is_ahead_counts():
    """Otherwise the number would depend on the instance."""
    accepted = AcceptedRequests(person="p").add(NOON + SECOND).add(NOON)

    assert accepted.list_recent(NOON) == (NOON, NOON + SECOND)
