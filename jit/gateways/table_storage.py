"""
Azure Table Storage.

Every write names the version it saw: an insert fails if the row exists, replaces and deletes carry
the ETag. Leases are aged by the service's own clock (the ``Date`` header), not by an instance's.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from azure.core import MatchConditions
from azure.core.exceptions import (
    AzureError,
    HttpResponseError,
    ResourceExistsError,
    ResourceNotFoundError,
    ServiceRequestError,
)
from azure.data.tables import TableClient, UpdateMode

from jit.domain.errors import Defect, StateConflict, Unavailable, Unknown
from jit.storage.table import COMPARISONS, ROW_KEY, Op, Page, Row, Verb, Where

if TYPE_CHECKING:
    from azure.core.pipeline import PipelineResponse

TIMING: Mapping[str, Any] = {"retry_total": 2, "connection_timeout": 3, "read_timeout": 10}
"""Seconds, and how often the SDK repeats what failed: for a few seconds, then the queue's turn."""

_RETRYABLE = {408, 429, 500, 502, 503, 504}
_CONFLICTS = {409, 412}
_ERRORS, _NOT_FOUND = 400, 404
_SHUT = {401, 403}
_PAGE = 1000  # the service's own limit
_OPERATIONS = 100  # the same
_INTEGER = range(-(2**31), 2**31)  # Edm.Int32: the SDK writes an int so
_FORBIDDEN = re.compile(r"[/\\#?\x00-\x1f\x7f-\x9f]")


class StorageTable:
    """A ``Table`` over Azure Table Storage; creates the table when it is missing."""

    def __init__(self, client: TableClient) -> None:
        """Use *client*, which names the table."""
        self._client = client

    def get(self, partition: str, key: str) -> Row | None:
        """Return one row; None if there is none, or no table yet."""
        _check_keys(partition, key)
        answer = _Answer()
        try:
            with _errors(writes=False):
                found = self._client.get_entity(partition, key, raw_response_hook=answer)
        except _Missing:
            return None
        return _row(found, answer.date)

    def query(self, where: Where, *, limit: int = _PAGE, token: str | None = None) -> Page:
        """Return one page."""
        answer = _Answer()
        text, values = _filter(where)
        try:
            with _errors(writes=False):
                pages = self._client.query_entities(
                    text,
                    parameters=values,
                    results_per_page=min(limit, _PAGE),
                    raw_response_hook=answer,
                ).by_page(json.loads(token) if token else None)
                rows = tuple(_row(entity, answer.date) for entity in next(pages, ()))
        except _Missing:
            return Page(rows=())
        following = getattr(pages, "continuation_token", None)
        return Page(rows=rows, token=json.dumps(following) if following else None)

    def write(self, ops: Sequence[Op]) -> tuple[str, ...]:
        """Do all of *ops* or none; return the etags written."""
        _check(ops)
        try:
            return self._write(ops)
        except _TableMissing:
            self._create()
        try:
            return self._write(ops)
        except _TableMissing as error:
            raise Unavailable("a table is being deleted") from error

    def _write(self, ops: Sequence[Op]) -> tuple[str, ...]:
        with _errors(writes=True):
            if len(ops) == 1:
                return (self._single(ops[0]),)
            done = self._client.submit_transaction([_operation(op) for op in ops])
            return tuple(str(item.get("etag") or "") for item in done)

    def _single(self, op: Op) -> str:
        if op.verb is Verb.DELETE:
            return self._delete(op.row)
        if op.verb is Verb.INSERT:
            return self._insert(op.row)
        done = self._client.update_entity(
            _entity(op.row), mode=UpdateMode.REPLACE, **_require_version(op.row)
        )
        return str(done.get("etag") or "")

    def _delete(self, row: Row) -> str:
        answer = _Answer()
        self._client.delete_entity(
            row.partition, row.key, **_require_version(row), raw_response_hook=answer
        )
        if answer.status == _NOT_FOUND:  # which the SDK takes for success
            raise StateConflict("the row is gone")
        return ""

    def _insert(self, row: Row) -> str:
        try:
            return str(self._client.create_entity(_entity(row)).get("etag") or "")
        except ResourceNotFoundError as error:
            # An insert can miss only its table; the SDK keeps no error code here.
            raise _TableMissing from error

    def _create(self) -> None:
        with _errors(writes=True):
            try:
                self._client.create_table()
            except ResourceExistsError:
                return  # another instance was quicker


class _Missing(Exception):  # a private signal, not an error
    """There is no such row."""


class _TableMissing(_Missing):
    """There is no such table."""


class _Answer:
    """Catches values that the SDK does not return: the status, the service's clock."""

    def __init__(self) -> None:
        self.status: int | None = None
        self.date: datetime | None = None

    def __call__(self, response: PipelineResponse[Any, Any]) -> None:
        self.status = response.http_response.status_code
        text = response.http_response.headers.get("Date")
        if text:
            self.date = parsedate_to_datetime(text).astimezone(UTC)


@contextmanager
def _errors(*, writes: bool) -> Iterator[None]:
    """Speak the broker's errors; keep Azure's as the cause."""
    try:
        yield
    except ValueError as error:  # an answer that cannot be read
        raise _build_lost_error(writes=writes) from error
    except HttpResponseError as error:
        raise _translate(error, writes=writes) from error
    except ServiceRequestError as error:  # nothing was sent
        raise Unavailable("table storage could not be reached") from error
    except AzureError as error:
        raise _build_lost_error(writes=writes) from error


def _translate(error: HttpResponseError, *, writes: bool) -> Exception:
    status = error.status_code
    if status == _NOT_FOUND:
        return _build_missing_error(error, writes=writes)
    if status in _CONFLICTS:
        return StateConflict("the row changed since it was read")
    if status is None or status < _ERRORS or status in _RETRYABLE:  # below: a page of a proxy
        return _build_lost_error(writes=writes)
    if status in _SHUT:
        return Unavailable("table storage does not let the broker in")
    return Defect("table storage refused a well-formed call")


def _build_missing_error(error: HttpResponseError, *, writes: bool) -> Exception:
    if "TableNotFound" in str(error.message):  # the SDK writes the code into the message
        return _TableMissing()
    return StateConflict("the row is gone") if writes else _Missing()


def _build_lost_error(*, writes: bool) -> Unavailable:
    if writes:
        return Unknown("table storage did not answer; the write may have happened")
    return Unavailable("table storage did not answer")


def _check(ops: Sequence[Op]) -> None:
    """Refuse operations that the service would refuse, or that the SDK has own errors for."""
    keys = {(op.row.partition, op.row.key) for op in ops}
    if not 0 < len(ops) <= _OPERATIONS:
        raise Defect(f"a transaction has 1 to {_OPERATIONS} operations")
    if len(keys) < len(ops) or len({partition for partition, _ in keys}) > 1:
        raise Defect("a transaction is of one partition and touches no row twice")
    for op in ops:
        _check_keys(op.row.partition, op.row.key)
        if any(isinstance(v, int) and v not in _INTEGER for v in op.row.values.values()):
            raise Defect("an integer of a row has 32 bits")


def _check_keys(*keys: str) -> None:
    if any(_FORBIDDEN.search(key) for key in keys):
        raise Defect("a key holds / \\ # ? or a control character")


def _operation(op: Op) -> tuple[str, Mapping[str, Any], dict[str, Any]]:
    if op.verb is Verb.INSERT:
        return ("create", _entity(op.row), {})
    if op.verb is Verb.REPLACE:
        return ("update", _entity(op.row), {"mode": UpdateMode.REPLACE, **_require_version(op.row)})
    return ("delete", _entity(op.row), _require_version(op.row))


def _require_version(row: Row) -> dict[str, Any]:
    if not row.etag:
        raise Defect("a write must name the version it saw")
    return {"etag": row.etag, "match_condition": MatchConditions.IfNotModified}


def _entity(row: Row) -> dict[str, Any]:
    return {"PartitionKey": row.partition, ROW_KEY: row.key, **row.values}


def _row(entity: Mapping[str, Any], read_at: datetime | None) -> Row:
    metadata = getattr(entity, "metadata", {})
    values = {k: v for k, v in entity.items() if k not in {"PartitionKey", ROW_KEY}}
    written = metadata.get("timestamp")
    return Row(
        partition=entity["PartitionKey"],
        key=entity[ROW_KEY],
        values=values,
        etag=metadata.get("etag", ""),
        written_at=_make_aware(written) if written is not None else None,
        read_at=read_at,
    )


def _make_aware(value: datetime) -> datetime:
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def _filter(where: Where) -> tuple[str, dict[str, str]]:
    values: dict[str, str] = {}

    def build(name: str, operator: str, value: str) -> str:
        values[f"v{len(values)}"] = value
        return f"{name} {operator} @v{len(values) - 1}"

    clauses = [build(*comparison) for comparison in _list_comparisons(where)]
    for name, choice in where.any_of.items():
        equals = " or ".join(build(name, "eq", value) for value in choice)
        clauses.append(f"( {equals} )")  # the SDK finds a parameter between two spaces only
    if where.either:
        equals = " or ".join(build(name, "eq", value) for name, value in where.either.items())
        clauses.append(f"( {equals} )")
    if len(values) > COMPARISONS:
        raise Defect(f"a query has {COMPARISONS} comparisons at most")
    return " and ".join(clauses), values


def _list_comparisons(where: Where) -> Iterator[tuple[str, str, str]]:
    if where.partition is not None:
        yield "PartitionKey", "eq", where.partition
    if where.first:
        yield ROW_KEY, "ge", where.first
    if where.last:
        yield ROW_KEY, "lt", where.last
    for name, value in where.equal.items():
        yield name, "eq", value
    for name, value in where.at_most.items():
        yield name, "le", value
