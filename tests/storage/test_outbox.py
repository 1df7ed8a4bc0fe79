"""The audit outbox: rows lie in the order of their events."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from jit.domain.audit.event import Event
from jit.storage.outbox import write_event_row

NOW = datetime(2026, 11, 22, 18, tzinfo=UTC)
moments = st.integers(0, 3).map(lambda number: NOW + timedelta(microseconds=number))


def an_event(at):
    return Event(at=at, what="grant.opened", actor="broker", request_id="r")


@given(st.lists(moments, min_size=2, max_size=8))
def test_events_of_one_instant_stand_as_they_were_made(times):
    """A cause comes before its effect, even if the clock shows no difference."""
    rows = [write_event_row("p", an_event(at)) for at in sorted(times)]

    assert [row.key for row in rows] == sorted({row.key for row in rows})
