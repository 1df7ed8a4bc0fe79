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


class Kind(StrEnum):
    """The kind of a caller."""

    PERSON = "person"
    APPLICATION = "application"


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """
    A person, or an application, that asks or decides.

    Attributes:
        id: Entra object id.
        name: The name shown to people: the e-mail address if the token has one.
        roles: App roles.
        display_name: The name in the directory, if the token has it beside *name*.
        kind: A person, or an application that acts for itself.
        groups: Lower-case object ids of the Entra groups; None if the token does not tell them.
    """

    id: str
    name: str
    roles: frozenset[str] = frozenset()
    display_name: str | None = None
    kind: Kind = Kind.PERSON
    groups: frozenset[str] | None = None

    def matches(self, text: str) -> bool:
        """Return True if *text* is the object id or one of the names, in any letter case."""
        known = (self.id, self.name, self.display_name or self.name)
        return text.casefold() in {each.casefold() for each in known}
