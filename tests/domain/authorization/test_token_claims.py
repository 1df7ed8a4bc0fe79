"""Claims of a signed-in caller: whom they name, and when they name nobody."""

import pytest

from jit.domain.authorization.token_claims import MOST_CLAIMS, read_claims
from jit.domain.model.people import Kind, Person

TENANT = "7e4a4700-0000-4000-8000-000000000000"
OTHER = "0badbad0-0000-4000-8000-000000000000"
OID = "a11ce000-0000-4000-8000-000000000001"
CLIENT = "c11e0000-0000-4000-8000-000000000001"
APP = "a9900000-0000-4000-8000-000000000002"
GROUP = "96000000-0000-4000-8000-000000000001"
MICROSOFT = "http://schemas.microsoft.com/identity/claims/"
FEDERATION = "http://schemas.microsoft.com/ws/2008/06/identity/claims/"
XMLSOAP = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/"
OURS = frozenset({CLIENT, f"api://{CLIENT}"})
LEAST = [("oid", OID), ("tid", TENANT), ("aud", CLIENT)]
OF_APP = [*LEAST, ("azp", APP)]


def read(*claims, audiences=OURS, tenant=TENANT):
    return read_claims(claims, tenant=tenant, audiences=audiences)


# ---- tokens as Entra ID issues them --------------------------------------------------------------

V2_OF_A_PERSON = [
    ("aud", CLIENT),
    ("iss", f"https://login.microsoftonline.com/{TENANT}/v2.0"),
    ("azp", APP),
    ("azpacr", "0"),
    ("name", "Alice Ashdown"),
    ("oid", OID),
    ("preferred_username", "alice@example.com"),
    ("scp", "user_impersonation"),
    ("tid", TENANT),
    ("ver", "2.0"),
    ("roles", "Jit.Requester"),
]
V1_OF_A_PERSON = [
    ("aud", f"api://{CLIENT}"),
    ("iss", f"https://sts.windows.net/{TENANT}/"),
    ("appid", APP),
    ("appidacr", "1"),
    ("name", "Alice Ashdown"),
    (f"{MICROSOFT}objectidentifier", OID.upper()),
    (f"{MICROSOFT}scope", "user_impersonation"),
    (f"{MICROSOFT}tenantid", TENANT.upper()),
    (f"{XMLSOAP}upn", "alice@example.com"),
    ("ver", "1.0"),
    (f"{FEDERATION}role", "Jit.Requester"),
]
ID_TOKEN_OF_A_PERSON = [
    ("aud", CLIENT),
    ("iss", f"https://login.microsoftonline.com/{TENANT}/v2.0"),
    ("name", "Alice Ashdown"),
    ("nonce", "x"),
    ("oid", OID),
    ("preferred_username", "alice@example.com"),
    ("tid", TENANT),
    ("ver", "2.0"),
    ("roles", "Jit.Requester"),
]
V2_OF_AN_APPLICATION = [
    ("aud", CLIENT),
    ("iss", f"https://login.microsoftonline.com/{TENANT}/v2.0"),
    ("azp", APP),
    ("azpacr", "2"),
    ("oid", OID),
    ("tid", TENANT),
    ("ver", "2.0"),
    ("roles", "Jit.System"),
]
V1_OF_AN_APPLICATION = [
    ("aud", f"api://{CLIENT}"),
    ("iss", f"https://sts.windows.net/{TENANT}/"),
    ("app_displayname", "ServiceNow"),
    ("appid", APP),
    ("appidacr", "1"),
    ("idtyp", "app"),
    (f"{MICROSOFT}objectidentifier", OID),
    (f"{MICROSOFT}tenantid", TENANT),
    ("ver", "1.0"),
    (f"{FEDERATION}role", "Jit.System"),
]


@pytest.mark.parametrize("claims", [V2_OF_A_PERSON, V1_OF_A_PERSON, ID_TOKEN_OF_A_PERSON])
def test_a_token_of_a_person_names_the_person(claims):
    """v1.0 and v2.0, short and long types, with a client or by a session of a browser."""
    assert read(*claims) == Person(
        id=OID,
        name="alice@example.com",
        roles=frozenset({"Jit.Requester"}),
        display_name="Alice Ashdown",
    )


@pytest.mark.parametrize(
    ("claims", "name"), [(V2_OF_AN_APPLICATION, APP), (V1_OF_AN_APPLICATION, "ServiceNow")]
)
def test_a_token_of_an_application_names_the_application(claims, name):
    """Its object id is that of its service principal."""
    found = read(*claims)

    assert (found.id, found.kind, found.roles) == (OID, Kind.APPLICATION, {"Jit.System"})
    assert found.name == name


@pytest.mark.parametrize("claims", [V2_OF_A_PERSON, V1_OF_A_PERSON, V1_OF_AN_APPLICATION])
def test_the_order_of_claims_says_nothing(claims):
    """No document promises one."""
    assert read(*reversed(claims)) == read(*claims)


# ---- person or application -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "kind"),
    [
        ([], Kind.PERSON),
        ([("idtyp", "user")], Kind.PERSON),
        ([("idtyp", "user"), ("azp", APP)], Kind.PERSON),
        ([("scp", "x"), ("azp", APP)], Kind.PERSON),
        ([("nonce", "x")], Kind.PERSON),
        ([("azp", APP)], Kind.APPLICATION),
        ([("azp", APP), ("scp", "")], Kind.APPLICATION),
        ([("azp", APP), ("scp", ["x"])], Kind.APPLICATION),
        ([("appid", APP)], Kind.APPLICATION),
        ([("azp", APP), ("preferred_username", "alice@example.com")], Kind.APPLICATION),
        ([("idtyp", "app"), ("azp", APP), ("azpacr", "1")], Kind.APPLICATION),
    ],
)
def test_a_scope_makes_a_person_and_a_client_alone_an_application(more, kind):
    """In doubt it is an application, which decides about nobody's request."""
    assert read(*LEAST, *more).kind is kind


@pytest.mark.parametrize(
    "more",
    [
        [("idtyp", "app")],
        [("azpacr", "1")],
        [("appidacr", "2"), ("preferred_username", "alice@example.com")],
        [("idtyp", "app"), ("azp", APP), ("scp", "x")],
        [("idtyp", "app"), ("azp", APP), ("nonce", "x")],
        [("idtyp", "app"), ("azp", APP), ("c_hash", "x")],
        [("idtyp", "app"), ("azp", APP), ("azpacr", "0")],
        [("azp", APP), ("at_hash", "x")],
        [("appid", APP), ("appidacr", "0")],
        [("idtyp", "device"), ("azp", APP)],
        [("idtyp", "App"), ("azp", APP)],
    ],
)
def test_an_application_without_an_access_token_of_its_own_is_nobody(more):
    """An ID token proves who signed in, and not that the application may call."""
    assert read(*LEAST, *more) is None


# ---- tenant and audience -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "claims",
    [
        [("oid", OID), ("tid", OTHER), ("aud", CLIENT)],
        [("oid", OID), ("aud", CLIENT)],
        [("oid", OID), ("tid", ""), ("aud", CLIENT)],
        [*LEAST, ("iss", f"https://sts.windows.net/{OTHER}/")],
        [*LEAST, ("iss", f"https://evil.example/x{TENANT}/")],
        [*LEAST, ("iss", f"https://evil.example/{TENANT}/v2.0")],
        [*LEAST, ("iss", f"http://login.microsoftonline.com/{TENANT}/v2.0")],
        [*LEAST, ("iss", f"https://login.microsoftonline.com@evil.example/{TENANT}/v2.0")],
        [*LEAST, ("ver", "3.0")],
        [("oid", OID), ("tid", TENANT)],
        [("oid", OID), ("tid", TENANT), ("aud", "api://other")],
        [("oid", OID), ("tid", TENANT), ("aud", "https://management.azure.com/")],
    ],
)
def test_a_token_of_another_tenant_or_for_another_audience_names_nobody(claims):
    """Such as one for Azure Resource Manager, which everybody can get."""
    assert read(*claims) is None


@pytest.mark.parametrize(
    ("audience", "is_believed"),
    [
        ([], True),
        ([("aud", "api://x")], True),
        ([("aud", "https://management.core.windows.net//")], False),
    ],
)
def test_without_a_client_id_the_platform_alone_compares_audiences(audience, is_believed):
    """Resource Manager is never right."""
    found = read(("oid", OID), ("tid", TENANT), *audience, audiences=())

    assert (found is not None) is is_believed


def test_without_a_known_tenant_nobody_is_named():
    """An empty claim is not equal to an empty setting."""
    assert read(("oid", OID), ("tid", ""), ("aud", CLIENT), tenant="") is None


# ---- claims that must be single ------------------------------------------------------------------

SINGLE = [
    ("oid", OID),
    ("tid", TENANT),
    ("aud", CLIENT),
    ("iss", f"https://sts.windows.net/{TENANT}/"),
    ("ver", "2.0"),
    ("idtyp", "app"),
    ("azp", APP),
    ("appid", APP),
    ("azpacr", "1"),
    ("appidacr", "1"),
    (f"{MICROSOFT}objectidentifier", OID),
    (f"{MICROSOFT}tenantid", TENANT),
]


def test_each_of_these_claims_may_be_there_once():
    """Long and short types too, if they agree."""
    assert read(*SINGLE).kind is Kind.APPLICATION


@pytest.mark.parametrize("claim", SINGLE, ids=lambda claim: claim[0])
@pytest.mark.parametrize("value", ["the same", OTHER, "", 7, None, [OID], {"x": OID}, True])
def test_a_claim_that_must_be_single_is_there_once_and_is_a_text(claim, value):
    """A second one, equal or not, is no work of Entra ID."""
    second = (claim[0], claim[1] if value == "the same" else value)

    assert read(*SINGLE, second) is None
    assert read(second, *SINGLE) is None


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (f"{MICROSOFT}objectidentifier", OTHER),
        (f"{MICROSOFT}tenantid", OTHER),
        ("appid", OTHER),
        ("appidacr", "2"),
    ],
)
def test_two_types_of_one_claim_must_agree(kind, value):
    """Short and long; ``azp`` of v2.0 and ``appid`` of v1.0."""
    assert read(*OF_APP, ("azpacr", "1"), (kind, value)) is None


@pytest.mark.parametrize(
    "oid", ["", "alice", "a" * 500, f"{OID} ", f"{{{OID}}}", "00000000-0000-0000-0000-000000000000"]
)
def test_an_object_id_has_the_form_of_one(oid):
    """It becomes a key of rows, and a part of queries."""
    assert read(("oid", oid), ("tid", TENANT), ("aud", CLIENT)) is None


def test_a_caller_with_too_many_claims_is_nobody():
    """No token has so many."""
    more = [("x", str(number)) for number in range(MOST_CLAIMS - len(LEAST))]

    assert read(*LEAST, *more) is not None
    assert read(*LEAST, *more, ("x", "one more")) is None


def test_a_name_is_cut_at_the_length_that_the_directory_allows():
    """It is shown, stored and sent to Defender."""
    found = read(*LEAST, ("name", "n" * 5_000))

    assert (len(found.name), len(found.display_name)) == (256, 256)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (
            "bob@example.com: CHG0009999 approved\nalice",
            "bob@example.com: CHG0009999 approved alice",
        ),
        ("\r\n alice\t\u2028 ashdown \x00", "alice ashdown"),
        ("\u202ealice", "alice"),
        ("ali\u200bce", "ali ce"),
        ("Zoë", "Zoë"),
        ("PDF\u200c\u0647\u0627", "PDF\u200c\u0647\u0627"),
    ],
)
def test_a_name_is_one_line_that_people_can_read(text, name):
    """The owner of an application chooses its display name, and Defender's record shows it."""
    found = read(*LEAST, ("name", text))

    assert (found.name, found.display_name) == (name, name)


@pytest.mark.parametrize("text", ["", " ", "\n", "\u200b", "\u2800", "\u3164\ufe0f", "\ud800"])
def test_a_name_with_nothing_to_see_is_missing(text):
    """The next claim names the caller, or else the object id."""
    found = read(*LEAST, ("preferred_username", text), ("name", "Alice Ashdown"))
    alone = read(*LEAST, ("name", text))

    assert (found.name, found.display_name) == ("Alice Ashdown", "Alice Ashdown")
    assert (alone.name, alone.display_name) == (OID, None)


# ---- groups --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["groups", f"{FEDERATION}groups"])
def test_groups_are_known_if_the_token_lists_them(kind):
    """In lower case, as all object ids."""
    assert read(*LEAST, (kind, GROUP.upper()), (kind, OTHER)).groups == {GROUP, OTHER}


@pytest.mark.parametrize(
    "more",
    [
        [],
        [("_claim_names", '{"groups":"src1"}')],
        [("_claim_names", '{"groups":"src1"}'), ("groups", GROUP)],
        [("_claim_names", {"groups": "src1"}), ("groups", GROUP)],
        [("hasgroups", True), ("groups", GROUP)],
        [("hasgroups", "true")],
        [("hasgroups", "true"), ("groups", GROUP)],
        [("groups:src1", "https://graph.microsoft.com/x")],
        [("http://schemas.microsoft.com/claims/groups.link", "https://graph.windows.net/x")],
        [("groups", "CONTOSO\\admins")],
        [("groups", GROUP), ("groups", "")],
        [("groups", f"96000000-0000-4000-8000-{number:012}") for number in range(1, 202)],
    ],
)
def test_groups_are_unknown_if_the_token_does_not_list_them_all(more):
    """A caller with many groups gets the place of the list instead; nobody may read it as none."""
    assert read(*LEAST, *more).groups is None


def test_a_long_list_of_groups_is_known_as_long_as_entra_id_lists_them():
    """200 in a JWT."""
    groups = [("groups", f"96000000-0000-4000-8000-{number:012}") for number in range(1, 201)]

    assert len(read(*LEAST, *groups).groups) == 200
