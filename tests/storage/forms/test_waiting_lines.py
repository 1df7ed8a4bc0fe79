"""A waiting line as text."""

from datetime import UTC, datetime, timedelta

import pytest

from jit.domain.model.waiting_line import Wait
from jit.storage.forms.waiting_lines import LINE

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def a_wait(holder, *, closing):
    return Wait(holder=holder, closing=closing, since=NOON, renewed_at=NOON + timedelta(minutes=1))


ONE, OTHER = a_wait("a", closing=True), a_wait("b", closing=False)


@pytest.mark.parametrize("line", [(), (ONE,), (ONE, OTHER)])
def test_a_line_is_read_as_it_was_written(line):
    """In its order: it decides who comes next."""
    assert LINE.read(LINE.write(line)) == line


def test_a_line_of_another_form_is_an_error():
    """A row with it cannot be read."""
    with pytest.raises((TypeError, ValueError)):
        LINE.read("somebody")
