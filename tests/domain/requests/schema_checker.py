"""A checker of JSON schemas, for as much of draft 2020-12 as the bodies use."""

import re

_TYPES = {"object": dict, "array": list, "string": str, "integer": int, "boolean": bool}
_FORMATS = {
    "duration": re.compile(r"P(?=.)(\d+D)?(T(?=.)(\d+H)?(\d+M)?(\d+(\.\d+)?S)?)?"),
    "date-time": re.compile(r"(?i)\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)"),
}
_RULES = {
    "enum": lambda value, options: value in options,
    "minLength": lambda value, least: len(value) >= least,
    "maxLength": lambda value, most: len(value) <= most,
    "pattern": lambda value, pattern: re.search(pattern, value) is not None,
    "format": lambda value, name: _FORMATS[name].fullmatch(value) is not None,
    "minimum": lambda value, least: value >= least,
    "maximum": lambda value, most: value <= most,
    "minItems": lambda value, least: len(value) >= least,
    "maxItems": lambda value, most: len(value) <= most,
    "required": lambda value, names: set(names) <= set(value),
    "anyOf": lambda value, options: any(set(each["required"]) <= set(value) for each in options),
}
_NOTES = {"type", "description", "default", "properties", "items", "additionalProperties"}


def find_breaches(schema, value, pointer="#"):
    """Each place at which *value* breaks *schema*, and the keyword; ValueError if it is unknown."""
    unknown = set(schema) - _NOTES - set(_RULES)
    if unknown:
        raise ValueError(f"the checker does not know {unknown}")
    kind = _TYPES[schema["type"]]
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is int):
        return [(pointer, "type")]
    found = [
        (pointer, keyword)
        for keyword, rule in _RULES.items()
        if keyword in schema and not rule(value, schema[keyword])
    ]
    return found + [breach for place in _below(schema, value, pointer) for breach in place]


def _below(schema, value, pointer):
    """The breaches of each value in an object or a list."""
    if isinstance(value, dict):
        known = schema["properties"]
        for name in value:
            inner = f"{pointer}/{name}"
            if name in known:
                yield find_breaches(known[name], value[name], inner)
            elif schema["additionalProperties"] is False:
                yield [(inner, "additionalProperties")]
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield find_breaches(schema["items"], item, f"{pointer}/{index}")


def break_each(schema, value, pointer="#"):
    """
    Copies of *value*, each with one breach of *schema*.

    Yields:
        The keyword, the pointer at which the reader must find a fault, the copy.
    """
    yield "type", pointer, None
    for keyword, spoil in _BREAKS.items():
        if keyword in schema:
            yield keyword, pointer, spoil(value, schema[keyword])
    for name in schema.get("required", ()):
        kept = {key: item for key, item in value.items() if key != name}
        yield "required", f"{pointer}/{name}", kept
    if "anyOf" in schema:
        names = [name for option in schema["anyOf"] for name in option["required"]]
        kept = {key: item for key, item in value.items() if key not in names}
        yield "anyOf", f"{pointer}/{names[0]}", kept
    if schema.get("additionalProperties") is False:
        yield "additionalProperties", f"{pointer}/surprise", {**value, "surprise": 1}
    yield from _break_inside(schema, value, pointer)


def _break_inside(schema, value, pointer):
    for name, inner in schema.get("properties", {}).items():
        for keyword, place, changed in break_each(inner, value[name], f"{pointer}/{name}"):
            yield keyword, place, {**value, name: changed}
    if "items" in schema:
        for keyword, place, changed in break_each(schema["items"], value[0], f"{pointer}/0"):
            yield keyword, place, [changed, *value[1:]]


_BREAKS = {
    "enum": lambda _value, _options: "neither of them",
    "minLength": lambda _value, least: "x" * (least - 1),
    "maxLength": lambda _value, most: "x" * (most + 1),
    "pattern": lambda _value, _pattern: "two\nlines",
    "format": lambda _value, _name: "soon",
    "minimum": lambda _value, least: least - 1,
    "maximum": lambda _value, most: most + 1,
    "minItems": lambda _value, _least: [],
    "maxItems": lambda value, most: value * (most + 1),
}
