"""Bars, asked: recent ones at acceptance, else as they are now."""

from datetime import timedelta

import pytest

from jit.broker.asked_bars import KEPT, AskedBars
from jit.domain.errors import CannotTell, Unavailable
from jit.domain.model.bar import Bars
from jit.domain.model.people import Person
from tests.builders.bars import BARRED_ID, a_bar
from tests.builders.values import NOW

ALICE = Person(id=BARRED_ID, name="Alice")
SECOND = timedelta(seconds=1)


class Rows:
    """Rows that count how often they are read; None is an outage."""

    def __init__(self):
        self.bars, self.reads = Bars(), 0

    def read(self):
        self.reads += 1
        if self.bars is None:
            raise Unavailable("storage did not answer", retry_after_seconds=7)
        return self.bars


@pytest.fixture
def rows():
    return Rows()


@pytest.fixture
def asked(rows):
    return AskedBars(rows)


@pytest.mark.parametrize(
    ("later", "reads"), [(0 * SECOND, 1), (KEPT - SECOND, 1), (KEPT, 2), (-SECOND, 2)]
)
def test_bars_of_the_last_minute_are_recent(asked, rows, later, reads):
    """A clock that went back proves no age."""
    asked.find_recent([ALICE], NOW)
    asked.find_recent([ALICE], NOW + later)

    assert rows.reads == reads


def test_a_minute_later_a_new_bar_counts(asked, rows):
    asked.find_recent([ALICE], NOW)
    rows.bars = Bars((a_bar(),))

    assert asked.find_recent([ALICE], NOW + KEPT - SECOND) == ()
    assert asked.find_recent([ALICE], NOW + KEPT)


def test_a_fresh_answer_is_read_anew(asked, rows):
    """And is a recent one for others."""
    asked.find_recent([ALICE], NOW)
    rows.bars = Bars((a_bar(),))

    assert asked.find_fresh([ALICE], NOW)
    assert asked.find_recent([ALICE], NOW)
    assert rows.reads == 2


def test_after_a_change_of_its_own_a_process_reads_anew(asked, rows):
    """Its operator sees the bar at once."""
    asked.find_recent([ALICE], NOW)
    rows.bars = Bars((a_bar(),))
    asked.forget()

    assert asked.find_recent([ALICE], NOW)


def test_without_storage_recent_bars_count_for_their_minute(asked, rows):
    """After it nobody can tell: 503, and no access."""
    asked.find_recent([ALICE], NOW)
    rows.bars = None

    assert asked.find_recent([ALICE], NOW + KEPT - SECOND) == ()
    with pytest.raises(CannotTell) as error:
        asked.find_recent([ALICE], NOW + KEPT)
    assert [each.code for each in error.value.violations] == ["cannot-tell"]
    assert error.value.retry_after_seconds == 7


def test_a_fresh_answer_needs_storage(asked, rows):
    """However recent the last one is."""
    asked.find_recent([ALICE], NOW)
    rows.bars = None

    with pytest.raises(CannotTell):
        asked.find_fresh([ALICE], NOW)


def test_a_reading_that_began_before_a_change_is_not_kept(asked, rows):
    """The bar is stored, and forgotten bars are read anew, while an older reading is under way."""
    read, old = rows.read, Bars()

    def read_slowly():
        rows.read, rows.bars = read, Bars((a_bar(),))
        asked.forget()
        return old

    rows.read = read_slowly
    assert asked.read(NOW) == old

    assert asked.find_recent([ALICE], NOW)
