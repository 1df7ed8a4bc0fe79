"""Calls of the table SDK: recorded while the broker makes them, then made again by themselves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from azure.core.exceptions import ResourceNotFoundError
from azure.data.tables import TableClient

_HOOK = "raw_response_hook"  # the broker's own reading of an answer: not part of the call


@dataclass(frozen=True, slots=True)
class Call:
    """
    One call of a ``TableClient``.

    Attributes:
        table: Name of the table.
        method: The name of the method.
        arguments: In order.
        options: By name.
        token: The token of the page, if the call is a query.
    """

    table: str
    method: str
    arguments: tuple[Any, ...]
    options: Mapping[str, Any]
    token: Any = None


class Recorder:
    """A ``TableClient`` that records its calls."""

    def __init__(self, client: TableClient, calls: list[Call]) -> None:
        self._client = client
        self._calls = calls

    def __getattr__(self, method: str) -> Any:
        """Return the client's *method*, which writes its call down first."""

        def call(*arguments: Any, **options: Any) -> Any:
            self._calls.append(self._call(method, arguments, options))
            return getattr(self._client, method)(*arguments, **options)

        return call

    def query_entities(self, *arguments: Any, **options: Any) -> Any:
        """Return a query whose pages are written down as they are asked for."""
        return _Query(self, arguments, options)

    def page(self, arguments: tuple[Any, ...], options: Mapping[str, Any], token: Any) -> Any:
        """Ask for pages from *token* on."""
        self._calls.append(self._call("query_entities", arguments, options, token))
        return self._client.query_entities(*arguments, **options).by_page(token)

    def _call(
        self, method: str, arguments: tuple[Any, ...], options: Mapping[str, Any], token: Any = None
    ) -> Call:
        kept = {name: value for name, value in options.items() if name != _HOOK}
        return Call(self._client.table_name, method, arguments, kept, token)


@dataclass(frozen=True, slots=True)
class _Query:
    recorder: Recorder
    arguments: tuple[Any, ...]
    options: Mapping[str, Any]

    def by_page(self, token: Any) -> Iterator[Any]:
        pages: Iterator[Any] = self.recorder.page(self.arguments, self.options, token)
        return pages


def replay(client: TableClient, call: Call) -> object:
    """
    Make *call* again on another table; a query reads one page, as the broker does.

    That a row is missing is an answer to a read: the broker has read the same answer. A row of the
    other table has another ETag, so a write names any.
    """
    arguments = call.arguments
    if call.method == "submit_transaction":
        arguments = ([_name_any_version(*each) for each in arguments[0]], *arguments[1:])
    try:
        made = getattr(client, call.method)(*arguments, **call.options)
    except ResourceNotFoundError:
        if call.method != "get_entity":
            raise
        return None
    return list(next(made.by_page(call.token), ())) if call.method == "query_entities" else made


def _name_any_version(
    verb: str, entity: Mapping[str, Any], options: Mapping[str, Any] = {}
) -> tuple[str, Mapping[str, Any], Mapping[str, Any]]:
    """Return an operation of a transaction that writes over any version of its row."""
    if "etag" not in options:
        return verb, entity, options
    return verb, entity, {**options, "etag": "*"}
