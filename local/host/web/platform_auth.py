"""
The stand-in for App Service authentication: who is calling, as headers.

The platform strips the headers that name the caller and writes its own, and this
module does the same. Other ``X-MS-*`` headers pass: Logic Apps sends some. The
client chooses a person of the landscape with ``X-Local-User``. For this reason
the module is never deployed.
https://learn.microsoft.com/azure/app-service/configure-authentication-user-identities

Excluded paths are not authenticated. Microsoft documents neither the form in which
a path is compared nor the treatment of the client's headers there. This is the worse
case: the path is compared as the client sent it, before ``..`` and ``%2e`` are
resolved, and headers such as ``X-MS-CLIENT-PRINCIPAL`` pass unchanged. So
``/page/../api/x`` reaches a function of the API as an excluded path.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

USER = "x-local-user"
DEFAULT_USER = "alice"
ANONYMOUS = "-"
CLIENT_ID = "a991c000-0000-4000-8000-00000000000a"
"""The application of the broker in the landscape's tenant."""

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
        excluded: Paths that the platform does not authenticate, each with all paths below
            it; a trailing ``/*`` changes nothing.
        client_id: Client id of the broker's application: the audience of all tokens.
    """

    tenant: str
    people: Mapping[str, Person]
    excluded: tuple[str, ...] = ()
    client_id: str = CLIENT_ID

    def headers(self, path: str, headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
        """
        Return *headers* with the caller as the platform names it.

        Args:
            path: The path as the client sent it, without the query.
            headers: The client's headers.

        Raises:
            UnknownPerson: ``X-Local-User`` names no person; the platform answers 401.
        """
        given = list(headers)
        if self._is_excluded(path):
            return [(name, value) for name, value in given if name.lower() != USER]
        user = next((value for name, value in given if name.lower() == USER), DEFAULT_USER)
        kept = [(name, value) for name, value in given if not _is_platform_header(name)]
        if user == ANONYMOUS:
            return kept
        if user not in self.people:
            raise UnknownPerson(f"nobody is called {user!r}; there are {', '.join(self.people)}")
        return kept + self._principal_headers(self.people[user])

    def _is_excluded(self, path: str) -> bool:
        """Return True if *path* begins with an excluded path and goes on with no other name."""
        prefixes = "|".join(re.escape(each.removesuffix("/*")) for each in self.excluded)
        return bool(prefixes) and bool(re.match(rf"(?:{prefixes})(?![\w.~-])", path, re.IGNORECASE))

    def _principal_headers(self, person: Person) -> list[tuple[str, str]]:
        claims = [
            ("aud", self.client_id),
            ("iss", f"https://login.microsoftonline.com/{self.tenant}/v2.0"),
            ("ver", "2.0"),
            (f"{_LONG}objectidentifier", person.id),
            (f"{_LONG}tenantid", self.tenant),
            ("name", person.display_name),
            *_list_claims_of_kind(person),
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

    def write_configuration(self) -> str:
        """Return the JSON that the platform passes in ``WEBSITE_AUTH_V2_CONFIG_JSON``."""
        registration = {"clientId": self.client_id}
        document = {
            "platform": {"enabled": True},
            "globalValidation": {
                "requireAuthentication": True,
                "unauthenticatedClientAction": "Return401",
                "excludedPaths": list(self.excluded),
            },
            "identityProviders": {
                "azureActiveDirectory": {"enabled": True, "registration": registration}
            },
        }
        return json.dumps(document)


def read(
    landscape: Path, excluded: Iterable[str] = (), client_id: str = CLIENT_ID
) -> Authentication:
    """
    Return the stand-in for the people of the *landscape* file.

    Args:
        landscape: The file.
        excluded: Paths that the platform does not authenticate.
        client_id: Client id of the broker's application.

    Raises:
        OSError: The file cannot be read.
        KeyError: It is not a landscape.
    """
    document = json.loads(landscape.read_text())
    people = [_read_person(entry) for entry in document["people"]]
    return Authentication(
        document["tenant"],
        {person.name: person for person in people},
        tuple(excluded),
        client_id,
    )


def _list_claims_of_kind(person: Person) -> list[tuple[str, str]]:
    """Return the claims by which access tokens of people and of applications differ."""
    if person.is_user:
        return [
            ("preferred_username", f"{person.name}@example.com"),
            (f"{_LONG}scope", "user_impersonation"),
        ]
    return [("azp", person.id), ("azpacr", "1"), ("idtyp", "app")]


def _is_platform_header(name: str) -> bool:
    return name.lower() == USER or name.lower().startswith(_PLATFORMS)


def _read_person(entry: Mapping[str, object]) -> Person:
    roles = entry.get("roles", [])
    return Person(
        name=str(entry["name"]),
        id=str(entry["id"]),
        display_name=str(entry.get("displayName", entry["name"])),
        roles=tuple(map(str, roles)) if isinstance(roles, list) else (),
        is_user=entry.get("kind", "User") == "User",
    )
