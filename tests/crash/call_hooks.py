"""Hooks around each call to an object: one before the call acts, one after it."""

from __future__ import annotations

from typing import Any, Protocol


class CallHooks(Protocol):
    """Two hooks around a call."""

    def before_call(self, name: str, args: tuple[Any, ...]) -> None:
        """See a call that is about to act."""

    def after_call(self, name: str, args: tuple[Any, ...]) -> None:
        """See a call that has acted, or failed."""


class Hooked:
    """A stand-in for an object: *hooks* see each call of its methods as ``name.method``."""

    def __init__(self, inner: Any, name: str, hooks: CallHooks) -> None:
        """Stand in for *inner*."""
        self._inner = inner
        self._name = name
        self._hooks = hooks

    def __getattr__(self, method: str) -> Any:
        """Return the method of *inner*, with the hooks around it."""
        found = getattr(self._inner, method)
        name = f"{self._name}.{method}"

        def call(*args: Any, **kwargs: Any) -> Any:
            self._hooks.before_call(name, args)
            try:
                return found(*args, **kwargs)
            finally:
                self._hooks.after_call(name, args)

        return call
