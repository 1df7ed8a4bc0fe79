"""Defender at work: opening, superseding, expiry, firewalls, forgotten rules."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.local.azure.sim import (
    ALICE,
    APP01,
    BOB,
    DB,
    DB01,
    DEVELOPMENT,
    FW_PROD,
    NSG_DB,
    NSG_WEB,
    WEB,
    WEB01,
    Sim,
    group,
    machine,
    network,
    policy,
    rule,
)

FRONT = network("networkSecurityGroups", "nsg-app-front", DB)
BACK = network("networkSecurityGroups", "nsg-app-back", DB)
FARM = group("rg-farm-1", DEVELOPMENT)


def statuses(sim: Sim, where: str = DB) -> list[tuple[str, str]]:
    return [(entry["status"], entry["statusReason"]) for entry in sim.entries(where)]


def sources(sim: Sim, nsg: str = NSG_DB) -> list[str]:
    return [each["sourceAddressPrefix"] for each in sim.allows(nsg)]


def is_updating(sim: Sim, resource: str) -> bool:
    return bool(sim.get(resource)["properties"]["provisioningState"] == "Updating")


# -- opening --------------------------------------------------------------------------------


def test_allow_rule_is_as_exported_templates_show_it(sim: Sim):
    """One port to the private address, from the source that was asked for, at the top."""
    sim.initiate(DB01, 22)
    sim.advance("PT10S")
    name, allow = next((n, r) for n, r in sim.rules(NSG_DB).items() if "JITRule-" in n)

    assert name.startswith("MicrosoftDefenderForCloud-JITRule-")
    assert allow["description"] == (
        "MDC JIT Network Access rule created by an initiation request for policy 'default' of VM "
        "'db01'."
    )
    assert (allow["priority"], allow["access"], allow["protocol"]) == (100, "Allow", "Tcp")
    assert (allow["sourceAddressPrefix"], allow["destinationPortRange"]) == (ALICE, "22")
    assert allow["destinationAddressPrefix"] == "10.2.1.4"


def test_entry_is_initiated_when_the_rule_is_written_not_when_it_is_effective(sim: Sim):
    """The status runs ahead of the packets."""
    sim.initiate(DB01, 22)
    sim.advance("PT10S")
    written = (statuses(sim), sim.reachable(DB01, 22)["reachable"])
    sim.advance("PT3S")

    assert written == ([("Initiated", "UserRequested")], False)
    assert sim.reachable(DB01, 22)["reachable"]


def test_a_request_whose_sources_overlap_is_taken_and_gets_no_rule(sim: Sim):
    """Azure refuses such a rule; Defender's answer does not say so."""
    sim.initiate(DB01, 22, ["203.0.113.0/28", ALICE])
    sim.advance("PT20S")

    assert sim.allows(NSG_DB) == []


def test_each_port_has_a_rule_at_the_next_free_priority(sim: Sim):
    """Priorities go up from 100, around the taken ones."""
    resources = {f"{NSG_DB}/securityRules/mine": rule(priority=101, destinationPortRanges=[])}
    sim.control("PUT", "state", {"resources": resources})
    sim.initiate(DB01, 22)
    sim.initiate(DB01, 5985)
    sim.advance("PT20S")

    assert [(each["destinationPortRange"], each["priority"]) for each in sim.allows(NSG_DB)] == [
        ("22", 100),
        ("5985", 102),
    ]


def test_protocol_of_the_rule_is_the_policys(sim: Sim):
    """An initiate carries none."""
    sim.initiate(DB01, 5985)
    sim.advance("PT10S")

    assert sim.allows(NSG_DB)[0]["protocol"] == "*"


def test_two_interfaces_have_a_rule_each(sim: Sim):
    """Each for its own address."""
    sim.initiate(APP01, 3389)
    sim.advance("PT10S")

    assert [each["destinationAddressPrefix"] for each in sim.allows(FRONT)] == ["10.2.2.5"]
    assert [each["destinationAddressPrefix"] for each in sim.allows(BACK)] == ["10.2.3.5"]


def test_one_request_writes_a_group_once(sim: Sim):
    """Ten VMs behind one NSG come in one write."""
    end = (sim.now + timedelta(hours=1)).isoformat()
    ports = [{"number": 22, "endTimeUtc": end, "allowedSourceAddressPrefix": ALICE}]
    vms = [{"id": machine(f"farm{number:02}", FARM), "ports": ports} for number in range(1, 11)]
    sim.call("POST", f"{policy(FARM)}/initiate", {"virtualMachines": vms})
    sim.advance("PT13S")
    nsg = network("networkSecurityGroups", "nsg-farm-1", FARM)

    assert len(sim.allows(nsg)) == 10
    assert not is_updating(sim, nsg)


def test_requests_wait_for_each_other_at_a_group(sim: Sim):
    """Defender writes one group once at a time."""
    sim.initiate(DB01, 22)
    sim.initiate(DB01, 5985)
    sim.advance("PT10S")
    first = len(sim.allows(NSG_DB))
    sim.advance("PT3S")

    assert (first, len(sim.allows(NSG_DB))) == (1, 2)


def test_initiation_can_be_delayed(sim: Sim):
    """A fault makes Defender slow."""
    sim.faults({"match": {"path": "initiate"}, "delay": "PT5M"})
    sim.initiate(DB01, 22)
    sim.advance("PT5M9S")
    before = sim.allows(NSG_DB)
    sim.advance("PT1S")

    assert (before, len(sim.allows(NSG_DB))) == ([], 1)


def test_rule_may_never_come(sim: Sim):
    """A fault: 202, an entry that stays as it is, expiry in the end, never a rule."""
    sim.faults({"match": {"path": "initiate"}, "neverRule": True})
    sim.initiate(DB01, 22)
    sim.advance("PT30M")
    during = (statuses(sim), sim.allows(NSG_DB))
    sim.advance("PT31M")

    assert during == ([("Initiating", "UserRequested")], [])
    assert statuses(sim) == [("Revoked", "Expired")]


# -- superseding ----------------------------------------------------------------------------


def test_newer_request_revokes_the_older_of_the_same_port(sim: Sim):
    """One VM port has one request: the latest."""
    sim.initiate(DB01, 22, ALICE)
    sim.advance("PT5M")
    sim.initiate(DB01, 22, BOB)
    sim.advance("PT13S")

    assert statuses(sim) == [
        ("Revoked", "NewerRequestInitiated"),
        ("Initiated", "UserRequested"),
    ]
    assert sources(sim) == [BOB]


def test_older_request_lasts_until_the_newer_rule_comes(sim: Sim):
    """Until Defender gets to it, nothing has changed."""
    sim.initiate(DB01, 22, ALICE)
    sim.advance("PT5M")
    sim.initiate(DB01, 22, BOB)
    sim.advance("PT9S")

    assert statuses(sim)[0] == ("Initiated", "UserRequested")
    assert sources(sim) == [ALICE]


def test_old_rule_goes_in_the_write_that_brings_the_new_one(sim: Sim):
    """The two are never shown together."""
    sim.initiate(DB01, 22, ALICE)
    sim.advance("PT5M")
    sim.initiate(DB01, 22, BOB)
    sim.advance("PT10S")

    assert sources(sim) == [BOB]


def test_other_ports_are_left_alone(sim: Sim):
    """A request for another port or VM revokes nothing."""
    sim.initiate(DB01, 22)
    sim.initiate(DB01, 5985)
    sim.initiate(APP01, 3389)
    sim.advance("PT1M")

    assert statuses(sim) == [("Initiated", "UserRequested")] * 3


def test_two_requests_before_either_opens_leave_the_later(sim: Sim):
    """The first opens first; the second takes over."""
    sim.initiate(DB01, 22, ALICE)
    sim.initiate(DB01, 22, BOB)
    sim.advance("PT1M")

    assert [each[0] for each in statuses(sim)] == ["Revoked", "Initiated"]
    assert sources(sim) == [BOB]


def test_delayed_older_request_does_not_take_the_port_back(sim: Sim):
    """Newer means requested later, not opened later."""
    sim.faults({"match": {"path": "initiate"}, "delay": "PT5M"})
    sim.initiate(DB01, 22, ALICE)
    sim.initiate(DB01, 22, BOB)
    sim.advance("PT10M")

    assert statuses(sim) == [
        ("Revoked", "NewerRequestInitiated"),
        ("Initiated", "UserRequested"),
    ]
    assert sources(sim) == [BOB]


def test_superseded_request_does_not_end_the_newer_one(sim: Sim):
    """Its own end passes without effect."""
    sim.initiate(DB01, 22, ALICE, minutes=10)
    sim.advance("PT5M")
    sim.initiate(DB01, 22, BOB, minutes=60)
    sim.advance("PT10M")

    assert sources(sim) == [BOB]


def test_shorter_request_shortens_access(sim: Sim):
    """A newer request may also end earlier."""
    sim.initiate(DB01, 22, ALICE, minutes=60)
    sim.advance("PT5M")
    sim.initiate(DB01, 22, ALICE, minutes=5)
    sim.advance("PT6M")

    assert sim.allows(NSG_DB) == []


# -- expiry ---------------------------------------------------------------------------------


def test_rules_go_some_time_after_the_end(sim: Sim):
    """Defender takes its time; then entry and rule are gone."""
    sim.initiate(DB01, 22, minutes=10)
    sim.advance("PT10M19S")
    before = (statuses(sim), len(sim.allows(NSG_DB)))
    sim.advance("PT1S")

    assert before == ([("Initiated", "UserRequested")], 1)
    assert (statuses(sim), sim.allows(NSG_DB)) == ([("Revoked", "Expired")], [])


def test_customers_rules_survive_everything(sim: Sim):
    """Opening and closing leave the group as it was."""
    before = sim.rules(NSG_DB)
    sim.initiate(DB01, 22, minutes=10)
    sim.advance("PT20M")

    assert sim.rules(NSG_DB) == before


def test_entries_are_listed_for_a_while_after_their_end(sim: Sim):
    """The history is short."""
    sim.options(requestDays=1)
    sim.initiate(DB01, 22, minutes=10)
    sim.advance("P1D")
    during = len(sim.entries(DB))
    sim.advance("PT20M")

    assert (during, sim.entries(DB)) == (1, [])


@pytest.mark.parametrize("match", [{}, {"path": "initiate"}, {"bodyContains": ALICE}])
def test_defender_may_forget_to_remove_a_rule(sim: Sim, match: Any):
    """The entry is revoked, the rule stays: the leftover that the broker must find."""
    sim.faults({"match": match, "leaveRules": True})
    sim.initiate(DB01, 22, minutes=10)
    sim.advance("PT20M")

    assert statuses(sim) == [("Revoked", "Expired")]
    assert sources(sim) == [ALICE]


def test_forgetting_can_be_asked_for_after_opening(sim: Sim):
    """The fault strikes at the removal, not at the request."""
    sim.initiate(DB01, 22, minutes=10)
    sim.advance("PT5M")
    sim.faults({"match": {"path": "initiate"}, "leaveRules": True})
    sim.advance("PT10M")

    assert sources(sim) == [ALICE]


def test_forgetting_strikes_as_often_as_it_was_asked_for(sim: Sim):
    """Once by default; the next rule is removed."""
    sim.faults({"leaveRules": True})
    sim.initiate(DB01, 22, minutes=10)
    sim.initiate(DB01, 5985, minutes=20)
    sim.advance("PT30M")

    assert [each["destinationPortRange"] for each in sim.allows(NSG_DB)] == ["22"]


def test_only_rules_of_one_kind_may_be_forgotten(sim: Sim):
    """The NSG's rule goes, the firewall's stays."""
    sim.faults({"match": {"path": "azureFirewalls"}, "leaveRules": True})
    sim.initiate(WEB01, 3389, minutes=10)
    sim.advance("PT30M")

    assert (sim.allows(NSG_WEB), len(sim.nat())) == ([], 1)


def test_rule_that_somebody_has_removed_is_no_trouble(sim: Sim):
    """Defender removes the rules that are there."""
    sim.initiate(DB01, 22, minutes=10)
    sim.advance("PT1M")
    name = next(name for name in sim.rules(NSG_DB) if "JITRule-" in name)
    sim.control("PUT", "state", {"resources": {f"{NSG_DB}/securityRules/{name}": None}})
    sim.advance("PT20M")

    assert statuses(sim) == [("Revoked", "Expired")]


def test_request_ends_though_its_group_is_gone(sim: Sim):
    """A deleted NSG leaves nothing to remove."""
    sim.initiate(DB01, 22, minutes=10)
    sim.advance("PT1M")
    sim.control("PUT", "state", {"resources": {NSG_DB: None}})
    sim.advance("PT20M")

    assert statuses(sim) == [("Revoked", "Expired")]


# -- firewalls ------------------------------------------------------------------------------


def test_firewall_gets_a_translation_minutes_later(sim: Sim):
    """One DNAT rule from the mapped port to the VM, for the requester's source."""
    sim.initiate(WEB01, 3389)
    sim.advance("PT10S")
    shown = sim.nat()[0]

    assert is_updating(sim, FW_PROD)
    assert shown["name"].startswith("MDC-JIT")
    assert (shown["sourceAddresses"], shown["protocols"]) == ([ALICE], ["TCP"])
    assert shown["destinationAddresses"] == ["52.137.62.53"]
    assert shown["destinationPorts"] == ["13389"]
    assert (shown["translatedAddress"], shown["translatedPort"]) == ("10.1.1.4", "3389")


def test_mapped_port_appears_when_the_translation_is_effective(sim: Sim):
    """Initiated comes minutes before there is anything to connect to."""
    sim.initiate(WEB01, 3389)
    sim.advance("PT4M9S")
    before = sim.entries(WEB)[0]
    sim.advance("PT1S")

    assert (before["status"], "mappedPort" in before) == ("Initiated", False)
    assert sim.entries(WEB)[0]["mappedPort"] == 13389


def test_machine_without_a_firewall_has_no_mapped_port(sim: Sim):
    """Its own address is used."""
    sim.initiate(DB01, 22)
    sim.advance("PT10M")

    assert "mappedPort" not in sim.entries(DB)[0]


def test_group_allows_the_requester_whom_the_machine_never_sees(sim: Sim):
    """The known bug: the firewall translates the source, the NSG expects the requester's."""
    sim.initiate(WEB01, 3389)
    sim.advance("PT5M")

    assert sources(sim, NSG_WEB) == [ALICE]
    assert not sim.reachable(WEB01, 3389)["reachable"]


def test_mapped_port_stays_with_its_machine(sim: Sim):
    """The next request has the same one."""
    sim.initiate(WEB01, 3389, minutes=10)
    sim.advance("PT1H")
    sim.initiate(WEB01, 3389, BOB)
    sim.advance("PT5M")

    assert [entry["mappedPort"] for entry in sim.entries(WEB)] == [13389, 13389]


def test_taken_port_is_not_mapped(sim: Sim):
    """The next free one is."""
    firewall = sim.get(FW_PROD)
    rules = firewall["properties"]["natRuleCollections"][0]["properties"]["rules"]
    rules[0]["destinationPorts"] = ["10022"]
    sim.control("PUT", "state", {"resources": {FW_PROD: firewall}})
    sim.initiate(WEB01, 22)
    sim.advance("PT5M")

    assert sim.entries(WEB)[0]["mappedPort"] == 10023


def test_customers_collections_are_written_back_unchanged(sim: Sim):
    """Opening and closing leave the firewall's own rules as they were."""
    before = sim.azure.world.store.effective(FW_PROD)
    sim.initiate(WEB01, 3389, minutes=10)
    sim.advance("PT30M")
    after = sim.azure.world.store.effective(FW_PROD)

    assert [names(after[kind]) for kind in KINDS] == [names(before[kind]) for kind in KINDS]


KINDS = ("natRuleCollections", "networkRuleCollections", "applicationRuleCollections")


def names(collections: list[Any]) -> list[Any]:
    return [(each["name"], each["properties"]["rules"]) for each in collections]


def test_requests_take_turns_at_the_firewall(sim: Sim):
    """The second waits four minutes for the first."""
    sim.initiate(WEB01, 3389)
    sim.initiate(WEB01, 22)
    sim.advance("PT4M10S")
    first = [entry.get("mappedPort") for entry in sim.entries(WEB)]
    sim.advance("PT4M")

    assert first == [13389, None]
    assert [entry.get("mappedPort") for entry in sim.entries(WEB)] == [13389, 10022]


def test_defender_waits_while_somebody_else_writes_the_firewall(sim: Sim):
    """Its own update begins when theirs has ended."""
    sim.call("PUT", FW_PROD, sim.get(FW_PROD))
    sim.initiate(WEB01, 3389)
    sim.advance("PT3M59S")
    before = sim.nat()
    sim.advance("PT1S")

    assert (before, len(sim.nat())) == ([], 1)


def test_others_are_refused_while_defender_writes_the_firewall(sim: Sim):
    """One update at a time, of Defender or of a client."""
    firewall = sim.get(FW_PROD)
    sim.initiate(WEB01, 3389)
    sim.advance("PT1M")

    assert sim.call("PUT", FW_PROD, firewall).status == 409


def test_superseding_replaces_the_source_of_the_translation(sim: Sim):
    """One rule, one mapped port, the newer source, minutes later."""
    sim.initiate(WEB01, 3389, ALICE)
    sim.advance("PT5M")
    sim.initiate(WEB01, 3389, BOB)
    sim.advance("PT5M")

    assert [(each["sourceAddresses"], each["destinationPorts"]) for each in sim.nat()] == [
        ([BOB], ["13389"])
    ]
    assert sim.entries(WEB)[1]["mappedPort"] == 13389


def test_translation_goes_minutes_after_the_end(sim: Sim):
    """The entry is revoked first; packets pass until the update has ended."""
    sim.initiate(WEB01, 3389, minutes=20)
    sim.advance("PT20M20S")
    shown = (statuses(sim, WEB), sim.nat(), is_updating(sim, FW_PROD))
    effective = sim.azure.world.store.effective(FW_PROD)["natRuleCollections"]
    sim.advance("PT4M")

    assert shown == ([("Revoked", "Expired")], [], True)
    assert len(effective) == 2
    assert len(sim.azure.world.store.effective(FW_PROD)["natRuleCollections"]) == 1


def test_request_that_ends_while_waiting_for_the_firewall_is_never_translated(sim: Sim):
    """Its turn comes too late, so nothing is written."""
    sim.options(firewallSeconds=3600)
    sim.call("PUT", FW_PROD, sim.get(FW_PROD))
    sim.initiate(WEB01, 3389, minutes=10)
    sim.advance("PT2H")

    assert "mappedPort" not in sim.entries(WEB)[0]
    assert sim.nat() == []


def test_new_request_while_the_old_translation_is_going_is_translated(sim: Sim):
    """The removal does not take the newer one along."""
    sim.initiate(WEB01, 3389, ALICE, minutes=20)
    sim.advance("PT20M21S")
    sim.initiate(WEB01, 3389, BOB, minutes=60)
    sim.advance("PT9M")

    assert [each["sourceAddresses"] for each in sim.nat()] == [[BOB]]


def test_defenders_own_update_can_fail(sim: Sim):
    """A fault that names Defender: the firewall shows Failed, no mapped port appears."""
    match = {"principal": "defender", "path": "azureFirewalls"}
    sim.faults({"match": match, "operation": {"status": "Failed"}})
    sim.initiate(WEB01, 3389)
    sim.advance("PT5M")

    assert sim.get(FW_PROD)["properties"]["provisioningState"] == "Failed"
    assert "mappedPort" not in sim.entries(WEB)[0]


def test_faults_for_callers_do_not_strike_defender(sim: Sim):
    """Only a fault that names it does."""
    sim.faults({"match": {"path": "azureFirewalls"}, "operation": {"status": "Failed"}})
    sim.initiate(WEB01, 3389)
    sim.advance("PT5M")

    assert sim.entries(WEB)[0]["mappedPort"] == 13389


# -- foreign hands --------------------------------------------------------------------------


def test_replaced_policy_is_followed(sim: Sim):
    """Defender keeps writing into the entries that a test has put back."""
    sim.initiate(DB01, 22, minutes=10)
    sim.control("PUT", "state", {"resources": {policy(DB): sim.get(policy(DB))}})
    sim.advance("PT20M")

    assert statuses(sim) == [("Revoked", "Expired")]


def test_wiped_rule_is_not_written_again(sim: Sim):
    """Terraform wins: Defender does not repair."""
    sim.initiate(DB01, 22)
    sim.advance("PT1M")
    wiped = sim.get(NSG_DB)
    wiped["properties"]["securityRules"] = []
    sim.control("PUT", "state", {"resources": {NSG_DB: wiped}})
    sim.advance("PT10M")

    assert (sim.rules(NSG_DB), statuses(sim)) == ({}, [("Initiated", "UserRequested")])


REQUESTS = st.lists(
    st.tuples(
        st.sampled_from([(DB01, 22), (DB01, 5985), (APP01, 3389), (WEB01, 3389), (WEB01, 22)]),
        st.sampled_from([ALICE, BOB]),
        st.integers(5, 120),
        st.integers(0, 600),
    ),
    max_size=8,
)


def play(sim: Sim, requests: list[Any]) -> None:
    for (vm, port), source, minutes, pause in requests:
        sim.initiate(vm, port, source, minutes=minutes)
        sim.advance(f"PT{pause}S")


@settings(max_examples=25)
@given(REQUESTS)
def test_in_the_end_nothing_of_defenders_is_left(requests):
    """Any requests, in any order: all are revoked, every rule is gone."""
    sim = Sim()
    play(sim, requests)
    sim.advance("PT12H")

    assert {each[0] for each in statuses(sim) + statuses(sim, WEB)} <= {"Revoked"}
    assert [sim.allows(nsg) for nsg in (NSG_DB, NSG_WEB, FRONT, BACK)] == [[]] * 4
    assert sim.nat() == []


@settings(max_examples=25)
@given(REQUESTS)
def test_one_port_never_has_two_open_requests(requests):
    """At every moment a VM port has at most one initiated entry, one allow rule."""
    sim = Sim()
    play(sim, requests)
    sim.advance("PT15S")
    open_ports = [
        (allow["destinationAddressPrefix"], allow["destinationPortRange"])
        for nsg in (NSG_DB, NSG_WEB, FRONT, BACK)
        for allow in sim.allows(nsg)
    ]

    assert len(set(open_ports)) == len(open_ports)


@settings(max_examples=10)
@given(REQUESTS, st.integers(1, 60))
def test_advancing_in_steps_is_the_same_as_in_one_jump(requests, step):
    """How often somebody looks changes nothing."""
    jumping, stepping = Sim(), Sim()
    play(jumping, requests)
    play(stepping, requests)
    jumping.advance(f"PT{step * 20}M")
    walk(stepping, 20, f"PT{step}M")

    assert sim_shape(jumping) == sim_shape(stepping)


def walk(sim: Sim, times: int, span: str) -> None:
    for _ in range(times):
        sim.advance(span)


def sim_shape(sim: Sim) -> Any:
    allows = [[sorted(each.items(), key=str) for each in sim.allows(n)] for n in (NSG_DB, NSG_WEB)]
    return statuses(sim), statuses(sim, WEB), allows, sim.nat()
