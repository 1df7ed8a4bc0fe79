"""
The matrix of callers: every function of the app by every role, and by callers who are not believed.

A new function without a row here fails. A row is the law, in words of its own: it is compared with
the decorators by calls, and with no other table.
"""

import base64
import json
from dataclasses import replace

import pytest

from jit import wiring
from jit.domain.model.people import Role
from tests.broker.inprocess import ALICE, InProcess, farm, wish
from tests.triggers.app_functions import (
    CALLER_ID,
    CLIENT_ID,
    ROUTES,
    SETTINGS,
    TENANT,
    call,
    make_request,
)

REQUESTER, APPROVER, OPERATOR = Role.REQUESTER, Role.APPROVER, Role.OPERATOR
AUDITOR, SYSTEM = Role.AUDITOR, Role.SYSTEM
SEE_ALL = {APPROVER, OPERATOR, AUDITOR}
EVERYBODY: set[Role] = set()
"""Every caller who is signed in, also without any role."""

ROWS = {
    "create_access_request": {REQUESTER, SYSTEM},
    "list_access_requests": {REQUESTER, SYSTEM} | SEE_ALL,
    "get_access_request": {REQUESTER, SYSTEM} | SEE_ALL,
    "get_outcome": {REQUESTER, SYSTEM} | SEE_ALL,
    "revoke_access_request": {REQUESTER, SYSTEM, OPERATOR},
    "extend_access_request": {REQUESTER},
    "list_access": {REQUESTER} | SEE_ALL,
    "list_virtual_machines": {REQUESTER} | SEE_ALL,
    "put_jit_policy": {OPERATOR},
    "delete_jit_policy": {OPERATOR},
    "get_me": EVERYBODY,
    "get_my_address": {REQUESTER} | SEE_ALL,
    "start_reconcile": {OPERATOR},
    "list_audit_records": {AUDITOR},
    "list_audit_chains": {AUDITOR},
    "get_audit_chain": {AUDITOR},
    "begin_erasure": {OPERATOR},
    "list_bars": {OPERATOR, AUDITOR},
    "get_bar": {OPERATOR, AUDITOR},
    "put_bar": {OPERATOR},
    "delete_bar": {OPERATOR},
    "get_problem": EVERYBODY,
    "get_status": {OPERATOR, AUDITOR},
}
OPEN = {"get_health"}
"""Functions that read no principal."""

GUARDED = sorted(ROWS)
WITH_ROLES = [name for name in GUARDED if ROWS[name]]
OTHER_TENANT = "0badbad0-0000-4000-8000-000000000000"
APP = "a9900000-0000-4000-8000-000000000002"

OWN = [("oid", CALLER_ID), ("tid", TENANT), ("aud", CLIENT_ID)]
PERSON = [*OWN, ("scp", "user_impersonation")]
APPLICATION = [*OWN, ("idtyp", "app"), ("azp", APP), ("azpacr", "1")]
ALL_ROLES = [("roles", role.value) for role in Role]


def encode(document):
    return base64.b64encode(json.dumps(document).encode()).decode()


def with_claims(claims, **changes):
    named = [{"typ": kind, "val": value} for kind, value in claims]
    return encode({"auth_typ": "aad", "claims": named, **changes})


def without(kind, claims=PERSON):
    return [each for each in claims if each[0] != kind]


def ask(name, principal, **changes):
    """Return the status for a caller; a caller who passes meets a 400 for the query."""
    headers = {"Content-Type": "application/json"}
    headers |= {} if principal is None else {"X-MS-CLIENT-PRINCIPAL": principal}
    return call(
        name, make_request(name, headers=headers | changes, params={"unknown": "1"})
    ).status_code


WHOLE = with_claims([*PERSON, *ALL_ROLES])
UNBELIEVED = {
    "anonymous": None,
    "empty": "",
    "foreign tenant": with_claims([*without("tid"), ("tid", OTHER_TENANT), *ALL_ROLES]),
    "two tenants": with_claims([*PERSON, ("tid", OTHER_TENANT), *ALL_ROLES]),
    "no tenant": with_claims([*without("tid"), *ALL_ROLES]),
    "foreign audience": with_claims([*without("aud"), ("aud", "api://other"), *ALL_ROLES]),
    "no audience": with_claims([*without("aud"), *ALL_ROLES]),
    "resource manager": with_claims(
        [*without("aud"), ("aud", "https://management.azure.com/"), *ALL_ROLES]
    ),
    "no object id": with_claims([*without("oid"), *ALL_ROLES]),
    "object id twice": with_claims([*PERSON, ("oid", CALLER_ID), *ALL_ROLES]),
    "another provider": with_claims([*PERSON, *ALL_ROLES], auth_typ="github"),
    "not base64": "%%%",
    "two headers": f"{WHOLE},{WHOLE}",
    "no object": encode([{"typ": "oid", "val": CALLER_ID}]),
    "too long": with_claims([*PERSON, *ALL_ROLES, ("x", "x" * 40_000)]),
    "id token of an application": with_claims(
        [*without("azp", APPLICATION), ("nonce", "x"), *ALL_ROLES]
    ),
    "application with a scope": with_claims([*APPLICATION, ("scp", "x"), *ALL_ROLES]),
}


def test_every_function_has_a_row():
    """A new one says here which callers it answers."""
    assert sorted([*ROWS, *OPEN]) == ROUTES


def test_every_role_answers_for_something():
    """A role that opens nothing is a slip, or is not built yet."""
    used = set[Role]().union(*(ROWS[name] for name in WITH_ROLES))

    assert set(Role) - used == {Role.BREAK_GLASS}


@pytest.mark.parametrize("kind", [PERSON, APPLICATION], ids=["person", "application"])
@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("name", WITH_ROLES)
def test_a_function_answers_its_roles_and_no_other(name, role, kind):
    """400 for the query, or 403; a person or an application alike."""
    status = ask(name, with_claims([*kind, ("roles", role.value)]))

    assert status == (400 if role in ROWS[name] else 403)


@pytest.mark.parametrize("roles", [[], ["Contoso.Admin"], ["jit.operator"], ["Jit.Unknown"]])
@pytest.mark.parametrize("name", WITH_ROLES)
def test_a_caller_without_any_of_our_roles_is_refused(name, roles):
    """403 names the roles that would do."""
    principal = with_claims([*PERSON, *(("roles", role) for role in roles)])
    headers = {"X-MS-CLIENT-PRINCIPAL": principal, "Content-Type": "application/json"}

    answer = call(name, make_request(name, headers=headers))

    detail = json.loads(answer.get_body())["detail"]
    assert answer.status_code == 403
    assert [role for role in ROWS[name] if role.value not in detail] == []


@pytest.mark.parametrize("claims", [PERSON, APPLICATION], ids=["person", "application"])
@pytest.mark.parametrize("name", sorted(set(GUARDED) - set(WITH_ROLES)))
def test_a_function_for_everybody_who_is_signed_in_needs_no_role(name, claims):
    """The next check answers: the query."""
    assert ask(name, with_claims(claims)) == 400


@pytest.mark.parametrize("caller", UNBELIEVED)
@pytest.mark.parametrize("name", GUARDED)
def test_a_caller_who_is_not_believed_is_401(name, caller):
    """With every role in the claims."""
    assert ask(name, UNBELIEVED[caller]) == 401


@pytest.mark.parametrize(
    "fault",
    [
        {"auth_enabled": False},
        {"tenant_id": ""},
        {"application_fault": "WEBSITE_AUTH_V2_CONFIG_JSON does not require authentication"},
    ],
    ids=lambda fault: next(iter(fault)),
)
@pytest.mark.parametrize("name", GUARDED)
def test_no_caller_is_believed_while_the_authentication_is_misconfigured(name, fault, monkeypatch):
    """The header may be the client's own."""
    monkeypatch.setattr(wiring, "settings", lambda: replace(SETTINGS, **fault))

    assert ask(name, WHOLE) == 401


@pytest.mark.parametrize("caller", UNBELIEVED)
def test_health_answers_callers_who_are_not_believed(caller, use_case):
    """It reads no principal."""
    use_case("health", check=type("Health", (), {"is_well": True})())
    headers = {} if UNBELIEVED[caller] is None else {"X-MS-CLIENT-PRINCIPAL": UNBELIEVED[caller]}

    assert call("get_health", make_request("get_health", headers=headers)).status_code == 200


# ---- on behalf -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def broker():
    """A broker in this process; each call asks for another virtual machine's access."""
    return InProcess()


@pytest.fixture
def ask_for(broker, monkeypatch):
    """Return a function that asks for access, maybe in the name of Alice."""
    monkeypatch.setattr(wiring, "acceptance", lambda: broker.acceptance)
    monkeypatch.setattr(wiring, "clock", lambda: broker.now)

    def post(claims, on_behalf_of):
        named = {"onBehalfOf": on_behalf_of} if on_behalf_of else {}
        headers = {
            "X-MS-CLIENT-PRINCIPAL": with_claims(claims),
            "Content-Type": "application/json",
        }
        body = wish(farm(1), dryRun=True, **named)
        name = "create_access_request"
        answer = call(name, make_request(name, headers=headers, body=body))
        return answer.status_code, json.loads(answer.get_body())

    return post


@pytest.mark.parametrize("kind", [PERSON, APPLICATION], ids=["person", "application"])
@pytest.mark.parametrize("named", [None, ALICE.id, CALLER_ID], ids=["nobody", "alice", "itself"])
@pytest.mark.parametrize("role", list(Role))
def test_only_a_system_asks_for_others_and_only_a_requester_for_itself(ask_for, role, named, kind):
    """Other roles are refused before the body is read; these two learn which role is missing."""
    status, doc = ask_for([*kind, ("roles", role.value)], named)

    right = {None: REQUESTER, ALICE.id: SYSTEM}.get(named)
    codes = [each["code"] for each in doc.get("errors", ())]
    expected = (200, [] if role is right else ["on-behalf-role"])
    assert (status, codes) == (expected if role in ROWS["create_access_request"] else (403, []))


@pytest.mark.parametrize("name", WITH_ROLES)
def test_on_behalf_of_gives_no_right_on_another_function(name):
    """A system that names an operator is no operator."""
    principal = with_claims([*APPLICATION, ("roles", SYSTEM.value)])
    headers = {"X-MS-CLIENT-PRINCIPAL": principal, "Content-Type": "application/json"}
    body = {"onBehalfOf": ALICE.id}

    answer = call(name, make_request(name, headers=headers, body=body, params={"unknown": "1"}))

    assert answer.status_code == (400 if SYSTEM in ROWS[name] else 403)
