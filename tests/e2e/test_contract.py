"""The HTTP contract on the whole local stack: answers, places to look, refusals."""

from contextlib import closing
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection

import pytest

from jit.domain.model.people import Role
from tests.e2e.stack_client import ELSEWHERE, HERE, farm, wish
from tests.local.azure.sim import DB01, DEVELOPMENT, HUB01, NEW01, PRODUCTION, WEB01, group, machine
from tests.sizes import sample
from tests.triggers.app_functions import make_principal

pytestmark = pytest.mark.e2e

KEY = {"Idempotency-Key": "CHG0030001-1"}


# ---- accepted ------------------------------------------------------------------------------------


def test_an_accepted_request_is_202_with_a_place_to_watch(client):
    """Absolute, and it is where the outcome is."""
    answer = client.api("POST", "access-requests", wish(farm(1)))

    place = f"{client.stack.url}/api/access-requests/{answer.json['id']}/outcome"
    assert (answer.status, answer.headers["location"]) == (202, place)
    assert int(answer.headers["retry-after"]) > 0
    assert (answer.json["status"], answer.json["grants"][0]["connection"]) == ("pending", None)


def test_an_outcome_is_202_until_the_request_is_settled_then_200(client):
    """The async pattern of Logic Apps, followed as it is written."""
    request_id = client.ask(wish(farm(2)))
    path = f"access-requests/{request_id}/outcome"
    first = client.api("GET", path)

    client.until(lambda: client.api("GET", path).status == 200, 3)

    assert (first.status, first.headers["location"]) == (202, f"{client.stack.url}/api/{path}")
    assert client.api("GET", path).json["status"] == "open"


def test_a_request_for_later_is_watched_every_ten_minutes(client):
    """Nobody polls every few seconds for a week."""
    start = (client.now + timedelta(days=7)).isoformat()

    answer = client.api("POST", "access-requests", wish(farm(3), startTime=start))

    assert (answer.json["status"], answer.headers["retry-after"]) == ("scheduled", "600")


def test_a_dry_run_is_200_with_the_decision_and_stores_nothing(client):
    """Yes or no, and why."""
    yes = client.api("POST", "access-requests", wish(farm(1), dryRun=True))
    no = client.api("POST", "access-requests", wish(HUB01, dryRun=True))

    assert (yes.status, yes.json["decision"]["allowed"]) == (200, True)
    assert (no.status, no.json["decision"]["errors"][0]["code"]) == (200, "vm-unsupported")
    assert client.listed() == []


# ---- the same call twice -------------------------------------------------------------------------


def test_a_repetition_at_another_instance_is_the_same_request(client):
    """Retries land anywhere."""
    asked = [client.ask(wish(farm(4)), host=host, headers=KEY) for host in (0, 1, 0, 1, 1)]

    assert len(set(asked)) == 1
    assert len(client.listed()) == 1


def test_a_key_used_with_another_body_is_a_conflict_at_any_instance(client):
    """It would be two requests that look like one."""
    client.ask(wish(farm(4)), host=0, headers=KEY)

    answer = client.api("POST", "access-requests", wish(farm(5)), host=1, headers=KEY)

    assert (answer.status, answer.json["errors"][0]["code"]) == (409, "idempotency-key-reused")


@pytest.mark.parametrize("key", ["", "é", "a\tb", "x" * 256])
def test_a_key_that_cannot_be_used_is_refused(client, key):
    """The caller believes to be protected."""
    answer = client.api("POST", "access-requests", wish(farm(4)), headers={"Idempotency-Key": key})

    assert (answer.status, answer.json["errors"][0]["code"]) == (400, "idempotency-key-malformed")


# ---- refused -------------------------------------------------------------------------------------


def _with(**changes):
    return wish(farm(6), **changes)


def _vm(vm_id, *ports):
    return {"virtualMachines": [{"id": vm_id, "ports": list(ports) or [{"number": 22}]}]}


FOREIGN = machine("web01", group("rg-web", "5c0ffee0-0000-4000-8000-00000000dead"))
BAD_BODIES = {
    "nothing": (b"", 400, None),
    "no-json": (b"{", 400, None),
    "not-an-object": (b"[]", 400, None),
    "duplicate-keys": (b'{"duration": "PT1H", "duration": "PT2H"}', 400, None),
    "not-a-number": (b'{"duration": NaN}', 400, None),
    "too-deep": (b"[" * 40 + b"]" * 40, 400, None),
    "endless": (b"[" * 60_000, 400, None),
    "not-utf-8": (b'{"duration": "\xff"}', 400, None),
    "too-large": (b" " * (64 * 1024 + 1), 413, None),
    "empty": ({}, 400, "missing-field"),
    "unknown-field": (_with(colour="red"), 400, "unknown-field"),
    "later-field": (_with(callbackUrl="https://x.example"), 400, "not-supported"),
    "on-behalf-of": (
        _with(onBehalfOf="a11ce000-0000-4000-8000-000000000001"),
        403,
        "on-behalf-role",
    ),
    "no-machines": (_with(virtualMachines=[]), 400, "too-few"),
    "many-machines": (
        _with(virtualMachines=[_vm(farm(1))["virtualMachines"][0]] * 91),
        400,
        "too-many",
    ),
    "machine-twice": (
        _with(virtualMachines=[_vm(each)["virtualMachines"][0] for each in (WEB01, WEB01.upper())]),
        400,
        "duplicate-vm",
    ),
    "two-subscriptions": (
        _with(virtualMachines=[_vm(each)["virtualMachines"][0] for each in (WEB01, farm(1))]),
        400,
        "subscriptions-differ",
    ),
    "path-trick": (_with(**_vm(f"{WEB01}/../x")), 400, "vm-id-malformed"),
    "encoded-trick": (_with(**_vm(WEB01.replace("web01", "web01%2f.."))), 400, "vm-id-malformed"),
    "other-provider": (
        _with(**_vm(WEB01.replace("Microsoft.Compute", "Microsoft.Classic"))),
        400,
        "vm-id-not-a-vm",
    ),
    "unknown-machine": (_with(**_vm(farm(1).replace("farm01", "nobody"))), 403, "vm-not-found"),
    "foreign-subscription": (_with(**_vm(FOREIGN)), 403, "vm-not-found"),
    "unsupported": (_with(**_vm(HUB01)), 403, "vm-unsupported"),
    "no-ports": (_with(virtualMachines=[{"id": farm(1), "ports": []}]), 400, "too-few"),
    "port-0": (_with(**_vm(farm(1), {"number": 0})), 400, "port-out-of-range"),
    "port-65536": (_with(**_vm(farm(1), {"number": 65536})), 400, "port-out-of-range"),
    "port-true": (_with(**_vm(farm(1), {"number": True})), 400, "wrong-type"),
    "port-text": (_with(**_vm(farm(1), {"number": "22"})), 400, "wrong-type"),
    "port-twice": (_with(**_vm(farm(1), {"number": 22}, {"number": 22})), 400, "duplicate-port"),
    "port-not-allowed": (_with(**_vm(farm(1), {"number": 443})), 403, "port-not-in-policy"),
    "wrong-protocol": (
        _with(**_vm(farm(1), {"number": 22, "protocol": "UDP"})),
        403,
        "protocol-not-in-policy",
    ),
    "strange-protocol": (
        _with(**_vm(farm(1), {"number": 22, "protocol": "ICMP"})),
        400,
        "protocol-unknown",
    ),
    "no-sources": (_with(sources=[]), 400, "too-few"),
    "any-source": (_with(sources=["*"]), 400, "source-any"),
    "every-address": (_with(sources=["0.0.0.0/0"]), 400, "source-any"),
    "half-the-world": (_with(sources=["128.0.0.0/1"]), 400, "source-too-wide"),
    "wide-source": (_with(sources=["203.0.112.0/23"]), 400, "source-too-wide"),
    "host-bits": (_with(sources=["203.0.113.7/24"]), 400, "source-host-bits"),
    "source-twice": (_with(sources=[HERE, f"{HERE}/32"]), 400, "duplicate-source"),
    "private-source": (_with(sources=["10.0.0.7"]), 400, "source-not-public"),
    "loopback-source": (_with(sources=["127.0.0.1"]), 400, "source-reserved"),
    "metadata-source": (_with(sources=["169.254.169.254"]), 400, "source-reserved"),
    "multicast-source": (_with(sources=["224.0.0.1"]), 400, "source-reserved"),
    "tag-source": (_with(sources=["Internet"]), 400, "source-any"),
    "octal-source": (_with(sources=["0203.0.113.7"]), 400, "source-malformed"),
    "ipv6-source": (_with(sources=["2a01:111:f100::1"]), 403, "ipv6-not-allowed"),
    "source-outside": (
        wish(DB01, 3389, ELSEWHERE, duration="PT1H"),
        403,
        "source-not-allowed",
    ),
    "months": (_with(duration="P1M"), 400, "duration-ambiguous"),
    "negative": (_with(duration="-PT1H"), 400, "duration-negative"),
    "minutes-as-number": (_with(duration=60), 400, "wrong-type"),
    "too-short": (_with(duration="PT4M59S"), 400, "duration-too-short"),
    "too-short-behind-firewall": (
        wish(WEB01, 22, duration="PT14M"),
        400,
        "duration-too-short",
    ),
    "over-a-day": (_with(duration="PT24H1S"), 400, "duration-too-long"),
    "over-the-port": (_with(duration="PT3H1S"), 403, "duration-too-long"),
    "start-in-the-past": (_with(startTime="2020-01-01T00:00:00Z"), 400, "start-in-past"),
    "start-without-zone": (_with(startTime="2030-01-01T00:00:00"), 400, "time-without-zone"),
    "start-far-ahead": (
        _with(startTime=(datetime.now(UTC) + timedelta(days=32)).isoformat()),
        400,
        "start-too-far",
    ),
    "short-reason": (_with(justification="need"), 400, "text-too-short"),
    "long-reason": (_with(justification="x" * 501), 400, "text-too-long"),
    "two-lines": (_with(justification="a patch\nX-Admin: yes"), 400, "text-not-one-line"),
    "ticket-without-id": (_with(ticket={"system": "jira"}), 400, "missing-field"),
}


SENT = dict(sample(BAD_BODIES.items(), 4))
"""Tests of the readers and of the decision have all of these faults, in process."""


@pytest.mark.scaled
@pytest.mark.parametrize(("body", "status", "code"), SENT.values(), ids=SENT)
def test_a_bad_request_is_a_problem_that_names_the_fault(client_without_reset, body, status, code):
    """Status, code, and a place; nothing is stored."""
    answer = client_without_reset.api("POST", "access-requests", body)

    codes = [error["code"] for error in answer.json["errors"]]
    assert (answer.status, code in [None, *codes]) == (status, True), codes
    assert answer.headers["content-type"].startswith("application/problem+json")
    assert client_without_reset.listed() == []


def test_every_fault_is_named_at_once(client):
    """One round trip mends all faults of a body; the JIT policy is asked about a good body only."""
    body = wish(DB01, 443, "0.0.0.0/0", duration="P1M", extra=1, justification="x")

    answer = client.api("POST", "access-requests", body)

    places = {error["pointer"] for error in answer.json["errors"]}
    assert places == {
        "#/extra",
        "#/sources/0",
        "#/duration",
        "#/justification",
    }


def test_a_denial_names_the_audited_request(client):
    """And the next read of it is 404: there is no such request."""
    answer = client.api("POST", "access-requests", wish(HUB01))

    assert answer.status == 403
    assert client.api("GET", f"access-requests/{answer.json['requestId']}").status == 404


@pytest.mark.parametrize(
    "path", ["access-requests/x", "access-requests/%2e%2e", "access-requests/a|b", "nothing"]
)
def test_an_unknown_path_is_404(client_without_reset, path):
    """With any text in the path."""
    assert client_without_reset.api("GET", path).status == 404


@pytest.mark.parametrize(
    "query",
    ["status=odd", "from=x", "to=x", "colour=red", "continuationToken=x", "from=x&to=y&status=z"],
)
def test_a_faulty_query_is_refused(client_without_reset, query):
    """A filter that is ignored would look like an answer."""
    answer = client_without_reset.api("GET", f"access-requests?{query}")

    assert answer.status == 400
    assert len(answer.json["errors"]) == query.count("=")


# ---- lists ---------------------------------------------------------------------------------------


def test_a_list_is_narrowed_by_every_filter_at_once(client):
    """VM, ticket, requester, status."""
    ticket = {"system": "jira", "id": "OPS-1"}
    wanted = client.ask(wish(farm(1), ticket=ticket))
    client.ask(wish(farm(2), ticket=ticket))
    client.ask(wish(farm(1), justification="another reason"), as_="dave")
    alice = client.request(wanted)["requester"]["id"]

    query = f"vm=farm01&ticket=OPS-1&requester={alice}"
    found = client.api("GET", f"access-requests?{query}", as_="olga").json["value"]
    closed = client.api("GET", f"access-requests?{query}&status=closed", as_="olga").json["value"]

    assert [each["id"] for each in found] == [wanted]
    assert closed == []


def test_a_finished_request_is_listed_and_found(client):
    """History is not gone after expiry."""
    request_id = client.ask(wish(farm(7), duration="PT5M"))
    client.until_status(request_id, "open")

    client.until_status(request_id, "closed", 12)

    assert [each["id"] for each in client.listed("alice")] == [request_id]


def test_the_vms_are_listed_with_states_ports_and_who_is_in(client):
    """The three tabs of the portal, and the open grants with their addresses."""
    request_id = client.ask(wish(DB01))
    client.until_status(request_id, "open")

    found = client.api("GET", "virtual-machines").json["value"]

    vms = {each["name"]: each for each in found}
    states = {name: vms[name]["status"] for name in ("web01", "db01", "new01", "hub01")}
    assert states == {
        "web01": "Configured",
        "db01": "Configured",
        "new01": "NotConfigured",
        "hub01": "Unsupported",
    }
    assert len(vms) == 55
    assert vms["db01"]["grants"][0]["connection"]["command"] == "ssh -p 22 user@20.71.10.11"


def test_my_address_is_the_last_hop(client_without_reset):
    """The broker does not believe a client's claims about itself."""
    answer = client_without_reset.api(
        "GET",
        "my-address",
        headers={"X-Forwarded-For": "1.2.3.4", "X-Local-Address": "203.0.113.99"},
    )

    assert answer.json == {"address": "203.0.113.99", "addressReason": None}


def test_status_says_that_storage_azure_and_timers_answer(client_without_reset):
    """To operators and auditors."""
    client_without_reset.wait_until_healthy()

    answer = client_without_reset.api("GET", "status", as_="olga")

    shown = {name: answer.json[name] for name in ("status", "storage", "azure", "problems")}
    assert answer.status == 200
    assert shown == {"status": "ok", "storage": "ok", "azure": "ok", "problems": []}
    assert answer.json["tick"] is not None
    assert sorted(answer.json["comparisons"]) == [PRODUCTION, DEVELOPMENT]


# ---- configuring ---------------------------------------------------------------------------------


def test_a_vm_is_put_under_jit_asked_for_and_taken_out_again(client):
    """From ``NotConfigured`` to an open path, and back."""
    port = {"number": 22, "protocol": "TCP", "allowedSources": ["*"], "maxDuration": "PT3H"}
    body = {"virtualMachines": [{"id": NEW01, "ports": [port]}]}
    put = client.api("PUT", "virtual-machines/jit-policy", body, as_="olga")
    request_id = client.ask(wish(NEW01))
    client.until_status(request_id, "open")
    wider = {"virtualMachines": [{"id": NEW01, "ports": [port, {**port, "number": 3389}]}]}
    busy = client.api("PUT", "virtual-machines/jit-policy", wider, as_="olga")
    client.post(request_id, "revoke")
    client.until_status(request_id, "closed", 5)

    unwanted = {"virtualMachines": [{"id": NEW01}]}
    gone = client.repeat_while_busy("DELETE", "virtual-machines/jit-policy", unwanted, as_="olga")

    assert (put.status, put.json["value"][0]["status"]) == (200, "Configured")
    assert busy.status == 409
    assert (gone.status, gone.json["value"][0]["status"]) == (200, "NotConfigured")


def test_a_faulty_jit_policy_is_refused_whole(client_without_reset):
    """Every fault with its place; Azure is not asked."""
    port = {"number": 0, "protocol": "ICMP", "allowedSources": [], "maxDuration": "P1M"}
    body = {"virtualMachines": [{"id": NEW01, "ports": [port]}]}

    answer = client_without_reset.api("PUT", "virtual-machines/jit-policy", body, as_="olga")

    places = sorted(error["pointer"].rsplit("/", 1)[1] for error in answer.json["errors"])
    assert answer.status == 400
    assert places == ["allowedSources", "maxDuration", "number", "protocol"]


# ---- comparing -----------------------------------------------------------------------------------


def test_a_plan_lists_actions_and_does_nothing(client):
    """A rule that somebody restored after its end: in the plan, and still there afterwards."""
    request_id = client.ask(wish(farm(8), duration="PT5M"))
    client.until_status(request_id, "open")
    rule = client.rule_of(farm(8))
    client.until_status(request_id, "closed", 12)
    client.advance("PT10M")
    client.sim("PUT", "state", {"resources": rule})

    answer = client.api("POST", "reconcile?dryRun=true", as_="olga")

    (item,) = answer.json["plan"]
    assert (answer.status, answer.json["dryRun"]) == (200, True)
    assert (item["action"], item["class"], item["rule"]) == (
        "remove-rule",
        "expired",
        next(iter(rule)).rsplit("/", 1)[1],
    )
    assert item["grant"] == f"{request_id}-0-22"
    assert client.reachable(farm(8))


def test_a_comparison_is_started_for_every_subscription(client_without_reset):
    """202: one message each."""
    answer = client_without_reset.api("POST", "reconcile", as_="olga")

    assert (answer.status, len(answer.json["subscriptions"])) == (202, 2)


@pytest.mark.parametrize("text", ["", "1", "yes"])
def test_a_dry_run_that_is_misspelt_never_acts(client_without_reset, text):
    """400, not a comparison."""
    answer = client_without_reset.api("POST", f"reconcile?dryRun={text}", as_="olga")

    assert answer.status == 400


@pytest.mark.parametrize("media_type", ["application/json; charset=utf-8", "application/x+json"])
def test_a_body_may_be_called_json_with_any_parameter(client_without_reset, media_type):
    """Logic Apps, PowerShell and ServiceNow add a charset."""
    body = wish(farm(1), dryRun=True)

    answer = client_without_reset.api(
        "POST", "access-requests", body, headers={"Content-Type": media_type}
    )

    assert answer.status == 200


def test_a_body_that_is_not_called_json_is_refused(client_without_reset):
    """A form of another site can send such a body."""
    answer = client_without_reset.api(
        "POST", "access-requests", wish(farm(1)), headers={"Content-Type": "text/plain"}
    )

    assert (answer.status, answer.json["errors"][0]["code"]) == (415, "unsupported-media-type")
    assert client_without_reset.listed() == []


# ---- browsers ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "person"),
    [
        ("POST", "access-requests", "alice"),
        ("PUT", "virtual-machines/jit-policy", "olga"),
        ("DELETE", "virtual-machines/jit-policy", "olga"),
    ],
)
def test_a_page_of_another_site_changes_nothing(client_without_reset, method, path, person):
    """The session of a signed-in person came along."""
    headers = {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}

    answer = client_without_reset.api(method, path, wish(farm(1)), as_=person, headers=headers)

    assert (answer.status, answer.json["errors"][0]["code"]) == (403, "cross-origin")
    assert client_without_reset.listed() == []


def test_our_own_page_may_ask(client_without_reset):
    """By the name that the stack tells callers."""
    body, url = wish(farm(1), dryRun=True), client_without_reset.stack.url

    answer = client_without_reset.api("POST", "access-requests", body, headers={"Origin": url})

    assert answer.status == 200


@pytest.mark.parametrize("path", ["health", "my-address", "access-requests/x", "my-address?x=1"])
def test_every_answer_and_every_problem_tells_the_time_and_is_not_stored(
    client_without_reset, path
):
    """The time is that of the stack's clock."""
    headers = client_without_reset.api("GET", path).headers

    told = datetime.fromisoformat(headers["jit-now"])
    assert abs(told - client_without_reset.now) < timedelta(minutes=1)
    assert (headers["cache-control"], headers["x-content-type-options"]) == ("no-store", "nosniff")


@pytest.mark.parametrize(
    "path",
    [
        "/page/../api/access-requests",
        "/page/%2e%2e/api/access-requests",
        "/page/..%2fapi/access-requests",
        "/api/health/../access-requests",
        "/api//access-requests",
        "/api/access-requests;x",
    ],
)
def test_a_forged_principal_reaches_no_function_by_another_path(client_without_reset, path):
    """The platform may take the raw path for an excluded one, and leave the client's headers."""
    forged = make_principal([Role.OPERATOR])
    host = client_without_reset.stack.hosts[0]

    connection = HTTPConnection("127.0.0.1", host.port, timeout=30)
    with closing(connection):
        connection.request("GET", path, headers={"X-MS-CLIENT-PRINCIPAL": forged})
        answer = connection.getresponse()

    assert answer.status == 404


def test_a_place_never_comes_from_the_header_host(client):
    """A caller chooses that header."""
    answer = client.api("POST", "access-requests", wish(farm(1)), headers={"Host": "evil.example"})

    assert answer.headers["location"].startswith(f"{client.stack.url}/api/access-requests/")
