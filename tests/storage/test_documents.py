"""Documents: explicit names, parts that fit a property, formats that a version can read."""

import json
import logging
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jit.domain.errors import Defect
from jit.storage import documents
from jit.storage.documents import Column, ColumnMap, RowKind
from jit.storage.table import Row


@dataclass(frozen=True)
class Inner:
    size: int


@dataclass(frozen=True)
class Outer:
    name: str
    inner: Inner
    tags: tuple[str, ...] = field(default=())


MAP = ColumnMap(
    Outer,
    Column("n", "name"),
    *documents.group_columns("inner", Column("s", "size", default=7)),
    Column("t", "tags", documents.TEXTS, default=()),
    inner=Inner,
)
KIND = RowKind("things", newest=2)
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def a_row(**values):
    return Row(partition="p", key="k", values=values)


# ---- maps ----------------------------------------------------------------------------------------


def test_stored_names_are_the_names_of_the_map():
    """A field can be renamed, and rows of yesterday are still read."""
    value = Outer("a", Inner(1), ("x",))

    assert MAP.write(value) == {"n": "a", "s": 1, "t": ["x"]}
    assert MAP.read({"n": "a", "s": 1, "t": ["x"]}) == value


def test_a_missing_column_has_its_default():
    """An older version did not write it."""
    assert MAP.read({"n": "a"}) == Outer("a", Inner(7))


def test_a_missing_column_without_a_default_is_an_error():
    """Nothing is guessed."""
    with pytest.raises(KeyError):
        MAP.read({"s": 1})


def test_a_list_by_position_with_too_few_values_is_an_error():
    """A missing value must not shift the others."""
    form = documents.by_position(Inner, size=documents.PLAIN)

    assert form.read([3]) == Inner(3)
    with pytest.raises(ValueError, match="shorter"):
        form.read([])


@pytest.mark.parametrize(("form", "nothing"), [(documents.optional, None), (documents.blank, "")])
def test_a_value_that_may_be_missing_is_read_as_none(form, nothing):
    """JSON has null; a property of a row has empty text."""
    instant = form(documents.INSTANT)

    assert (instant.write(None), instant.read(nothing)) == (nothing, None)


# ---- parts ---------------------------------------------------------------------------------------


@given(st.integers(0, 400_000))
def test_a_document_of_any_length_is_read_as_it_was_written(length):
    """Each part fits one property."""
    values = documents.write_document("é" * (length // 6))

    assert documents.read_document(a_row(**values)) == "é" * (length // 6)
    assert max(map(len, values.values())) <= documents.PART


@pytest.mark.parametrize("count", [0, 1, 545, 546, 5000])
def test_notes_fit_one_property_and_the_first_ones_are_kept(count):
    """A row that the table refuses would keep its lease."""
    noted = {f"{number:026d}": NOON for number in range(count)}

    text = documents.NOTED.write(noted)

    assert len(text) <= documents.PART
    assert documents.NOTED.read(text) == dict(list(noted.items())[:545])


# ---- formats -------------------------------------------------------------------------------------


def test_a_written_row_carries_the_newest_format():
    """Another version can tell whether it understands the row."""
    assert KIND.add_format({"A": 1}) == {"A": 1, "Format": 2}


@pytest.mark.parametrize("values", [{}, {"Format": 1}, {"Format": 2}])
def test_a_row_of_a_known_format_is_read(values):
    """Rows of the first version have no number."""
    assert KIND.read(a_row(**values), lambda row: row.key) == "k"


@pytest.mark.parametrize("stored", [3, "2", "newer"])
def test_a_row_of_a_newer_format_is_a_defect(stored):
    """The message names the row and the format."""
    with pytest.raises(Defect, match=f"row k has format {stored}; this version reads things up"):
        KIND.read(a_row(Format=stored), lambda row: row.key)


@pytest.mark.parametrize("error", [KeyError("x"), TypeError("x"), ValueError("x")])
def test_a_broken_row_is_a_defect(error):
    """The row stays as it is."""

    def fail(_):
        raise error

    with pytest.raises(Defect, match="row k of things cannot be read"):
        KIND.read(a_row(), fail)


def test_an_unreadable_row_is_one_alert_and_stops_no_other(caplog):
    """The other rows of a list are read."""
    rows = [a_row(A=1), a_row(Format=3), a_row(A=2)]

    assert list(KIND.read_all(rows, lambda row: row.values["A"])) == [1, 2]
    (record,) = caplog.records
    event = json.loads(record.getMessage())
    assert (record.levelno, event["event"], event["key"]) == (logging.ERROR, "row.unreadable", "k")
