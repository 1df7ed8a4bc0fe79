"""JIT policies: four lists, wholesale PUT, the deny rules that follow."""

import re
from typing import Any

import pytest

from local.azure.values.http import Response
from tests.local.azure.sim import (
    DB,
    DB01,
    DEVELOPMENT,
    FW_PROD,
    HUB,
    HUB01,
    NEW01,
    NSG_DB,
    NSG_NEW,
    NSG_WEB,
    PRODUCTION,
    WEB,
    WEB01,
    Sim,
    error,
    machine,
    network,
    policy,
    rule,
)

SECURITY = "providers/Microsoft.Security"
FRONT = network("networkSecurityGroups", "nsg-app-front", DB)
PROD = f"/subscriptions/{PRODUCTION}/{SECURITY}"
BACK = network("networkSecurityGroups", "nsg-app-back", DB)


def port(number: int = 22, **changes: Any) -> dict[str, Any]:
    made = {
        "number": number,
        "protocol": "TCP",
        "allowedSourceAddressPrefix": "*",
        "maxRequestAccessDuration": "PT3H",
        **changes,
    }
    return {name: value for name, value in made.items() if value is not None}


def put(sim: Sim, machines: Any, path: str = policy(DB), **more: Any) -> Response:
    body = {"kind": "Basic", "properties": {"virtualMachines": machines, **more}}
    return sim.call("PUT", path, body)


def one(vm: str, *ports: Any) -> list[Any]:
    return [{"id": vm, "ports": list(ports) or [port()]}]


@pytest.mark.parametrize(
    ("path", "count"),
    [
        (f"{PROD}/jitNetworkAccessPolicies", 2),
        (f"/subscriptions/{DEVELOPMENT}/{SECURITY}/jitNetworkAccessPolicies", 5),
        (
            f"/subscriptions/{PRODUCTION}/{SECURITY}/locations/westeurope/jitNetworkAccessPolicies",
            2,
        ),
        (f"{PROD}/locations/eastus/jitNetworkAccessPolicies", 0),
        (f"{DB}/{SECURITY}/jitNetworkAccessPolicies", 1),
        (f"{HUB}/{SECURITY}/jitNetworkAccessPolicies", 0),
        (f"{DB}/{SECURITY}/locations/WestEurope/jitNetworkAccessPolicies", 1),
        (f"{DB}/{SECURITY}/locations/eastus/jitNetworkAccessPolicies", 0),
    ],
)
def test_policies_are_listed_in_four_scopes(sim: Sim, path, count):
    """By subscription or group, everywhere or in one region."""
    assert len(sim.get(path)["value"]) == count


def test_policy_has_the_shape_of_the_specification(sim: Sim):
    """Microsoft.Security 2020-01-01, GetJitNetworkAccessPolicy example."""
    shown = sim.get(policy(WEB))

    assert shown.keys() == {"id", "name", "type", "kind", "location", "properties"}
    assert shown["type"] == "Microsoft.Security/locations/jitNetworkAccessPolicies"
    assert shown["properties"].keys() == {"provisioningState", "virtualMachines", "requests"}


def test_machine_ids_of_a_policy_come_in_another_case(sim: Sim):
    """The portal stored them in its own way: comparing must not mind."""
    shown = sim.get(policy(WEB))["properties"]["virtualMachines"][0]["id"]

    assert shown != WEB01
    assert shown.lower() == WEB01.lower()


def test_machine_behind_a_firewall_shows_the_firewalls_address(sim: Sim):
    """PublicIpAddress stands on the policy's VM entry, only there."""
    web = sim.get(policy(WEB))["properties"]["virtualMachines"][0]
    db = sim.get(policy(DB))["properties"]["virtualMachines"][0]

    assert web["publicIpAddress"] == "52.137.62.53"
    assert "publicIpAddress" not in db


def test_unknown_policy_is_404(sim: Sim):
    """The code is the service's own."""
    assert error(sim.call("GET", policy(DB, "none"))) == (404, "PolicyNotFound")


def test_policies_have_no_etag(sim: Sim):
    """Nothing guards against a lost update."""
    response = sim.call("GET", policy(DB))

    assert "ETag" not in response.headers
    assert "etag" not in response.json()


def test_put_is_synchronous_and_answers_the_policy(sim: Sim):
    """200 with the stored policy; there is nothing to poll."""
    response = put(sim, one(NEW01))

    assert response.status == 200
    assert "Azure-AsyncOperation" not in response.headers
    assert response.json() == sim.get(policy(DB))


def test_put_replaces_all_machines(sim: Sim):
    """A PUT of one VM takes the protection from all others."""
    before = sim.denies(NSG_DB)
    put(sim, one(NEW01))
    sim.advance("PT3S")

    assert len(before) == 1
    assert (sim.denies(NSG_DB), sim.denies(FRONT), sim.denies(BACK)) == ([], [], [])
    assert len(sim.denies(NSG_NEW)) == 1


def test_put_keeps_the_history_of_requests(sim: Sim):
    """A body without requests does not erase them."""
    sim.initiate(DB01, 22)
    put(sim, one(DB01))

    assert len(sim.entries(DB)) == 1


def test_put_may_erase_the_history(sim: Sim):
    """The effect is not documented: the other case can be played."""
    sim.options(putErasesRequests=True)
    sim.initiate(DB01, 22)
    put(sim, one(DB01))
    sim.advance("PT2H")

    assert sim.entries(DB) == []


def test_put_may_replace_the_history(sim: Sim):
    """The worst case: a request that the body leaves out is forgotten, and its rule stays."""
    sim.options(putTakesRequests=True)
    sim.initiate(DB01, 22)
    sim.initiate(DB01, 3389)
    sim.advance("PT1M")
    there = sim.get(policy(DB))["properties"]
    put(sim, there["virtualMachines"], requests=there["requests"][:1])
    sim.advance("PT24H")

    assert [(entry["number"], entry["status"]) for entry in sim.entries(DB)] == [(22, "Revoked")]
    assert [rule["destinationPortRange"] for rule in sim.allows(NSG_DB)] == ["3389"]


def test_a_port_that_leaves_its_policy_may_leave_its_rule_behind(sim: Sim):
    """Nobody has documented its fate: the worse case can be played."""
    sim.options(putForgetsRules=True)
    sim.initiate(DB01, 22)
    sim.initiate(DB01, 3389)
    sim.advance("PT1M")
    put(sim, one(DB01, port()))
    sim.advance("PT24H")

    assert [rule["destinationPortRange"] for rule in sim.allows(NSG_DB)] == ["3389"]


def test_put_creates_a_policy_of_another_name(sim: Sim):
    """Any name will do; the two stand side by side."""
    response = put(sim, one(NEW01), policy(DB, "second"))

    assert response.json()["name"] == "second"
    assert len(sim.get(f"{DB}/{SECURITY}/jitNetworkAccessPolicies")["value"]) == 2


def test_first_spelling_of_a_policy_stays(sim: Sim):
    """Another case in the path changes the same policy."""
    response = put(sim, one(NEW01), policy(DB).upper().replace("/SUBSCRIPTIONS", "/subscriptions"))

    assert response.json()["id"] == policy(DB)


def test_deny_rule_is_as_exported_templates_show_it(sim: Sim):
    """One rule for all ports, from anywhere to the private address, at the bottom."""
    name, deny = next(
        (name, each) for name, each in sim.rules(NSG_DB).items() if each["access"] == "Deny"
    )

    assert name.startswith("MicrosoftDefenderForCloud-JITRule_")
    assert deny["description"] == ("MDC JIT Network Access rule for policy 'default' of VM 'db01'.")
    assert (deny["priority"], deny["protocol"], deny["sourceAddressPrefix"]) == (4096, "*", "*")
    assert deny["destinationAddressPrefix"] == "10.2.1.4"
    assert deny["destinationPortRanges"] == ["22", "3389", "5985"]


def test_rule_names_have_the_known_form(sim: Sim):
    """A signed number and 32 hexadecimal digits; an underscore denies, a dash allows."""
    sim.initiate(DB01, 22)
    sim.advance("PT10S")
    names = [name for name in sim.rules(NSG_DB) if "JITRule" in name]
    pattern = r"MicrosoftDefenderForCloud-JITRule([_-])(-?\d+)\1([0-9A-F]{32})"
    found = [re.fullmatch(pattern, name) for name in names]

    assert [each and each[1] for each in found] == ["_", "-"]
    assert len({each and each[2] for each in found}) == 1


def test_single_port_is_not_a_list(sim: Sim):
    """One port stands in the singular field."""
    put(sim, one(NEW01))
    deny = sim.denies(NSG_NEW)[0]

    assert (deny["destinationPortRange"], deny["destinationPortRanges"]) == ("22", [])


def test_machine_with_two_interfaces_is_protected_on_both(sim: Sim):
    """Each interface's NSG has a deny for its own address; the VM's part of the name is equal."""
    front, back = sim.denies(FRONT)[0], sim.denies(BACK)[0]
    names = [name for nsg in (FRONT, BACK) for name in sim.rules(nsg) if "JITRule_" in name]

    assert front["destinationAddressPrefix"] == "10.2.2.5"
    assert back["destinationAddressPrefix"] == "10.2.3.5"
    assert len({name.rsplit("_", 1)[1] for name in names}) == 1


def test_subnets_group_protects_where_the_interface_has_none(sim: Sim):
    """Ten VMs behind one subnet's NSG have ten deny rules, each at its own priority."""
    farm = f"/subscriptions/{DEVELOPMENT}/resourceGroups/rg-farm-5"
    denies = sim.denies(network("networkSecurityGroups", "nsg-farm-5", farm))

    assert sorted(each["priority"] for each in denies) == list(range(4087, 4097))


def test_deny_stands_just_above_a_rule_that_allows_its_port(sim: Sim):
    """The customer's SSH rule at 1000 would otherwise defeat it."""
    put(sim, one(NEW01))

    assert sim.denies(NSG_NEW)[0]["priority"] == 999


def test_deny_may_be_put_at_the_bottom(sim: Sim):
    """As the documentation says: existing rules keep precedence, JIT is without effect."""
    sim.options(denyPlacement="lowest")
    put(sim, one(NEW01))

    assert sim.denies(NSG_NEW)[0]["priority"] == 4096


def test_customers_rule_may_be_moved_out_of_the_way(sim: Sim):
    """As users report: the deny takes its place, the customer's rule the next one."""
    sim.options(denyPlacement="reprioritise")
    put(sim, one(NEW01))

    assert sim.denies(NSG_NEW)[0]["priority"] == 1000
    assert sim.rules(NSG_NEW)["allow-ssh-office"]["priority"] == 1001


@pytest.mark.parametrize(
    "changes",
    [
        {"destinationAddressPrefix": "10.2.2.8"},
        {"destinationPortRange": "23-30"},
        {"direction": "Outbound"},
    ],
)
def test_rule_for_something_else_is_no_conflict(sim: Sim, changes):
    """Only an inbound allow for that address and port is in the way."""
    rules = {
        f"{NSG_NEW}/securityRules/allow-ssh-office": rule(
            priority=1000,
            **{
                "destinationPortRange": "22",
                "sourcePortRanges": [],
                "destinationPortRanges": [],
                **changes,
            },
        )
    }
    sim.control("PUT", "state", {"resources": rules})
    put(sim, one(NEW01))

    assert sim.denies(NSG_NEW)[0]["priority"] == 4096


def test_changed_ports_change_the_deny_in_place(sim: Sim):
    """Its name, its priority stay."""
    before = next(name for name in sim.rules(NSG_DB) if "JITRule_" in name)
    put(sim, one(DB01, port(22), port(8443)))
    sim.advance("PT3S")
    after = sim.rules(NSG_DB)[before]

    assert (after["priority"], after["destinationPortRanges"]) == (4096, ["22", "8443"])


def test_unchanged_put_writes_no_group(sim: Sim):
    """A PUT that changes nothing leaves the NSG alone."""
    tag = sim.get(NSG_WEB)["etag"]
    sim.call("PUT", policy(WEB), sim.get(policy(WEB)))

    assert sim.get(NSG_WEB)["etag"] == tag


def test_defender_waits_for_a_busy_group(sim: Sim):
    """The PUT succeeds at once; the rule follows when somebody else's write has ended."""
    sim.call("PUT", f"{NSG_NEW}/securityRules/mine", rule())
    put(sim, one(NEW01))
    before = sim.denies(NSG_NEW)
    sim.advance("PT3S")

    assert (before, len(sim.denies(NSG_NEW))) == ([], 1)


def test_deleted_policy_takes_its_deny_rules_along(sim: Sim):
    """200, then 204; the VMs are open to traffic that other rules allow."""
    first, second = sim.call("DELETE", policy(DB)).status, sim.call("DELETE", policy(DB)).status
    sim.advance("PT3S")

    assert (first, second, sim.denies(NSG_DB)) == (200, 204, [])
    assert error(sim.call("GET", policy(DB))) == (404, "PolicyNotFound")


def test_open_access_outlives_its_policy_until_its_end(sim: Sim):
    """Deleting a policy cuts nobody off; Defender still cleans up."""
    sim.initiate(DB01, 22)
    sim.advance("PT1M")
    sim.call("DELETE", policy(DB))
    sim.advance("PT1M")
    during = len(sim.allows(NSG_DB))
    sim.advance("PT1H")

    assert (during, sim.allows(NSG_DB)) == (1, [])


def test_deleted_policy_may_forget_its_open_rules(sim: Sim):
    """The worse case can be played: the rule stays for ever."""
    sim.options(deleteForgetsRules=True)
    sim.initiate(DB01, 22)
    sim.advance("PT1M")
    sim.call("DELETE", policy(DB))
    sim.advance("PT24H")

    assert len(sim.allows(NSG_DB)) == 1


INVALID = (400, "InvalidJitNetworkAccessPolicy")
LONG = machine("x" * 50, DB)


@pytest.mark.parametrize(
    ("machines", "expected"),
    [
        (None, INVALID),
        ([5], INVALID),
        ([{"id": NSG_DB, "ports": [port()]}], INVALID),
        ([{"id": NEW01}], INVALID),
        (one(NEW01) * 2, INVALID),
        (one(NEW01, port(), port()), INVALID),
        (one(NEW01, 22), INVALID),
        (one(NEW01, port(0)), INVALID),
        (one(NEW01, port(True)), INVALID),
        (one(NEW01, port(protocol="ICMP")), INVALID),
        (one(NEW01, port(protocol="")), (500, "InternalServerError")),
        (one(NEW01, port(protocol=None)), (500, "InternalServerError")),
        (one(NEW01, port(allowedSourceAddressPrefix=None)), INVALID),
        (one(NEW01, port(allowedSourceAddressPrefix="x")), INVALID),
        (
            one(NEW01, port(allowedSourceAddressPrefixes=["10.0.0.0/8"])),
            INVALID,
        ),
        (one(NEW01, port(maxRequestAccessDuration="PT4M")), INVALID),
        (
            one(NEW01, port(maxRequestAccessDuration="PT25H")),
            INVALID,
        ),
        (one(NEW01, port(maxRequestAccessDuration="1h")), INVALID),
        (one(LONG), INVALID),
        (one(NEW01 + "x"), (404, "ResourceNotFound")),
        (one(NEW01.replace(PRODUCTION, "subscriptions")), (403, "LinkedAuthorizationFailed")),
        (one(WEB01), INVALID),
    ],
)
def test_policy_that_is_none_is_refused(sim: Sim, machines, expected):
    """Each fault has its answer, the strange ones included, and nothing is stored."""
    before = sim.get(policy(DB))

    assert error(put(sim, machines)) == expected
    assert sim.get(policy(DB)) == before


def test_policy_stands_where_its_machines_are(sim: Sim):
    """Another region is refused."""
    path = policy(DB, location="eastus")

    assert error(put(sim, one(NEW01), path)) == INVALID


def test_machine_without_group_or_classic_firewall_is_unsupported(sim: Sim):
    """A firewall with a policy does not count."""
    assert error(put(sim, one(HUB01), policy(HUB))) == INVALID


@pytest.mark.parametrize(
    "plan", [{"pricingTier": "Free"}, {"pricingTier": "Standard", "subPlan": "P1"}]
)
def test_just_in_time_access_takes_the_right_plan(sim: Sim, plan):
    """Neither configuring nor requesting works without Defender for Servers Plan 2."""
    sim.control("PUT", "state", {"plans": {PRODUCTION: plan}})

    assert error(put(sim, one(NEW01))) == (403, "Forbidden")
    assert error(sim.initiate(DB01, 22)) == (403, "Forbidden")


def test_rules_of_a_customers_firewall_are_no_business_of_a_policy(sim: Sim):
    """Configuring JIT writes no firewall."""
    tag = sim.get(FW_PROD)["etag"]
    put(sim, one(WEB01, port(22)), policy(WEB))
    sim.advance("PT10M")

    assert sim.get(FW_PROD)["etag"] == tag


def test_merged_policy_protects_all_its_machines(sim: Sim):
    """A read-merge-write keeps everybody."""
    machines = sim.get(policy(DB))["properties"]["virtualMachines"]
    put(sim, [*machines, *one(NEW01)])
    sim.advance("PT3S")

    assert [len(sim.denies(nsg)) for nsg in (NSG_DB, FRONT, BACK, NSG_NEW)] == [1, 1, 1, 1]
