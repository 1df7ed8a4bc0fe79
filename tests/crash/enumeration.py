"""
Which call of which life is struck by what: all of them, or a sample that is the same each time.

``JIT_CRASH`` says how many calls each strike meets in each scenario: a number, or ``full``.
"""

from __future__ import annotations

import os
import zlib
from dataclasses import dataclass
from datetime import timedelta
from functools import cache

from tests.crash.life import Life, Posting
from tests.crash.scenarios import SCENARIOS
from tests.crash.strikes import STRIKES, Strike, Struck

SAMPLE = 1
"""
Changing calls that a strike meets where nobody says otherwise; in every third pair of scenario
and strike, as many of all its calls.
"""

_CHANGING = (
    "state.write",
    "history.",
    "queues.",
    "policies.initiate",
    "policies.replace",
    "network.put",
    "network.del",
)
_POSTINGS = tuple(Posting)
_DOWNTIMES = (timedelta(0), timedelta(minutes=3))


@dataclass(frozen=True, slots=True)
class Found:
    """
    What a life showed.

    Attributes:
        at: The number and name of the call that was struck, and how.
        hit: Whether the call came at all.
        violations: Promises not kept.
    """

    at: str
    hit: bool
    violations: tuple[str, ...]


@cache
def calls_of(scenario: str) -> tuple[str, ...]:
    """Return the names of all outside calls of an undisturbed life."""
    life = Life()
    SCENARIOS[scenario](life)
    life.live()
    return tuple(life.plant.calls.names)


def points(scenario: str, strike: Strike) -> list[int]:
    """Return the numbers of the calls to be struck; those that change something come first."""
    names = calls_of(scenario)
    every = [number for number, name in enumerate(names, 1) if strike.can(name)]
    wanted = os.environ.get("JIT_CRASH", str(SAMPLE))
    if wanted == "full":
        return every
    changing = [number for number in every if names[number - 1].startswith(_CHANGING)]
    first = _spread(changing or every, int(wanted), offset=_scattered(strike.name, scenario))
    scattered = _scattered(scenario, strike.name)
    more = 0 if scattered % 3 else int(wanted)
    return sorted({*first, *_spread(every, more, offset=scattered)})


def _scattered(*words: str) -> int:
    """Return a number that is the same each time, and another one for other *words*."""
    return zlib.crc32(" ".join(words).encode())


def _spread(numbers: list[int], wanted: int, *, offset: int) -> list[int]:
    """Return *wanted* of *numbers* at equal distances; *offset* moves all of them."""
    if not numbers or not wanted:
        return []
    step = len(numbers) / min(wanted, len(numbers))
    return [
        numbers[(offset + int(index * step)) % len(numbers)]
        for index in range(min(wanted, len(numbers)))
    ]


def strike_all(scenario: str, strike: Strike) -> list[Found]:
    """Live *scenario* once for each point, struck there; return what each life showed."""
    return [strike_at(scenario, strike, number) for number in points(scenario, strike)]


def strike_at(scenario: str, strike: Strike, number: int) -> Found:
    """
    Live *scenario*, struck at the first fitting call from *number* on.

    Where messages come otherwise there may be fewer calls: if that one never comes, they come once.
    """
    found = _lived(scenario, strike, number, _POSTINGS[number % len(_POSTINGS)])
    return found if found.hit else _lived(scenario, strike, number, Posting.ONCE)


def _lived(scenario: str, strike: Strike, number: int, posting: Posting) -> Found:
    life = Life(posting=posting, downtime=_DOWNTIMES[number % len(_DOWNTIMES)])
    SCENARIOS[scenario](life)
    timers_only = posting is Posting.TIMERS
    life.promises.patience.add(
        strike.delays, life.downtime, gap=strike.gap + 2 * life.downtime, timers_only=timers_only
    )
    struck = Struck(strike, number, life)
    struck.arm()
    life.live()
    at = f"{scenario}, {number} {struck.hit}, {strike.name}, {posting.value}"
    return Found(at, bool(struck.hit), tuple(life.promises.violations))


def undisturbed(scenario: str, posting: Posting) -> tuple[str, ...]:
    """Live *scenario* without a strike; return the promises not kept."""
    life = Life(posting=posting)
    SCENARIOS[scenario](life)
    life.live()
    return tuple(life.promises.violations)


def every_strike() -> list[tuple[str, str]]:
    """Return each scenario with each strike that can meet it."""
    return [(scenario, strike) for scenario in SCENARIOS for strike in STRIKES]
