"""
The shape of a body: the JSON fields of a dataclass, from its annotations.

* ``Annotated[X, FIELD, "description"]``: a value of that field type
* ``Annotated[tuple[X, ...], ITEMS, "description"]``: a list; X is annotated in turn
* a dataclass, maybe ``| None``: an object, described by its docstring
* ``Annotated[str, POINTER]``: no field; it keeps the pointer of the object
* ``REFUSED``: a class variable with the JSON names of fields that are known and not supported
* ``ANY_OF``: a class variable with the JSON names of fields of which at least one is required

An attribute without a default is a required field. ``dry_run`` is ``dryRun`` in JSON.
"""

from __future__ import annotations

import dataclasses
from dataclasses import MISSING
from functools import cache
from typing import Annotated, Any, NamedTuple, get_args, get_origin, get_type_hints

from jit.domain.requests.fields import Field, Items, Pointer


class ObjectOf(NamedTuple):
    """An object, read into the dataclass *kind*."""

    kind: type


class ListOf(NamedTuple):
    """A list, and the content of its items."""

    items: Items
    content: Content


Content = Field | ObjectOf | ListOf


class Part(NamedTuple):
    """
    One field of a body.

    Attributes:
        attribute: Its name in Python.
        name: Its name in JSON.
        content: The field type.
        description: For the schema; empty if the annotation has none.
        required: True if a body without it is faulty.
        absent: The attribute's value if the field is missing or faulty.
    """

    attribute: str
    name: str
    content: Content
    description: str
    required: bool
    absent: object


class Shape(NamedTuple):
    """
    All fields of a body, in the order in which they are read.

    Attributes:
        parts: The fields.
        required: JSON names.
        optional: JSON names.
        refused: JSON names.
        any_of: JSON names.
        pointer: The attribute that keeps the object's pointer, if there is one.
    """

    parts: tuple[Part, ...]
    required: tuple[str, ...]
    optional: tuple[str, ...]
    refused: tuple[str, ...]
    any_of: tuple[str, ...]
    pointer: str | None


@cache
def shape_of(kind: type) -> Shape:
    """Return the shape of the dataclass *kind*; TypeError if an annotation names no field type."""
    hints = get_type_hints(kind, include_extras=True)
    marks = {name: _split(hint)[1] for name, hint in hints.items()}
    pointers = [name for name, mark in marks.items() if isinstance(mark, Pointer)]
    parts = tuple(
        _part(item, hints[item.name])
        for item in dataclasses.fields(kind)
        if item.name not in pointers
    )
    return Shape(
        parts=parts,
        required=tuple(part.name for part in parts if part.required),
        optional=tuple(part.name for part in parts if not part.required),
        refused=getattr(kind, "REFUSED", ()),
        any_of=getattr(kind, "ANY_OF", ()),
        pointer=next(iter(pointers), None),
    )


def _part(item: dataclasses.Field[Any], hint: object) -> Part:
    first, *others = item.name.split("_")
    value_type, _, description = _split(hint)
    required = item.default is MISSING
    missing = () if get_origin(value_type) is tuple else None
    return Part(
        attribute=item.name,
        name=first + "".join(word.capitalize() for word in others),
        content=_content(hint),
        description=description,
        required=required,
        absent=missing if required else item.default,
    )


def _content(hint: object) -> Content:
    value_type, mark, _ = _split(hint)
    if isinstance(mark, Items):
        return ListOf(mark, _content(get_args(value_type)[0]))
    if mark is not None:
        field: Field = mark
        return field
    kinds = [kind for kind in (value_type, *get_args(value_type)) if isinstance(kind, type)]
    bodies = [kind for kind in kinds if dataclasses.is_dataclass(kind)]
    if not bodies:
        raise TypeError(f"{hint} names no field type")
    return ObjectOf(bodies[0])


def _split(hint: object) -> tuple[object, Any, str]:
    """Return the type of an annotation, its field type if it has one, its description."""
    if get_origin(hint) is not Annotated:
        return hint, None, ""
    value_type, mark, *description = get_args(hint)
    return value_type, mark, "".join(description)
