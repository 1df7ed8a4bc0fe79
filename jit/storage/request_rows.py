"""Rows of requests and of their grants."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from jit.domain.errors import Defect, Violation
from jit.domain.model.grant import CloseReason, Footprint, Grant, Initiate, Status, status_of
from jit.domain.model.machine import Connection, Via
from jit.domain.model.named_sources import drop_marked
from jit.domain.model.request import Decision, Request, Ticket
from jit.domain.values import arm_ids, request_ids
from jit.storage import keys
from jit.storage.documents import (
    INSTANT,
    PLAIN,
    PREFIXES,
    SPAN,
    TEXTS,
    Column,
    ColumnMap,
    Form,
    RowKind,
    alert_unreadable,
    by_position,
    enum,
    group_columns,
    optional,
    read_document,
    several,
    write_document,
)
from jit.storage.keys import write_stamp
from jit.storage.networks import bastion_documents
from jit.storage.people import person_columns
from jit.storage.stored import GrantRow, ReadableRows, TombstoneRow, find_earliest_check
from jit.storage.table import Row

REQUEST_KIND = RowKind("requests")
GRANTS_KIND = RowKind("grants")
TOMBSTONE_KIND = RowKind("tombstones")

NEW = frozenset({Status.SCHEDULED, Status.PENDING})
"""Statuses of grants for which Azure was not asked yet."""

LAST_BEGUN = Status.OPENING.value
"""As text, the statuses that are not new are at most this one. A query can select them."""

REQUESTER, CALLER, TICKET = "Requester", "Caller", "Ticket"
"""Columns that queries name: object ids of the person and of its caller, the id of the ticket."""

R = TypeVar("R")


_TICKET = ColumnMap(Ticket, Column("system", "system"), Column("id", "id"))
_RULE = Form(lambda rule: Decision(allowed=True, rule=rule), lambda decision: decision.rule)

REQUEST = ColumnMap(
    Request,
    Column("id", "id"),
    Column("requester", "requester", person_columns.REQUESTER.form),
    Column("justification", "justification"),
    Column("createdAt", "created_at", INSTANT),
    Column("startsAt", "starts_at", INSTANT),
    Column("seconds", "duration", SPAN),
    Column("sources", "sources", PREFIXES),
    Column("policies", "policies", TEXTS),
    Column("rule", "decision", _RULE),
    Column("ticket", "ticket", optional(_TICKET.form), default=None),
    Column("caller", "caller", optional(person_columns.CALLER.form), default=None, is_sparse=True),
)
"""The document of a request, live or finished."""


def write_request_row(request: Request) -> Row:
    """Return the row of a live request."""
    return Row(
        partition=request_ids.parse_request_id(request.id)[0],  # type: ignore[index] # our own id
        key=keys.request_key(request.id),
        values=write_request(request),
    )


def write_request(request: Request) -> dict[str, Any]:
    """Return a request as properties of a row, live or finished."""
    return REQUEST_KIND.add_format(
        {
            REQUESTER: request.requester.id,
            **({CALLER: request.caller.id} if request.caller else {}),
            TICKET: request.ticket.id if request.ticket else "",
            "CreatedAt": write_stamp(request.created_at),
            **write_document(REQUEST.write(request)),
        }
    )


def read_request(row: Row) -> Request:
    """
    Return the request of a row.

    Raises:
        Defect: This version cannot read the row.
    """
    return REQUEST_KIND.read(row, parse_request)


def parse_request(row: Row) -> Request:
    """Return the request of a row of a known format."""
    return REQUEST.read(read_document(row))


# ---- grants --------------------------------------------------------------------------------------

_INSTANT = optional(INSTANT)
_VIOLATION = by_position(Violation, pointer=PLAIN, code=PLAIN, detail=PLAIN)

GRANT = ColumnMap(
    Grant,
    Column("id", "id"),
    Column("request_id", "request_id"),
    Column("vm_id", "vm_id"),
    Column("policy_id", "policy_id"),
    Column("port", "port"),
    Column("protocol", "protocol"),
    Column("sources", "sources", PREFIXES),
    Column("via", "via", enum(Via)),
    Column("firewall_id", "firewall_id", default=None),
    Column("status", "status", enum(Status)),
    Column("close_reason", "close_reason", optional(enum(CloseReason)), default=None),
    Column("closed_by", "closed_by", optional(person_columns.PERSON.form), default=None),
    Column("close_text", "close_reason_text", default=None),
    Column("denied", "denials", several(_VIOLATION), default=()),
    Column("extensions", "extensions", TEXTS, default=()),
    Column("extended_at", "extended_at", _INSTANT, default=None, is_sparse=True),
    Column("hindrance", "hindrance", default=None, is_sparse=True),
    Column("note", "note", default=None),
    bastion_documents.GRANT_COLUMN,
    # when
    Column("starts_at", "starts_at", INSTANT),
    Column("seconds", "duration", SPAN),
    Column("latest_end", "latest_end", INSTANT),
    Column("next_check_at", "next_check_at", INSTANT),
    Column("expires_at", "expires_at", _INSTANT, default=None),
    Column("claimed_at", "admitted_at", _INSTANT, default=None),
    Column("handover_at", "handover_at", _INSTANT, default=None),
    Column("gap_at", "gap_at", _INSTANT, default=None, is_sparse=True),
    Column("opened_at", "opened_at", _INSTANT, default=None),
    Column("observed_at", "observed_at", _INSTANT, default=None, is_sparse=True),
    Column("lost_at", "lost_at", _INSTANT, default=None),
    Column("closing_at", "closing_at", _INSTANT, default=None),
    Column("closed_at", "closed_at", _INSTANT, default=None),
    Column("unclear_at", "unclear_at", _INSTANT, default=None),
    *group_columns(
        "initiate",
        Column("initiates", "ids", TEXTS, default=()),
        Column("initiated_at", "at", _INSTANT, default=None),
        Column("asked", "sources", PREFIXES, default=()),
        Column("asked_mark", "sources_mark", default="", is_sparse=True),
        Column("asked_until", "until", _INSTANT, default=None),
        Column("attempts", "attempts", default=0),
        Column("taken", "taken", default=False, is_sparse=True),
        Column("refused_at", "refused_at", _INSTANT, default=None, is_sparse=True),
        Column("refusal", "refusal", default="", is_sparse=True),
        Column("reopens", "reopens", default=0),
        Column("answered", "answered", default=False),
        # An older version did not record the rules before the initiate: None proves nothing.
        Column("before", "before", optional(TEXTS), default=None),
        Column("written", "written", default=False),
        Column("seen", "seen", default=False),
    ),
    *group_columns(
        "footprint",
        Column("rules", "rules", TEXTS, default=()),
        Column("companions", "companions", TEXTS, default=()),
        Column("private_ips", "private_ips", TEXTS, default=()),
    ),
    Column(
        "connection",
        "connection",
        optional(by_position(Connection, via=enum(Via), address=PLAIN, port=PLAIN, command=PLAIN)),
        default=None,
    ),
    initiate=Initiate,
    footprint=Footprint,
)
"""The document of one grant. A row holds a list of them, a finished request as well."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantSummary:
    """
    The columns of a row of grants beside its document: queries read them alone.

    Attributes:
        policy_hash: Hash of the policy's id, as in the row key.
        firewall_hash: Hash of the firewall's id; empty for grants without a firewall.
        status: The least advanced status of the row's grants.
        due_at: When the row next needs work.
    """

    policy_id: str
    policy_hash: str
    vm_id: str
    request_id: str
    firewall_hash: str
    status: Status
    due_at: datetime

    @property
    def is_new(self) -> bool:
        """True if Azure was not asked for these grants yet."""
        return self.status in NEW


REQUEST_ID, STATUS, DUE_AT = "Request", "Status", "DueAt"
"""Columns that queries name."""

SUMMARY = ColumnMap(
    GrantSummary,
    Column("Policy", "policy_id"),
    Column("PolicyKey", "policy_hash"),
    Column("Vm", "vm_id"),
    Column(REQUEST_ID, "request_id"),
    Column("Firewall", "firewall_hash", default=""),
    Column(STATUS, "status", enum(Status)),
    Column(DUE_AT, "due_at", INSTANT),
)


def write_grants_row(grants: Sequence[Grant], before: Row | None = None) -> Row:
    """Return the row of one request's grants on one VM, over the version *before*."""
    place = before or _find_place(grants[0])
    values = {**SUMMARY.write(_summarize(grants)), **write_grants(grants)}
    return Row(partition=place.partition, key=place.key, values=values, etag=place.etag)


def _find_place(grant: Grant) -> Row:
    partition, _ = request_ids.parse_request_id(grant.request_id) or ("", None)
    key = keys.grants_key(grant.policy_id, grant.vm_id, grant.request_id)
    return Row(partition=partition, key=key, values={})


def _summarize(grants: Sequence[Grant]) -> GrantSummary:
    first = grants[0]
    return GrantSummary(
        policy_id=first.policy_id,
        policy_hash=arm_ids.row_hash(first.policy_id),
        vm_id=first.vm_id,
        request_id=first.request_id,
        firewall_hash=arm_ids.row_hash(first.firewall_id) if first.firewall_id else "",
        status=status_of(tuple(grants)),
        due_at=find_earliest_check(grants),
    )


def write_grants(grants: Sequence[Grant], kind: RowKind = GRANTS_KIND) -> dict[str, Any]:
    """
    Return grants as the document of a row, live or finished.

    The JSON has no spaces: 90 rows of ten grants each must fit one transaction.
    """
    written = [GRANT.write(drop_marked(grant)) for grant in grants]
    documents = bastion_documents.drop_repeated_bastion(written)
    return kind.add_format(write_document(documents, separators=(",", ":")))


def read_grants(row: Row) -> tuple[Grant, ...]:
    """
    Return the grants of a row, live or finished.

    Raises:
        Defect: This version cannot read the row.
    """
    return GRANTS_KIND.read(row, parse_grants)


def parse_grants(row: Row) -> tuple[Grant, ...]:
    """Return the grants of a row of a known format."""
    return tuple(map(GRANT.read, bastion_documents.add_repeated_bastion(read_document(row))))


def read_grant_row(row: Row) -> GrantRow:
    """
    Return a row of grants with its grants.

    Raises:
        Defect: This version cannot read the row.
    """
    return GRANTS_KIND.read(row, parse_grant_row)


def parse_grant_row(row: Row) -> GrantRow:
    """Return a row of grants of a known format with its grants."""
    return GrantRow(row, parse_grants(row))


def parse_summary(row: Row) -> GrantSummary:
    """Return the columns of a row of grants of a known format, without its document."""
    return SUMMARY.read(row.values)


def read_by_machine(
    kind: RowKind, rows: Iterable[Row], parse: Callable[[Row], R]
) -> ReadableRows[R]:
    """Return the rows of grants, or tombstones, that can be read; alert for each other row."""
    found: list[tuple[str, R]] = []
    unreadable: set[str] = set()
    for row in rows:
        machine = keys.read_machine(row.key)
        try:
            found.append((machine, kind.read(row, parse)))
        except Defect as error:
            alert_unreadable(row, error)
            unreadable.add(machine)
    return ReadableRows(tuple(found), frozenset(unreadable))


# ---- tombstones ----------------------------------------------------------------------------------


def write_tombstone_row(row: Row, grants: Sequence[Grant], *, until: datetime) -> Row:
    """Return the tombstone of a closed row of grants, kept until *until*."""
    first = grants[0]
    return Row(
        partition=row.partition,
        key=keys.tombstone_key(first.policy_id, first.vm_id, first.request_id),
        values={
            "Vm": first.vm_id,
            "Until": write_stamp(until),
            **write_grants(grants, TOMBSTONE_KIND),
        },
    )


def read_tombstone_row(row: Row) -> TombstoneRow:
    """
    Return a tombstone with its grants.

    Raises:
        Defect: This version cannot read the row.
    """
    return TOMBSTONE_KIND.read(row, parse_tombstone_row)


def parse_tombstone_row(row: Row) -> TombstoneRow:
    """Return a tombstone of a known format with its grants."""
    return TombstoneRow(row, parse_grants(row), keys.read_stamp(str(row.values["Until"])))
