"""
Claims of a signed-in caller: the person or application that they name for certain.

App Service maps some claims of a token to long types, and leaves others as they are
(https://learn.microsoft.com/azure/app-service/configure-authentication-user-identities). The long
types are those of Microsoft's JWT reader
(https://github.com/AzureAD/azure-activedirectory-identitymodel-extensions-for-dotnet).
The claims themselves:

* https://learn.microsoft.com/entra/identity-platform/access-token-claims-reference
* https://learn.microsoft.com/entra/identity-platform/id-token-claims-reference
* https://learn.microsoft.com/entra/identity-platform/optional-claims-reference (``idtyp``)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from types import MappingProxyType
from typing import Final, NamedTuple

from jit.domain.authorization.audiences import is_ours
from jit.domain.authorization.issuers import is_of_entra_id
from jit.domain.errors import Malformed
from jit.domain.model.people import Kind, Person
from jit.domain.values.object_ids import parse_object_id
from jit.domain.values.visible_text import make_line

MOST_CLAIMS: Final = 512
"""Claims of one caller; App Service's header has room for about as many."""

LONGEST_NAME: Final = 256
"""Characters of a name that are read; Entra ID takes no longer display name."""

_MOST_GROUPS = 200  # Entra ID lists no more in a JWT

_MICROSOFT = "http://schemas.microsoft.com/identity/claims/"
_FEDERATION = "http://schemas.microsoft.com/ws/2008/06/identity/claims/"
_XMLSOAP = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/"

_OBJECT_ID, _TENANT, _AUDIENCE, _ISSUER, _VERSION = "oid", "tid", "aud", "iss", "ver"
_IDTYP, _CLIENT, _CLIENT_PROOF = "idtyp", "azp", "azpacr"

_SINGLE: Mapping[str, str] = MappingProxyType(
    {
        "oid": _OBJECT_ID,
        f"{_MICROSOFT}objectidentifier": _OBJECT_ID,
        "tid": _TENANT,
        f"{_MICROSOFT}tenantid": _TENANT,
        "aud": _AUDIENCE,
        "iss": _ISSUER,
        "ver": _VERSION,
        "idtyp": _IDTYP,
        "azp": _CLIENT,
        "appid": _CLIENT,
        "azpacr": _CLIENT_PROOF,
        "appidacr": _CLIENT_PROOF,
    }
)
"""Type of a claim → the claim that it is. Each type may be there once, and all must agree."""

_ROLES = {"roles", f"{_FEDERATION}role"}
_SCOPES = {"scp", f"{_MICROSOFT}scope"}
_GROUPS = {"groups", f"{_FEDERATION}groups"}
_MORE_GROUPS = {
    "_claim_names",
    "hasgroups",
    "groups:src1",
    "http://schemas.microsoft.com/claims/groups.link",
}
_OF_ID_TOKENS = {"nonce", "at_hash", "c_hash"}
_DISPLAY_NAMES = ("name", f"{_XMLSOAP}name", "app_displayname")
_NAMES = ("preferred_username", "upn", f"{_XMLSOAP}upn", *_DISPLAY_NAMES, "appid", "azp")

Claim = tuple[str, object]
"""Type and value of a claim as JSON has them."""


class ClaimSet(NamedTuple):
    """
    The claims of one caller.

    Attributes:
        single: Claim → its one value.
        texts: Type of each claim → its values that are texts, in their order.
    """

    single: Mapping[str, str]
    texts: Mapping[str, Sequence[str]]

    def has(self, kinds: Iterable[str]) -> bool:
        """Return True if there is a claim of one of the types, with any value."""
        return any(kind in self.texts for kind in kinds)

    def list_values(self, kinds: Iterable[str]) -> list[str]:
        """Return the values of the types, in the order of the types."""
        return list(chain.from_iterable(self.texts.get(kind, ()) for kind in kinds))


def read_claims(
    claims: Sequence[Claim], *, tenant: str, audiences: Iterable[str] = ()
) -> Person | None:
    """
    Return the person or application of *claims*, or None if they name nobody for certain.

    Args:
        claims: In any order.
        tenant: Lower-case id of the Entra tenant; empty if it is not known: then nobody is named.
        audiences: The broker's audiences, as `audiences.build_audiences` returns them.
    """
    found = _sort_claims(claims) if len(claims) <= MOST_CLAIMS else None
    if found is None or not tenant or not _is_for_us(found.single, tenant, audiences):
        return None
    kind = _find_kind(found)
    try:
        object_id = parse_object_id(found.single.get(_OBJECT_ID, ""))
    except Malformed:
        return None
    if kind is None:
        return None
    return Person(
        id=object_id,
        name=_find_name(found, _NAMES) or object_id,
        roles=frozenset(found.list_values(_ROLES)),
        display_name=_find_name(found, _DISPLAY_NAMES),
        kind=kind,
        groups=_find_groups(found),
    )


def _sort_claims(claims: Sequence[Claim]) -> ClaimSet | None:
    """Return *claims* by type; None if one that must be single is not, or is no text."""
    single: dict[str, str] = {}
    texts: dict[str, list[str]] = {}
    for kind, value in claims:
        claim = _SINGLE.get(kind)
        if claim is not None:
            if not isinstance(value, str) or not value or kind in texts:
                return None
            if single.setdefault(claim, value).lower() != value.lower():
                return None
        found = texts.setdefault(kind, [])
        if isinstance(value, str):
            found.append(value)
    return ClaimSet(single, texts)


def _is_for_us(single: Mapping[str, str], tenant: str, audiences: Iterable[str]) -> bool:
    """Return True if the token is of the tenant, for the broker, and of a known version."""
    issuer = single.get(_ISSUER)
    return (
        single.get(_TENANT, "").lower() == tenant
        and (issuer is None or _is_issuer_of(tenant, issuer))
        and is_ours(single.get(_AUDIENCE), audiences)
        and single.get(_VERSION, "2.0") in {"1.0", "2.0"}
    )


def _is_issuer_of(tenant: str, issuer: str) -> bool:
    return is_of_entra_id(issuer) and tenant in issuer.lower().split("/")


def _find_name(claims: ClaimSet, kinds: Iterable[str]) -> str | None:
    """
    Return the first name of the types that has something to see, as one line; None without one.

    A person, or the owner of an application, may choose it, and it is shown to others.
    """
    names = (make_line(text[:LONGEST_NAME]) for text in claims.list_values(kinds))
    return next(filter(None, names), None)


def _find_kind(claims: ClaimSet) -> Kind | None:
    """
    Return the kind of the caller, or None if the claims contradict themselves.

    ``idtyp`` says it, if the application asks for that claim. Else only a token of a person has a
    scope, and only an access token names its client; an ID token is that of a person.
    """
    idtyp, has_scope = claims.single.get(_IDTYP), any(claims.list_values(_SCOPES))
    has_client = _CLIENT in claims.single
    is_access_token = has_client or _CLIENT_PROOF in claims.single
    if idtyp not in {None, "user", "app"}:
        return None
    if idtyp == "user" or has_scope or not (idtyp or is_access_token):
        return None if idtyp == "app" else Kind.PERSON
    return Kind.APPLICATION if has_client and _may_be_own(claims) else None


def _may_be_own(claims: ClaimSet) -> bool:
    """Return True if an application can have got these claims with credentials of its own."""
    is_public_client = claims.single.get(_CLIENT_PROOF) == "0"
    return not claims.has(_OF_ID_TOKENS) and not is_public_client


def _find_groups(claims: ClaimSet) -> frozenset[str] | None:
    """
    Return the object ids of the caller's groups, or None if the claims do not tell them all.

    A token with too many groups names the place of the list instead
    (https://learn.microsoft.com/security/zero-trust/develop/configure-tokens-group-claims-app-roles).
    A token without the claim says nothing: the application may not ask for groups.
    """
    values = claims.list_values(_GROUPS)
    if not values or claims.has(_MORE_GROUPS) or len(values) > _MOST_GROUPS:
        return None
    try:
        return frozenset(map(parse_object_id, values))
    except Malformed:  # names of groups, or their SIDs
        return None
