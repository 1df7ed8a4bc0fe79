"""
Answers about the audit trail: records as JSON, JSON Lines or CSV, heads, parts of an export.

A cell of CSV that a spreadsheet would take for a formula gets an apostrophe in front
(https://owasp.org/www-community/attacks/CSV_Injection): callers write the justifications.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import azure.functions as func

from jit.api.answer import write_json, write_page
from jit.api.audit.audit_query import RecordFormat

if TYPE_CHECKING:
    from jit.broker.auditing.chains import ChainPart, ShownHead
    from jit.domain.audit.chain import Record

NEXT, HEAD = "Jit-Audit-Next", "Jit-Audit-Head"

_LINES, _TABLE = "application/jsonl", "text/csv"
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
_COLUMNS = (
    *("chain", "sequence", "recordedAt", "at", "what", "actor", "actorName"),
    *("requestId", "grantId", "facts", "texts", "hash"),
)


def write_records(
    records: Sequence[Record], token: str | None, written: RecordFormat
) -> func.HttpResponse:
    """Return a page of records; the token of the next one is in a header, in JSON in the body."""
    if written is RecordFormat.JSON:
        answer = write_page([render_record(each) for each in records], token)
    elif written is RecordFormat.JSONL:
        lines = (json.dumps(render_record(each)) for each in records)
        answer = func.HttpResponse("".join(f"{line}\n" for line in lines), mimetype=_LINES)
    else:
        answer = func.HttpResponse(_write_csv(records), mimetype=_TABLE, charset="utf-8")
    if token is not None:
        answer.headers[NEXT] = token
    return answer


def render_record(record: Record) -> dict[str, Any]:
    """Return a record as JSON: the hashed members, the hash, and the texts beside it."""
    beside: dict[str, Any] = {"erased": True} if record.erased else {"texts": record.texts}
    return {
        "chain": record.chain,
        "sequence": record.sequence,
        "previous": record.previous,
        "recordedAt": record.recorded_at,
        "event": record.event,
        "hash": record.hash,
        **beside,
    }


def write_heads(heads: Iterable[ShownHead]) -> func.HttpResponse:
    """Return the heads of chains."""
    value = [
        {
            "chain": each.head.chain,
            "sequence": each.head.sequence,
            "hash": each.head.hash,
            "brokenAt": each.broken_at,
        }
        for each in heads
    ]
    return write_json({"value": value})


def write_part(part: ChainPart) -> func.HttpResponse:
    """Return a part of an export, with the head of the chain and the place of the next part."""
    headers = {HEAD: f"{part.head.sequence}:{part.head.hash}"}
    if part.after is not None:
        headers[NEXT] = str(part.after)
    return func.HttpResponse("".join(part.lines), mimetype=_LINES, headers=headers)


def _write_csv(records: Iterable[Record]) -> str:
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(_COLUMNS)
    writer.writerows(map(_list_cells, records))
    return out.getvalue()


def _list_cells(record: Record) -> list[str]:
    event = record.event
    texts = {name: each["text"] for name, each in record.texts.items()}
    name = texts.pop("actorName", None) or event.get("actorName")
    cells = [
        *(record.chain, record.sequence, record.recorded_at),
        *(event.get(each) for each in ("at", "what", "actor")),
        name,
        *(event.get(each) for each in ("requestId", "grantId")),
        json.dumps(event.get("facts")),
        "erased" if record.erased else json.dumps(texts, ensure_ascii=False),
        record.hash,
    ]
    return [_disarm("" if cell is None else str(cell)) for cell in cells]


def _disarm(cell: str) -> str:
    return f"'{cell}" if cell.startswith(_FORMULA) else cell
