"""The principal of App Service authentication: which headers are believed."""

import base64
import json

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

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


@pytest.mark.parametrize("provider", ["github", "google", "aad,github", "aad,aad", "AAD", "x", " "])
@pytest.mark.parametrize("auth_typ", ["aad", "aadv2"])
def test_a_principal_of_another_provider_is_nobodys(auth_typ, provider):
    """The platform's header of the provider and the principal must agree."""
    assert read(make_principal(OBJECT, auth_typ=auth_typ), provider) is None


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


# ---- any header ----------------------------------------------------------------------------------

CLIENT = "c11e0000-0000-4000-8000-000000000001"
AUDIENCES = frozenset({CLIENT, f"api://{CLIENT}"})
GOOD = [
    claim(*OBJECT),
    claim("tid", TENANT),
    claim("aud", CLIENT),
    claim("iss", f"https://login.microsoftonline.com/{OURS}/v2.0"),
    claim("ver", "2.0"),
    claim("scp", "user_impersonation"),
    claim(*REQUESTER),
]
MUST_BE_SINGLE = ["oid", "tid", "aud", "iss", "ver", "idtyp", "azp", f"{LONG}objectidentifier"]
SCALARS = st.none() | st.booleans() | st.integers() | st.text(max_size=12)
JSON = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["typ", "val", "claims", "auth_typ", "x"]), inner)
    ),
    max_leaves=12,
)


def believe(header):
    return read_principal(header, provider="aad", tenant=OURS, audiences=AUDIENCES)


@given(st.text(max_size=400) | st.binary(max_size=400).map(lambda b: base64.b64encode(b).decode()))
def test_no_text_is_a_principal_by_chance(header):
    """Neither base64 nor anything else."""
    assert believe(header) is None


@given(JSON)
def test_no_json_makes_reading_fail(document):
    """It may have any shape."""
    assert believe(encode(document)) is None


@given(st.permutations(GOOD), st.lists(JSON, max_size=4))
def test_claims_that_say_nothing_change_nothing(claims, others):
    """In any order, between the others."""
    assume(not any(isinstance(each, dict) and "typ" in each for each in others))

    assert believe(with_claims(*others, *claims)) == believe(with_claims(*GOOD))


@given(st.sampled_from(MUST_BE_SINGLE), JSON, st.integers(0, len(GOOD)))
def test_one_more_claim_that_must_be_single_is_never_a_way_in(kind, value, place):
    """It repeats, contradicts or agrees; the caller is the same one, or nobody."""
    claims = [*GOOD[:place], claim(kind, value), *GOOD[place:]]

    found = believe(with_claims(*claims))

    assert found is None or (found.id, found.roles) == (OID.lower(), {"Jit.Requester"})


@given(st.sampled_from(range(len(GOOD) - 2)), JSON)
def test_a_faulty_value_of_a_needed_claim_is_nobodys(place, value):
    """Object id, tenant, audience, issuer, version."""
    good = GOOD[place]["val"]
    assume(not isinstance(value, str) or value.lower() != good.lower())
    claims = [*GOOD[:place], claim(GOOD[place]["typ"], value), *GOOD[place + 1 :]]
    assume(value != "1.0")

    assert believe(with_claims(*claims)) is None


@pytest.mark.parametrize(
    "text",
    [
        json.dumps({"auth_typ": "aad", "claims": GOOD})[:-1] + ', "claims": []}',
        '{"auth_typ": "github", ' + json.dumps({"auth_typ": "aad", "claims": GOOD})[1:],
        json.dumps({"auth_typ": "aad", "claims": GOOD}).replace(
            '{"typ": "oid",', '{"typ": "x", "typ": "oid",'
        ),
    ],
)
def test_a_member_that_is_there_twice_makes_a_header_nobodys(text):
    """One reader takes the first, another one the last."""
    assert believe(base64.b64encode(text.encode()).decode()) is None


def test_the_good_claims_of_these_tests_name_a_requester():
    """Else they would prove nothing."""
    assert believe(with_claims(*GOOD)).roles == {"Jit.Requester"}
