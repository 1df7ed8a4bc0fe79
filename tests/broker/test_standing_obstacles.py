"""Standing obstacles: refused at the door with what to do, instead of hope until the deadline."""

from datetime import timedelta

import pytest

from jit.domain.errors import AccessDenied
from tests.broker.inprocess import ALICE, ELSEWHERE, HERE, farm, wish
from tests.broker.reconciling import NSG_FARM
from tests.builders.admin_rules import DENY, arm_admin
from tests.local.azure.sim import DEVELOPMENT, group, network

VM = farm(1)
WHERE = group("rg-farm-1", DEVELOPMENT)
VNET = network("virtualNetworks", "vnet-farm-1", WHERE)
SUBNET_NSG = network("networkSecurityGroups", "nsg-subnet", WHERE)
TABLE = network("routeTables", "rt-farm-1", WHERE)
NETWORK_24 = "203.0.113.0/24"
DENIES = {"access": "Deny", "destinationAddressPrefix": "*"}


def deny_first(it, source=NETWORK_24):
    """A customer denies a source at the first priority; a comparison sees it."""
    it.put_rule("deny-first", nsg=NSG_FARM, priority=100, sourceAddressPrefix=source, **DENIES)
    it.run()


def guard_subnet(it):
    """The subnet gets an NSG of its own; Defender writes into that of the interfaces."""
    it.edit(**{SUBNET_NSG: {"location": "westeurope", "properties": {"securityRules": []}}})
    vnet = it.broker.sim.get(VNET)
    vnet["properties"]["subnets"][0]["properties"]["networkSecurityGroup"] = {"id": SUBNET_NSG}
    it.edit(**{VNET: vnet})
    it.run()


def deny_by_manager(it):
    """A network manager denies SSH from the internet; a comparison reads the rule."""
    rules = [arm_admin(DENY, NETWORK_24)]
    it.broker.sim.control("PUT", "state", {"adminRules": {VNET: rules}})
    it.broker.live(15)
    for _ in range(3):
        it.run()


def force_tunnelling(it):
    """The subnet's routes lead answers to the internet into a gateway."""
    route = {"addressPrefix": "0.0.0.0/0", "nextHopType": "VirtualNetworkGateway"}
    routes = {"routes": [{"name": "out", "properties": route}]}
    vnet = it.broker.sim.get(VNET)
    vnet["properties"]["subnets"][0]["properties"]["routeTable"] = {"id": TABLE}
    it.edit(**{TABLE: {"properties": routes}, VNET: vnet})
    it.run()


def refused(it, **changes):
    with pytest.raises(AccessDenied) as error:
        it.broker.accept(wish(VM, **changes))
    return [(each.pointer, each.code) for each in error.value.violations]


def warnings_of(it):
    return [each.code for each in it.broker.inventory.find_machine(VM).warnings]


OBSTACLES = [
    (deny_first, "nsg-rule-blocks"),
    (guard_subnet, "nsg-rule-blocks"),
    (deny_by_manager, "admin-rule-blocks"),
    (force_tunnelling, "forced-tunnelling"),
]


@pytest.mark.parametrize(("obstruct", "code"), OBSTACLES)
def test_a_source_that_could_never_get_in_is_refused_and_the_vm_warns(it, obstruct, code):
    """The dry run says the same, and Azure is asked for nothing."""
    it.run()
    obstruct(it)

    assert refused(it) == [("#/sources/0", code)]
    preview = it.broker.preview(wish(VM))
    assert [each.code for each in preview.errors] == [code]
    assert code in warnings_of(it)
    assert it.broker.initiates() == []


@pytest.mark.parametrize("obstruct", [deny_first, deny_by_manager])
def test_another_source_gets_in_beside_an_obstacle(it, obstruct):
    """It is no obstacle to it; the decision needs no look at Azure."""
    it.run()
    obstruct(it)
    calls = it.broker.calls.count("arm.list")

    request_id = it.broker.ask(wish(VM, source=ELSEWHERE))
    asked = it.broker.calls.count("arm.list") - calls
    it.broker.live(5)

    assert (it.broker.status(request_id), asked) == ("open", 0)
    assert it.broker.reachable(VM, source=ELSEWHERE)
    assert not it.broker.reachable(VM, source=HERE)


def test_a_request_is_accepted_as_soon_as_the_obstacle_is_gone(it):
    """A refusal by the inventory is checked against Azure first."""
    it.run()
    deny_first(it)
    it.edit(**{f"{NSG_FARM}/securityRules/deny-first": None})

    request_id = it.broker.ask(wish(VM))
    it.broker.live(5)

    assert it.broker.status(request_id) == "open"


def test_a_scheduled_grant_is_denied_at_its_start_if_a_rule_is_in_front_by_then(it):
    """The look at its start reads the NSGs; nobody waits until the deadline."""
    it.run()
    start = it.broker.now + timedelta(minutes=10)
    request_id = it.broker.accept(wish(VM, startTime=start.isoformat()), ALICE).request.id
    deny_first(it)
    it.broker.live(12)

    grant = it.broker.grant(request_id)
    assert (grant.status, grant.close_reason) == ("closed", "denied")
    assert [each.code for each in grant.denials] == ["nsg-rule-blocks"]


def test_without_the_right_to_read_routes_everything_else_works(it):
    """A role of an older version lacks it; routes are then no obstacle."""
    denied = {"deniedActions": ["Microsoft.Network/routeTables/read"]}
    it.broker.sim.control("PUT", "state", denied)
    force_tunnelling(it)

    assert it.broker.preview(wish(VM)).allowed
    assert "forced-tunnelling" not in warnings_of(it)


def test_an_old_reading_of_a_network_manager_refuses_nobody(it):
    """What it read may be gone; the look that would call the path open reads it anew."""
    it.run()
    deny_by_manager(it)
    it.broker.sim.control("PUT", "state", {"adminRules": {VNET: []}})
    it.broker.live(31)

    request_id = it.broker.ask(wish(VM))
    it.broker.live(5)

    assert it.broker.status(request_id) == "open"
