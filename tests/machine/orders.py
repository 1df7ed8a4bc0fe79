"""
Every order in which people come to one VM port and leave it, with and without a stranger.

The first to come is person 0, the next person 1: other numberings would be the same plots.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum


class Leaving(Enum):
    """How somebody's access ends."""

    EXPIRES = "expires"  # at its moment, as was asked for
    REVOKED = "revoked"  # at its moment; asked for was more than everybody else's


@dataclass(frozen=True, slots=True)
class Plot:
    """
    Who does what at which moment.

    Attributes:
        order: A person's number twice: when they come, when they leave.
        leaving: How each of them leaves.
        sources: Index of each one's source: equal indices, equal sources.
        stranger: After which moment somebody uses the portal; None for never.
        theirs: Index of that one's source.
        death: After which moment the process dies at its next calls; None for never.
        dies: ``before`` them, or ``after`` the initiate, whose answer is lost.
    """

    order: tuple[int, ...]
    leaving: tuple[Leaving, ...]
    sources: tuple[int, ...]
    stranger: int | None = None
    theirs: int = 0
    death: int | None = None
    dies: str = ""

    def __str__(self) -> str:
        """Name it: ``0 1 0 1, expires revoked, sources 0 1, stranger 0 after 2``."""
        parts = [self.order, [how.value for how in self.leaving], ["sources", *self.sources]]
        if self.stranger is not None:
            parts.append(["stranger", self.theirs, "after", self.stranger])
        if self.death is not None:
            parts.append(["dies", self.dies, "its calls after", self.death])
        return ", ".join(" ".join(map(str, part)) for part in parts)

    def comes(self, who: int) -> int:
        """Return the moment at which *who* comes."""
        return self.order.index(who)

    def leaves(self, who: int) -> int:
        """Return the moment at which *who* leaves."""
        return len(self.order) - 1 - self.order[::-1].index(who)

    @property
    def undisturbed(self) -> bool:
        """Whether everybody leaves as planned, and no stranger comes."""
        return self.stranger is None and set(self.leaving) == {Leaving.EXPIRES}


def plots(people: int, sharings: tuple[tuple[int, ...], ...]) -> Iterator[Plot]:
    """Yield every plot of so many *people* with each of those *sharings* of sources."""
    ways = tuple(itertools.product(Leaving, repeat=people))
    for order, leaving, sources in itertools.product(_orders(people), ways, sharings):
        yield Plot(order, leaving, sources)


def with_a_stranger(quiet: Iterator[Plot], sources: tuple[int, ...]) -> Iterator[Plot]:
    """Yield each plot with a stranger of each of *sources*, after each moment but the last."""
    for plot in quiet:
        for moment, theirs in itertools.product(range(len(plot.order) - 1), sources):
            yield replace(plot, stranger=moment, theirs=theirs)


def with_a_death(quiet: Iterator[Plot]) -> Iterator[Plot]:
    """Yield each plot with a death after each moment, before the calls and after the initiate."""
    for plot in quiet:
        for moment, dies in itertools.product(range(len(plot.order)), ("before", "after")):
            yield replace(plot, death=moment, dies=dies)


def _orders(people: int) -> Iterator[tuple[int, ...]]:
    """Yield every sequence in which each comes and leaves, the first to come being the first."""
    twice = sorted([*range(people), *range(people)])
    for order in sorted(set(itertools.permutations(twice))):
        if sorted(range(people), key=order.index) == list(range(people)):
            yield order
