"""Security admin rules: their list, the permission, and what they do to packets."""

import pytest

from tests.builders.admin_rules import (
    ALLOW,
    ALWAYS,
    DENY,
    GROUP,
    OTHER_MANAGER,
    arm_admin,
)
from tests.local.azure.sim import ALICE, DB, DB01, NSG_DB, WEB, WEB01, Sim, error, network

VNET = network("virtualNetworks", "vnet-db", DB)
VNET_WEB = network("virtualNetworks", "vnet-prod", WEB)
LIST = f"{VNET}/listNetworkManagerEffectiveSecurityAdminRules"
ACTION = "Microsoft.Network/virtualNetworks/listNetworkManagerEffectiveSecurityAdminRules/action"


def manage(sim, *rules, vnet=VNET):
    return sim.control("PUT", "state", {"adminRules": {vnet: list(rules)}})


def page(sim, token=None):
    return sim.call("POST", LIST, {"skipToken": token} if token else {}).json()


def opened(sim, vm=DB01, port=22):
    """Open a port as Defender does."""
    sim.initiate(vm, port, ALICE)
    sim.advance("PT10M")


# ---- the list ------------------------------------------------------------------------------------


def test_a_network_without_a_manager_has_no_rules(sim: Sim):
    """The landscape has none."""
    assert page(sim) == {"value": []}


def test_rules_come_in_pages_and_the_token_stands_in_the_body(sim: Sim):
    """No nextLink, as in Microsoft's description."""
    sim.options(pageSize=2)
    manage(sim, *(arm_admin(number=number) for number in (1, 2, 3)))

    first = page(sim)
    second = page(sim, first["skipToken"])

    assert [len(first["value"]), len(second["value"])] == [2, 1]
    assert "skipToken" not in second
    assert "nextLink" not in first


def test_a_token_that_was_never_given_is_refused(sim: Sim):
    """400."""
    assert error(sim.call("POST", LIST, {"skipToken": "next"})) == (400, "InvalidSkipToken")


def test_a_call_without_a_body_is_refused(sim: Sim):
    """The description requires one."""
    assert error(sim.call("POST", LIST)) == (400, "InvalidRequestContent")


def test_a_network_that_does_not_exist_is_not_found(sim: Sim):
    """404 in ARM's words."""
    path = LIST.replace("vnet-db", "vnet-none")

    assert error(sim.call("POST", path, {})) == (404, "ResourceNotFound")


def test_the_list_takes_a_permission_of_its_own(sim: Sim):
    """Reading the network is not enough."""
    sim.control("PUT", "state", {"deniedActions": [ACTION]})

    assert error(sim.call("POST", LIST, {})) == (403, "AuthorizationFailed")
    assert sim.call("GET", VNET).status == 200


# ---- the state -----------------------------------------------------------------------------------


def test_the_state_shows_the_rules_and_takes_them_again(sim: Sim):
    """What a test saved can be loaded."""
    shown = manage(sim, arm_admin())["adminRules"]

    assert sim.control("PUT", "state", {"adminRules": shown})["adminRules"] == shown


@pytest.mark.parametrize(
    ("vnet", "rules", "place"),
    [
        (NSG_DB, [], "is no id of a virtual network"),
        ("vnet-db", [], "is no id of a virtual network"),
        (VNET, {}, "takes a list of rules"),
        (VNET, ["deny"], "adminRules.vnet-db[0]"),
        (VNET, [{"id": "x", "kind": "Custom"}], "adminRules.vnet-db[0].properties"),
        (VNET, [arm_admin("Perhaps")], "adminRules.vnet-db[0].properties.access"),
        (VNET, [arm_admin(number=5000)], "priority is from 1 to 4096"),
        (VNET, [arm_admin(sources=None)], "adminRules.vnet-db[0].properties.sources"),
        (VNET, [arm_admin(destinationPortRanges=[22])], "destinationPortRanges[0]"),
        (
            VNET,
            [arm_admin(sources=[{"addressPrefix": "*", "addressPrefixType": "Any"}])],
            "an addressPrefixType is one of",
        ),
    ],
)
def test_a_state_that_azure_could_not_have_is_refused_with_its_place(sim: Sim, vnet, rules, place):
    """Never a key error later."""
    response = sim.send("PUT", "/_sim/state", {"adminRules": {vnet: rules}})

    assert response.status == 400
    assert place in response.json()["error"]["message"]
    assert sim.control("GET", "state")["adminRules"] == {}


# ---- packets -------------------------------------------------------------------------------------


def test_a_deny_stops_packets_that_every_nsg_lets_through(sim: Sim):
    """And the verdict names the rule."""
    opened(sim)
    assert sim.reachable(DB01, 22)["reachable"]

    manage(sim, arm_admin(DENY, "Internet"))

    verdict = sim.reachable(DB01, 22)
    assert not verdict["reachable"]
    assert "security admin rule deny-10 denies 203.0.113.7" in verdict["because"]


def test_what_is_always_allowed_passes_by_every_nsg(sim: Sim):
    """Defender's deny rule is not asked."""
    manage(sim, arm_admin(ALWAYS))

    assert sim.reachable(DB01, 22)["reachable"]


@pytest.mark.parametrize(
    "rules",
    [
        [arm_admin(ALLOW)],
        [arm_admin(ALWAYS, port="443")],
        [arm_admin(ALWAYS, direction="Outbound")],
        [arm_admin(ALWAYS, protocol="Udp")],
        [arm_admin(ALWAYS, GROUP)],
        [arm_admin(ALLOW, number=1), arm_admin(ALWAYS, number=2)],
    ],
)
def test_everything_else_is_left_to_the_nsgs(sim: Sim, rules):
    """A group has no members here, and the smallest number decides."""
    manage(sim, *rules)

    assert not sim.reachable(DB01, 22)["reachable"]


def test_the_manager_that_is_listed_first_has_the_wider_scope(sim: Sim):
    """Its rules win, whatever their numbers are."""
    manage(sim, arm_admin(ALWAYS, manager=OTHER_MANAGER, number=9), arm_admin(DENY, number=1))

    assert sim.reachable(DB01, 22)["reachable"]


def test_behind_a_firewall_the_firewalls_own_addresses_are_judged(sim: Sim):
    """The internet is denied, and a DNAT rule still leads in."""
    opened(sim, WEB01, 3389)
    before = sim.reachable(WEB01, 3389)["because"]
    manage(sim, arm_admin(DENY, "Internet", port="3389"), vnet=VNET_WEB)

    assert sim.reachable(WEB01, 3389)["because"] == before

    manage(sim, arm_admin(DENY, "10.1.0.0/24", port="3389"), vnet=VNET_WEB)

    assert "security admin rule deny-10" in sim.reachable(WEB01, 3389)["because"]
