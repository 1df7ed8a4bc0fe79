"""
The sizes of tests: a sample in ``make test``, everything in ``make test-long``.

A test that takes a size from here has the marker ``scaled``: it runs in both. A test with the
marker ``long`` runs in ``make test-long`` only. ``JIT_LONG=1`` chooses the long sizes.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from itertools import islice
from typing import TypeVar

T = TypeVar("T")

LONG = os.environ.get("JIT_LONG") == "1"
"""True in ``make test-long``."""


def examples(few: int, many: int) -> int:
    """Return the number of examples of a Hypothesis test: *few*, or *many* in the long run."""
    return many if LONG else few


def sample(items: Iterable[T], step: int, *, first: int = 0) -> Iterable[T]:
    """
    Return every *step*-th item from number *first* on; all items in the long run.

    The sample is the same in each run. A *step* that has no divisor in common with the numbers of
    combined choices reaches each choice.
    """
    return items if LONG else islice(items, first % step, None, step)
