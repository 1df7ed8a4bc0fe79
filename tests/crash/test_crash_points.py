"""The promises, whatever call of whatever life is struck by whatever may happen to it."""

import pytest

from tests.crash.enumeration import every_strike, strike_all, undisturbed
from tests.crash.life import Posting
from tests.crash.scenarios import SCENARIOS
from tests.crash.strikes import STRIKES


@pytest.mark.parametrize("posting", Posting, ids=str)
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_life_without_strikes_keeps_every_promise(scenario, posting):
    """Messages that come once, twice, or only from timers: all the same."""
    assert undisturbed(scenario, posting) == ()


@pytest.mark.parametrize(("scenario", "strike"), every_strike())
def test_a_struck_life_keeps_every_promise(scenario, strike, record_property):
    """Killed, paused, or failed by storage or Azure: afterwards all is as promised."""
    found = strike_all(scenario, STRIKES[strike])
    broken = [each for each in found if each.violations]
    record_property(STRIKES[strike].counts, sum(each.hit for each in found))
    record_property("violations", len(broken))

    assert broken == []
