"""The caller of a request: the principal, the roles, the address."""

import base64
from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jit.api import caller
from jit.domain.errors import Forbidden, Unauthenticated
from jit.domain.model.people import Role
from jit.domain.values.proxies import Proxies
from jit.settings import Settings
from tests.api.http_requests import (
    OFF,
    OID,
    REQUESTER,
    SETTINGS,
    SIGNED_IN,
    encode,
    make_principal,
    make_request,
)

LONG = "http://schemas.microsoft.com/identity/claims/objectidentifier"
LONG_ROLE = "http://schemas.microsoft.com/ws/2008/06/identity/claims/role"


# ---- the principal -------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["oid", LONG])
@pytest.mark.parametrize("role", ["roles", LONG_ROLE])
def test_a_principal_is_read_with_short_and_with_long_claim_types(kind, role):
    """The platform sends either, by the configuration of the application."""
    person = caller.read_caller(
        make_request(make_principal((kind, OID), (role, "Jit.Requester"))), SETTINGS
    )

    assert (person.id, set(person.roles)) == (OID.lower(), {"Jit.Requester"})


def test_a_principal_has_all_of_its_roles():
    """There is one claim for each role."""
    roles = [("roles", "Jit.Requester"), ("roles", "Jit.Approver")]

    person = caller.read_caller(make_request(make_principal(("oid", OID), *roles)), SETTINGS)

    assert person.roles == {"Jit.Requester", "Jit.Approver"}


@pytest.mark.parametrize(
    ("claims", "name"),
    [
        ([("name", "Alice"), ("preferred_username", "alice@example.com")], "alice@example.com"),
        ([("name", "Alice")], "Alice"),
        ([("azp", "app-id")], "app-id"),
        ([], OID.lower()),
    ],
)
def test_a_person_is_shown_by_the_best_name_of_the_claims(claims, name):
    """Names are for people to read; the object id decides."""
    assert (
        caller.read_caller(make_request(make_principal(("oid", OID), *claims)), SETTINGS).name
        == name
    )


@pytest.mark.parametrize(
    ("claims", "name"),
    [
        ([("name", "Alice Ashdown"), ("preferred_username", "alice@example.com")], "Alice Ashdown"),
        ([("preferred_username", "alice@example.com")], None),
    ],
)
def test_a_person_keeps_the_name_in_the_directory(claims, name):
    """People search by it."""
    request = make_request(make_principal(("oid", OID), *claims))

    assert caller.read_caller(request, SETTINGS).display_name == name


@pytest.mark.parametrize(
    "principal",
    [
        None,
        "",
        "%%%",
        "e30=",
        encode([]),
        encode("text"),
        encode(None),
        encode({"claims": None}),
        encode({"claims": "text"}),
        encode({"claims": [None]}),
        encode({"claims": [{"typ": "oid"}]}),
        encode({"claims": [{"typ": "oid", "val": None}]}),
        encode({"claims": [{"typ": "oid", "val": ""}]}),
        encode({"claims": [{"typ": "oid", "val": {"a": 1}}]}),
        make_principal(REQUESTER),
        make_principal(("name", "Alice"), REQUESTER),
        base64.b64encode(b"\xff\xfe").decode(),
        base64.b64encode(b"[" * 20_000).decode(),
        make_principal(("oid", OID), ("x", "x" * 40_000)),
    ],
)
def test_a_principal_without_an_object_id_is_unauthenticated(principal):
    """It may be missing, unreadable or too long: 401, never a 500."""
    with pytest.raises(Unauthenticated):
        caller.read_caller(make_request(principal), SETTINGS)


@given(st.text(max_size=200))
def test_no_header_makes_reading_a_principal_fail(text):
    """Any text is a principal or no principal."""
    with pytest.raises(Unauthenticated):
        caller.read_caller(make_request(text), SETTINGS)


def test_a_principal_is_not_believed_if_the_platform_does_not_sign_in():
    """Without App Service authentication, any client can write that header."""
    with pytest.raises(Unauthenticated):
        caller.read_caller(make_request(make_principal(("oid", OID), REQUESTER)), OFF)


def test_without_a_known_tenant_no_principal_is_believed():
    """Any tenant could otherwise sign its people in."""
    settings = Settings.from_env(SIGNED_IN)

    with pytest.raises(Unauthenticated):
        caller.read_caller(make_request(make_principal(("oid", OID), REQUESTER)), settings)


def test_the_platform_may_call_entra_id_by_its_newer_name():
    """It says so in a header of its own."""
    principal = make_principal(("oid", OID), REQUESTER, auth_typ="aadv2")
    request = make_request(principal, X_MS_CLIENT_PRINCIPAL_IDP="aadv2")

    assert caller.read_caller(request, SETTINGS).id == OID.lower()


def test_a_caller_without_any_of_the_roles_is_forbidden():
    """To be signed in is not enough."""
    with pytest.raises(Forbidden):
        caller.read_caller(
            make_request(make_principal(("oid", OID), REQUESTER)), SETTINGS, Role.OPERATOR
        )


@pytest.mark.parametrize(
    ("roles", "words"),
    [
        ([Role.OPERATOR], "this needs the app role Jit.Operator:"),
        (
            [Role.OPERATOR, Role.AUDITOR],
            "this needs one of the app roles Jit.Auditor, Jit.Operator:",
        ),
    ],
)
def test_a_refusal_names_the_missing_role_or_roles(roles, words):
    """One role is no choice; the answer names the person who can assign it."""
    request = make_request(make_principal(("oid", OID), REQUESTER))

    with pytest.raises(Forbidden) as caught:
        caller.read_caller(request, SETTINGS, *roles)

    assert str(caught.value) == f"{words} an administrator of Entra ID assigns app roles"


def test_a_refusal_names_the_right_that_a_role_alone_does_not_give():
    """An operator who would extend another person's request does not ask for the role in vain."""
    request = make_request(make_principal(("oid", OID), ("roles", "Jit.Operator")))

    with pytest.raises(Forbidden, match=r"^only its requester can extend a request, and this"):
        caller.read_caller(
            request, SETTINGS, Role.REQUESTER, besides="only its requester can extend a request"
        )


def test_one_of_the_roles_is_enough():
    """A route lists the roles that it answers."""
    person = caller.read_caller(
        make_request(make_principal(("oid", OID), REQUESTER)),
        SETTINGS,
        Role.OPERATOR,
        Role.REQUESTER,
    )

    assert person.id == OID.lower()


@pytest.mark.parametrize("role", ["jit.requester", "Jit.Requester ", "Requester", "*"])
def test_a_role_is_its_exact_name(role):
    """A text that resembles a role is no role."""
    with pytest.raises(Forbidden):
        caller.read_caller(
            make_request(make_principal(("oid", OID), ("roles", role))), SETTINGS, Role.REQUESTER
        )


# ---- the address ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "address"),
    [
        ("203.0.113.7:50123", "203.0.113.7"),
        ("10.9.9.9, 203.0.113.7:50123", "203.0.113.7"),
        ("evil, 1.2.3.4,203.0.113.7", "203.0.113.7"),
        ("10.9.9.9, [2001:db8::1]:50123", "2001:db8::1"),
        ("", None),
        ("203.0.113.7, unknown", None),
    ],
)
def test_an_address_is_the_last_hop_that_the_platform_appended(header, address):
    """Addresses that the client wrote stand further to the left."""
    assert caller.read_address(make_request(X_Forwarded_For=header), Proxies()) == address


@pytest.mark.parametrize(
    ("headers", "proxies", "address"),
    [
        ({"X_Forwarded_For": "203.0.113.7, 10.0.0.4:443"}, Proxies(count=1), "203.0.113.7"),
        (
            {"X_Azure_ClientIP": "203.0.113.7", "X_Forwarded_For": "1.2.3.4, 10.0.0.4"},
            Proxies(count=1, header="X-Azure-ClientIP"),
            "203.0.113.7",
        ),
        (
            {"X_Azure_ClientIP": "1.2.3.4", "X_Forwarded_For": "203.0.113.7"},
            Proxies(prefixes=(ip_network("10.0.0.0/8"),), header="X-Azure-ClientIP"),
            "203.0.113.7",
        ),
        (
            {"X_Forwarded_For": "203.0.113.7, 10.0.0.4"},
            Proxies(count=1, header="x-forwarded-for"),
            "203.0.113.7",
        ),
        (
            {"X_Forwarded_For": "10.0.0.4"},
            Proxies(count=1, header="X-Azure-ClientIP"),
            None,
        ),
    ],
)
def test_behind_a_gateway_the_address_is_the_one_that_the_gateway_names(headers, proxies, address):
    """A caller who comes around the gateway cannot name another one, if its prefixes are known."""
    assert caller.read_address(make_request(**headers), proxies) == address
