"""The main job over HTTP on the whole local stack: a path opens, and it closes again."""

import pytest

from tests.broker.reconciling import NSG_FARM
from tests.e2e.stack_client import ELSEWHERE, HERE, THERE, farm, wish
from tests.local.azure.sim import DB01, FW_PROD, NSG_WEB, WEB01

pytestmark = pytest.mark.e2e


def _rules(client):
    """Every rule of web01's firewall and NSG by collection or name."""
    firewall = client.resource(FW_PROD)["properties"]
    kinds = ("natRuleCollections", "networkRuleCollections", "applicationRuleCollections")
    found = {item["name"]: item["properties"]["rules"] for kind in kinds for item in firewall[kind]}
    rules = client.resource(NSG_WEB)["properties"]["securityRules"]
    return found | {rule["name"]: rule["properties"]["priority"] for rule in rules}


# ---- one person ----------------------------------------------------------------------------------


def test_a_path_through_an_nsg_opens_for_its_source_alone(client):
    """From POST to ``open``; what it says to connect to works."""
    request_id = client.ask(wish(farm(1)))

    opened = client.until_status(request_id, "open")

    assert opened["grants"][0]["connection"]["command"] == "ssh -p 22 user@20.71.21.11"
    assert client.reachable(farm(1), 22, HERE)
    assert not client.reachable(farm(1), 22, THERE)


def test_a_path_is_closed_by_defender_at_its_end(client):
    """Azure's own expiry goes first; the broker watches, and removes nothing."""
    request_id = client.ask(wish(farm(2), duration="PT5M"))
    client.until_status(request_id, "open")
    rules = client.resource(NSG_FARM)["properties"]["securityRules"]
    names = [rule["name"] for rule in rules if rule["properties"]["access"] == "Allow"]

    closed = client.until_status(request_id, "closed", 15)

    assert closed["grants"][0]["closeReason"] == "expired"
    assert not client.reachable(farm(2))
    assert names
    assert [client.calls("DELETE", name) for name in names] == [[]] * len(names)


def test_a_path_through_the_firewall_opens_with_its_companion(client):
    """The command names the firewall; the NSG lets the firewall's own addresses through."""
    request_id = client.ask(wish(WEB01, 3389))

    opened = client.until_status(request_id, "open", 8)

    assert opened["grants"][0]["connection"] == {
        "via": "firewall",
        "address": "52.137.62.53",
        "port": 13389,
        "command": "mstsc /v:52.137.62.53:13389",
    }
    assert any(name.startswith("jit-broker-") for name in _rules(client))
    assert client.reachable(WEB01, 3389, HERE)
    assert not client.reachable(WEB01, 3389, THERE)


def test_a_path_through_the_firewall_is_not_open_before_its_update(client):
    """``open`` means effective, not asked for."""
    request_id = client.ask(wish(WEB01, 3389))

    client.until(
        lambda: client.resource(FW_PROD)["properties"]["provisioningState"] == "Updating", 2
    )

    assert client.request(request_id)["status"] in {"pending", "opening"}
    assert not client.reachable(WEB01, 3389)


def test_a_path_through_the_firewall_leaves_nothing_behind(client):
    """NAT rule, NSG rules, companion: gone; every rule of the customer's as it was."""
    before = _rules(client)
    request_id = client.ask(wish(WEB01, 3389, duration="PT20M"))
    client.until_status(request_id, "open", 8)

    client.until_status(request_id, "closed", 45)

    assert _rules(client) == before


def test_several_ports_of_several_vms_are_one_request(client):
    """Two policies, four paths, one id to watch."""
    body = wish(farm(3))
    ports = [{"number": 22}, {"number": 3389}]
    body["virtualMachines"] = [{"id": vm, "ports": ports} for vm in (farm(3), farm(13))]
    request_id = client.ask(body)

    client.until_status(request_id, "open", 4)

    inside = [client.reachable(vm, port) for vm in (farm(3), farm(13)) for port in (22, 3389)]
    assert inside == [True] * 4


def test_a_scheduled_request_opens_at_its_start(client):
    """Not before; its duration counts from then on."""
    start = client.now.timestamp() + 3600
    body = wish(farm(4), startTime=client.now.fromtimestamp(start, client.now.tzinfo).isoformat())
    request_id = client.ask(body)
    client.advance("PT55M")
    waiting = client.request(request_id)

    opened = client.until_status(request_id, "open", 10)

    assert (waiting["status"], waiting["expiresAt"]) == ("scheduled", None)
    assert opened["grants"][0]["openedAt"] >= opened["startsAt"]


# ---- giving back, keeping longer -----------------------------------------------------------------


def test_a_path_that_is_given_back_is_gone(client):
    """Revoked by the broker's own hand, for the API knows no revoke."""
    request_id = client.ask(wish(farm(5)))
    client.until_status(request_id, "open")
    answer = client.post(request_id, "revoke", {"reason": "done"})

    closed = client.until_status(request_id, "closed")

    assert answer.status == 202
    assert closed["grants"][0]["closeReason"] == "revoked"
    assert not client.reachable(farm(5))


@pytest.mark.long
def test_a_path_through_the_firewall_that_is_given_back_is_gone(client):
    """
    In one update of the firewall, with the customer's rules untouched.

    In process, the scenario ``revoke-firewall`` proves it in each run.
    """
    before = _rules(client)
    request_id = client.ask(wish(WEB01, 3389))
    client.until_status(request_id, "open", 8)
    client.post(request_id, "revoke")

    client.until_status(request_id, "closed", 20)

    assert _rules(client) == before


def test_an_extended_path_outlives_its_first_end(client):
    """Without a gap that anybody would notice afterwards."""
    request_id = client.ask(wish(farm(6), duration="PT30M"))
    client.until_status(request_id, "open")
    client.advance("PT20M")
    answer = client.post(request_id, "extend", {"duration": "PT1H"})
    client.until(lambda: len(client.calls("POST", "/initiate")) == 2, 2)

    client.advance("PT15M")
    client.until_status(request_id, "open", 2)

    assert answer.status == 202
    assert client.reachable(farm(6))


# ---- several people ------------------------------------------------------------------------------


def test_a_second_person_joins_and_leaves_without_hurting_the_first(client):
    """One port, two sources, and never somebody else's."""
    first = client.ask(wish(DB01))
    client.until_status(first, "open")
    second = client.ask(wish(DB01, source=THERE), as_="dave")
    client.until_status(second, "open")
    together = [client.reachable(DB01, 22, source) for source in (HERE, THERE, ELSEWHERE)]
    client.post(second, "revoke", as_="dave")

    client.until_status(second, "closed", 10)

    assert together == [True, True, False]
    assert client.request(first)["status"] == "open"
    assert [client.reachable(DB01, 22, source) for source in (HERE, THERE)] == [True, False]


def test_a_portal_users_path_is_never_cut_short(client):
    """Whoever came by the portal keeps the port: 409, with the time it is free again."""
    client.open_in_portal(farm(7), 22, ELSEWHERE)
    question = wish(farm(7), dryRun=True)

    def known() -> bool:
        decision = client.api("POST", "access-requests", question).json["decision"]
        return not decision["allowed"]

    client.until(known, 7)  # the inventory is as old as the last comparison
    answer = client.api("POST", "access-requests", wish(farm(7)))

    assert (answer.status, answer.json["errors"][0]["code"]) == (409, "occupied")


def test_a_path_that_a_portal_user_took_over_is_superseded(client):
    """Closed, with the reason; never asked for again."""
    request_id = client.ask(wish(farm(8)))
    client.until_status(request_id, "open")
    client.open_in_portal(farm(8), 22, ELSEWHERE)

    closed = client.until_status(request_id, "closed", 15)

    assert closed["grants"][0]["closeReason"] == "superseded"
    assert client.reachable(farm(8), 22, ELSEWHERE)


# ---- forgotten by Azure --------------------------------------------------------------------------


@pytest.mark.long
def test_a_rule_that_azure_forgot_is_found_and_removed(client):
    """
    ``closed`` is what was observed gone.

    In process, the scenario ``leftover-nsg`` proves it in each run.
    """
    client.faults({"match": {"path": "rg-farm-1"}, "times": None, "leaveRules": True})
    request_id = client.ask(wish(farm(9), duration="PT5M"))
    client.until_status(request_id, "open")

    client.until_status(request_id, "closed", 15)

    assert client.calls("DELETE", "securityRules") != []
    assert not client.reachable(farm(9))


def test_a_rule_that_comes_back_after_the_end_is_removed(client):
    """Somebody's backup restored it: its grant's tombstone still knows it."""
    request_id = client.ask(wish(farm(10), duration="PT5M"))
    client.until_status(request_id, "open")
    rule = client.rule_of(farm(10))
    client.until_status(request_id, "closed", 15)
    client.sim("PUT", "state", {"resources": rule})
    inside = client.reachable(farm(10))

    client.until(lambda: not client.reachable(farm(10)), 15)

    assert inside
