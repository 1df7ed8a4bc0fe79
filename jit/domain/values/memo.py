"""Memos: results that several askers share, kept beside the value that they were made from."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, TypeVar

T = TypeVar("T")


class Memo:
    """
    Results by their questions.

    It belongs to one value that never changes, and goes with it. So a result needs no date, and two
    values never share one. The work for a crowd on one VM port is done once instead of once for
    each of its grants.
    """

    __slots__ = ("_known",)

    def __init__(self) -> None:
        """Begin without results."""
        self._known: dict[Hashable, Any] = {}

    def recall(self, question: Hashable, find: Callable[[], T]) -> T:
        """Return the result for *question*; if it is not known, *find* it and keep it."""
        try:
            found: T = self._known[question]
        except KeyError:
            found = self._known[question] = find()
        return found
