"""
The stand-in for App Service authentication: who is calling, as headers.

The platform strips the headers that say who is calling and writes its own; so
does this. Other ``X-MS-*`` headers pass: Logic Apps sends some. Which person of
the landscape calls is the client's choice, by ``X-Local-User``: that is why
none of this is ever deployed.
https://learn.microsoft.com/azure/app-service/configure-authentication-user-identities
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

USER, ADDRESS = "x-local-user", "x-local-address"
DEFAULT_USER = "alice"
ANONYMOUS = "-"
_PLATFORMS = ("x-ms-client-principal", "x-ms-token-")
_LONG = "http://schemas.microsoft.com/identity/claims/"


class UnknownPerson(Exception):
    """The landscape has nobody of that name."""


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody, or some application, that Entra ID knows."""

    name: str
    id: str
    display_name: str
    roles: tuple[str, ...]
    is_user: bool


@dataclass(frozen=True, slots=True)
class Authentication:
    """
    Writes the headers that the platform would write.

    Attributes:
        tenant: The Entra tenant of everybody.
        people: By name.
        excluded: Paths (lower case, without a trailing slash) that authenticate
            by themselves, with all that is below them.
    """

    tenant: str
    people: Mapping[str, Person]
    excluded: tuple[str, ...] = ()

    def headers(self, path: str, headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
        """
        Return *headers* without what a client may not say, with what the platform says.

        Raises:
            UnknownPerson: ``X-Local-User`` names nobody; the platform answers 401.
        """
        given = list(headers)
        user = next((value for name, value in given if name.lower() == USER), DEFAULT_USER)
        kept = [(name, value) for name, value in given if not _is_platforms(name)]
        if user == ANONYMOUS or self._is_excluded(path):
            return kept
        if user not in self.people:
            raise UnknownPerson(f"nobody is called {user!r}; there are {', '.join(self.people)}")
        return kept + self._principal(self.people[user])

    def _is_excluded(self, path: str) -> bool:
        lower = path.lower().rstrip("/")
        return any(lower == prefix or lower.startswith(f"{prefix}/") for prefix in self.excluded)

    def _principal(self, person: Person) -> list[tuple[str, str]]:
        name_claim = "preferred_username" if person.is_user else "azp"
        claims = [
            (f"{_LONG}objectidentifier", person.id),
            (f"{_LONG}tenantid", self.tenant),
            ("name", person.display_name),
            (name_claim, f"{person.name}@example.com" if person.is_user else person.id),
            *(("roles", role) for role in person.roles),
        ]
        document = {
            "auth_typ": "aad",
            "name_typ": "name",
            "role_typ": "roles",
            "claims": [{"typ": kind, "val": value} for kind, value in claims],
        }
        encoded = base64.b64encode(json.dumps(document).encode()).decode()
        return [
            ("X-MS-CLIENT-PRINCIPAL", encoded),
            ("X-MS-CLIENT-PRINCIPAL-ID", person.id),
            ("X-MS-CLIENT-PRINCIPAL-NAME", person.display_name),
            ("X-MS-CLIENT-PRINCIPAL-IDP", "aad"),
        ]


def read(landscape: Path, excluded: Iterable[str] = ()) -> Authentication:
    """
    Return the stand-in for the people of the *landscape* file.

    Raises:
        OSError: The file cannot be read.
        KeyError: It is not a landscape.
    """
    document = json.loads(landscape.read_text())
    people = [_person(entry) for entry in document["people"]]
    return Authentication(
        document["tenant"],
        {person.name: person for person in people},
        tuple(path.lower().rstrip("/") for path in excluded),
    )


def forwarded(headers: list[tuple[str, str]], peer: tuple[str, int]) -> list[tuple[str, str]]:
    """
    Return *headers* as the front end passes them on: the peer added to ``X-Forwarded-For``.

    ``X-Local-Address`` names the peer's address instead of the real one, always loopback here.
    """
    address = next((value for name, value in headers if name.lower() == ADDRESS), peer[0])
    hop = f"[{address}]:{peer[1]}" if ":" in address else f"{address}:{peer[1]}"
    chain = [value for name, value in headers if name.lower() == "x-forwarded-for"]
    ours = {ADDRESS, "x-forwarded-for", "x-forwarded-proto"}
    kept = [(name, value) for name, value in headers if name.lower() not in ours]
    return [*kept, ("X-Forwarded-For", ", ".join([*chain, hop])), ("X-Forwarded-Proto", "http")]


def _is_platforms(name: str) -> bool:
    return name.lower() == USER or name.lower().startswith(_PLATFORMS)


def _person(entry: Mapping[str, object]) -> Person:
    roles = entry.get("roles", [])
    return Person(
        name=str(entry["name"]),
        id=str(entry["id"]),
        display_name=str(entry.get("displayName", entry["name"])),
        roles=tuple(map(str, roles)) if isinstance(roles, list) else (),
        is_user=entry.get("kind", "User") == "User",
    )
