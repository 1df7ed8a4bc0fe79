"""The rights of each person, over HTTP."""

import pytest

from tests.e2e.stack_client import farm, wish
from tests.local.azure.sim import DB01, NEW01, WEB01
from tests.sizes import sample
from tests.triggers.app_functions import make_principal

pytestmark = pytest.mark.e2e
HOSTS = (0,)

PEOPLE = ("alice", "bob", "olga", "audra", "snow", "petra", "-")
"""Requester, approver and requester, operator, auditor, ticketing system, no role, nobody."""

PORT = {"number": 22, "protocol": "TCP", "allowedSources": ["*"], "maxDuration": "PT3H"}
POLICY = {"virtualMachines": [{"id": NEW01, "ports": [PORT | {"number": 0}]}]}  # 400 if allowed
MAY = {
    ("POST", "access-requests"): (200, 200, 403, 403, 200, 403, 401),
    ("GET", "access-requests"): (200, 200, 200, 200, 200, 403, 401),
    ("GET", "access-requests/x"): (404, 404, 404, 404, 404, 403, 401),
    ("GET", "access-requests/x/outcome"): (404, 404, 404, 404, 404, 403, 401),
    ("POST", "access-requests/x/revoke"): (404, 404, 404, 403, 404, 403, 401),
    ("POST", "access-requests/x/extend"): (404, 404, 403, 403, 404, 403, 401),
    ("GET", "access"): (200, 200, 200, 200, 200, 403, 401),
    ("GET", "virtual-machines"): (200, 200, 200, 200, 200, 403, 401),
    ("PUT", "virtual-machines/jit-policy"): (403, 403, 400, 403, 403, 403, 401),
    ("DELETE", "virtual-machines/jit-policy"): (403, 403, 400, 403, 403, 403, 401),
    ("GET", "me"): (200, 200, 200, 200, 200, 200, 401),
    ("GET", "my-address"): (200, 200, 200, 200, 200, 403, 401),
    ("POST", "reconcile?dryRun=true"): (403, 403, 200, 403, 403, 403, 401),
    ("GET", "audit"): (403, 403, 403, 200, 403, 403, 401),
    ("GET", "audit/chains"): (403, 403, 403, 200, 403, 403, 401),
    ("GET", "audit/chains/people"): (403, 403, 403, 200, 403, 403, 401),
    ("POST", "audit/erasures"): (403, 403, 400, 403, 403, 403, 401),
    ("GET", "status"): (403, 403, 200, 200, 403, 403, 401),
}
BODIES = {
    "access-requests": wish(farm(1), dryRun=True),
    "access-requests/x/extend": {"duration": "PT1H"},
    "virtual-machines/jit-policy": POLICY,
}
CASES = [
    pytest.param(method, path, person, status, id=f"{method} {path} {person}")
    for (method, path), statuses in MAY.items()
    for person, status in zip(PEOPLE, statuses, strict=True)
]


@pytest.mark.parametrize("person", PEOPLE)
def test_anybody_may_ask_for_health(client_without_reset, person):
    """Nobody has to sign in, and nobody learns more than one word."""
    client_without_reset.wait_until_healthy()

    answer = client_without_reset.api("GET", "health", as_=person)

    assert (answer.status, answer.json) == (200, {"status": "ok"})


@pytest.mark.scaled
@pytest.mark.parametrize(("method", "path", "person", "status"), list(sample(CASES, 5)))
def test_a_role_has_its_rights_and_no_others(client_without_reset, method, path, person, status):
    """401 without a sign-in, 403 without the role, first of all; `test_routes` asks in process."""
    body = BODIES.get(path) if method != "GET" else None

    assert client_without_reset.api(method, path, body, as_=person).status == status


@pytest.mark.parametrize(
    ("person", "see", "revoke", "extend"),
    [
        ("dave", 404, 404, 404),
        ("bob", 200, 403, 403),
        ("audra", 200, 403, 403),
        ("olga", 200, 202, 403),
        ("alice", 200, 202, 202),
    ],
)
def test_the_rights_of_each_person_over_an_open_path(client, person, see, revoke, extend):
    """See, keep open, end: each for its own circle of people."""
    request_id = client.ask(wish(farm(1)))
    client.until_status(request_id, "open")

    seen = client.api("GET", f"access-requests/{request_id}", as_=person)
    extended = client.post(request_id, "extend", {"duration": "PT2H"}, as_=person)
    revoked = client.post(request_id, "revoke", as_=person)

    assert (seen.status, revoked.status, extended.status) == (see, revoke, extend)


def test_a_ticketing_system_asks_for_a_person_and_both_see_and_end_it(client):
    """Alice has the access; the system stands beside her, and dave sees nothing."""
    alice = "a11ce000-0000-4000-8000-000000000001"
    request_id = client.ask(wish(farm(5), onBehalfOf=alice), as_="snow")
    client.until_status(request_id, "open")

    seen = client.api("GET", f"access-requests/{request_id}", as_="alice").json
    lists = {who: [each["id"] for each in client.listed(who)] for who in ("alice", "snow", "dave")}
    ended = client.post(request_id, "revoke", as_="snow")

    assert (seen["requester"]["id"], seen["caller"]["kind"]) == (alice, "application")
    assert lists == {"alice": [request_id], "snow": [request_id], "dave": []}
    assert ended.status == 202


def test_the_access_of_everybody_is_listed_and_a_requester_sees_the_own(client):
    """Two people of the broker, and one of the portal."""
    client.open_in_portal(farm(2), 22, "198.51.100.20")
    for who, number in (("alice", 5), ("dave", 6)):
        client.until_status(client.ask(wish(farm(number)), as_=who), "open")
    # A comparison that ran before the portal was used shows that person to nobody.
    client.until(lambda: len(client.api("GET", "access", as_="audra").json["value"]) > 2, 12)

    seen = {
        who: client.api("GET", "access", as_=who).json["value"]
        for who in ("alice", "dave", "audra", "bob", "olga")
    }

    lists = {who: sorted(each["person"]["name"] for each in seen[who]) for who in seen}
    everybody = ["alice@example.com", "dave@example.com", "petra@contoso.example"]
    assert lists == {
        "alice": everybody[:1],
        "dave": everybody[1:2],
        **dict.fromkeys(("audra", "bob", "olga"), everybody),
    }
    assert [each["status"] for each in seen["audra"] if each["origin"] == "broker"] == ["open"] * 2


def test_the_host_tells_each_caller_who_it_is(client_without_reset):
    """The roles of the landscape; a person without any is told so."""
    told = {who: client_without_reset.api("GET", "me", as_=who).json for who in ("snow", "petra")}

    assert (told["snow"]["kind"], told["snow"]["roles"]) == (
        "application",
        ["Jit.Requester", "Jit.System"],
    )
    assert (told["petra"]["kind"], told["petra"]["roles"]) == ("person", [])


def test_a_requester_lists_no_strangers_requests(client):
    """Two people, two lists; who watches sees both."""
    mine = client.ask(wish(farm(2)))
    other = client.ask(wish(farm(3)), as_="dave")

    lists = {who: {each["id"] for each in client.listed(who)} for who in ("alice", "dave", "audra")}

    assert lists == {"alice": {mine}, "dave": {other}, "audra": {mine, other}}


@pytest.mark.parametrize(
    "header", ["X-MS-CLIENT-PRINCIPAL", "X-MS-CLIENT-PRINCIPAL-ID", "X-MS-TOKEN-AAD-ID-TOKEN"]
)
def test_the_platforms_headers_from_a_client_are_ignored(client_without_reset, header):
    """They are removed from the requests of clients."""
    forged = {header: make_principal()}

    answer = client_without_reset.api("GET", "access-requests", as_="-", headers=forged)

    assert answer.status == 401
    assert answer.json["type"].endswith("/unauthenticated")


def test_two_repetitions_by_two_people_are_two_requests(client):
    """A key is its caller's own."""
    key = {"Idempotency-Key": "same"}

    first = client.ask(wish(farm(4)), headers=key)
    second = client.ask(wish(farm(4)), as_="dave", headers=key)

    assert first != second


@pytest.mark.parametrize(
    ("person", "code"),
    [
        ("erin", "rbac-missing-action"),
        ("frank", "rbac-missing-action"),
        ("grace", "rbac-missing-action"),
        ("heidi", "rbac-condition"),
    ],
)
def test_a_person_without_rights_in_azure_is_denied(client, person, code):
    """Rights at another group only, no role, a deny assignment, a condition."""
    answer = client.api("POST", "access-requests", wish(DB01), as_=person)

    assert (answer.status, answer.json["errors"][0]["code"]) == (403, code)
    assert "initiate/action at /subscriptions/" in answer.json["errors"][0]["detail"]
    assert answer.json["requestId"]


def test_a_person_asks_for_the_vms_of_the_own_list(client):
    """Erin has rights by a group in a group, at one group of resources."""
    listed = client.api("GET", "virtual-machines?mine=true", as_="erin").json["value"]

    own = {vm["id"].partition("/providers/")[0] for vm in listed}
    assert {name.rpartition("/")[2].lower() for name in own} == {"rg-web"}
    assert {vm["mayRequest"] for vm in listed} == {True}
    body = wish(WEB01, 3389)
    assert client.api("POST", "access-requests", body, as_="erin").status == 202
