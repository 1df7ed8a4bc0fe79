"""Bars: they end by themselves, and a doubt bars."""

import pytest

from jit.domain.model.bar import Bars, UnreadableBar
from tests.builders.bars import BARRED_ID, a_bar
from tests.builders.values import HOUR, NOW


@pytest.mark.parametrize(("until", "in_force"), [(None, True), (NOW + HOUR, True), (NOW, False)])
def test_a_bar_ends_by_itself(until, in_force):
    """Without an end it stays until somebody lifts it."""
    assert a_bar(until=until).is_in_force(NOW) is in_force


@pytest.mark.parametrize(
    ("until", "revoking", "over"), [(NOW, False, True), (NOW, True, False), (None, False, False)]
)
def test_a_bar_is_over_if_it_has_ended_and_revokes_nothing_more(until, revoking, over):
    """An operator's order to revoke outlives the end of the bar."""
    assert a_bar(until=until, revoking=revoking).is_over(NOW) is over


def test_a_bar_that_cannot_be_read_is_in_force():
    """A newer version wrote it: a doubt denies."""
    bars = Bars((a_bar(until=NOW),), (UnreadableBar(person_id="b0b"),))

    assert bars.list_barred(NOW) == {"b0b"}


def test_those_with_a_bar_in_force_are_barred():
    """By their object ids."""
    assert Bars((a_bar(),)).list_barred(NOW) == {BARRED_ID}
