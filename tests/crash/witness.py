"""Lets somebody see each call to a thing, with its arguments, before and after it acts."""

from __future__ import annotations

from typing import Any, Protocol


class Witness(Protocol):
    """Who looks on."""

    def begins(self, name: str, args: tuple[Any, ...]) -> None:
        """See a call that is about to act."""

    def ended(self, name: str, args: tuple[Any, ...]) -> None:
        """See a call that has acted, or failed."""


class Witnessed:
    """Anything with methods, each call of which *witness* sees; *name* precedes the method's."""

    def __init__(self, inner: Any, name: str, witness: Witness) -> None:
        """Stand in for *inner*."""
        self._inner = inner
        self._name = name
        self._witness = witness

    def __getattr__(self, method: str) -> Any:
        """Return *inner*'s method, seen."""
        found = getattr(self._inner, method)
        name = f"{self._name}.{method}"

        def seen(*args: Any, **kwargs: Any) -> Any:
            self._witness.begins(name, args)
            try:
                return found(*args, **kwargs)
            finally:
                self._witness.ended(name, args)

        return seen
