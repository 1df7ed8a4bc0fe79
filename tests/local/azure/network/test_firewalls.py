"""Azure Firewalls: whole-object writes that take minutes, one at a time."""

import copy
from typing import Any

import pytest

from local.azure.values.http import Response
from tests.local.azure.sim import FW_HUB, FW_PROD, WEB, Sim, error, network

OUTSIDE = "52.137.62.53"


def nat(name: str = "mine", port: int = 2222, **changes: Any) -> dict[str, Any]:
    return {
        "name": name,
        "protocols": ["TCP"],
        "sourceAddresses": ["203.0.113.7"],
        "destinationAddresses": [OUTSIDE],
        "destinationPorts": [str(port)],
        "translatedAddress": "10.1.1.4",
        "translatedPort": "22",
        **changes,
    }


def collection(*rules: Any, name: str = "broker", priority: int = 500) -> dict[str, Any]:
    properties = {"priority": priority, "action": {"type": "Dnat"}, "rules": list(rules)}
    return {"name": name, "properties": properties}


def write(sim: Sim, *collections: Any, headers: dict[str, str] | None = None) -> Response:
    """PUT the firewall with further NAT collections."""
    firewall = sim.get(FW_PROD)
    firewall["properties"]["natRuleCollections"].extend(collections)
    return sim.call("PUT", FW_PROD, firewall, headers=headers)


def without_etags(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: without_etags(each) for name, each in value.items() if name != "etag"}
    return [without_etags(each) for each in value] if isinstance(value, list) else value


def effective(sim: Sim) -> list[str]:
    collections = sim.azure.world.store.effective(FW_PROD)["natRuleCollections"]
    return [each["name"] for each in collections]


def test_write_shows_the_new_rules_updating_while_packets_meet_the_old(sim: Sim):
    """200 with the new configuration; it takes effect minutes later."""
    response = write(sim, collection(nat()))
    names = [each["name"] for each in sim.get(FW_PROD)["properties"]["natRuleCollections"]]

    assert response.status == 200
    assert response.json()["properties"]["provisioningState"] == "Updating"
    assert (names, effective(sim)) == (["customer-dnat", "broker"], ["customer-dnat"])


def test_update_takes_four_minutes(sim: Sim):
    """Not yet at 3:59, then all at once."""
    write(sim, collection(nat()))
    sim.advance("PT3M59S")
    before = effective(sim)
    sim.advance("PT1S")

    assert (before, effective(sim)) == (["customer-dnat"], ["customer-dnat", "broker"])
    assert sim.get(FW_PROD)["properties"]["provisioningState"] == "Succeeded"


def test_second_write_is_refused_while_one_runs(sim: Sim):
    """409, naming the operation that is in the way."""
    running = write(sim, collection(nat())).headers["Azure-AsyncOperation"]
    response = write(sim)

    assert error(response) == (409, "AnotherOperationInProgress")
    assert running.partition("?")[0] in response.json()["error"]["message"]


def test_a_part_that_the_body_leaves_out_is_gone(sim: Sim):
    """A PUT is the whole object."""
    firewall = sim.get(FW_PROD)
    del firewall["properties"]["natRuleCollections"]
    sim.call("PUT", FW_PROD, firewall)

    assert sim.get(FW_PROD)["properties"]["natRuleCollections"] == []


def test_read_and_written_back_is_the_same(sim: Sim):
    """Nothing foreign is lost by a read-modify-write that modifies nothing."""
    before = sim.get(FW_PROD)
    sim.call("PUT", FW_PROD, before)
    sim.advance("PT4M")

    assert without_etags(sim.get(FW_PROD)) == without_etags(before)


def test_private_address_is_kept_though_clients_do_not_send_it(sim: Sim):
    """The SDK's model has it read-only."""
    firewall = sim.get(FW_PROD)
    del firewall["properties"]["ipConfigurations"][0]["properties"]["privateIPAddress"]
    sim.call("PUT", FW_PROD, firewall)
    leg = sim.get(FW_PROD)["properties"]["ipConfigurations"][0]

    assert leg["properties"]["privateIPAddress"] == "10.1.0.4"


@pytest.mark.parametrize(
    ("rules", "code"),
    [
        ([nat(port=64000)], "AzureFirewallRuleInvalidPort"),
        ([nat(translatedPort="0")], "AzureFirewallRuleInvalidPort"),
        ([nat(destinationPorts=["20-30"])], "AzureFirewallRuleInvalidPort"),
        ([nat(protocols=["Any"])], "AzureFirewallRuleInvalidProtocol"),
        ([nat(destinationAddresses=["20.71.10.11"])], "AzureFirewallRuleInvalidDestination"),
        ([nat(sourceAddresses=[])], "AzureFirewallRuleInvalidSource"),
        ([nat(translatedFqdn="x.example")], "AzureFirewallRuleInvalidTranslation"),
        ([nat(protocols=[])], "InvalidRequestFormat"),
        ([nat(), nat(port=2223)], "AzureFirewallRuleConflict"),
        ([], "AzureFirewallRuleCollectionEmpty"),
    ],
)
def test_nat_rule_that_is_none_is_refused(sim: Sim, rules, code):
    """Each fault has a code, and the firewall stays as it was."""
    response = write(sim, collection(*rules))

    assert error(response) == (400, code)
    assert sim.get(FW_PROD)["properties"]["provisioningState"] == "Succeeded"


@pytest.mark.parametrize(
    ("made", "code"),
    [
        (collection(nat(), name="customer-dnat"), "AzureFirewallRuleCollectionConflict"),
        (collection(nat(), priority=300), "AzureFirewallRuleCollectionConflict"),
        (collection(nat(), priority=99), "AzureFirewallRuleCollectionInvalidPriority"),
        (collection(nat(), priority=65001), "AzureFirewallRuleCollectionInvalidPriority"),
        ({"name": "broker", "properties": {"rules": [nat()]}}, "InvalidRequestFormat"),
        (collection(nat(), name="-x"), "InvalidResourceName"),
    ],
)
def test_collection_that_is_none_is_refused(sim: Sim, made, code):
    """Names and priorities are unique among the collections of a kind."""
    assert error(write(sim, made)) == (400, code)


def test_firewall_holds_250_destinations(sim: Sim):
    """Public addresses count with each unique address, port and protocol; three are taken."""
    fitting = collection(*[nat(f"r{number}", 20000 + number) for number in range(247)])
    beyond = collection(nat("last", 30000), name="beyond", priority=501)

    assert error(write(sim, fitting, beyond)) == (400, "AzureFirewallDnatLimitExceeded")
    assert write(sim, fitting).status == 200


def test_firewall_with_a_policy_takes_no_classic_rules(sim: Sim):
    """Its rules are the policy's."""
    firewall = sim.get(FW_HUB)
    made = collection(nat(destinationAddresses=["52.137.62.60"]))
    firewall["properties"]["natRuleCollections"] = [made]

    assert error(sim.call("PUT", FW_HUB, firewall)) == (
        400,
        "AzureFirewallPolicyAndRuleCollectionsConflict",
    )


def test_stale_etag_is_refused(sim: Sim):
    """If-Match guards the whole object."""
    stale = sim.get(FW_PROD)["etag"]
    write(sim, collection(nat()))
    sim.advance("PT4M")
    response = write(sim, headers={"if-match": stale})

    assert error(response) == (412, "PreconditionFailed")


def test_etag_of_the_put_is_stale_when_the_update_has_ended(sim: Sim):
    """Ending an update changes the firewall once more."""
    tag = write(sim, collection(nat())).json()["etag"]
    sim.advance("PT4M")

    assert error(write(sim, headers={"if-match": tag})) == (412, "PreconditionFailed")


def test_if_match_may_be_ignored(sim: Sim):
    """No document says if firewalls honour it: the other case can be played."""
    sim.options(firewallIfMatch=False)

    assert write(sim, headers={"if-match": 'W/"stale"'}).status == 200


def test_failed_update_leaves_the_old_rules(sim: Sim):
    """The firewall shows Failed, and can be written again."""
    sim.faults(
        {"match": {"method": "PUT", "path": "azureFirewalls"}, "operation": {"status": "Failed"}}
    )
    write(sim, collection(nat()))
    sim.advance("PT4M")

    assert sim.get(FW_PROD)["properties"]["provisioningState"] == "Failed"
    assert effective(sim) == ["customer-dnat"]
    assert write(sim).status == 200


def test_failed_update_may_have_brought_the_new_rules(sim: Sim):
    """Some instances have the new configuration: the other extreme can be played."""
    sim.options(firewallKeepsOldOnFailure=False)
    sim.faults(
        {"match": {"path": "azureFirewalls"}, "times": 2, "operation": {"status": "Canceled"}}
    )
    write(sim, collection(nat()))
    sim.advance("PT4M")

    assert effective(sim) == ["customer-dnat", "broker"]


def test_update_can_be_delayed(sim: Sim):
    """A fault makes the slow part slower."""
    sim.faults({"match": {"method": "PUT", "path": "azureFirewalls"}, "delay": "PT5M"})
    write(sim, collection(nat()))
    sim.advance("PT8M59S")
    before = effective(sim)
    sim.advance("PT1S")

    assert (before, effective(sim)) == (["customer-dnat"], ["customer-dnat", "broker"])


@pytest.mark.parametrize(
    "body",
    [
        {"properties": {"ipConfigurations": [{"name": "leg", "properties": {}}]}},
        {"location": "westeurope"},
        {"location": "westeurope", "properties": {}},
    ],
)
def test_body_that_is_no_firewall_is_refused(sim: Sim, body):
    """Location, properties, legs are needed."""
    assert sim.call("PUT", FW_PROD, body).status == 400


def test_a_firewall_without_ip_configuration_is_stopped_and_keeps_its_rules(sim: Sim):
    """While it is stopped, nobody may change its rules. No document says so: the worse case."""
    before = sim.get(FW_PROD)["properties"]
    stopped = {"location": "westeurope", "properties": {**before, "ipConfigurations": []}}

    first = sim.call("PUT", FW_PROD, stopped)
    sim.advance("PT10M")
    second = sim.call("PUT", FW_PROD, stopped)

    assert first.status == 200
    assert error(second) == (400, "AzureFirewallIpConfigurationMissing")
    after = sim.get(FW_PROD)["properties"]
    assert after["ipConfigurations"] == []
    assert len(after["natRuleCollections"]) == len(before["natRuleCollections"])


def test_rule_collections_are_a_list(sim: Sim):
    """Another kind of value is refused."""
    firewall = sim.get(FW_PROD)
    firewall["properties"]["natRuleCollections"] = "none"

    assert error(sim.call("PUT", FW_PROD, firewall)) == (400, "InvalidRequestFormat")


@pytest.mark.parametrize("name", ["subnet", "publicIPAddress"])
def test_reference_to_nothing_is_refused(sim: Sim, name):
    """The subnet and the address of a firewall must exist."""
    firewall = copy.deepcopy(sim.get(FW_PROD))
    firewall["properties"]["ipConfigurations"][0]["properties"][name]["id"] += "x"

    assert error(sim.call("PUT", FW_PROD, firewall)) == (400, "InvalidResourceReference")


def test_firewall_is_deleted_after_minutes(sim: Sim):
    """202, then gone."""
    status = sim.call("DELETE", FW_PROD, as_="petra").status
    sim.advance("PT4M")

    assert (status, error(sim.call("GET", FW_PROD))) == (202, (404, "ResourceNotFound"))
    assert sim.call("DELETE", FW_PROD, as_="petra").status == 204


def test_new_firewall_is_created(sim: Sim):
    """201 if there was none."""
    firewall = sim.get(FW_PROD)
    response = sim.call("PUT", network("azureFirewalls", "fw-two", WEB), firewall, as_="petra")

    assert response.status == 201


def test_children_have_ids_of_their_own(sim: Sim):
    """Collections and legs are addressed below the firewall."""
    firewall = sim.get(FW_PROD)

    assert firewall["properties"]["natRuleCollections"][0]["id"] == (
        f"{FW_PROD}/natRuleCollections/customer-dnat"
    )


def test_a_nat_rule_may_stand_on_a_private_address_except_in_the_tier_basic(sim: Sim):
    """Standard and Premium translate packets to their private address as well."""
    private = collection(nat(destinationAddresses=["10.1.0.4"]))
    firewall = sim.get(FW_PROD)
    firewall["properties"]["natRuleCollections"].append(private)
    basic = copy.deepcopy(firewall)
    basic["properties"]["sku"]["tier"] = "Basic"

    refused = sim.call("PUT", FW_PROD, basic)

    assert error(refused) == (400, "AzureFirewallRuleInvalidDestination")
    assert sim.call("PUT", FW_PROD, firewall).status == 200
