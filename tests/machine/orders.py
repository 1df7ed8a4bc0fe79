"""
Every order in which people come to one VM port and leave it, with and without foreign access.

The first to come is person 0, the next is person 1. Other numberings would be the same orders.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum


class Leaving(Enum):
    """How somebody's access ends."""

    EXPIRES = "expires"  # at its moment, as asked for
    REVOKED = "revoked"  # at its moment; the duration asked for was the longest


@dataclass(frozen=True, slots=True)
class SharingOrder:
    """
    One order of coming and leaving.

    Attributes:
        moments: The number of the person who acts at each moment: first they come, then they leave.
        leaving: How each person leaves.
        sources: The index of each person's source: equal indices are equal sources.
        foreign: The moment after which somebody uses the portal; None for never.
        foreign_source: The index of that person's source.
        crash: The moment after which the process dies at its next calls; None for never.
        crashes: ``before`` the calls, or ``after`` the initiate, so that its answer is lost.
    """

    moments: tuple[int, ...]
    leaving: tuple[Leaving, ...]
    sources: tuple[int, ...]
    foreign: int | None = None
    foreign_source: int = 0
    crash: int | None = None
    crashes: str = ""

    def __str__(self) -> str:
        """Describe it: ``0 1 0 1, expires revoked, sources 0 1, foreign 0 after 2``."""
        parts = [self.moments, [how.value for how in self.leaving], ["sources", *self.sources]]
        if self.foreign is not None:
            parts.append(["foreign", self.foreign_source, "after", self.foreign])
        if self.crash is not None:
            parts.append(["crash", self.crashes, "its calls after", self.crash])
        return ", ".join(" ".join(map(str, part)) for part in parts)

    def comes(self, who: int) -> int:
        """Return the moment at which *who* comes."""
        return self.moments.index(who)

    def leaves(self, who: int) -> int:
        """Return the moment at which *who* leaves."""
        return len(self.moments) - 1 - self.moments[::-1].index(who)

    @property
    def is_undisturbed(self) -> bool:
        """True if everybody leaves as planned, without foreign access."""
        return self.foreign is None and set(self.leaving) == {Leaving.EXPIRES}


def sharing_orders(people: int, sharings: tuple[tuple[int, ...], ...]) -> Iterator[SharingOrder]:
    """Yield every order of so many *people* with each of those *sharings* of sources."""
    ways = tuple(itertools.product(Leaving, repeat=people))
    for order, leaving, sources in itertools.product(_sequences(people), ways, sharings):
        yield SharingOrder(order, leaving, sources)


def add_foreign_access(
    orders: Iterator[SharingOrder], sources: tuple[int, ...]
) -> Iterator[SharingOrder]:
    """Yield each order with foreign access from each source, after each moment except the last."""
    for order in orders:
        for moment, source in itertools.product(range(len(order.moments) - 1), sources):
            yield replace(order, foreign=moment, foreign_source=source)


def add_crash(orders: Iterator[SharingOrder]) -> Iterator[SharingOrder]:
    """Yield each order with a crash after each moment, before the calls and after the initiate."""
    for order in orders:
        for moment, crashes in itertools.product(range(len(order.moments)), ("before", "after")):
            yield replace(order, crash=moment, crashes=crashes)


def _sequences(people: int) -> Iterator[tuple[int, ...]]:
    """Yield every sequence in which each person comes and leaves; person 0 comes first."""
    twice = sorted([*range(people), *range(people)])
    for sequence in sorted(set(itertools.permutations(twice))):
        if sorted(range(people), key=sequence.index) == list(range(people)):
            yield sequence
