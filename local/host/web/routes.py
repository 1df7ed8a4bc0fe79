"""
Route templates: parsed, matched, and compared with each other.

The rules are those of ASP.NET Core routing as the Functions host uses it
(``WebScriptHostHttpRoutesManager`` in Azure/azure-functions-host): letter case
and a trailing slash do not count, a method that a function does not list makes
its route not match (404, never 405), and the first match in the order of
function names wins, parameter or not. ``hides`` finds templates for which that order matters.
https://learn.microsoft.com/aspnet/core/fundamentals/routing
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from urllib.parse import unquote

_PART = re.compile(r"\{([^{}]*)\}|([^{}]+)")
_PARAMETER = re.compile(
    r"(?P<rest>\*{0,2})(?P<name>[A-Za-z_]\w*)(?P<constraints>(?::[a-z]+(?:\([^()]*\))?)*)(?P<optional>\??)"
)
_CONSTRAINT = re.compile(r":([a-z]+)(?:\(([^()]*)\))?")
_ENCODED_SLASH = re.compile("%2f", re.IGNORECASE)
_WHOLE = r"[+-]?\d+"
_PATTERNS = {
    "alpha": r"[A-Za-z]+",
    "bool": r"(?i:true|false)",
    "decimal": r"[+-]?\d+(?:\.\d+)?",
    "double": r"[+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?",
    "float": r"[+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?",
    "guid": r"\{?[0-9A-Fa-f]{8}-?(?:[0-9A-Fa-f]{4}-?){3}[0-9A-Fa-f]{12}\}?",
    "int": _WHOLE,
    "long": _WHOLE,
    "required": r".+",
}
_BITS = {"int": 31, "long": 63}

Check = Callable[[str], bool]


class BadTemplate(ValueError):
    """The text is not a route template, or one that this host cannot match."""


@dataclass(frozen=True, slots=True)
class Segment:
    """
    One part of a template between slashes.

    Attributes:
        text: As written, for comparison and messages.
        parameter: Its parameter's name; None for a literal.
        checks: Conditions on the parameter's value.
        optional: The path may end before it.
        rest: It takes all that is left of the path, slashes included.
    """

    text: str
    parameter: str | None = None
    checks: tuple[Check, ...] = ()
    optional: bool = False
    rest: bool = False

    def accepts(self, value: str) -> bool:
        """Return True if *value*, one segment of a path (or its rest), fits here."""
        if self.parameter is None:
            return value.casefold() == self.text.casefold()
        return bool(value) and all(check(value) for check in self.checks)


@dataclass(frozen=True, slots=True)
class Template:
    """A parsed route template."""

    text: str
    segments: tuple[Segment, ...]

    def match(self, path: Sequence[str]) -> dict[str, str] | None:
        """
        Return the parameters that *path* gives; None if it does not match.

        Args:
            path: The segments that ``split`` returns.
        """
        found: dict[str, str] = {}
        whole = path[:-1] if path[-1:] == [""] else path  # a trailing slash is no segment
        for position, segment in enumerate(self.segments):
            if segment.rest:
                return _add_rest(found, segment, path[position:])
            if position == len(whole):
                return found if segment.optional else None
            if not segment.accepts(whole[position]):
                return None
            if segment.parameter is not None:
                found[segment.parameter] = whole[position]
        return found if len(whole) <= len(self.segments) else None

    def hides(self, other: Template) -> bool:
        """
        Return True if this template, tried first, takes paths that *other* is better for.

        A literal is better than a parameter, a parameter than the rest of the path.
        """
        return self.overlaps(other) and not self._is_better_than(other)

    def overlaps(self, other: Template) -> bool:
        """Return True if some path matches both."""
        for mine, theirs in zip(self.segments, other.segments, strict=False):
            if mine.rest or theirs.rest:
                return True
            if not _may_meet(mine, theirs):
                return False
        mine_left = self.segments[len(other.segments) :]
        theirs_left = other.segments[len(self.segments) :]
        return all(segment.optional or segment.rest for segment in (*mine_left, *theirs_left))

    def _is_better_than(self, other: Template) -> bool:
        for mine, theirs in zip(self.segments, other.segments, strict=False):
            if _weigh(mine) != _weigh(theirs):
                return _weigh(mine) < _weigh(theirs)
        return False


def parse(text: str) -> Template:
    """
    Read the route template *text*, without its prefix.

    Raises:
        BadTemplate: It is malformed, names a parameter twice, or mixes literal
            text with a parameter in one segment, which this host does not match.
    """
    if text.startswith(("/", "~")) or "//" in text or "?" in re.sub(r"\{[^{}]*\}", "", text):
        raise BadTemplate(f"{text!r} is not a relative route template")
    segments = tuple(_parse_segment(part) for part in text.strip("/").split("/") if part)
    names = [s.parameter.casefold() for s in segments if s.parameter is not None]
    if len(set(names)) < len(names):
        raise BadTemplate(f"{text!r} names a parameter twice")
    if any(segment.rest for segment in segments[:-1]):
        raise BadTemplate(f"{text!r} goes on after the rest of the path")
    if any(a.optional and not (b.optional or b.rest) for a, b in pairwise(segments)):
        raise BadTemplate(f"{text!r} goes on after an optional parameter")
    return Template(text, segments)


def split(path: str) -> list[str]:
    """
    Split the *path* of a URL at its slashes, as Kestrel and the router see it.

    Percent escapes are decoded, except ``%2F``; ``.`` and ``..`` are resolved. A trailing slash
    gives an empty last segment; the path ``/`` gives one empty segment.

    Raises:
        ValueError: The escapes are not UTF-8, or hide a NUL.
    """
    decoded = "%2F".join(unquote(part, errors="strict") for part in _ENCODED_SLASH.split(path))
    if "\0" in decoded:
        raise ValueError("a path cannot hold a NUL")
    given = decoded.removeprefix("/").split("/")
    segments: list[str] = []
    for segment in given:
        if segment == "..":
            del segments[-1:]
        elif segment != ".":
            segments.append(segment)
    return [*segments, ""] if given[-1] in {".", ".."} else segments


def _add_rest(
    found: dict[str, str], segment: Segment, left: Sequence[str]
) -> dict[str, str] | None:
    """Return *found* with the rest of the path, trailing slash included, for ``{*rest}``."""
    value = "/".join(left)
    if not value:
        return None if segment.checks else found
    if left[0] and segment.accepts(value):
        return found | {segment.parameter or "": value}
    return None


def _parse_segment(text: str) -> Segment:
    parts = _PART.findall(text)
    if "".join(f"{{{name}}}" if name else literal for name, literal in parts) != text:
        raise BadTemplate(f"{text!r} has braces that do not match")
    if len(parts) > 1:
        raise BadTemplate(
            f"{text!r} mixes a parameter with other text, which is not supported here"
        )
    name, literal = parts[0]
    return Segment(literal) if literal else _parse_parameter(text, name)


def _parse_parameter(text: str, inside: str) -> Segment:
    match = _PARAMETER.fullmatch(inside)
    if match is None:
        raise BadTemplate(f"{text!r} is not a route parameter that is supported here")
    return Segment(
        text=text,
        parameter=match["name"],
        checks=tuple(_parse_checks(match["constraints"])),
        optional=bool(match["optional"]),
        rest=bool(match["rest"]),
    )


def _parse_checks(constraints: str) -> Iterator[Check]:
    for name, argument in _CONSTRAINT.findall(constraints):
        if name in _PATTERNS:
            yield _check_pattern(_PATTERNS[name], _BITS.get(name))
        elif name in _SIZED:
            yield _check_size(name, argument)
        elif name == "regex":
            yield _check_regex(argument)
        else:
            raise BadTemplate(f"{name!r} is not a route constraint that is supported here")


def _check_pattern(pattern: str, bits: int | None) -> Check:
    compiled = re.compile(pattern, re.ASCII)

    def check(value: str) -> bool:
        if compiled.fullmatch(value) is None:
            return False
        return bits is None or -(2**bits) <= int(value) < 2**bits

    return check


def _check_regex(argument: str) -> Check:
    try:
        compiled = re.compile(argument, re.IGNORECASE)
    except re.error as error:
        raise BadTemplate(f"{argument!r} is not a regular expression") from error
    return lambda value: compiled.search(value) is not None


def _check_size(name: str, argument: str) -> Check:
    try:
        limits = [int(limit) for limit in argument.split(",")]
        return _SIZED[name](*limits)
    except (TypeError, ValueError) as error:
        raise BadTemplate(f"{name}({argument}) needs whole numbers") from error


def _check_length(least: int, most: int | None = None) -> Check:
    return lambda value: least <= len(value) <= (least if most is None else most)


def _check_range(least: float, most: float) -> Check:
    whole = re.compile(_WHOLE, re.ASCII)
    return lambda value: whole.fullmatch(value) is not None and least <= int(value) <= most


_SIZED: Mapping[str, Callable[..., Check]] = {
    "length": _check_length,
    "max": lambda most: _check_range(float("-inf"), most),
    "maxlength": lambda most: _check_length(0, most),
    "min": lambda least: _check_range(least, float("inf")),
    "minlength": lambda least: lambda value: len(value) >= least,
    "range": _check_range,
}


def _may_meet(mine: Segment, theirs: Segment) -> bool:
    """Return True if some value may fit both; two different constraints count as apart."""
    if mine.parameter is None:
        return theirs.accepts(mine.text)
    if theirs.parameter is None:
        return mine.accepts(theirs.text)
    apart = (
        bool(mine.checks)
        and bool(theirs.checks)
        and _constraint_text(mine) != _constraint_text(theirs)
    )
    return not apart


def _constraint_text(segment: Segment) -> str:
    return segment.text.partition(":")[2]


def _weigh(segment: Segment) -> int:
    """Return how eagerly *segment* takes values: literal, constrained, free, rest."""
    if segment.parameter is None:
        return 0
    if segment.rest:
        return 3
    return 1 if segment.checks else 2
