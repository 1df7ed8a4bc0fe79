"""A body that no route has, for tests of the reader, of shapes and of schemas."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from jit.domain.limits import Limits
from jit.domain.requests.fields import FLAG, POINTER, REASON, Items, ReadContext, Schema
from jit.domain.requests.json_node import Node
from jit.domain.requests.network_fields import PORT_NUMBER


class Word:
    """A text without a rule."""

    def read(self, node: Node, _context: ReadContext) -> str | None:
        return node.read_text()

    def describe(self, _limits: Limits) -> Schema:
        return {"type": "string"}


def keep_longer(node, word, earlier):
    """Note a word that is not longer than the one before; keep it in upper case."""
    previous = earlier[-1] if earlier else ""
    if word and previous and len(word) <= len(previous):
        node.add_fault("not-longer", f"{word} is not longer than {previous}")
    return word and word.upper()


WORD = Word()
WORDS = Items("words", most="ports", compare=keep_longer)
BOXES = Items("boxes", most="sources")


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """A box on a shelf."""

    number: Annotated[int | None, PORT_NUMBER, "Its number."]
    is_open: Annotated[bool, FLAG] = False
    place: Annotated[str, POINTER]


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """The label on a shelf."""

    long_text: Annotated[str | None, WORD]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelf:
    """
    A shelf with boxes.

    It has more to say than a schema needs.
    """

    REFUSED: ClassVar = ("weight",)

    first_boxes: Annotated[tuple[Box, ...], BOXES, "The front row."]
    reason: Annotated[str | None, REASON, "Why."] = None
    label: Label | None = None
    words: Annotated[tuple[Annotated[str | None, WORD], ...], WORDS]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """A body with an attribute that nobody can read."""

    number: int
