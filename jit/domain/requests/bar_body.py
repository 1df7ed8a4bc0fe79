"""The body of a bar: ``PUT /api/barred/{oid}``."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from jit.domain.errors import Violation
from jit.domain.limits import LIMITS, Limits
from jit.domain.model.bar import WantedBar
from jit.domain.requests.body_reader import read_body
from jit.domain.requests.fields import FLAG, Line, ReadContext, Schema, parse_text
from jit.domain.requests.json_node import Node
from jit.domain.values.times import format_instant, parse_instant

UNTIL_IN_PAST = "until-in-past"

BAR_REASON = Line("bar_reason")


class FutureTime:
    """An RFC 3339 instant after the present."""

    def read(self, node: Node, context: ReadContext) -> datetime | None:
        """Return the instant, aware; ValueError if *context* has no present."""
        if context.now is None:
            raise ValueError("an end can only be read if the context has the present")
        instant = parse_text(node, parse_instant)
        if instant is not None and instant <= context.now:
            node.add_fault(UNTIL_IN_PAST, f"it is {format_instant(context.now)} already")
            return None
        return instant

    def describe(self, _limits: Limits) -> Schema:
        """Return the format."""
        return {"type": "string", "format": "date-time", "description": "With a zone; ahead."}


FUTURE_TIME = FutureTime()


@dataclass(frozen=True, slots=True, kw_only=True)
class BarBody:
    """A bar: ``PUT /api/barred/{oid}``."""

    reason: Annotated[str | None, BAR_REASON, "Why; for operators and auditors."]
    until: Annotated[datetime | None, FUTURE_TIME, "The bar ends then; if missing, never."] = None
    revoke: Annotated[bool, FLAG, "End all access of the person now."] = False


def read_bar(
    value: object, *, now: datetime, limits: Limits = LIMITS
) -> tuple[WantedBar | None, tuple[Violation, ...]]:
    """
    Read ``{"reason": …, "until": …, "revoke": …}``, the reason required; None if it has faults.

    Args:
        value: As `json.loads` gives it.
        now: Aware. The end of the bar lies after it.
        limits: The contract's numbers.
    """
    body, violations = read_body(BarBody, value, ReadContext(limits, now))
    if body.reason is None or violations:
        return None, violations
    return WantedBar(reason=body.reason, until=body.until, revoke=body.revoke), ()
