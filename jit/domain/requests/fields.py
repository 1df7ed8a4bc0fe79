"""
Field types: how one value of a body is read, and how a schema describes it.

A body names them in ``Annotated``. A field type notes every fault at the node that it reads, and
returns None then. Bounds that settings may move are names of attributes of `Limits`.

Constraints are named tuples: to define a dataclass takes five times as long, at each cold start.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, NamedTuple, Protocol, TypeVar

from jit.domain.errors import Malformed
from jit.domain.limits import Limits
from jit.domain.requests.json_node import Node
from jit.domain.values import arm_ids, visible_text
from jit.domain.values.object_ids import parse_object_id
from jit.domain.values.times import format_duration, format_instant, parse_duration, parse_instant

TEXT_TOO_SHORT = "text-too-short"
TEXT_TOO_LONG = "text-too-long"
TEXT_NOT_ONE_LINE = "text-not-one-line"
TEXT_HIDDEN_CHARACTER = "text-hidden-character"
DURATION_TOO_SHORT = "duration-too-short"
DURATION_TOO_LONG = "duration-too-long"
START_IN_PAST = "start-in-past"
START_TOO_FAR = "start-too-far"

Schema = dict[str, Any]
"""A JSON schema, draft 2020-12, as a JSON object."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ReadContext:
    """
    The facts that a reading needs beside the body.

    Attributes:
        limits: The contract's numbers.
        now: Aware; None if the body has no start.
        seen: The identities of the earlier items of the innermost list; grows.
    """

    limits: Limits
    now: datetime | None = None
    seen: set[object] = field(default_factory=set)

    def begin_list(self) -> ReadContext:
        """Return the context for the items of one more list."""
        return replace(self, seen=set())

    def remember(self, identity: object) -> bool:
        """Keep *identity*; return True if no earlier item of the list has it."""
        known = identity in self.seen
        self.seen.add(identity)
        return not known


class Field(Protocol):
    """A field type. Its instances are module constants, so that ``Annotated`` can name them."""

    def read(self, node: Node, context: ReadContext, /) -> object | None:
        """Return the value at *node*; None if it is faulty, and the faults are noted there."""

    def describe(self, limits: Limits, /) -> Schema:
        """Return a schema that every value accepted under *limits* satisfies."""


class Pointer:
    """Marks the attribute that keeps the pointer of its object: no field of the JSON."""


class Items(NamedTuple):
    """
    Marks a list; the annotation of its items names their field type.

    Attributes:
        name: The word for the values in a fault.
        most: Attribute of `Limits`: the list has 1 to so many values.
        compare: Gets an item's node, its value and the values before it; notes a fault if they
            contradict each other; returns the value to keep.
    """

    name: str
    most: str
    compare: Callable[[Node, Any, Sequence[Any]], object] | None = None


class Line(NamedTuple):
    """
    One line of text that people can read, of *length*, an attribute of `Limits`.

    Spaces at its ends are dropped. At least so many characters are visible; at most so many Unicode
    code points are accepted. Control characters, line breaks of any kind, and characters that are
    hidden or reorder others are refused: a reader of the audit trail must see all of it.
    """

    length: str

    def read(self, node: Node, context: ReadContext) -> str | None:
        """Return the text without spaces at its ends."""
        text = node.read_text()
        if text is None:
            return None
        before = len(node.faults)
        _note_characters(node, text)
        text = text.strip()
        least, most = getattr(context.limits, self.length)
        visible = visible_text.count_visible(text)
        if visible < least:
            detail = f"visible characters: {visible}; write at least {least}"
            node.add_fault(TEXT_TOO_SHORT, detail)
        if len(text) > most:
            node.add_fault(TEXT_TOO_LONG, f"characters: {len(text)}; write at most {most}")
        return text if len(node.faults) == before else None

    def describe(self, limits: Limits) -> Schema:
        """Return the length without spaces at the ends, and the pattern of one line."""
        least, most = getattr(limits, self.length)
        return {
            "type": "string",
            "minLength": least,
            "maxLength": most,
            "pattern": f"^[^{visible_text.CONTROLS}]*$",
            "description": f"One line; visible characters: at least {least}. Spaces at its ends do "
            "not count.",
        }


def _note_characters(node: Node, text: str) -> None:
    """Note the characters of *text* that a line must not have, one fault of each kind."""
    breaks, hidden = visible_text.find_breaks(text), visible_text.find_hidden(text)
    if breaks:
        detail = f"write one line: remove {_name_first(text, breaks)}"
        node.add_fault(TEXT_NOT_ONE_LINE, detail)
    if hidden:
        detail = f"a reader would not see it: remove {_name_first(text, hidden)}"
        node.add_fault(TEXT_HIDDEN_CHARACTER, detail)


def _name_first(text: str, places: Sequence[int]) -> str:
    """Return the first of the characters at *places*, its place, and the number of the others."""
    first, more = places[0], len(places) - 1
    named = f"{visible_text.name_character(text[first])}, character {first + 1}"
    return f"{named}, and {more} more" if more else named


class Choice(NamedTuple):
    """One of *options*, in exactly this case; *code* and *detail* make the fault of another."""

    options: tuple[str, ...]
    code: str
    detail: str

    def read(self, node: Node, _context: ReadContext) -> str | None:
        """Return the text as it is."""
        text = node.read_text()
        if text is None or text in self.options:
            return text
        node.add_fault(self.code, self.detail)
        return None

    def describe(self, _limits: Limits) -> Schema:
        """Return the options as an enumeration."""
        return {"type": "string", "enum": list(self.options)}


class ObjectId:
    """The object id of a person in Entra ID."""

    def read(self, node: Node, _context: ReadContext) -> str | None:
        """Return the id in lower case."""
        return parse_text(node, parse_object_id)

    def describe(self, _limits: Limits) -> Schema:
        """Return the form."""
        return {"type": "string", "pattern": f"^{arm_ids.UUID}$"}


class Flag:
    """``true`` or ``false``."""

    def read(self, node: Node, _context: ReadContext) -> bool | None:
        """Return the flag."""
        return node.read_flag()

    def describe(self, _limits: Limits) -> Schema:
        """Return a boolean."""
        return {"type": "boolean"}


class Duration(NamedTuple):
    """An ISO 8601 duration from *shortest* to *longest*, which are attributes of `Limits`."""

    shortest: str
    longest: str

    def read(self, node: Node, context: ReadContext) -> timedelta | None:
        """Return the length."""
        length = parse_text(node, parse_duration)
        if length is None:
            return None
        shortest, longest = self._bounds(context.limits)
        if length < shortest:
            node.add_fault(DURATION_TOO_SHORT, f"the shortest is {format_duration(shortest)}")
            return None
        if length > longest:
            node.add_fault(DURATION_TOO_LONG, f"the longest is {format_duration(longest)}")
            return None
        return length

    def describe(self, limits: Limits) -> Schema:
        """Return the format; the bounds are in the description, for a schema cannot state them."""
        shortest, longest = map(format_duration, self._bounds(limits))
        text = f"Days, hours, minutes and seconds; from {shortest} to {longest}."
        return {"type": "string", "format": "duration", "description": text}

    def _bounds(self, limits: Limits) -> tuple[timedelta, timedelta]:
        return getattr(limits, self.shortest), getattr(limits, self.longest)


class StartTime:
    """An RFC 3339 instant from the present, with some grace, to the horizon."""

    def read(self, node: Node, context: ReadContext) -> datetime | None:
        """Return the instant, aware; ValueError if *context* has no present."""
        if context.now is None:
            raise ValueError("a start can only be read if the context has the present")
        instant = parse_text(node, parse_instant)
        if instant is None:
            return None
        if instant < context.now - context.limits.start_grace:
            detail = f"a start lies in the future; it is {format_instant(context.now)}"
            node.add_fault(START_IN_PAST, detail)
            return None
        latest = context.now + context.limits.start_horizon
        if instant > latest:
            detail = f"the latest start accepted now is {format_instant(latest)}"
            node.add_fault(START_TOO_FAR, detail)
            return None
        return instant

    def describe(self, limits: Limits) -> Schema:
        """Return the format; the horizon is in the description."""
        text = f"With a zone; at most {format_duration(limits.start_horizon)} ahead."
        return {"type": "string", "format": "date-time", "description": text}


def parse_text(node: Node, parse: Callable[[str], T]) -> T | None:
    """Read a string that *parse* accepts, or note its `Malformed`."""
    text = node.read_text()
    if text is None:
        return None
    try:
        return parse(text)
    except Malformed as fault:
        node.add_fault(fault.code, str(fault))
        return None


POINTER = Pointer()
OBJECT_ID = ObjectId()
FLAG = Flag()
DURATION = Duration("shortest", "longest")
START_TIME = StartTime()
JUSTIFICATION = Line("justification")
REASON = Line("reason")
TICKET_SYSTEM = Line("ticket_system")
TICKET_ID = Line("ticket_id")
