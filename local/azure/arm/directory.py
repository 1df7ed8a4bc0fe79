"""The directory: people, applications, the managed identity, and their rights."""

from __future__ import annotations

from dataclasses import dataclass, field

from local.azure.arm.rights import Rights, matches
from local.azure.landscape.rights_forms import read_rights
from local.azure.values.http import Json

BROKER = "broker"


@dataclass(frozen=True, slots=True)
class Principal:
    """
    Someone who can hold a token.

    Attributes:
        name: Short name in the landscape.
        id: Entra object id.
        display: Name for people.
        kind: ``User``, ``Application`` or ``ManagedIdentity``.
        address: User principal name; for others than users the object id.
    """

    name: str
    id: str
    display: str
    kind: str
    address: str


@dataclass(slots=True)
class Directory:
    """
    The principals with their rights.

    Attributes:
        denied: Action patterns taken away, each from one principal by short name.
    """

    principals: dict[str, Principal]
    rights: Rights
    denied: list[tuple[str, str]] = field(default_factory=list)

    def find_by_id(self, object_id: str) -> Principal | None:
        """Return the principal with that object id."""
        return next((each for each in self.principals.values() if each.id == object_id), None)

    def may(self, principal: Principal, action: str, scope: str) -> bool:
        """Return True if *principal* may do *action* at *scope* (a resource id or a part)."""
        if any(who == principal.name and matches(what, action) for who, what in self.denied):
            return False
        return self.rights.may(principal.id, action, scope)


def read(document: Json, roles: tuple[Json, ...]) -> Directory:
    """
    Return the directory that the landscape *document* describes.

    Raises:
        ValueError: An assignment names nobody, or a role that is nowhere defined.
    """
    people = {
        each["name"]: _read_principal(each, document["domain"]) for each in document["people"]
    }
    return Directory(people, read_rights(document, roles))


def _read_principal(short: Json, domain: str) -> Principal:
    kind = short.get("kind", "User")
    address = f"{short['name']}@{domain}" if kind == "User" else short["id"]
    return Principal(short["name"], short["id"], short["displayName"], kind, address)
