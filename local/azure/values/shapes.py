"""
Shapes of JSON: the types that somebody reads, and the places in a document that have others.

A shape is a type, a ``Form`` of texts, a list of one shape, a tuple of shapes of which one fits, or
an object of named shapes; a name that ends with ``!`` must be there. Fields that a shape does not
name are fine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Any

from local.azure.values import ids

REFERENCE = {"id!": str}
"""A link to another resource."""


@dataclass(frozen=True, slots=True)
class Form:
    """
    Texts of one form.

    Attributes:
        name: Stands in a fault: "is not *name*".
        fits: Raises ``ValueError`` or returns False for a text of another form.
    """

    name: str
    fits: Callable[[str], Any]

    def holds(self, value: object) -> bool:
        """Return True if *value* is a text of this form."""
        try:
            return isinstance(value, str) and bool(self.fits(value))
        except ValueError:
            return False


ADDRESS = Form("an IP address", ip_address)
PREFIX = Form("an IP prefix", lambda text: ip_network(text, strict=False))


def make_reference(type_: str) -> dict[str, Form]:
    """Return the shape of a link to a resource of *type_*."""

    def fits(text: str) -> bool:
        parts = ids.parse(text)
        return parts is not None and parts.is_type(type_)

    return {"id!": Form(f"an id of {type_}", fits)}


def make_choice(*texts: str) -> Form:
    """Return the form of one of *texts*, as Azure writes them."""
    return Form(f"one of {', '.join(texts)}", lambda text: text in texts)


def find_faults(
    value: Any, shape: Any, place: str, *, strict: bool = False
) -> Iterator[tuple[str, str]]:
    """
    Yield each place in *value* that has not its shape, with what it should be.

    Args:
        value: JSON.
        shape: See the top of this module.
        place: The position of *value* in its document.
        strict: True if a list or object that is null is a fault. Else null counts as absent.
    """
    if isinstance(shape, dict):
        yield from _find_object_faults(value, shape, place, strict=strict)
    elif isinstance(shape, list):
        yield from _find_list_faults(value, shape[0], place, strict=strict)
    elif isinstance(shape, tuple):
        found = [list(find_faults(value, each, place, strict=strict)) for each in shape]
        yield from found[0] if all(found) else ()
    elif isinstance(shape, Form):
        if not shape.holds(value):
            yield place, shape.name
    elif not isinstance(value, shape) or isinstance(value, bool) != (shape is bool):
        yield place, f"of type {shape.__name__}"


def _find_list_faults(
    value: Any, shape: Any, place: str, *, strict: bool
) -> Iterator[tuple[str, str]]:
    if not isinstance(value, list):
        yield place, "a list"
        return
    for index, each in enumerate(value):
        yield from find_faults(each, shape, f"{place}[{index}]", strict=strict)


def _find_object_faults(
    value: Any, shape: dict[str, Any], place: str, *, strict: bool
) -> Iterator[tuple[str, str]]:
    if not isinstance(value, dict):
        yield place, "an object"
        return
    for name, inner in shape.items():
        field = name.rstrip("!")
        here = f"{place}.{field}"
        if value.get(field) is not None:
            yield from find_faults(value[field], inner, here, strict=strict)
        elif name != field:
            yield here, "there"
        elif strict and field in value and _is_container(inner):
            yield here, "a list" if isinstance(inner, list) else "an object"


def _is_container(shape: Any) -> bool:
    """Return True for a list, or an object that is no link: a link may be null."""
    return isinstance(shape, list) or (isinstance(shape, dict) and set(shape) != set(REFERENCE))
