"""
A JSON value and its place in a body.

Every method that finds a fault notes it and returns None, so that one reading collects all faults.
Null is a value, never an absence: a caller whose expression came out empty must hear of it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from jit.domain.errors import Violation
from jit.domain.values.json_pointer import at

WRONG_TYPE = "wrong-type"
MISSING_FIELD = "missing-field"
UNKNOWN_FIELD = "unknown-field"
NOT_SUPPORTED = "not-supported"
TOO_FEW = "too-few"
TOO_MANY = "too-many"


def name_type(value: object) -> str:
    """Return the type of *value* in JSON's words, with its article: ``a string``, ``null``."""
    if value is None:
        return "null"
    if isinstance(value, bool):  # before int: Python's True is an int, JSON's true is not a number
        return "true or false"
    names = {str: "a string", int: "a number", float: "a number", list: "a list"}
    return names.get(type(value), "an object")


@dataclass(frozen=True, slots=True)
class Node:
    """
    A value, its place, the faults found so far.

    Attributes:
        value: As `json.loads` gives it.
        pointer: ``#/virtualMachines/0``.
        faults: Shared by all nodes of one reading; grows.
    """

    value: object
    pointer: str
    faults: list[Violation]

    def add_fault(self, code: str, detail: str) -> None:
        """Note that this value breaks a rule."""
        self.faults.append(Violation(self.pointer, code, detail))

    def read_fields(
        self,
        required: Collection[str],
        optional: Collection[str] = (),
        refused: Collection[str] = (),
        any_of: Sequence[str] = (),
    ) -> dict[str, Node]:
        """
        Return the known fields that are present; none if the value is not an object.

        Each missing, unknown or *refused* field (known, but not supported) is a fault, and so is
        the lack of all fields of *any_of*. The other fields are still returned.
        """
        if not isinstance(self.value, dict):
            self._add_wrong_type("an object")
            return {}
        known = (*required, *optional)
        for name in required:
            if name not in self.value:
                self.read_member(name).add_fault(MISSING_FIELD, f"{name} is required")
        if any_of and not any(name in self.value for name in any_of):
            detail = f"at least one of {' and '.join(any_of)} is required"
            self.read_member(any_of[0]).add_fault(MISSING_FIELD, detail)
        for name in self.value:
            if name in refused:
                self.read_member(name).add_fault(NOT_SUPPORTED, f"{name} is not supported yet")
            elif name not in known:
                detail = f"unknown; known are {', '.join(known) or 'none'}"
                self.read_member(name).add_fault(UNKNOWN_FIELD, detail)
        return {name: self.read_member(name) for name in known if name in self.value}

    def read_items(self, what: str, *, most: int) -> list[Node]:
        """Read a list of 1 to *most* values called *what*; if it is longer, read only the first."""
        if not isinstance(self.value, list):
            self._add_wrong_type("a list")
            return []
        if not self.value:
            self.add_fault(TOO_FEW, f"at least one of {what} is required")
        if len(self.value) > most:
            self.add_fault(TOO_MANY, f"{len(self.value)} {what}; at most {most} are accepted")
        return [self._make_child(index, value) for index, value in enumerate(self.value[:most])]

    def read_member(self, name: str) -> Node:
        """Return the member *name* of an object; its value is None if it is missing."""
        members = self.value if isinstance(self.value, dict) else {}
        return self._make_child(name, members.get(name))

    def read_text(self) -> str | None:
        """Read a string."""
        if not isinstance(self.value, str):
            self._add_wrong_type("a string")
            return None
        return self.value

    def read_integer(self) -> int | None:
        """Read an integer: neither ``true`` nor ``3389.0``."""
        if isinstance(self.value, float):
            detail = "must be an integer, written without a fraction or exponent"
            self.add_fault(WRONG_TYPE, detail)
            return None
        if isinstance(self.value, bool) or not isinstance(self.value, int):
            self._add_wrong_type("an integer")
            return None
        return self.value

    def read_flag(self) -> bool | None:
        """Read ``true`` or ``false``."""
        if not isinstance(self.value, bool):
            self._add_wrong_type("true or false")
            return None
        return self.value

    def _make_child(self, token: str | int, value: object) -> Node:
        return Node(value, at(self.pointer, token), self.faults)

    def _add_wrong_type(self, wanted: str) -> None:
        self.add_fault(WRONG_TYPE, f"must be {wanted}, not {name_type(self.value)}")
