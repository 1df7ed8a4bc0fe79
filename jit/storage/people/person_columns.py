"""Stored columns of a person, as rows of requests and grants have them."""

from __future__ import annotations

from jit.domain.model.people import Kind, Person
from jit.storage.documents import Column, ColumnMap, enum

_NAMED = (Column("id", "id"), Column("name", "name"))

PERSON = ColumnMap(Person, *_NAMED)
REQUESTER = ColumnMap(Person, *_NAMED, Column("display", "display_name", default=None))
CALLER = ColumnMap(Person, *_NAMED, Column("kind", "kind", enum(Kind), default=Kind.PERSON))
