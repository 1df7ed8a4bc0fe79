"""
JSON of Azure Resource Manager and of Defender: the one place that reads its members.

The functions never fail: a member that is missing, or has another type, reads as empty. A rule of
an NSG that is read wrongly could hide an open path, so `CheckedFields` notes each such member.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from functools import cache
from typing import TypeVar

from jit.domain.values import arm_ids

Resource = Mapping[str, object]
"""A JSON object: an ARM resource, or a part of one."""

_Choice = TypeVar("_Choice", bound=StrEnum)


def text(resource: Resource, name: str) -> str:
    """Return a string member, or an empty string."""
    value = resource.get(name)
    return value if isinstance(value, str) else ""


def number(resource: Resource, name: str) -> int | None:
    """Return an integer member, or None."""
    value = resource.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def flag(resource: Resource, name: str, *, default: bool = False) -> bool:
    """Return a boolean member, or *default* if it is missing."""
    return bool(resource.get(name, default))


def mapping(resource: Resource, name: str) -> Resource:
    """Return an object member, or an empty object."""
    value = resource.get(name)
    return value if isinstance(value, Mapping) else {}


def array(resource: Resource, name: str) -> list[object] | None:
    """Return an array member itself, not a copy; None if there is none."""
    value = resource.get(name)
    return value if isinstance(value, list) else None


def mappings(resource: Resource, name: str) -> list[Resource]:
    """Return the objects in an array member."""
    return [item for item in array(resource, name) or () if isinstance(item, Mapping)]


def texts(resource: Resource, name: str) -> tuple[str, ...]:
    """Return the strings in an array member."""
    return tuple(item for item in array(resource, name) or () if isinstance(item, str))


def one_or_many(
    resource: Resource, one: str, many: str, *, keep_all: bool = False
) -> tuple[str, ...]:
    """
    Return a pair of singular and plural members as one tuple; the plural one wins.

    Some tools send a list in the singular member; it counts as the plural one. An item of the list
    that is no string is left out. With *keep_all* it becomes its text: then a list with an
    unreadable source does not look like a shorter list of readable ones.
    """
    items = array(resource, many) or array(resource, one) or ()
    found = tuple(str(item) for item in items if keep_all or isinstance(item, str))
    single = text(resource, one)
    return found or ((single,) if single else ())


def properties(resource: Resource) -> Resource:
    """Return the member ``properties``."""
    return mapping(resource, "properties")


def read_provisioning_state(resource: Resource) -> str:
    """Return ``properties.provisioningState``; empty if Azure did not send it."""
    return text(properties(resource), "provisioningState")


def read_etag(resource: Resource) -> str | None:
    """Return the tag of the version that was read, for ``If-Match``."""
    return text(resource, "etag") or None


def key(resource: Resource) -> str:
    """Return the member ``id`` in the form that ids are compared in; empty if there is none."""
    return arm_ids.key(text(resource, "id"))


def read_reference(resource: Resource, name: str) -> str:
    """Return the ARM id in an object member, such as ``{"subnet": {"id": …}}``, or empty."""
    return text(mapping(resource, name), "id")


@cache
def _by_text(choices: type[_Choice]) -> Mapping[str, _Choice]:
    return {choice.value.lower(): choice for choice in choices}


class CheckedFields:
    """
    The members of one JSON object, read with notes about each one that cannot be read.

    Attributes:
        faults: A sentence for each member that could not be read so far.
    """

    def __init__(self, item: object) -> None:
        self._values: Resource = item if isinstance(item, Mapping) else {}
        self.faults: list[str] = [] if isinstance(item, Mapping) else ["not an object"]

    def properties(self) -> CheckedFields:
        """Return the member ``properties`` with notes of its own."""
        return CheckedFields(self._values.get("properties"))

    def text(self, name: str, default: str = "") -> str:
        """Return a string member, or *default* if it is missing or empty."""
        value = self._values.get(name)
        if value is None or isinstance(value, str):
            return value or default
        self.faults.append(f"{name} is not a string")
        return default

    def positive_number(self, name: str) -> int | None:
        """Return an integer member above 0, or None."""
        value = number(self._values, name)
        if value is not None and value > 0:
            return value
        self.faults.append(f"{name} is not a positive number")
        return None

    def choice(self, name: str, choices: type[_Choice]) -> _Choice | None:
        """Return the one of *choices* that a string member writes, in any case, or None."""
        found = _by_text(choices).get(self.text(name).lower())
        if found is None:
            self.faults.append(f"{name} is unknown")
        return found

    def one_and_many(self, one: str, many: str) -> tuple[str, ...]:
        """Return the string member *one* and the strings of the array *many*, as one tuple."""
        single = self.text(one)
        items = self._array(many)
        found = tuple(item for item in items if isinstance(item, str) and item)
        if len(found) < len(items):
            self.faults.append(f"{many} holds something that is not a string")
        return (single, *found) if single else found

    def references(self, name: str) -> tuple[str, ...]:
        """Return the ARM ids in an array of ``{"id": …}``."""
        members = [CheckedFields(item) for item in self._array(name)]
        ids = tuple(filter(None, (member.text("id") for member in members)))
        if len(ids) < len(members):
            self.faults.append(f"{name} holds something without an id")
        return ids

    def _array(self, name: str) -> list[object]:
        value = self._values.get(name)
        if value is None or isinstance(value, list):
            return value or []
        self.faults.append(f"{name} is not a list")
        return []
