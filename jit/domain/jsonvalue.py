"""
A JSON value on its way into the domain: a cursor that knows where it stands.

Every method that finds a fault notes it and returns None, so that one reading collects them all.
Null is a value, never an absence: a caller whose expression came out empty must hear of it.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from jit.domain.errors import Violation

ROOT = "#"
WRONG_TYPE = "wrong-type"
MISSING_FIELD = "missing-field"
UNKNOWN_FIELD = "unknown-field"
NOT_SUPPORTED = "not-supported"
TOO_FEW = "too-few"
TOO_MANY = "too-many"

_FRAGMENT = frozenset(
    b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~!$&'()*+,;=:@/?"
)
_LONGEST_TOKEN = 64


def at(pointer: str, token: str | int) -> str:
    """
    Return the pointer of *token* below *pointer*, as a URI fragment: ``#/sources/0``.

    A token of more than 64 characters is cut: it is a hostile name, and pointers are answered.

    Source:
        RFC 6901 sections 3 and 6; RFC 3986 section 3.5 for what a fragment may hold.
    """
    escaped = str(token)[:_LONGEST_TOKEN].replace("~", "~0").replace("/", "~1")
    raw = escaped.encode(errors="replace")  # a lone surrogate has no UTF-8
    return f"{pointer}/" + "".join(
        chr(byte) if byte in _FRAGMENT else f"%{byte:02X}" for byte in raw
    )


def kind(value: object) -> str:
    """Return what JSON calls *value*, with its article: ``a string``, ``null``."""
    if value is None:
        return "null"
    if isinstance(value, bool):  # before int: Python's True is an int, JSON's true is not a number
        return "true or false"
    names = {str: "a string", int: "a number", float: "a number", list: "a list"}
    return names.get(type(value), "an object")


@dataclass(frozen=True, slots=True)
class Node:
    """
    A value, where it stands, what was found wrong so far.

    Attributes:
        value: As `json.loads` gives it.
        pointer: ``#/virtualMachines/0``.
        faults: Shared by all nodes of one reading; grows.
    """

    value: object
    pointer: str
    faults: list[Violation]

    def fault(self, code: str, detail: str) -> None:
        """Note that this value breaks a rule."""
        self.faults.append(Violation(self.pointer, code, detail))

    def fields(
        self,
        required: Collection[str],
        optional: Collection[str] = (),
        refused: Collection[str] = (),
    ) -> dict[str, Node]:
        """
        Read an object: its known fields that are there; none where it is no object.

        Missing, unknown and *refused* fields (known, but not supported) are faults of their own;
        the rest is read all the same.
        """
        if not isinstance(self.value, dict):
            self._wrong("an object")
            return {}
        known = (*required, *optional)
        for name in required:
            if name not in self.value:
                self.child(name).fault(MISSING_FIELD, f"{name} is required")
        for name in self.value:
            if name in refused:
                self.child(name).fault(NOT_SUPPORTED, f"{name} is not supported yet")
            elif name not in known:
                self.child(name).fault(UNKNOWN_FIELD, f"unknown; known are {', '.join(known)}")
        return {name: self.child(name) for name in known if name in self.value}

    def items(self, what: str, *, most: int) -> list[Node]:
        """Read a list of 1 to *most* values called *what*; of a longer one, only the first."""
        if not isinstance(self.value, list):
            self._wrong("a list")
            return []
        if not self.value:
            self.fault(TOO_FEW, f"at least one of {what} is required")
        if len(self.value) > most:
            self.fault(TOO_MANY, f"{len(self.value)} {what}; at most {most} are accepted")
        return [self._at(index, value) for index, value in enumerate(self.value[:most])]

    def child(self, name: str) -> Node:
        """Return the member *name* of an object, which may be missing: then its value is None."""
        members = self.value if isinstance(self.value, dict) else {}
        return self._at(name, members.get(name))

    def text(self) -> str | None:
        """Read a string."""
        if not isinstance(self.value, str):
            self._wrong("a string")
            return None
        return self.value

    def integer(self) -> int | None:
        """Read an integer: neither ``true`` nor ``3389.0``."""
        if isinstance(self.value, float):
            self.fault(WRONG_TYPE, "must be an integer, written without a fraction or exponent")
            return None
        if isinstance(self.value, bool) or not isinstance(self.value, int):
            self._wrong("an integer")
            return None
        return self.value

    def flag(self) -> bool | None:
        """Read ``true`` or ``false``."""
        if not isinstance(self.value, bool):
            self._wrong("true or false")
            return None
        return self.value

    def _at(self, token: str | int, value: object) -> Node:
        return Node(value, at(self.pointer, token), self.faults)

    def _wrong(self, wanted: str) -> None:
        self.fault(WRONG_TYPE, f"must be {wanted}, not {kind(self.value)}")
