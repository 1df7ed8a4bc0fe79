"""Faults on demand, and the log of calls."""

from typing import Any

import pytest

from local.azure.control.faults import Faults, Subject
from local.azure.control.journal import Entry, Journal
from local.azure.values.http import Dropped, Request, Response
from tests.local.azure.sim import COMPUTE, DB01, NSG_DB, PRODUCTION, WEB01, Sim, error, rule

RULE = f"{NSG_DB}/securityRules/mine"


def throttled(**more: Any) -> dict[str, Any]:
    return {"answer": {"status": 429, "code": "Slow", "message": "down"}, **more}


def test_answer_replaces_the_real_one_and_the_work(sim: Sim):
    """Status, code, message, headers as asked; nothing has been done."""
    fault = throttled(match={"method": "PUT"})
    fault["answer"]["headers"] = {"Retry-After": "17"}
    sim.faults(fault)
    response = sim.call("PUT", RULE, rule(priority=300))

    assert error(response) == (429, "Slow")
    assert (response.json()["error"]["message"], response.headers["Retry-After"]) == ("down", "17")
    assert "mine" not in sim.rules(NSG_DB)


def test_answer_may_have_a_body_of_its_own(sim: Sim):
    """To play an answer in a shape that nobody expects."""
    sim.faults({"answer": {"status": 200, "body": {"value": "what"}}})

    assert sim.call("GET", WEB01).json() == {"value": "what"}


def test_fault_strikes_once_by_default(sim: Sim):
    """Then calls go well again."""
    sim.faults(throttled())

    assert [sim.call("GET", WEB01).status for _ in range(2)] == [429, 200]


def test_fault_strikes_as_often_as_its_number(sim: Sim):
    """The remaining faults are listed."""
    sim.faults(throttled(times=3))
    sim.call("GET", WEB01)

    assert sim.control("GET", "faults")["faults"][0]["times"] == 2


def test_fault_without_end_strikes_until_cleared(sim: Sim):
    """Null times means for ever."""
    sim.faults(throttled(times=None))
    struck = [sim.call("GET", WEB01).status for _ in range(5)]
    sim.send("DELETE", "/_sim/faults")

    assert (struck, sim.call("GET", WEB01).status) == ([429] * 5, 200)


def test_fault_may_let_some_calls_pass_first(sim: Sim):
    """To strike the third call of a scenario."""
    sim.faults(throttled(skip=2))

    assert [sim.call("GET", WEB01).status for _ in range(4)] == [200, 200, 429, 200]


@pytest.mark.parametrize(
    ("match", "strikes"),
    [
        ({"method": "get"}, True),
        ({"method": "PUT"}, False),
        ({"path": "VIRTUALMACHINES"}, True),
        ({"path": "azureFirewalls"}, False),
        ({"principal": "broker"}, True),
        ({"principal": "petra"}, False),
        ({"bodyContains": "anything"}, False),
        ({}, True),
    ],
)
def test_fault_strikes_matching_calls(sim: Sim, match, strikes):
    """Method, part of the path, caller, part of the body."""
    sim.faults(throttled(match=match))

    assert (sim.call("GET", WEB01).status == 429) is strikes


def test_fault_may_match_a_part_of_the_body(sim: Sim):
    """To strike one request among many."""
    sim.faults(throttled(match={"bodyContains": "203.0.113.7"}))

    assert sim.initiate(DB01, 22, "203.0.113.8").status == 202
    assert sim.initiate(DB01, 22, "203.0.113.7").status == 429


@pytest.mark.parametrize(("omit", "left"), [(["/WEB"], {"db01"}), ([""], set())])
def test_a_list_is_without_the_resources_that_a_fault_omits(sim: Sim, omit, left):
    """Once; the resources themselves are there all the time."""
    path = f"/subscriptions/{PRODUCTION}/providers/Microsoft.Compute/virtualMachines"
    whole = names(sim.call("GET", path))
    sim.faults({"match": {"path": path}, "omit": omit})

    assert names(sim.call("GET", path)) & {"db01", "web01"} == left
    assert sim.call("GET", WEB01).status == 200
    assert names(sim.call("GET", path)) == whole


def test_an_answer_that_is_no_list_omits_nothing(sim: Sim):
    """A VM has no part that could be left out so."""
    whole = sim.call("GET", WEB01).json()
    sim.faults({"match": {"path": WEB01}, "omit": [""]})

    assert sim.call("GET", WEB01).json() == whole


def names(response: Response) -> set[str]:
    return {each["name"] for each in response.json()["value"]}


def test_connection_breaks_before_the_work(sim: Sim):
    """No answer, nothing done."""
    sim.faults({"match": {"method": "PUT"}, "drop": "before"})
    with pytest.raises(Dropped):
        sim.call("PUT", RULE, rule(priority=300))

    assert "mine" not in sim.rules(NSG_DB)


def test_connection_breaks_after_the_work(sim: Sim):
    """No answer, but done."""
    sim.faults({"match": {"method": "PUT"}, "drop": "after"})
    with pytest.raises(Dropped):
        sim.call("PUT", RULE, rule(priority=300))

    assert "mine" in sim.rules(NSG_DB)


def test_token_endpoint_can_fail_too(sim: Sim):
    """Identity is a service like others."""
    sim.faults(throttled(match={"path": "/msi/token"}))
    headers = {"x-identity-header": "any"}
    url = "/msi/token?api-version=2019-08-01&resource=x"

    assert sim.send("GET", url, headers=headers).status == 429
    assert sim.send("GET", url, headers=headers).status == 200


@pytest.mark.parametrize(
    "fault",
    [
        5,
        {},
        {"match": {}},
        {"drop": "sometimes"},
        {"drop": "before", "time": 2},
        {"drop": "before", "times": 0},
        {"drop": "before", "skip": -1},
        {"drop": "before", "match": {"verb": "GET"}},
        {"delay": "5m"},
        {"answer": {"code": "x"}},
        {"operation": {"status": "Exploded"}},
        {"omit": "farm01"},
        {"omit": [7]},
        {"omit": []},
    ],
)
def test_fault_that_makes_no_sense_is_refused(sim: Sim, fault):
    """A misspelt fault must not pass for one that never struck."""
    good = throttled()
    response = sim.send("POST", "/_sim/faults", {"faults": [good, fault]})

    assert response.status == 400
    assert sim.control("GET", "faults") == {"faults": []}


def test_faults_are_a_list(sim: Sim):
    """One fault alone is refused as well."""
    assert sim.send("POST", "/_sim/faults", {"faults": throttled()}).status == 400


def test_forgetting_is_not_used_up_by_calls():
    """A fault for Defender's memory does not strike the call that it matches."""
    faults = Faults()
    faults.plan([{"leaveRules": True}])
    call = Subject("POST", "/initiate")

    assert (faults.strike(call), faults.forgets(call), faults.forgets(call)) == (None, True, False)


# -- the log --------------------------------------------------------------------------------


def log(sim: Sim) -> Any:
    return sim.control("GET", "log")


def test_log_has_the_contracts_shape(sim: Sim):
    """Request, answer, caller; bodies as JSON."""
    sim.send("DELETE", "/_sim/log")
    sim.initiate(DB01, 22)
    entry = log(sim)[0]

    assert (entry["method"], entry["status"], entry["principal"]) == ("POST", 202, "broker")
    assert entry["path"].endswith("/jitNetworkAccessPolicies/default/initiate")
    assert entry["query"] == {"api-version": "2020-01-01"}
    assert entry["requestBody"]["justification"] == "a test"
    assert entry["responseBody"]["requestor"]
    assert entry["responseHeaders"]["x-ms-request-id"]


def test_log_shows_no_token(sim: Sim):
    """Authorization names the caller; issued tokens are hidden."""
    headers = {"x-identity-header": "hush"}
    answer = sim.send("GET", "/msi/token?api-version=2019-08-01&resource=x", headers=headers)
    sim.call("GET", WEB01)
    text = sim.send("GET", "/_sim/log").content.decode()

    assert answer.json()["access_token"] not in text
    assert sim.token("broker")[:60] not in text
    assert "hush" not in text
    assert log(sim)[-1]["requestHeaders"]["authorization"] == "Bearer broker"


def test_unknown_caller_leaves_no_token_either(sim: Sim):
    """A forged or foreign token is not kept."""
    forged = {"authorization": "Bearer secret-thing"}
    sim.send("GET", f"{WEB01}?api-version={COMPUTE}", headers=forged)

    assert "secret-thing" not in sim.send("GET", "/_sim/log").content.decode()
    assert log(sim)[-1]["principal"] is None


def test_log_is_cleared(sim: Sim):
    """A test counts from here on."""
    sim.call("GET", WEB01)
    sim.send("DELETE", "/_sim/log")

    assert log(sim) == []


def test_control_plane_is_not_logged(sim: Sim):
    """A test's call of the control plane is no call of the broker's."""
    sim.control("GET", "clock")

    assert log(sim) == []


def test_broken_connections_are_logged(sim: Sim):
    """With the answer if the work was done."""
    sim.faults({"drop": "before"}, {"drop": "after"})
    with pytest.raises(Dropped):
        sim.call("GET", WEB01)
    with pytest.raises(Dropped):
        sim.call("GET", WEB01)

    assert [(each["dropped"], each["status"]) for each in log(sim)] == [
        ("before", None),
        ("after", 200),
    ]


def test_body_that_is_no_json_is_logged_as_text(sim: Sim):
    """Nothing is lost, nothing breaks."""
    request = Request("PUT", "http://x/", {}, b"\xff{")

    assert entry_of(sim, request).document()["requestBody"] == "\ufffd{"


def entry_of(sim: Sim, request: Request) -> Entry:
    return Entry(sim.now, request, Response(200), None, None)


def test_log_is_bounded_in_number(sim: Sim):
    """The oldest go first."""
    journal = Journal()
    fill(journal, 50_010, entry_of(sim, Request("GET", "http://x/")))

    assert len(journal.documents()) == 50_000


def test_log_is_bounded_in_bytes(sim: Sim):
    """Long answers push out older ones."""
    journal = Journal()
    fill(journal, 100, entry_of(sim, Request("GET", "http://x/", {}, b"1" * 1024 * 1024)))

    assert len(journal.documents()) == 64


def fill(journal: Journal, times: int, entry: Entry) -> None:
    for _ in range(times):
        journal.add(entry)
