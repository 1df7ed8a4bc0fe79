"""The main job over HTTP on the whole local stack: a path opens, and it closes again."""

import pytest

from tests.e2e.town import ELSEWHERE, HERE, THERE, farm, wish
from tests.local.azure.sim import DB01, FW_PROD, NSG_WEB, WEB01

pytestmark = pytest.mark.e2e


def _rules(town):
    """Every rule of web01's firewall and NSG by collection or name, whoever wrote it."""
    firewall = town.resource(FW_PROD)["properties"]
    kinds = ("natRuleCollections", "networkRuleCollections", "applicationRuleCollections")
    found = {item["name"]: item["properties"]["rules"] for kind in kinds for item in firewall[kind]}
    rules = town.resource(NSG_WEB)["properties"]["securityRules"]
    return found | {rule["name"]: rule["properties"]["priority"] for rule in rules}


# ---- one person ----------------------------------------------------------------------------------


def test_a_path_through_an_nsg_opens_for_its_source_alone(town):
    """From POST to ``open``; what it says to connect to works."""
    request_id = town.ask(wish(farm(1)))

    opened = town.until_status(request_id, "open")

    assert opened["grants"][0]["connection"]["command"] == "ssh -p 22 user@20.71.21.11"
    assert town.reachable(farm(1), 22, HERE)
    assert not town.reachable(farm(1), 22, THERE)


def test_a_path_is_closed_by_defender_at_its_end(town):
    """Azure's own expiry goes first; the broker watches, and removes nothing."""
    request_id = town.ask(wish(farm(2)))
    town.until_status(request_id, "open")

    closed = town.until_status(request_id, "closed", 70)

    assert closed["grants"][0]["closeReason"] == "expired"
    assert not town.reachable(farm(2))
    assert town.calls("DELETE") == []


def test_a_path_through_the_firewall_opens_with_its_companion(town):
    """The command names the firewall; the NSG lets the firewall's own addresses through."""
    request_id = town.ask(wish(WEB01, 3389))

    opened = town.until_status(request_id, "open", 8)

    assert opened["grants"][0]["connection"] == {
        "via": "firewall",
        "address": "52.137.62.53",
        "port": 13389,
        "command": "mstsc /v:52.137.62.53:13389",
    }
    assert any(name.startswith("jit-broker-") for name in _rules(town))
    assert town.reachable(WEB01, 3389, HERE)
    assert not town.reachable(WEB01, 3389, THERE)


def test_a_path_through_the_firewall_is_not_open_before_its_update(town):
    """``open`` means effective, not asked for."""
    request_id = town.ask(wish(WEB01, 3389))

    town.until(lambda: town.resource(FW_PROD)["properties"]["provisioningState"] == "Updating", 2)

    assert town.request(request_id)["status"] in {"pending", "opening"}
    assert not town.reachable(WEB01, 3389)


def test_a_path_through_the_firewall_leaves_nothing_behind(town):
    """NAT rule, NSG rules, companion: gone; every rule of the customer's as it was."""
    before = _rules(town)
    request_id = town.ask(wish(WEB01, 3389, duration="PT20M"))
    town.until_status(request_id, "open", 8)

    town.until_status(request_id, "closed", 45)

    assert _rules(town) == before


def test_several_ports_of_several_vms_are_one_request(town):
    """Two policies, four paths, one id to watch."""
    body = wish(farm(3))
    ports = [{"number": 22}, {"number": 3389}]
    body["virtualMachines"] = [{"id": vm, "ports": ports} for vm in (farm(3), farm(13))]
    request_id = town.ask(body)

    town.until_status(request_id, "open", 4)

    inside = [town.reachable(vm, port) for vm in (farm(3), farm(13)) for port in (22, 3389)]
    assert inside == [True] * 4


def test_a_scheduled_request_opens_at_its_start(town):
    """Not before; its duration counts from then on."""
    start = town.now.timestamp() + 3600
    body = wish(farm(4), startTime=town.now.fromtimestamp(start, town.now.tzinfo).isoformat())
    request_id = town.ask(body)
    town.advance("PT55M")
    waiting = town.request(request_id)

    opened = town.until_status(request_id, "open", 10)

    assert (waiting["status"], waiting["expiresAt"]) == ("scheduled", None)
    assert opened["grants"][0]["openedAt"] >= opened["startsAt"]


# ---- giving back, keeping longer -----------------------------------------------------------------


def test_a_path_that_is_given_back_is_gone(town):
    """Revoked by the broker's own hand, for the API knows no revoke."""
    request_id = town.ask(wish(farm(5)))
    town.until_status(request_id, "open")
    answer = town.post(request_id, "revoke", {"reason": "done"})

    closed = town.until_status(request_id, "closed")

    assert answer.status == 202
    assert closed["grants"][0]["closeReason"] == "revoked"
    assert not town.reachable(farm(5))


def test_a_path_through_the_firewall_that_is_given_back_is_gone(town):
    """In one update of the firewall, with the customer's rules untouched."""
    before = _rules(town)
    request_id = town.ask(wish(WEB01, 3389))
    town.until_status(request_id, "open", 8)
    town.post(request_id, "revoke")

    town.until_status(request_id, "closed", 20)

    assert _rules(town) == before


def test_an_extended_path_outlives_its_first_end(town):
    """Without a gap that anybody would notice afterwards."""
    request_id = town.ask(wish(farm(6), duration="PT30M"))
    town.until_status(request_id, "open")
    town.advance("PT20M")
    answer = town.post(request_id, "extend", {"duration": "PT1H"})
    town.until(lambda: len(town.calls("POST", "/initiate")) == 2, 2)

    town.advance("PT15M")
    town.until_status(request_id, "open", 2)

    assert answer.status == 202
    assert town.reachable(farm(6))


# ---- several people ------------------------------------------------------------------------------


def test_a_second_person_joins_and_leaves_without_hurting_the_first(town):
    """One port, two sources, and never somebody else's."""
    first = town.ask(wish(DB01))
    town.until_status(first, "open")
    second = town.ask(wish(DB01, source=THERE), as_="dave")
    town.until_status(second, "open")
    together = [town.reachable(DB01, 22, source) for source in (HERE, THERE, ELSEWHERE)]
    town.post(second, "revoke", as_="dave")

    town.until_status(second, "closed", 10)

    assert together == [True, True, False]
    assert town.request(first)["status"] == "open"
    assert [town.reachable(DB01, 22, source) for source in (HERE, THERE)] == [True, False]


def test_a_portal_users_path_is_never_cut_short(town):
    """Whoever came by the portal keeps the port: 409, with the time it is free again."""
    town.occupy(farm(7), 22, ELSEWHERE)
    question = wish(farm(7), dryRun=True)

    def known() -> bool:
        decision = town.api("POST", "access-requests", question).json["decision"]
        return not decision["allowed"]

    town.until(known, 7)  # the inventory is as old as the last comparison
    answer = town.api("POST", "access-requests", wish(farm(7)))

    assert (answer.status, answer.json["errors"][0]["code"]) == (409, "occupied")


def test_a_path_that_a_portal_user_took_over_is_superseded(town):
    """Closed, with the reason; never asked for again."""
    request_id = town.ask(wish(farm(8)))
    town.until_status(request_id, "open")
    town.occupy(farm(8), 22, ELSEWHERE)

    closed = town.until_status(request_id, "closed", 15)

    assert closed["grants"][0]["closeReason"] == "superseded"
    assert town.reachable(farm(8), 22, ELSEWHERE)


# ---- what Azure forgets --------------------------------------------------------------------------


def test_a_rule_that_azure_forgot_is_found_and_removed(town):
    """``closed`` is what was observed gone."""
    town.faults({"match": {"path": "rg-farm-1"}, "times": None, "leaveRules": True})
    request_id = town.ask(wish(farm(9), duration="PT5M"))
    town.until_status(request_id, "open")

    town.until_status(request_id, "closed", 15)

    assert town.calls("DELETE", "securityRules") != []
    assert not town.reachable(farm(9))


def test_a_rule_that_comes_back_after_the_end_is_removed(town):
    """Somebody's backup restored it: its grant's tombstone still knows it."""
    request_id = town.ask(wish(farm(10), duration="PT5M"))
    town.until_status(request_id, "open")
    rule = town.rule_of(farm(10))
    town.until_status(request_id, "closed", 15)
    town.sim("PUT", "state", {"resources": rule})
    inside = town.reachable(farm(10))

    town.until(lambda: not town.reachable(farm(10)), 15)

    assert inside
