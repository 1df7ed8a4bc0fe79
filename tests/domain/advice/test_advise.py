"""Warnings over a whole subscription: which rules, Bastions, addresses concern which VM."""

from dataclasses import replace

import pytest

from jit.domain.advice.advise import add_warnings
from jit.domain.inventory.topology import Snapshot
from jit.domain.model.machine import Obstacle, Support
from jit.domain.network_manager.security_admin_rules import NOTHING_KNOWN
from tests.builders.firewalls import a_nat, arm_collection, arm_firewall, arm_ip_configuration
from tests.builders.machines import a_configured_vm, a_rule
from tests.builders.nsgs import arm_nsg, arm_rule
from tests.builders.routes import arm_routed_network, arm_table, arm_udr
from tests.builders.values import FIREWALL_ID, GROUP, NSG_ID, POLICY_ID, VM, VM_ID

DENY = arm_rule(
    4096, "Deny", name="MicrosoftDefenderForCloud-JITRule_1_" + "A" * 32, port="22", to=VM
)
OPEN_DOOR = arm_rule(200, name="customer", source="192.0.2.0/24", port="22", to="*")
BASTION = "10.1.2.0/26"
VNETS = f"{GROUP}/providers/Microsoft.Network/virtualNetworks"


def an_ssh_vm(**changes):
    """A VM in a policy for port 22 only."""
    return a_configured_vm(ports=(a_rule(),), **changes)


def arm_vnet(name="vnet-prod", /, *, bastion=None, peer=None, state="Connected"):
    subnets = [{"name": "web", "properties": {"addressPrefix": "10.1.1.0/24"}}]
    if bastion is not None:
        own = f"{VNETS}/{name}/subnets/AzureBastionSubnet"
        prefix = {"addressPrefix": bastion}
        subnets.append({"id": own, "name": "AzureBastionSubnet", "properties": prefix})
    peerings = [
        {
            "properties": {
                "peeringState": state,
                "remoteVirtualNetwork": {"id": f"{VNETS}/{peer}".upper()},
            }
        }
    ]
    return {
        "id": f"{VNETS}/{name}",
        "properties": {"subnets": subnets, "virtualNetworkPeerings": peerings if peer else []},
    }


def told(*rules, vm=None, vnets=None, nsgs=None, admin=NOTHING_KNOWN, **more):
    networks = [arm_vnet()] if vnets is None else vnets
    held = [arm_nsg(*rules)] if nsgs is None else nsgs
    snapshot = Snapshot(nsgs=held, networks=networks, **more)
    (found,) = add_warnings([vm or an_ssh_vm()], snapshot, admin)
    return found.warnings


def codes(*rules, **changes):
    return [warning.code for warning in told(*rules, **changes)]


def arm_bastion(vnet="vnet-prod"):
    subnet = f"{VNETS}/{vnet}/subnets/AzureBastionSubnet"
    leg = {"name": "leg", "properties": {"subnet": {"id": subnet.upper()}}}
    return {"name": "bas", "properties": {"ipConfigurations": [leg]}}


def arm_address(name, ip=None):
    fields = {"ipAddress": ip} if ip else {}
    path = f"{GROUP}/providers/Microsoft.Network/publicIPAddresses/{name}"
    return {"id": path, "name": name, "properties": fields}


def test_a_vm_that_is_guarded_as_defender_guards_it_has_no_warning():
    """Its deny rule is there, and nothing comes before it."""
    assert codes(DENY) == []


def test_a_vm_whose_deny_rule_is_gone_is_warned_about():
    """Somebody removed the deny rule."""
    assert codes() == ["deny-missing"]


def test_a_vm_whose_deny_rule_is_bypassed_is_warned_about():
    """A customer's standing rule takes precedence."""
    assert codes(DENY, OPEN_DOOR) == ["jit-bypassed"]


def test_a_bastion_in_the_vms_own_vnet_that_is_cut_off_is_warned_about():
    """It reaches the VM from AzureBastionSubnet, which the deny rule stops."""
    assert codes(DENY, vnets=[arm_vnet(bastion=BASTION)]) == ["bastion-cut-off"]


def test_a_bastion_that_comes_past_just_in_time_access_is_warned_about():
    """Both are true: a standing rule comes before the deny, and the Bastion uses it."""
    door = arm_rule(200, name="bastion", source=BASTION, port="22", to="*")

    assert codes(DENY, door, vnets=[arm_vnet(bastion=BASTION)]) == [
        "jit-bypassed",
        "bastion-bypass",
    ]


@pytest.mark.parametrize(
    ("state", "found"), [("Connected", ["bastion-cut-off"]), ("Disconnected", [])]
)
def test_a_bastion_of_a_connected_peer_counts(state, found):
    """One Bastion in the hub serves all its spokes."""
    spoke, hub = arm_vnet(peer="hub", state=state), arm_vnet("hub", bastion=BASTION)

    assert codes(DENY, vnets=[spoke, hub]) == found


def test_a_peer_that_is_not_in_the_snapshot_says_nothing():
    """It belongs to another subscription."""
    assert codes(DENY, vnets=[arm_vnet(peer="elsewhere")]) == []


def test_a_bastion_of_somebody_elses_vnet_does_not_count():
    """It cannot reach the VM."""
    assert codes(DENY, vnets=[arm_vnet(), arm_vnet("other", bastion=BASTION)]) == []


@pytest.mark.parametrize("support", [Support.NOT_CONFIGURED, Support.UNSUPPORTED])
def test_only_a_vm_with_a_jit_policy_can_have_warnings(support):
    """Without one there is no deny rule to miss."""
    assert codes(vm=an_ssh_vm(support=support)) == []


def test_an_nsg_that_is_not_in_the_snapshot_gives_no_warning():
    """A guess would be worse."""
    assert codes(nsgs=[]) == []


@pytest.mark.parametrize("address", ["", "somewhere"])
def test_an_address_that_cannot_be_read_gives_no_warning(address):
    """The same for the VM's own."""
    assert codes(vm=an_ssh_vm(address=address)) == []


def test_prefixes_that_cannot_be_read_are_left_out():
    """One strange prefix does not silence the rest."""
    strange = an_ssh_vm(vnet_prefixes=("10.1.0.0/16", "?"))

    assert codes(vm=strange, vnets=[arm_vnet(bastion="?")]) == ["deny-missing"]


# ---- while something is being updated ----------------------------------------------------------

JIT = {"deny-missing", "jit-bypassed", "deny-shadowed"}
AT_BASTION = {"bastion-cut-off", "bastion-bypass"}
AT_NAT = {"nat-rule-blocks", "nat-rule-bypasses-jit"}
UPDATE = {"update-failed"}
AT_NSG = JIT | AT_NAT | {"nsg-rule-blocks"}


def in_state(resource, state="Updating"):
    return {**resource, "properties": {**resource["properties"], "provisioningState": state}}


def judged(*rules, vm=None, **lists):
    """The codes of the warnings, and the codes that could not be judged."""
    wanted = {"nsgs": [arm_nsg(*rules)], "networks": [arm_vnet(bastion=BASTION)]} | lists
    (found,) = add_warnings([vm or an_ssh_vm()], Snapshot(**wanted), NOTHING_KNOWN)
    return {warning.code for warning in found.warnings}, found.unsettled


@pytest.mark.parametrize("state", ["Updating", "Deleting", "Failed"])
def test_an_nsg_that_is_not_settled_gives_no_warning_about_its_rules(state):
    """Its list is not the one that packets meet. If its last update failed, that is the warning."""
    nsg = in_state(arm_nsg(OPEN_DOOR), state)

    known, unknown = (UPDATE, set()) if state == "Failed" else (set(), UPDATE)
    assert judged(nsgs=[nsg]) == (known, AT_BASTION | AT_NSG | unknown)


def test_a_rule_that_is_being_written_unsettles_its_nsg():
    """Its state and the NSG's come from one answer, but the rule may be ahead."""
    assert judged(DENY, in_state(OPEN_DOOR)) == (set(), AT_BASTION | AT_NSG | UPDATE)


def test_a_rule_with_a_failed_write_does_not():
    """It stays so until somebody writes it again."""
    assert judged(DENY, in_state(OPEN_DOOR, "Failed"))[1] == frozenset()


@pytest.mark.parametrize(
    ("state", "told"),
    [("Updating", (set(), {"forced-tunnelling"})), ("Succeeded", ({"forced-tunnelling"}, set()))],
)
def test_a_route_table_that_is_being_updated_leaves_its_last_warning(state, told):
    """Settled, it is judged."""
    table = arm_table(arm_udr("0.0.0.0/0", "None"), state=state)

    assert judged(DENY, networks=[arm_routed_network()], route_tables=[table]) == told


def test_an_interface_that_is_being_updated_gives_no_warning():
    """Its address or its groups may change."""
    vm = an_ssh_vm()
    nic = in_state({"id": vm.interfaces[0].id.upper(), "properties": {}})

    assert judged(interfaces=[nic]) == (set(), AT_BASTION | AT_NSG)


@pytest.mark.parametrize(
    "changing",
    [
        {"networks": [in_state(arm_vnet(bastion=BASTION))]},
        {"bastions": [in_state({**arm_bastion(), "id": "/b"})]},
    ],
    ids=["network", "bastion"],
)
def test_a_bastion_or_a_network_that_is_being_updated_leaves_the_deny_rules_judged(changing):
    """Only the warnings about the Bastion wait."""
    assert judged(DENY, OPEN_DOOR, **changing) == ({"jit-bypassed"}, AT_BASTION)


def test_a_firewall_that_is_being_updated_gives_no_warning_about_its_addresses():
    """The rest of the VM is judged."""
    legs = [arm_ip_configuration(name) for name in ("pip-fw", "pip-2")]
    firewall = in_state(arm_firewall(ipConfigurations=legs))

    found = judged(
        vm=an_ssh_vm(firewall=True), firewalls=[firewall], networks=[arm_vnet()], bastions=[]
    )

    assert found == ({"deny-missing"}, {"firewall-addresses"} | AT_NAT | UPDATE)


def test_everything_settled_leaves_nothing_unsettled():
    """The usual case."""
    assert judged(DENY, nsgs=[in_state(arm_nsg(DENY), "Succeeded")])[1] == frozenset()


def test_two_interfaces_with_the_same_fault_give_one_warning():
    """A warning names a port, not an interface."""
    vm = an_ssh_vm()
    twin = replace(vm, interfaces=(*vm.interfaces, replace(vm.interfaces[0], primary=False)))

    assert codes(vm=twin) == ["deny-missing"]


def test_an_nsg_is_found_in_any_case_of_its_id():
    """ARM ids vary in case."""
    assert codes(vm=an_ssh_vm(nsgs=(NSG_ID.upper(),))) == ["deny-missing"]


# ---- Bastion hosts ---------------------------------------------------------------------------


def test_a_bastion_host_in_the_vms_vnet_that_is_cut_off_is_warned_about():
    """The list of hosts says that there is one."""
    found = codes(DENY, vnets=[arm_vnet(bastion=BASTION)], bastions=[arm_bastion()])

    assert found == ["bastion-cut-off"]


def test_a_subnet_whose_bastion_is_gone_gives_no_warning():
    """Nobody comes from there."""
    assert codes(DENY, vnets=[arm_vnet(bastion=BASTION)], bastions=[]) == []


def test_bastions_that_could_not_be_read_are_taken_to_be_in_their_subnets():
    """Nothing else may live in such a subnet: a false alarm costs less than silence."""
    assert codes(DENY, vnets=[arm_vnet(bastion=BASTION)], bastions=None) == ["bastion-cut-off"]


# ---- the plan, the policy, the firewall ------------------------------------------------------

FREE = {"properties": {"pricingTier": "Free"}}


@pytest.mark.parametrize("support", [Support.CONFIGURED, Support.NOT_CONFIGURED])
def test_a_vm_that_jit_could_serve_has_a_warning_about_the_plan(support):
    """Also before it is configured: it could not be."""
    assert codes(DENY, vm=an_ssh_vm(support=support), plan=FREE) == ["plan-missing"]


def test_a_vm_that_jit_cannot_serve_has_no_warning_about_the_plan():
    """Buying it would not help."""
    assert codes(vm=an_ssh_vm(support=Support.UNSUPPORTED), plan=FREE) == []


def test_a_policy_in_another_region_gives_a_warning():
    """Defender opens ports of VMs in the policy's own region."""
    assert codes(DENY, vm=an_ssh_vm(location="northeurope")) == ["policy-location"]


def behind(*names, published="52.137.62.53", firewall_id=FIREWALL_ID):
    """The warnings of a VM behind a firewall with the public IPs *names*."""
    legs = [arm_ip_configuration(name) for name in names]
    entry = {"id": VM_ID.upper(), "publicIpAddress": published}
    return told(
        DENY,
        vm=replace(an_ssh_vm(firewall=True), firewall_id=firewall_id),
        firewalls=[arm_firewall(ipConfigurations=legs)],
        public_ips=[arm_address("pip-fw", "52.137.62.53"), arm_address("pip-2")],
        policies=[{"id": POLICY_ID, "properties": {"virtualMachines": [entry]}}],
    )


def test_a_firewall_with_several_addresses_gives_a_warning_with_the_used_one():
    """Addresses that are not known are named; ids are compared without case."""
    (warning,) = behind("pip-fw", "pip-2", firewall_id=FIREWALL_ID.upper())

    assert warning.code == "firewall-addresses"
    assert "52.137.62.53, pip-2; Defender uses 52.137.62.53:" in warning.detail


def test_an_unknown_address_of_a_firewall_is_shown_by_its_name():
    """It may belong to another subscription."""
    (warning,) = behind("pip-fw", "pip-3")

    assert "52.137.62.53, pip-3; " in warning.detail


def test_a_firewall_without_a_used_address_gives_a_warning_too():
    """Defender names one only after the first request."""
    (warning,) = behind("pip-fw", "pip-2", published=None)

    assert "Defender uses one of them" in warning.detail


def test_a_firewall_with_one_address_is_no_news():
    """There is nothing to mistake."""
    assert behind("pip-fw") == ()


def test_a_firewall_that_is_not_in_the_snapshot_gives_no_warning():
    """An unknown address gives no warning."""
    assert behind("pip-fw", "pip-2", firewall_id=f"{FIREWALL_ID}-2") == ()


# ---- published ports -----------------------------------------------------------------------------


def published(*rules, vm=None, **changes):
    """The VM behind a firewall with a customer's NAT rule to port 22, as advised."""
    front = arm_firewall(arm_collection(a_nat("*", name="ssh", **changes), name="jump"))
    vms = [vm or an_ssh_vm(firewall=True)]
    snapshot = Snapshot(nsgs=[arm_nsg(*rules)], networks=[arm_vnet()], firewalls=[front])
    (found,) = add_warnings(vms, snapshot, NOTHING_KNOWN)
    return [warning.code for warning in found.warnings], [each.code for each in found.obstacles]


def test_a_port_that_a_customer_published_has_a_warning_and_an_obstacle():
    """The one for its owner, the other for whoever asks for it."""
    assert published(DENY) == (["nat-rule-blocks"], ["nat-rule-blocks"])


def test_a_published_port_that_needs_no_grant_has_a_warning_only():
    """Grants open there as well."""
    let_in = arm_rule(300, name="from-firewall", source="10.1.0.0/26", port="22")

    warnings, obstacles = published(let_in, DENY)

    assert ("nat-rule-bypasses-jit" in warnings, obstacles) == (True, [])


@pytest.mark.parametrize(
    "vm", [an_ssh_vm(), an_ssh_vm(firewall=True, support=Support.NOT_CONFIGURED)]
)
def test_a_vm_that_no_grant_reaches_by_the_firewall_has_neither(vm):
    """The NAT rule is its owner's business."""
    assert published(DENY, vm=vm) == ([], [])


def test_a_rule_to_another_machine_publishes_nothing():
    """Most customers have some."""
    assert published(DENY, to="10.1.1.99") == ([], [])


def test_obstacles_are_found_anew():
    """One that is gone is forgotten."""
    old = an_ssh_vm(firewall=True, obstacles=(Obstacle(port=22, code="x", detail="y"),))

    assert published(DENY, vm=old, to="10.1.1.99") == ([], [])
