"""How long each phase of a grant may take."""

from datetime import timedelta

import pytest

from jit.domain.grants import timing
from jit.domain.grants.timing import TIMES
from jit.domain.model.machine import Via

NSG = {
    "grace": 2,
    "lead": 2,
    "exchanged_within": 2,
    "shrinks_within": 4,
    "opens_within": 20,
}
FIREWALL = {
    "grace": 10,
    "lead": 8,
    "exchanged_within": 6,
    "shrinks_within": 20,
    "opens_within": 40,
}


@pytest.mark.parametrize(
    ("via", "minutes"),
    [(Via.PUBLIC_IP, NSG), (Via.PRIVATE, NSG), (Via.FIREWALL, FIREWALL)],
)
def test_each_way_has_the_times_that_people_were_promised(via, minutes):
    """Documents and answers name these numbers; a change of the facts must not move them unseen."""
    found = {name: getattr(TIMES[via], name) / timedelta(minutes=1) for name in minutes}

    assert found == minutes


def test_every_way_has_its_times():
    """A new way without times would fail in the middle of a pass."""
    assert set(TIMES) == set(Via)


def test_the_times_that_hold_on_every_way_keep_their_numbers():
    """In seconds."""
    named = {
        "SHORTEST": 300,
        "APPEARS_WITHIN": 900,
        "OVERDUE": 1800,
        "FOREIGN_GRACE": 600,
        "TOLERANCE": 2,
        "EXCHANGE_PAUSE": 20,
        "LAST_MOMENTS": 30,
        "FIREWALL_WAIT": 60,
        "SOONEST_LOOK": 3,
        "LOOK_WHILE_OPENING": 60,
        "LOOK_WHILE_CLOSING": 900,
        "COMPANION_WRITE": 5,
        "FIRST_RETRY": 10,
        "LAST_RETRY": 300,
        "UNVERIFIED_AFTER": 3600,
    }

    assert {name: getattr(timing, name).total_seconds() for name in named} == named
