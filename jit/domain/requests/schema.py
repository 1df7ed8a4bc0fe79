"""The JSON schema of a body (draft 2020-12, as OpenAPI 3.1 takes it), from the same annotations."""

from __future__ import annotations

from jit.domain.limits import LIMITS, Limits
from jit.domain.requests.body_shape import Content, ListOf, ObjectOf, Part, shape_of
from jit.domain.requests.fields import Schema


def schema_of(kind: type, limits: Limits = LIMITS) -> Schema:
    """
    Return the schema of the dataclass *kind*.

    Every body that the reader accepts under *limits* satisfies it, with one exception: here, spaces
    at the ends of a line count. The reader is stricter: a schema cannot compare values, and it
    cannot measure durations.
    """
    shape = shape_of(kind)
    any_of = [{"required": [name]} for name in shape.any_of]
    return {
        "type": "object",
        "description": (kind.__doc__ or "").strip().partition("\n")[0],
        "properties": {part.name: _describe_part(part, limits) for part in shape.parts},
        "required": list(shape.required),
        "additionalProperties": False,
        **({"anyOf": any_of} if any_of else {}),
    }


def _describe_part(part: Part, limits: Limits) -> Schema:
    schema = _describe(part.content, limits)
    texts = (part.description, schema.get("description", ""))
    if any(texts):
        schema["description"] = " ".join(filter(None, texts))
    if part.absent not in (None, ()):
        schema["default"] = part.absent
    return schema


def _describe(content: Content, limits: Limits) -> Schema:
    if isinstance(content, ObjectOf):
        return schema_of(content.kind, limits)
    if isinstance(content, ListOf):
        most = getattr(limits, content.items.most)
        inner = _describe(content.content, limits)
        return {"type": "array", "minItems": 1, "maxItems": most, "items": inner}
    return content.describe(limits)
