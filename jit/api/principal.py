"""
The principal of App Service authentication: the claims of a signed-in caller.

The platform removes the ``X-MS-CLIENT-PRINCIPAL`` headers of clients and writes its own
(https://learn.microsoft.com/azure/app-service/configure-authentication-user-identities). These
checks are the second line: a header that the platform did not write in this form is nobody's.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator

from jit.domain.authorization.token_claims import Claim, read_claims
from jit.domain.model.people import Person

PRINCIPAL = "X-MS-CLIENT-PRINCIPAL"
PROVIDER = "X-MS-CLIENT-PRINCIPAL-IDP"
"""The header in which the platform names the identity provider."""

_PRINCIPAL_LIMIT = 32_768
_ENTRA, _ENTRA_V2 = "aad", "aadv2"


def read_principal(
    header: str, *, provider: str, tenant: str, audiences: Iterable[str] = ()
) -> Person | None:
    """
    Return the person or application of *header*, or None if the header names nobody for certain.

    Believed is only Entra ID, and only claims that `token_claims.read_claims` believes.

    Args:
        header: ``X-MS-CLIENT-PRINCIPAL``: strict base64 of a JSON object. Two headers that a
            server joined with a comma are no base64.
        provider: ``X-MS-CLIENT-PRINCIPAL-IDP``, empty if it is missing. Nobody is believed if
            another provider stands here, and ``aadv2`` only if it stands here too.
        tenant: Lower-case id of the Entra tenant.
        audiences: The broker's audiences; empty if the platform alone compares them.
    """
    if provider not in {"", _ENTRA, _ENTRA_V2}:
        return None
    document = _decode(header)
    kinds = (_ENTRA, _ENTRA_V2) if provider == _ENTRA_V2 else (_ENTRA,)
    if document.get("auth_typ") not in kinds:
        return None
    claims = list(_list_claims(document.get("claims")))
    return read_claims(claims, tenant=tenant, audiences=audiences)


def _decode(header: str) -> dict[str, object]:
    """Return the JSON object in *header*; empty if there is none."""
    if len(header) > _PRINCIPAL_LIMIT:
        return {}
    try:
        text = base64.b64decode(header, validate=True).decode()
        document = json.loads(text, object_pairs_hook=_read_members)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def _read_members(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Return the members of an object; a name that is there twice has two readings."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name appears twice")
    return found


def _list_claims(claims: object) -> Iterator[Claim]:
    """Yield type and value of each claim; one whose type is no text says nothing."""
    for claim in claims if isinstance(claims, list) else ():
        if isinstance(claim, dict) and isinstance(kind := claim.get("typ"), str):
            yield kind, claim.get("val")
