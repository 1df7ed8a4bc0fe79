"""Readings of security admin rules."""

from jit.domain.model.admin_reading import AdminReading
from tests.builders.values import NOW


def test_a_reading_without_a_reason_was_read():
    """No rules and no reading are two things."""
    reading = AdminReading(network_id="/subscriptions/s", read_at=NOW)

    assert (reading.items, reading.unread, reading.forbidden) == ((), "", False)
