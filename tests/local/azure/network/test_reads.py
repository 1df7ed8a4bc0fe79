"""Resources of Microsoft.Network that are only read."""

import pytest

from tests.local.azure.sim import DB, DEVELOPMENT, NSG_DB, PRODUCTION, WEB, Sim, error, network

VNET = network("virtualNetworks", "vnet-prod", WEB)


@pytest.mark.parametrize(
    ("kind", "count"),
    [
        ("networkInterfaces", 6),
        ("publicIPAddresses", 6),
        ("virtualNetworks", 3),
        ("bastionHosts", 1),
        ("azureFirewalls", 2),
    ],
)
def test_each_kind_is_listed_by_subscription(sim: Sim, kind, count):
    """All of a subscription, in one list."""
    path = f"/subscriptions/{PRODUCTION}/providers/Microsoft.Network/{kind}"

    assert len(sim.get(path)["value"]) == count


def test_lists_by_group_hold_the_group_only(sim: Sim):
    """A group's list has no resource of a group whose name begins alike."""
    farm = f"/subscriptions/{DEVELOPMENT}/resourceGroups/rg-farm-1"
    path = f"{farm}/providers/Microsoft.Network/networkInterfaces"

    assert len(sim.get(path)["value"]) == 10


def test_interface_leads_to_everything_around_it(sim: Sim):
    """Private address, public address, subnet, NSG, VM."""
    nic = sim.get(network("networkInterfaces", "db01-nic", DB))["properties"]
    leg = nic["ipConfigurations"][0]["properties"]

    assert leg["privateIPAddress"] == "10.2.1.4"
    assert leg["publicIPAddress"]["id"] == network("publicIPAddresses", "pip-db01", DB)
    assert leg["subnet"]["id"] == f"{network('virtualNetworks', 'vnet-db', DB)}/subnets/snet-db"
    assert nic["networkSecurityGroup"]["id"] == NSG_DB
    assert nic["virtualMachine"]["id"].split("/")[4] == "RG-DB"


def test_group_names_its_users(sim: Sim):
    """An NSG lists the interfaces or subnets that have it."""
    farm = f"/subscriptions/{DEVELOPMENT}/resourceGroups/rg-farm-5"
    on_subnet = sim.get(network("networkSecurityGroups", "nsg-farm-5", farm))["properties"]
    on_nic = sim.get(NSG_DB)["properties"]

    assert [each["id"].split("/")[-1] for each in on_subnet["subnets"]] == ["snet-vms"]
    assert [each["id"].split("/")[-1] for each in on_nic["networkInterfaces"]] == ["db01-nic"]


def test_subnets_are_read_by_themselves(sim: Sim):
    """Inside their network, in a list, alone."""
    inside = sim.get(VNET)["properties"]["subnets"]

    assert sim.get(f"{VNET}/subnets")["value"] == inside
    assert sim.get(f"{VNET}/subnets/azurefirewallsubnet") == inside[0]
    assert inside[0]["properties"]["addressPrefix"] == "10.1.0.0/26"


def test_unknown_subnet_is_404(sim: Sim):
    """A network without it says so."""
    assert error(sim.call("GET", f"{VNET}/subnets/none")) == (404, "ResourceNotFound")


@pytest.mark.parametrize("kind", ["networkInterfaces", "publicIPAddresses", "virtualNetworks"])
def test_unknown_resource_is_404_in_arms_words(sim: Sim, kind):
    """The message names type, name and group."""
    response = sim.call("GET", network(kind, "none", WEB))

    assert error(response) == (404, "ResourceNotFound")
    assert (
        f"'Microsoft.Network/{kind}/none' under resource group 'rg-web'"
        in (response.json()["error"]["message"])
    )


def test_plan_of_a_subscription_is_defender_for_servers_2(sim: Sim):
    """Standard tier with sub-plan P2: just-in-time access is included."""
    scope = f"/subscriptions/{PRODUCTION}/providers/Microsoft.Security/pricings"
    plan = sim.get(f"{scope}/virtualmachines")

    assert (plan["properties"]["pricingTier"], plan["properties"]["subPlan"]) == ("Standard", "P2")
    assert plan in sim.get(scope)["value"]


def test_plan_of_a_machine_is_inherited(sim: Sim):
    """A VM has its subscription's plan, and says so."""
    machine = f"{DB}/providers/Microsoft.Compute/virtualMachines/db01"
    plan = sim.get(f"{machine}/providers/Microsoft.Security/pricings/VirtualMachines")

    assert plan["properties"]["inherited"] == "True"
    assert plan["properties"]["inheritedFrom"] == f"/subscriptions/{PRODUCTION}"


def test_plan_of_a_machine_that_is_not_there_is_404(sim: Sim):
    """Nothing inherits from nothing."""
    machine = f"{DB}/providers/Microsoft.Compute/virtualMachines/none"
    path = f"{machine}/providers/Microsoft.Security/pricings/VirtualMachines"

    assert error(sim.call("GET", path)) == (404, "ResourceNotFound")


def test_bastion_stands_in_its_own_subnet(sim: Sim):
    """Listed by subscription and by group, read by its id: the same each time."""
    bastion = sim.get(network("bastionHosts", "bas-db", DB))
    (leg,) = bastion["properties"]["ipConfigurations"]
    vnet = network("virtualNetworks", "vnet-db", DB)
    path = "providers/Microsoft.Network/bastionHosts"

    assert leg["properties"]["subnet"]["id"] == f"{vnet}/subnets/AzureBastionSubnet"
    assert leg["properties"]["publicIPAddress"]["id"].endswith("/pip-bastion")
    assert sim.get(f"/subscriptions/{PRODUCTION}/{path}")["value"] == [bastion]
    assert sim.get(f"{DB}/{path}")["value"] == [bastion]
    assert sim.get(f"{WEB}/{path}")["value"] == []


def test_unknown_plan_is_404(sim: Sim):
    """There is no plan by every name."""
    path = f"/subscriptions/{PRODUCTION}/providers/Microsoft.Security/pricings/Nothing"

    assert error(sim.call("GET", path)) == (404, "ResourceNotFound")


def test_changed_plan_is_shown(sim: Sim):
    """A test can play a subscription with another plan."""
    sim.control("PUT", "state", {"plans": {PRODUCTION: {"pricingTier": "Free"}}})
    path = f"/subscriptions/{PRODUCTION}/providers/Microsoft.Security/pricings/VirtualMachines"
    plan = sim.get(path)["properties"]

    assert (plan["pricingTier"], plan["resourcesCoverageStatus"]) == ("Free", "NotCovered")
