"""
The principal of App Service authentication: the claims of a signed-in caller.

The platform removes the ``X-MS-CLIENT-PRINCIPAL`` headers of clients and writes its own
(https://learn.microsoft.com/azure/app-service/configure-authentication-user-identities). These
checks are the second line: a header that the platform did not write in this form is nobody's.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator

from jit.domain.model.people import Person

PRINCIPAL = "X-MS-CLIENT-PRINCIPAL"
PROVIDER = "X-MS-CLIENT-PRINCIPAL-IDP"
"""The header in which the platform names the identity provider."""

_PRINCIPAL_LIMIT = 32_768
_ENTRA, _ENTRA_V2 = "aad", "aadv2"
_CLAIM = "http://schemas.microsoft.com/identity/claims/"
_OBJECT_ID = {"oid", f"{_CLAIM}objectidentifier"}
_TENANT = {"tid", f"{_CLAIM}tenantid"}
_ROLES = {"roles", "http://schemas.microsoft.com/ws/2008/06/identity/claims/role"}
_DISPLAY_NAME = "name"
_NAMES = ("preferred_username", "upn", _DISPLAY_NAME, "appid", "azp")

_Claim = tuple[str, str]


def read_principal(header: str, *, provider: str, tenant: str) -> Person | None:
    """
    Return the person or application of *header*, or None if the header names nobody for certain.

    Believed is only Entra ID, exactly one object id, and exactly one tenant, which is *tenant*.
    Claims may have their short or their long types; if both are there, they must agree.

    Args:
        header: ``X-MS-CLIENT-PRINCIPAL``: strict base64 of a JSON object. Two headers that a
            server joined with a comma are no base64.
        provider: ``X-MS-CLIENT-PRINCIPAL-IDP``; ``aadv2`` is believed only if it stands here too.
        tenant: Lower-case id of the Entra tenant.
    """
    document = _decode(header)
    kinds = (_ENTRA, _ENTRA_V2) if provider == _ENTRA_V2 else (_ENTRA,)
    if document.get("auth_typ") not in kinds:
        return None
    claims = list(_list_claims(document.get("claims")))
    ids = {value.lower() for kind, value in claims if kind in _OBJECT_ID}
    tenants = {value.lower() for kind, value in claims if kind in _TENANT}
    if len(ids) != 1 or tenants != {tenant} or "" in ids | tenants:
        return None
    return _read_person(ids.pop(), claims)


def _decode(header: str) -> dict[str, object]:
    """Return the JSON object in *header*; empty if there is none."""
    if len(header) > _PRINCIPAL_LIMIT:
        return {}
    try:
        document = json.loads(base64.b64decode(header, validate=True).decode())
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def _list_claims(claims: object) -> Iterator[_Claim]:
    """Yield type and value of each claim; one that is not two texts says nothing."""
    for claim in claims if isinstance(claims, list) else ():
        if isinstance(claim, dict):
            kind, value = claim.get("typ"), claim.get("val")
            if isinstance(kind, str) and isinstance(value, str):
                yield kind, value


def _read_person(object_id: str, claims: list[_Claim]) -> Person:
    names = [value for wanted in _NAMES for kind, value in claims if kind == wanted]
    roles = frozenset(value for kind, value in claims if kind in _ROLES)
    display_name = next((value for kind, value in claims if kind == _DISPLAY_NAME), None)
    name = next(iter(names), object_id)
    return Person(id=object_id, name=name, roles=roles, display_name=display_name)
