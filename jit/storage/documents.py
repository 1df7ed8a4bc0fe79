"""
Documents: values as JSON under explicit stored names, in parts of a row.

A `ColumnMap` names each stored column, the field that it stands for, and how the value is written.
No stored name is taken from an attribute: a field can be renamed, and rows of yesterday are still
read. A row carries the number of its format. A new column with a default keeps the number. The
number grows if older versions would misunderstand the row.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from ipaddress import ip_network
from operator import attrgetter
from typing import Any, Generic, TypeVar

from jit import telemetry
from jit.domain.errors import Defect
from jit.storage.keys import read_stamp, write_stamp
from jit.storage.table import Row

FORMAT = "Format"
"""Property of a row: the number of its format. A row without it has format 1."""

DOCUMENT = "Doc"
"""Property that holds a document; ``Doc1``, ``Doc2``, … hold the parts after the first."""

PART = 30_000
"""Characters of a property: the service takes 64 KiB of UTF-16."""

LARGEST = 450_000
"""Characters of a document in its parts: a row takes 1 MiB of UTF-16."""

T = TypeVar("T")


# ---- how a value is written ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Form:
    """How a field's value stands in JSON: *write* turns it into JSON, *read* turns it back."""

    read: Callable[[Any], Any]
    write: Callable[[Any], Any]


def _keep(value: Any) -> Any:
    return value


def _read_span(seconds: float) -> timedelta:
    return timedelta(seconds=seconds)


PLAIN = Form(_keep, _keep)
INSTANT = Form(read_stamp, write_stamp)
SPAN = Form(_read_span, timedelta.total_seconds)
PREFIX = Form(ip_network, str)


def enum(kind: type[StrEnum]) -> Form:
    """Return the form of a member of *kind*: its value."""
    return Form(kind, str)


def optional(form: Form) -> Form:
    """Return the form of a value that may be None: null."""
    return Form(
        lambda stored: None if stored is None else form.read(stored),
        lambda value: None if value is None else form.write(value),
    )


def blank(form: Form) -> Form:
    """Return the form of a value that may be None: empty text, because a property has no null."""
    return Form(
        lambda stored: form.read(stored) if stored else None,
        lambda value: "" if value is None else form.write(value),
    )


def several(form: Form) -> Form:
    """Return the form of a tuple: a list."""
    return Form(lambda stored: tuple(map(form.read, stored)), lambda v: list(map(form.write, v)))


def by_position(kind: type[Any], **forms: Form) -> Form:
    """Return the form of a *kind*: a list with the named fields in this order."""

    def read(stored: Sequence[Any]) -> Any:
        pairs = zip(forms.items(), stored, strict=True)
        return kind(**{field: form.read(value) for (field, form), value in pairs})

    def write(value: Any) -> list[Any]:
        return [form.write(getattr(value, field)) for field, form in forms.items()]

    return Form(read, write)


TEXTS = Form(tuple, list)


def _read_noted(stored: str) -> dict[str, datetime]:
    pairs = (item.partition("=") for item in stored.split())
    return {name: INSTANT.read(at) for name, _, at in pairs}


def _write_noted(noted: Mapping[str, datetime]) -> str:
    text = " ".join(f"{name}={INSTANT.write(at)}" for name, at in noted.items())
    return text if len(text) <= PART else text[:PART].rpartition(" ")[0]


NOTED = Form(_read_noted, _write_noted)
"""Instants by names without spaces, as one property: the first ones, as many as it takes."""

PREFIXES = several(PREFIX)


# ---- which column stands for which field ---------------------------------------------------------

REQUIRED: Any = object()
"""In the place of a default: every version wrote the column."""


@dataclass(frozen=True, slots=True)
class Column:
    """
    One column: a stored name and the field that it stands for.

    Attributes:
        name: As stored. It never changes.
        field: Name of the field.
        form: How the value is written.
        default: The field's value if an older version did not write the column. Without a default
            the column is required.
        group: Name of the field that holds the grouped value with the field; empty without one.
        is_sparse: True if a default is not written, because most values have it and many are
            stored at once. No version may read another default for it.
    """

    name: str
    field: str
    form: Form = PLAIN
    default: Any = REQUIRED
    group: str = ""
    is_sparse: bool = False

    @property
    def path(self) -> str:
        """The way from the value to the field, for ``attrgetter``."""
        return f"{self.group}.{self.field}" if self.group else self.field


def group_columns(group: str, *columns: Column) -> tuple[Column, ...]:
    """Return *columns* as those of the grouped value in the field *group*."""
    return tuple(replace(column, group=group) for column in columns)


class ColumnMap(Generic[T]):
    """All columns of one kind of value."""

    def __init__(self, kind: type[T], *columns: Column, **groups: type[Any]) -> None:
        """*groups* are the classes of grouped values, by the field that holds the group."""
        self.columns = columns
        self._kind = kind
        self._groups = groups
        self._writers = [(c, attrgetter(c.path)) for c in columns]

    @property
    def form(self) -> Form:
        """The form of such a value inside another document: a JSON object."""
        return Form(self.read, self.write)

    def write(self, value: T) -> dict[str, Any]:
        """Return the columns of *value* by their stored names."""
        fields = ((column, get(value)) for column, get in self._writers)
        return {
            column.name: column.form.write(field)
            for column, field in fields
            if not column.is_sparse or field != column.default
        }

    def read(self, stored: Mapping[str, Any], **others: Any) -> T:
        """
        Return the value that ``write`` wrote, in this version or an older one.

        *others* are fields that no column stands for. Columns that the map does not know are left
        out: a newer version wrote them.

        Raises:
            LookupError, TypeError, ValueError: A required column is missing, or a value is wrong.
        """
        fields: dict[str, dict[str, Any]] = {group: {} for group in ("", *self._groups)}
        for column in self.columns:
            fields[column.group][column.field] = _read_column(column, stored)
        own = fields.pop("")
        grouped = {group: self._groups[group](**values) for group, values in fields.items()}
        return self._kind(**own, **grouped, **others)


def _read_column(column: Column, stored: Mapping[str, Any]) -> Any:
    if column.name in stored:
        return column.form.read(stored[column.name])
    if column.default is REQUIRED:
        raise KeyError(column.name)
    return column.default


# ---- parts of a row ------------------------------------------------------------------------------


def write_document(document: Any, **options: Any) -> dict[str, str]:
    """
    Return *document* as JSON in the properties ``Doc``, ``Doc1``, … of a row.

    The rules of ten ports behind several interfaces, the policies of ninety VMs, a long denial:
    each outgrows the 64 KiB of one property (Learn, "Understanding the Table service data model").
    *options* are those of ``json.dumps``.
    """
    return write_text(json.dumps(document, **options))


def write_text(text: str, name: str = DOCUMENT) -> dict[str, str]:
    """Return JSON, ASCII only, in the properties ``Doc``, ``Doc1``, … of a row, or under *name*."""
    parts = [text[start : start + PART] for start in range(0, len(text), PART)]
    return {f"{name}{number or ''}": part for number, part in enumerate(parts)}


def read_document(row: Row) -> Any:
    """Return the document of a row."""
    return json.loads(read_text(row))


def read_text(row: Row, name: str = DOCUMENT) -> str:
    """Return the text of a row's document, or of the one under *name*: all its parts as one."""
    numbers = (int(each.removeprefix(name) or 0) for each in row.values if each.startswith(name))
    return "".join(str(row.values[f"{name}{number or ''}"]) for number in sorted(numbers))


# ---- formats -------------------------------------------------------------------------------------

OnUnreadable = Callable[[Row, Defect], None]
"""Called with a row that this version cannot read, and the reason."""


@dataclass(frozen=True, slots=True)
class RowKind:
    """
    A kind of row, with the newest of its formats that this version reads.

    Attributes:
        name: For messages to people.
        newest: The format that this version writes.
    """

    name: str
    newest: int = 1

    def add_format(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the properties of a row with the number of its format."""
        return {**values, FORMAT: self.newest}

    def read(self, row: Row, reader: Callable[[Row], T]) -> T:
        """
        Return the result of *reader* for a row.

        Raises:
            Defect: The row has a format that only a newer version reads, or it is broken.
        """
        stored = row.values.get(FORMAT, 1)
        if not isinstance(stored, int) or stored > self.newest:
            known = f"this version reads {self.name} up to format {self.newest}"
            raise Defect(f"row {row.key} has format {stored}; {known}")
        try:
            return reader(row)
        except (LookupError, TypeError, ValueError) as error:
            raise Defect(f"row {row.key} of {self.name} cannot be read") from error

    def read_all(
        self, rows: Iterable[Row], reader: Callable[[Row], T], alert: OnUnreadable | None = None
    ) -> Iterator[T]:
        """Yield the results for the rows that can be read; raise an alert for each other row."""
        for row in rows:
            try:
                yield self.read(row, reader)
            except Defect as error:
                (alert or alert_unreadable)(row, error)


def alert_unreadable(row: Row, error: Defect) -> None:
    """Raise an alert for a row that this version cannot read."""
    telemetry.alert("row.unreadable", partition=row.partition, key=row.key, reason=str(error))
