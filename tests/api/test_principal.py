"""The principal of App Service authentication: which headers are believed."""

import base64

import pytest

from jit.api.principal import read_principal
from tests.api.http_requests import OID, REQUESTER, TENANT, encode, make_principal

OBJECT = ("oid", OID)
LONG = "http://schemas.microsoft.com/identity/claims/"
OURS = TENANT.lower()
OTHER = "0badbad0-0000-4000-8000-000000000000"
WHOLE = make_principal(OBJECT, REQUESTER)


def read(header, provider="aad", tenant=OURS):
    return read_principal(header, provider=provider, tenant=tenant)


def with_claims(*claims):
    return encode({"auth_typ": "aad", "claims": list(claims)})


def claim(kind, value):
    return {"typ": kind, "val": value}


@pytest.mark.parametrize(
    ("auth_typ", "provider", "is_believed"),
    [
        ("aad", "aad", True),
        ("aad", "", True),
        ("aadv2", "aadv2", True),
        ("aadv2", "aad", False),
        ("aadv2", "aadv2,aadv2", False),
        ("AAD", "aad", False),
        ("github", "github", False),
        ("", "", False),
        (None, "aad", False),
        (["aad"], "aad", False),
    ],
)
def test_only_entra_id_is_believed(auth_typ, provider, is_believed):
    """The newer name counts only if the platform says it in a header of its own."""
    header = make_principal(OBJECT, auth_typ=auth_typ)

    assert (read(header, provider) is not None) is is_believed


@pytest.mark.parametrize(
    ("tenant", "is_believed"),
    [
        (("tid", TENANT), True),
        (("tid", TENANT.lower()), True),
        ((f"{LONG}tenantid", TENANT), True),
        (("tid", OTHER), False),
        (("tid", ""), False),
        (("tenant", TENANT), False),
        (None, False),
    ],
)
def test_only_callers_of_the_own_tenant_are_believed(tenant, is_believed):
    """An application may be open to other tenants by mistake."""
    header = make_principal(OBJECT, REQUESTER, tenant=tenant)

    assert (read(header) is not None) is is_believed


def test_without_a_known_tenant_nobody_is_believed():
    """An empty claim is not equal to an empty setting."""
    assert read(make_principal(OBJECT, tenant=("tid", "")), tenant="") is None


@pytest.mark.parametrize(
    ("more", "is_believed"),
    [
        ((f"{LONG}objectidentifier", OID.lower()), True),
        (("oid", OTHER), False),
        ((f"{LONG}objectidentifier", OTHER), False),
        (("oid", ""), False),
        ((f"{LONG}tenantid", TENANT.lower()), True),
        (("tid", OTHER), False),
    ],
)
def test_a_caller_has_exactly_one_object_id_and_one_tenant(more, is_believed):
    """Short and long types may both be there, with one value."""
    assert (read(make_principal(OBJECT, more)) is not None) is is_believed


@pytest.mark.parametrize(
    "header",
    [
        f"{WHOLE},{WHOLE}",
        f"{WHOLE}, {WHOLE}",
        f"{WHOLE}{WHOLE}",
        f" {WHOLE}",
        f"{WHOLE}\n",
        f"{WHOLE[:8]} {WHOLE[8:]}",
        f"{WHOLE[:8]}%{WHOLE[8:]}",
        WHOLE.rstrip("=") if WHOLE.endswith("=") else f"{WHOLE}=",
        base64.b64encode(b"\xff\xfe").decode(),
    ],
)
def test_a_header_that_is_not_strict_base64_is_nobodys(header):
    """A server joins two headers with a comma: a lenient reader would see the first one."""
    assert read(header) is None


@pytest.mark.parametrize(
    "other",
    [
        None,
        "oid",
        {},
        {"typ": "roles"},
        claim(["roles"], "Jit.Operator"),
        claim({"oid": 1}, OTHER),
        claim("roles", ["Jit.Operator"]),
        claim("roles", None),
        claim("role", "Jit.Operator"),
        claim("groups", "Jit.Operator"),
        claim("Roles", "Jit.Operator"),
    ],
)
def test_a_claim_of_another_type_is_ignored(other):
    """It gives no role, and it is no reason to refuse the others."""
    claims = [claim(*OBJECT), claim("tid", TENANT), claim(*REQUESTER)]

    person = read(with_claims(other, *claims))

    assert (person.id, person.roles) == (OID.lower(), {"Jit.Requester"})
