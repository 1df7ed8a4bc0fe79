"""
The count of calls to the outside, and a hook before and after each one.

A crash test runs a scenario once to count its calls. Then it runs it again for every k, with a hook
that raises before call k (nothing happened) or after it (it happened, and the answer is lost).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

Hook = Callable[[str, int], None]
"""Called with the call's name (``state.write``) and its number, from 1; may raise."""


class Crash(BaseException):
    """The process died here. Not an ``Exception``: nothing in the broker may catch it."""


def _nothing(_name: str, _number: int) -> None:
    return


class Calls:
    """
    Every call to the outside, in the order in which they began.

    Attributes:
        names: Their names so far.
        before: Runs before a call acts; if it raises, the call did not happen.
        after: Runs when a call has acted; if it raises, the answer is lost.
    """

    def __init__(self) -> None:
        """Begin with no calls and no hooks."""
        self.names: list[str] = []
        self.before: Hook = _nothing
        self.after: Hook = _nothing
        self._lock = threading.Lock()

    @contextmanager
    def call(self, name: str) -> Iterator[None]:
        """Count one call; ``after`` does not run if the call itself fails."""
        with self._lock:
            self.names.append(name)
            number = len(self.names)
        self.before(name, number)
        yield
        self.after(name, number)

    def strike_before(self, name: str, act: Callable[[], object]) -> None:
        """Let *act* run once, before the next call of that name: as another instance would."""

        def strike(called: str, _: int) -> None:
            if called == name:
                self.before = _nothing
                act()

        self.before = strike

    def count(self, prefix: str = "") -> int:
        """Return the number of calls whose names begin with *prefix*."""
        if not prefix:
            return len(self.names)
        return sum(name.startswith(prefix) for name in self.names)


class Counted:
    """
    A stand-in for an object: each call of its methods goes through *calls*.

    The object is a ``Table``, ``Queues``, ``JitPolicies``, ``Network`` or ``Arm``:
    ``arm: Arm = Counted(ThinArm(…), calls, "arm")``. Attributes that are not methods pass through.
    """

    def __init__(self, inner: Any, calls: Calls, name: str) -> None:
        """*name* comes before the method in the names of the calls: ``arm.get``."""
        self._inner = inner
        self._calls = calls
        self._name = name

    def __getattr__(self, method: str) -> Any:
        """Return the attribute of *inner*; the calls of a method are counted."""
        found = getattr(self._inner, method)
        if not callable(found):
            return found

        def counted(*args: Any, **kwargs: Any) -> Any:
            with self._calls.call(f"{self._name}.{method}"):
                return found(*args, **kwargs)

        return counted
