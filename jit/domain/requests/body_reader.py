"""One reader for every body: it fills a dataclass from JSON and collects all faults."""

from __future__ import annotations

from typing import Any, TypeVar

from jit.domain.errors import Violation
from jit.domain.limits import bound_violations
from jit.domain.requests.body_shape import Content, ListOf, ObjectOf, shape_of
from jit.domain.requests.fields import ReadContext
from jit.domain.requests.json_node import Node
from jit.domain.values.json_pointer import ROOT

T = TypeVar("T")


def read_body(
    kind: type[T], value: object, context: ReadContext
) -> tuple[T, tuple[Violation, ...]]:
    """
    Read a body.

    Args:
        kind: A dataclass as `jit.domain.requests.body_shape` wants it.
        value: As `json.loads` gives it.
        context: The limits; the present, if the body has a start.

    Returns:
        The good parts and all faults. If a field is missing or faulty, its attribute has its
        default, else None, or an empty list; a faulty object keeps its good parts. For each object
        the missing, unknown and refused fields come first, then the faults field by field.
    """
    root = Node(value, ROOT, [])
    body: T = _read_object(kind, root, context)
    return body, bound_violations(root.faults, context.limits)


def _read_object(kind: type, node: Node, context: ReadContext) -> Any:
    shape = shape_of(kind)
    present = node.read_fields(shape.required, shape.optional, shape.refused, shape.any_of)
    values: dict[str, object] = {shape.pointer: node.pointer} if shape.pointer else {}
    for part in shape.parts:
        field = present.get(part.name)
        value = _read(part.content, field, context) if field else None
        values[part.attribute] = part.absent if value is None else value
    return kind(**values)


def _read(content: Content, node: Node, context: ReadContext) -> object:
    if isinstance(content, ObjectOf):
        return _read_object(content.kind, node, context)
    if isinstance(content, ListOf):
        return _read_list(content, node, context)
    return content.read(node, context)


def _read_list(content: ListOf, node: Node, context: ReadContext) -> tuple[object, ...]:
    items, here, found = content.items, context.begin_list(), list[Any]()
    for item in node.read_items(items.name, most=getattr(context.limits, items.most)):
        value = _read(content.content, item, here)
        found.append(items.compare(item, value, found) if items.compare else value)
    return tuple(found)
