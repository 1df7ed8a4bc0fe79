"""
The caller of an HTTP request: identity, app roles, address.

The broker believes a principal only if App Service authentication is on. The platform then removes
the ``X-MS-CLIENT-PRINCIPAL`` headers of clients and writes its own
(https://learn.microsoft.com/azure/app-service/configure-authentication-user-identities).
"""

from __future__ import annotations

import base64
import binascii
import json

import azure.functions as func

from jit.domain.errors import Forbidden, Unauthenticated
from jit.domain.model.people import Person, Role
from jit.domain.values.proxies import HEADER, Proxies, find_caller
from jit.settings import Settings

READERS = (Role.REQUESTER, Role.OPERATOR, Role.AUDITOR, Role.APPROVER)
"""The roles that may read: a requester sees the own requests, the others see all."""
_PRINCIPAL_LIMIT = 32_768
_OID = {"oid", "http://schemas.microsoft.com/identity/claims/objectidentifier"}
_ROLES = {"roles", "http://schemas.microsoft.com/ws/2008/06/identity/claims/role"}
_DISPLAY_NAME = "name"
_NAMES = ("preferred_username", "upn", _DISPLAY_NAME, "appid", "azp")


def read_caller(
    req: func.HttpRequest, settings: Settings, *allowed: Role, besides: str = ""
) -> Person:
    """
    Return the caller, if one of their app roles is *allowed*.

    Args:
        req: The request.
        settings: They tell if authentication is on.
        allowed: Roles; without any, every caller is allowed.
        besides: What such a role alone does not give; a refusal says so first.

    Raises:
        Unauthenticated: Nobody is signed in, or authentication is not switched on.
        Forbidden: The caller has no role that is *allowed*.
    """
    person = _read_principal(req) if settings.auth_enabled else None
    if person is None:
        raise Unauthenticated("sign in through the broker's Entra ID application")
    if allowed and not person.roles & set(allowed):
        names = ", ".join(sorted(allowed))
        what = "the app role" if len(allowed) == 1 else "one of the app roles"
        first = f"{besides}, and " if besides else ""
        who = "an administrator of Entra ID assigns app roles"
        raise Forbidden(f"{first}this needs {what} {names}: {who}")
    return person


def _read_principal(req: func.HttpRequest) -> Person | None:
    header = req.headers.get("X-MS-CLIENT-PRINCIPAL", "")
    if not header or len(header) > _PRINCIPAL_LIMIT:
        return None
    try:
        claims = json.loads(base64.b64decode(header))["claims"]
        pairs = [(claim["typ"], claim["val"]) for claim in claims]
    except (ValueError, binascii.Error, LookupError, TypeError, RecursionError):
        return None
    return _read_person([(kind, value) for kind, value in pairs if isinstance(value, str)])


def _read_person(pairs: list[tuple[str, str]]) -> Person | None:
    oid = next((value for kind, value in pairs if kind in _OID), "")
    if not oid:
        return None
    names = [value for wanted in _NAMES for kind, value in pairs if kind == wanted]
    roles = frozenset(value for kind, value in pairs if kind in _ROLES)
    display_name = next((value for kind, value in pairs if kind == _DISPLAY_NAME), None)
    name = next(iter(names), oid)
    return Person(id=oid.lower(), name=name, roles=roles, display_name=display_name)


def read_address(req: func.HttpRequest, proxies: Proxies) -> str | None:
    """
    Return the caller's address, or None if it cannot be told.

    The platform appends the address that called it to ``X-Forwarded-For``. A gateway may name the
    caller in a header of its own; then that header's hops come before the gateway's.
    """
    hops = _list_hops(req, HEADER)
    if proxies.header.lower() != HEADER.lower():
        hops = [*_list_hops(req, proxies.header), *hops[-1:]]
    return find_caller(hops, proxies)


def _list_hops(req: func.HttpRequest, header: str) -> list[str]:
    text = str(req.headers.get(header, ""))
    return text.split(",") if text else []
