"""The caller of an HTTP request: identity, app roles, address."""

from __future__ import annotations

import base64
import binascii
import json
from ipaddress import ip_address
from typing import TYPE_CHECKING

import azure.functions as func

from jit.domain.errors import Forbidden, Unauthenticated
from jit.domain.model.people import Person, Role
from jit.settings import Settings

if TYPE_CHECKING:  # the use cases' results: whoever renders one has loaded it already
    pass
READERS = (Role.REQUESTER, Role.OPERATOR, Role.AUDITOR, Role.APPROVER)
"""The roles that may read: a requester sees the own requests, the others see all."""
_PRINCIPAL_LIMIT = 32_768
_OID = {"oid", "http://schemas.microsoft.com/identity/claims/objectidentifier"}
_ROLES = {"roles", "http://schemas.microsoft.com/ws/2008/06/identity/claims/role"}
_NAMES = ("preferred_username", "upn", "name", "appid", "azp")


# ---- the caller ----------------------------------------------------------------------------------


def read_caller(req: func.HttpRequest, settings: Settings, *allowed: Role) -> Person:
    """
    Return who calls, if one of their app roles is *allowed*.

    Raises:
        Unauthenticated: Nobody is signed in, or authentication is not switched on.
        Forbidden: None of their roles will do.
    """
    person = _principal(req) if settings.auth_enabled else None
    if person is None:
        raise Unauthenticated("sign in through the broker's Entra ID application")
    if allowed and not person.roles & set(allowed):
        raise Forbidden(f"this needs one of the app roles {', '.join(sorted(allowed))}")
    return person


def _principal(req: func.HttpRequest) -> Person | None:
    header = req.headers.get("X-MS-CLIENT-PRINCIPAL", "")
    if not header or len(header) > _PRINCIPAL_LIMIT:
        return None
    try:
        claims = json.loads(base64.b64decode(header))["claims"]
        pairs = [(claim["typ"], claim["val"]) for claim in claims]
    except (ValueError, binascii.Error, LookupError, TypeError, RecursionError):
        return None
    return _person([(kind, value) for kind, value in pairs if isinstance(value, str)])


def _person(pairs: list[tuple[str, str]]) -> Person | None:
    oid = next((value for kind, value in pairs if kind in _OID), "")
    if not oid:
        return None
    names = [value for wanted in _NAMES for kind, value in pairs if kind == wanted]
    roles = frozenset(value for kind, value in pairs if kind in _ROLES)
    return Person(id=oid.lower(), name=next(iter(names), oid), roles=roles)


def address(req: func.HttpRequest) -> str | None:
    """Return the caller's address: the last hop, which the platform itself appended."""
    text = str(req.headers.get("X-Forwarded-For", "")).split(",")[-1].strip()
    if text.startswith("["):
        text = text[1:].split("]", 1)[0]
    elif text.count(":") == 1:
        text = text.split(":", 1)[0]
    try:
        return str(ip_address(text))
    except ValueError:
        return None
