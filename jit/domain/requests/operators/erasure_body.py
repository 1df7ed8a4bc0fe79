"""The body of an erasure: ``POST /api/audit/erasures``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from jit.domain.errors import Violation
from jit.domain.limits import LIMITS, Limits
from jit.domain.requests.bar_body import BAR_REASON
from jit.domain.requests.body_reader import read_body
from jit.domain.requests.fields import ReadContext, Schema, parse_text
from jit.domain.requests.json_node import Node
from jit.domain.values.object_ids import parse_object_id


class ObjectIdField:
    """An Entra object id."""

    def read(self, node: Node, _context: ReadContext) -> str | None:
        """Return the id in lower case."""
        return parse_text(node, parse_object_id)

    def describe(self, _limits: Limits) -> Schema:
        """Return the format."""
        return {"type": "string", "format": "uuid", "description": "Entra object id."}


OBJECT_ID = ObjectIdField()


@dataclass(frozen=True, slots=True, kw_only=True)
class ErasureBody:
    """An erasure: ``POST /api/audit/erasures``."""

    person: Annotated[str | None, OBJECT_ID, "Whose texts are erased."]
    reason: Annotated[str | None, BAR_REASON, "Why; for auditors."]


def read_erasure(
    value: object, *, limits: Limits = LIMITS
) -> tuple[tuple[str, str] | None, tuple[Violation, ...]]:
    """
    Read ``{"person": …, "reason": …}``, both required; None if it has faults.

    Args:
        value: As `json.loads` gives it.
        limits: The contract's numbers.

    Returns:
        The object id in lower case and the reason, with all faults.
    """
    body, violations = read_body(ErasureBody, value, ReadContext(limits))
    if body.person is None or body.reason is None or violations:
        return None, violations
    return (body.person, body.reason), ()
