"""
``docs/api.md``, read: its sections, their tables, their examples.

A section is the text below a heading of the third level. The head of a table's first column names
its kind: ``body field``, ``query parameter``, ``status``, ``answer field``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from jit.domain.errors import Malformed
from jit.domain.values.times import parse_duration, parse_instant

PAGE = Path(__file__).resolve().parent.parent / "docs" / "api.md"
ANY = "object with any fields"
BODY, QUERY, STATUS, ANSWER = "body field", "query parameter", "status", "answer field"

_HEADING = re.compile(r"^### (.+)$", re.MULTILINE)
_ROUTE = re.compile(r"(?:GET|POST|PUT|DELETE) /\S+")
_SPAN = re.compile(r"`([^`]+)`")
_OBJECT = re.compile(r"\[[^]]+\]\(#([\w-]+)\)")
_CELL = re.compile(r"(?<!\\)\|")


@dataclass(frozen=True)
class Section:
    """A section of the page: its heading, the text below it."""

    title: str
    text: str

    def rows(self, kind: str) -> list[list[str]]:
        """Return the rows of its tables of a *kind*, without their heads."""
        return [row for head, *rows in _read_tables(self.text) if head[0] == kind for row in rows]

    def names(self, kind: str) -> list[str]:
        """Return the code spans in the first column of these tables."""
        return [span for row in self.rows(kind) for span in _SPAN.findall(row[0])]

    def types(self) -> dict[str, str]:
        """Return the type of each field of its answer, as the table says it."""
        return {row[0].strip("`"): row[1] for row in self.rows(ANSWER)}

    def roles(self) -> list[str]:
        """Return the roles behind the word ``Roles``."""
        return re.findall(r"`(Jit\.\w+)`", self.text.partition("Roles: ")[2].partition("\n\n")[0])

    def blocks(self, language: str) -> list[str]:
        """Return its blocks of code in *language*."""
        return re.findall(rf"^```{language}\n(.*?)^```$", self.text, re.DOTALL | re.MULTILINE)

    def call(self) -> str:
        """Return its only block of shell."""
        (found,) = self.blocks("sh")
        return found

    def answer_to(self, status: int) -> str:
        """Return the title of the section with the fields of its answer with *status*."""
        (cell,) = (row[1] for row in self.rows(STATUS) if str(status) in _SPAN.findall(row[0]))
        return link_of(cell) or self.title

    def statuses(self) -> list[int]:
        """Return the statuses of its table."""
        return list(map(int, self.names(STATUS)))


def _read_tables(text: str) -> Iterator[list[list[str]]]:
    for table in re.findall(r"(?:^\|.*\|\n)+", f"{text}\n", re.MULTILINE):
        lines = [line.strip().strip("|") for line in table.splitlines()]
        rows = [[cell.strip() for cell in _CELL.split(line)] for line in lines]
        yield [rows[0], *rows[2:]]


@cache
def sections() -> dict[str, Section]:
    """Return all sections by their titles."""
    _, *parts = _HEADING.split(re.sub(r"^## .*$", "", PAGE.read_text(), flags=re.MULTILINE))
    return {
        title: Section(title, text) for title, text in zip(parts[::2], parts[1::2], strict=True)
    }


def routes() -> dict[str, Section]:
    """Return the sections of routes, in the order of the page."""
    return {title: each for title, each in sections().items() if _ROUTE.fullmatch(title)}


def link_of(cell: str) -> str:
    """Return the title of the section that *cell* links to; empty if there is no link."""
    link = _OBJECT.search(cell)
    titles = {title.lower().replace(" ", "-"): title for title in sections()}
    return titles[link[1]] if link else ""


# ---- answers -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Met:
    """
    A JSON object in an answer.

    Attributes:
        title: The section that has the table of its fields.
        path: Its path in that table; empty for a whole answer.
        value: The object.
    """

    title: str
    path: str
    value: Mapping[str, Any]

    def fields(self) -> dict[str, Any]:
        """Return the values of its fields by their paths."""
        types = sections()[self.title].types()
        return {_below(self.path, name, types): item for name, item in self.value.items()}

    def absent(self) -> set[str]:
        """Return the paths of fields that its table has and it has not."""
        types = sections()[self.title].types()
        own = {path for path in types if path.rpartition(".")[0] == self.path}
        return own - set(self.fields())


def meet(title: str, value: Any, path: str = "") -> Iterator[Met]:
    """Yield all objects of an answer; below a field with a link, those of the linked section."""
    if isinstance(value, list):
        for item in value:
            yield from meet(title, item, f"{path}[]")
    if isinstance(value, dict):
        met = Met(title, path, value)
        yield met
        types = sections()[title].types()
        for below, item in met.fields().items():
            if types.get(below, "").removesuffix(", optional") == ANY:
                continue
            linked = link_of(types.get(below, ""))
            for each in item if linked and isinstance(item, list) else [item]:
                yield from meet(linked or title, each, "" if linked else below)


def _below(path: str, name: str, types: Mapping[str, str]) -> str:
    any_name = f"{path}.<id>"
    return any_name if any_name in types else f"{path}.{name}" if path else name


def is_of_type(value: Any, text: str) -> bool:
    """Return True if *value* has the type that a table calls *text*."""
    plain = _OBJECT.sub("object", text.removesuffix(", optional"))
    plain = plain.replace("list of object", "list of objects")
    return any(_IS_OF[word](value) for word in plain.split(" or "))


def _is_list_of(kind: type) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list) and all(isinstance(each, kind) for each in value)


def _is_text(parse: Callable[[str], object]) -> Callable[[Any], bool]:
    def check(value: Any) -> bool:
        try:
            return isinstance(value, str) and parse(value) is not None
        except Malformed:
            return False

    return check


_IS_OF: dict[str, Callable[[Any], bool]] = {
    "string": lambda value: isinstance(value, str),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "boolean": lambda value: isinstance(value, bool),
    "instant": _is_text(parse_instant),
    "duration": _is_text(parse_duration),
    "object": lambda value: isinstance(value, dict),
    ANY: lambda value: isinstance(value, dict),
    "list": _is_list_of(dict),
    "list of objects": _is_list_of(dict),
    "list of integers": _is_list_of(int),
    "list of strings": _is_list_of(str),
    "null": lambda value: value is None,
}


# ---- bodies --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class BodyField:
    """A field of a body, as its JSON schema describes it."""

    is_required: bool
    schema: Mapping[str, Any]

    @property
    def bounds(self) -> set[str]:
        """The numbers, durations and words that bound its values, as a table must name them."""
        keys = ("minItems", "maxItems", "minLength", "maxLength", "minimum", "maximum")
        found = {str(self.schema[key]) for key in keys if key in self.schema}
        found |= {f"`{word}`" for word in self.schema.get("enum", ())}
        if self.schema.get("format") == "duration":
            found |= {f"`{word}`" for word in re.findall(r"PT\w+", self.schema["description"])}
        return found


def body_fields(schema: Mapping[str, Any], path: str = "") -> dict[str, BodyField]:
    """Return the fields of a schema by their paths: ``virtualMachines[].id``."""
    if "items" in schema:
        return body_fields(schema["items"], f"{path}[]")
    found: dict[str, BodyField] = {}
    for name, inner in schema.get("properties", {}).items():
        below = f"{path}.{name}" if path else name
        found[below] = BodyField(name in schema["required"], inner)
        found |= body_fields(inner, below)
    return found
