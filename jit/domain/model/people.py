"""People and applications that call the broker, and their app roles."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """An app role, as it stands in a token's ``roles`` claim."""

    REQUESTER = "Jit.Requester"  # asks, sees and revokes the own
    APPROVER = "Jit.Approver"  # decides about others' requests
    OPERATOR = "Jit.Operator"  # sees and revokes all, configures JIT, reconciles
    AUDITOR = "Jit.Auditor"  # sees all, changes nothing
    BREAK_GLASS = "Jit.BreakGlass"  # opens without approval, loudly
    SYSTEM = "Jit.System"  # a ticketing system: may act on behalf of a person


SEES_ALL = frozenset({Role.OPERATOR, Role.AUDITOR, Role.APPROVER})
"""Roles that see the requests of everybody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A person who asks or decides: Entra object id, the name shown to people, app roles."""

    id: str
    name: str
    roles: frozenset[str] = frozenset()
