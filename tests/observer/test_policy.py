"""The resources of one JIT policy: which are read, and which VMs are unreadable."""

import pytest

from jit.domain.grants.policy_view import name_entry
from jit.domain.values import arm_ids
from jit.observer.policy import (
    build_policy_view,
    find_missing_reads,
    judge_absence,
    predict_reads,
    view_firewalls,
    view_nsgs,
)
from jit.observer.reads import Read
from tests.builders.machines import a_configured_vm, a_nic
from tests.builders.nsgs import arm_nsg, arm_rule
from tests.builders.values import FIREWALL_ID, NOW, NSG_ID, POLICY_ID, PUBLIC, vm_id

NETWORK = NSG_ID.rsplit("/", 2)[0]
NIC = f"{NETWORK}/networkInterfaces/web01-nic"
VNET = f"{NETWORK}/virtualNetworks/vnet-prod"
PIP = f"{NETWORK}/publicIPAddresses/web01-pip"
VM_KEY = arm_ids.key(vm_id())
VM = a_configured_vm(
    interfaces=(a_nic(id=NIC, public_ip=PUBLIC, public_ip_id=PIP),), firewall_id=FIREWALL_ID
)
ARM_VM = {
    "id": vm_id(),
    "name": "web01",
    "properties": {"networkProfile": {"networkInterfaces": [{"id": NIC}]}},
}
ARM_NIC = {
    "id": NIC,
    "properties": {
        "networkSecurityGroup": {"id": NSG_ID},
        "ipConfigurations": [
            {
                "properties": {
                    "privateIPAddress": "10.1.1.4",
                    "subnet": {"id": f"{VNET}/subnets/snet-web"},
                    "publicIPAddress": {"id": PIP},
                }
            }
        ],
    },
}
ARM_VNET = {
    "id": VNET,
    "properties": {
        "subnets": [
            {
                "id": f"{VNET}/subnets/snet-web",
                "properties": {"networkSecurityGroup": {"id": f"{NSG_ID}-subnet"}},
            },
            {
                "id": f"{VNET}/subnets/other",
                "properties": {"networkSecurityGroup": {"id": f"{NSG_ID}-other"}},
            },
        ]
    },
}


def a_read(*resources):
    """A read that found these resources."""
    read = Read()
    read.add({resource["id"]: resource for resource in resources})
    return read


@pytest.mark.parametrize(
    ("deciding", "ids"),
    [
        (False, {NSG_ID, FIREWALL_ID}),
        (True, {NSG_ID, FIREWALL_ID, vm_id(), NIC, VNET, PIP}),
    ],
)
def test_only_a_vm_to_decide_about_is_read_in_full(deciding, ids):
    """For an open path its NSGs and its firewall are enough."""
    assert set(predict_reads(VM, deciding)) == ids


def test_resources_that_others_refer_to_are_missing_reads():
    """The NSG of a subnet counts only if an interface is in that subnet."""
    missing = set(find_missing_reads(a_read(ARM_VM, ARM_NIC, ARM_VNET), {VM_KEY: VM}))

    assert missing == {NIC, NSG_ID, PIP, VNET, f"{NSG_ID}-subnet", FIREWALL_ID}


def test_an_nsg_and_a_firewall_that_were_not_found_are_not_known():
    """One answer of 404 may be a passing fault."""
    read = a_read(arm_nsg(arm_rule(300)))
    read.add({f"{NSG_ID}-gone": None, FIREWALL_ID: None})

    assert [nsg.id for nsg in view_nsgs(read).values()] == [NSG_ID]
    assert view_firewalls(read) == {}


def test_an_nsg_and_a_firewall_that_are_absent_have_no_rules():
    """Their rules are gone with them, and nothing more will change."""
    read = a_read(arm_nsg(arm_rule(300)))
    read.add({f"{NSG_ID}-gone": None, FIREWALL_ID: None})
    read.absent.update(read.gone)

    nsgs, firewalls = view_nsgs(read), view_firewalls(read)

    assert [(len(nsg.rules) > 0, nsg.settled) for nsg in nsgs.values()] == [
        (True, False),
        (False, True),
    ]
    assert [(view.nat_rules, view.settled) for view in firewalls.values()] == [((), True)]


@pytest.mark.parametrize(
    ("outcomes", "why"),
    [
        ({}, "the VM could not be read"),
        ({vm_id(): "no answer"}, "no answer"),
        ({vm_id(): ARM_VM, NIC: "no answer"}, "no answer"),
        ({vm_id(): ARM_VM, NIC: ARM_NIC, VNET: "no answer"}, "no answer"),
        ({vm_id(): ARM_VM, NIC: ARM_NIC, FIREWALL_ID: None}, "its firewall was not found"),
        ({vm_id(): ARM_VM, NIC: ARM_NIC, NSG_ID: "no answer"}, "no answer"),
        ({vm_id(): ARM_VM, NIC: ARM_NIC, NSG_ID: None}, "nsg-web was not found"),
        ({vm_id(): ARM_VM, NIC: ARM_NIC, VNET: ARM_VNET}, None),
    ],
)
def test_a_vm_that_was_read_in_part_is_unreadable_and_shown_as_predicted(outcomes, why):
    """Without an NSG nobody could see the path open, or gone."""
    read = Read()
    read.add(outcomes)

    view = build_policy_view(None, {VM_KEY: VM}, frozenset({VM_KEY}), frozenset(), read, NOW)

    assert view.unreadable == ({VM_KEY: why} if why else {})
    assert (view.machines[VM_KEY].vm == VM) is (why is not None)


def test_a_vm_that_is_not_decided_about_stays_as_predicted():
    """Its interfaces and networks were not read."""
    view = build_policy_view(None, {VM_KEY: VM}, frozenset(), frozenset(), a_read(arm_nsg()), NOW)

    assert (view.found, view.unreadable) == (False, {})
    assert view.machines[VM_KEY].vm == VM
    assert list(view.machines[VM_KEY].nsgs) == [arm_ids.key(NSG_ID)]


@pytest.mark.parametrize(("missed", "entries"), [((), None), ((arm_ids.row_hash(POLICY_ID),), {})])
def test_a_policy_that_two_looks_did_not_find_has_no_entries(missed, entries):
    """One 404 may be a fault: until the second one nobody knows its limits."""
    view = build_policy_view(None, {VM_KEY: VM}, frozenset(), frozenset(), Read(), NOW)

    after = judge_absence(view, POLICY_ID, missed)

    assert (view.entries, after.entries) == (None, entries)
    assert after.missing == {arm_ids.key(POLICY_ID)}


def test_a_policy_that_was_found_shows_its_entries_for_the_vms_of_its_grants():
    """Also for VMs that are not read anew: the policy alone decides."""
    ports = [{"number": 22, "protocol": "TCP", "allowedSourceAddressPrefix": "*"}]
    entries = [{"id": vm_id().upper(), "ports": ports}, {"id": vm_id("web09"), "ports": ports}]
    policy = {"id": POLICY_ID, "properties": {"virtualMachines": entries}}
    view = build_policy_view(policy, {VM_KEY: VM}, frozenset(), frozenset(), Read(), NOW)

    assert judge_absence(view, POLICY_ID, ()) == view
    assert view.entries is not None
    assert list(view.entries) == [VM_KEY]
    assert [rule.number for rule in view.entries[VM_KEY].ports] == [22]


def test_a_vm_that_is_missing_beside_an_item_without_an_id_may_be_that_item():
    """Access to it goes on, no second look ends it, and new grants wait."""
    policy = {"id": POLICY_ID, "properties": {"virtualMachines": [{"ports": []}]}}
    deciding = frozenset({VM_KEY})

    view = build_policy_view(policy, {VM_KEY: VM}, deciding, frozenset(), a_read(ARM_VM), NOW)

    assert view.entries == {}
    assert view.doubted == {VM_KEY}
    assert view.unreadable.keys() == {VM_KEY}
    assert judge_absence(view, POLICY_ID, ()).doubted == {VM_KEY}


@pytest.mark.parametrize("properties", [{}, {"virtualMachines": None}])
def test_a_policy_with_an_unreadable_list_of_vms_has_no_known_entries(properties):
    """No VM looks as if it had been taken out, and new grants on its VMs wait."""
    policy = {"id": POLICY_ID, "properties": properties}
    deciding = frozenset({VM_KEY})

    view = build_policy_view(policy, {VM_KEY: VM}, deciding, frozenset(), a_read(ARM_VM), NOW)

    assert (view.found, view.entries) == (True, None)
    assert view.unreadable.keys() == {VM_KEY}


@pytest.mark.parametrize(
    ("state", "doubted"), [("Updating", {VM_KEY}), ("Failed", {VM_KEY}), ("Succeeded", set())]
)
def test_a_vm_that_is_missing_from_a_policy_in_a_change_may_be_in_it(state, doubted):
    """The list counts once Azure has settled."""
    properties = {"virtualMachines": [{"id": vm_id("web09")}], "provisioningState": state}
    policy = {"id": POLICY_ID, "properties": properties}

    view = build_policy_view(policy, {VM_KEY: VM}, frozenset(), frozenset(), Read(), NOW)

    assert (view.entries, view.doubted) == ({}, doubted)


def test_a_vm_that_two_looks_did_not_find_in_its_policy_was_taken_out():
    """One list without it may be a fault, as one 404 may."""
    policy = {"id": POLICY_ID, "properties": {"virtualMachines": []}}
    view = build_policy_view(policy, {VM_KEY: VM}, frozenset(), frozenset(), Read(), NOW)

    first = judge_absence(view, POLICY_ID, ())
    second = judge_absence(view, POLICY_ID, set(map(arm_ids.row_hash, first.missing)))

    assert (first.doubted, second.doubted) == (frozenset({VM_KEY}), frozenset())
    assert first.missing == {name_entry(POLICY_ID, VM_KEY)}


def test_a_policy_that_loses_very_many_vms_loses_them_by_and_by():
    """The row of the policy has no place for all of them."""
    vms = {arm_ids.key(vm_id(f"vm{n}")): VM for n in range(201)}
    policy = {"id": POLICY_ID, "properties": {"virtualMachines": []}}
    view = build_policy_view(policy, vms, frozenset(), frozenset(), Read(), NOW)

    first = judge_absence(view, POLICY_ID, ())
    second = judge_absence(view, POLICY_ID, set(map(arm_ids.row_hash, first.missing)))

    assert (len(first.doubted), len(second.doubted), len(first.missing)) == (201, 1, 200)
