"""VMs built from lists: support, the way of packets, NSGs and port rules."""

from datetime import UTC, datetime, timedelta

import pytest

from jit.domain.azure import defender_requests
from jit.domain.azure.port_rules import parse_port_rules
from jit.domain.inventory.topology import (
    Snapshot,
    build_machines,
    find_references,
    list_firewall_subnets,
    list_subnet_nsg_ids,
)
from jit.domain.model.machine import Interface, Occupation, PortRule, Support, Via
from jit.domain.values.arm_ids import key
from tests.builders.values import MINE, NOW, NSG_ID, POLICY_ID, vm_id

NETWORK = NSG_ID.rsplit("/", 2)[0]
VNET = f"{NETWORK}/virtualNetworks/vnet-prod"
SUBNET = f"{VNET}/subnets/snet-web"
FIREWALL_SUBNET = f"{VNET}/subnets/AzureFirewallSubnet"
SUBNET_NSG = f"{NETWORK}/networkSecurityGroups/nsg-subnet"
NIC = f"{NETWORK}/networkInterfaces/web01-nic"
SECOND_NIC = f"{NETWORK}/networkInterfaces/web01-nic2"
PIP = f"{NETWORK}/publicIPAddresses/web01-pip"
FIREWALL = f"{NETWORK}/azureFirewalls/fw-prod"


def ref(resource_id):
    """A reference as ARM writes it."""
    return {"id": resource_id}


def arm_vm(*nics, **changes):
    """A VM with those interfaces."""
    listed = [{"id": nic} if isinstance(nic, str) else nic for nic in nics or (NIC,)]
    return {
        "id": vm_id(),
        "name": "web01",
        "location": "westeurope",
        "properties": {"networkProfile": {"networkInterfaces": listed}},
        **changes,
    }


def arm_nic(nic_id=NIC, *, ip="10.1.1.4", subnet=SUBNET, nsg=NSG_ID, public=None, **changes):
    """An interface with one IP configuration."""
    properties = {
        "ipConfigurations": [
            {
                "properties": {
                    "privateIPAddress": ip,
                    "primary": True,
                    "subnet": ref(subnet),
                    **({"publicIPAddress": ref(public)} if public else {}),
                }
            }
        ],
        **({"networkSecurityGroup": ref(nsg)} if nsg else {}),
        **changes,
    }
    return {"id": nic_id, "properties": properties}


def arm_subnet(subnet_id=SUBNET, *, prefix="10.1.1.0/24", nsg=None, **changes):
    """A subnet, with an NSG or without."""
    guard = {"networkSecurityGroup": ref(nsg)} if nsg else {}
    return {"id": subnet_id, "properties": {"addressPrefix": prefix, **guard, **changes}}


def arm_vnet(*subnets, prefixes=("10.1.0.0/16",)):
    """A virtual network with those subnets."""
    held = list(subnets) or [arm_subnet(), arm_subnet(FIREWALL_SUBNET, prefix="10.1.0.0/26")]
    space = {"addressPrefixes": list(prefixes)}
    return {"id": VNET, "properties": {"addressSpace": space, "subnets": held}}


def arm_firewall(name="fw-prod", *, policy=None, subnet=FIREWALL_SUBNET):
    """A firewall in a subnet, under a policy or with classic rules."""
    return {
        "id": f"{NETWORK}/azureFirewalls/{name}",
        "name": name,
        "properties": {
            "ipConfigurations": [{"properties": {"subnet": ref(subnet)}}],
            **({"firewallPolicy": ref(policy)} if policy else {}),
        },
    }


def arm_policy(*ports, vm=None, requests=()):
    """A JIT policy with one VM."""
    return {
        "id": POLICY_ID,
        "properties": {
            "virtualMachines": [{"id": vm or vm_id(), "ports": list(ports)}],
            "requests": list(requests),
        },
    }


def arm_port(number=22, **changes):
    """One port of a JIT policy; a change to None removes the field."""
    fields = {
        "number": number,
        "protocol": "TCP",
        "allowedSourceAddressPrefix": "*",
        "maxRequestAccessDuration": "PT3H",
        **changes,
    }
    return {name: value for name, value in fields.items() if value is not None}


def the_vm(*, vm=None, nics=None, vnets=None, **resources):
    """The one VM of a snapshot."""
    snapshot = Snapshot(
        machines=[vm or arm_vm()],
        interfaces=[arm_nic()] if nics is None else nics,
        networks=[arm_vnet()] if vnets is None else vnets,
        **resources,
    )
    (found,) = build_machines(snapshot, now=NOW).values()
    return found


# ---- support ---------------------------------------------------------------------------------


def test_a_vm_in_a_policy_is_configured():
    """With the policy's id and port rules."""
    vm = the_vm(policies=[arm_policy(arm_port())])

    assert (vm.support, vm.reasons, vm.policy_id) == (Support.CONFIGURED, (), POLICY_ID)
    assert vm.ports == (
        PortRule(
            number=22, protocol="TCP", allowed_sources=("*",), max_duration=timedelta(hours=3)
        ),
    )


def test_a_vm_in_no_policy_is_not_configured():
    """It could be."""
    vm = the_vm()

    assert (vm.support, vm.policy_id, vm.ports) == (Support.NOT_CONFIGURED, None, ())
    assert vm.reasons == ("no JIT policy names this VM",)


def test_a_vm_without_nsg_and_without_firewall_is_unsupported():
    """Defender has nowhere to write."""
    vm = the_vm(nics=[arm_nic(nsg=None)])

    assert vm.support is Support.UNSUPPORTED
    assert vm.reasons == ("no NSG on an interface or subnet, and no classic-rules firewall",)


def test_a_vm_behind_a_firewall_under_a_firewall_policy_is_unsupported():
    """Just-in-time access edits classic rules only; the reason names the firewall."""
    managed = arm_firewall("fw-hub", policy=f"{NETWORK}/firewallPolicies/hub")

    vm = the_vm(firewalls=[managed], policies=[arm_policy(arm_port())])

    assert vm.support is Support.UNSUPPORTED
    assert vm.reasons[0].startswith("its firewall fw-hub is controlled by a firewall policy")
    assert (vm.via, vm.firewall_id) == (Via.PRIVATE, None)


def test_a_classic_firewall_beside_a_managed_one_will_do():
    """The classic one is used."""
    managed = arm_firewall("fw-hub", policy=f"{NETWORK}/firewallPolicies/hub")

    vm = the_vm(firewalls=[managed, arm_firewall()], policies=[arm_policy(arm_port())])

    assert (vm.support, vm.firewall_id) == (Support.CONFIGURED, FIREWALL)


def test_a_firewall_alone_is_enough():
    """Without any NSG the firewall guards the VM."""
    vm = the_vm(nics=[arm_nic(nsg=None)], firewalls=[arm_firewall()])

    assert vm.support is Support.NOT_CONFIGURED


def test_ids_are_compared_in_any_case():
    """ARM writes the same id in several ways."""
    vm = the_vm(
        vm=arm_vm(NIC.upper()),
        nics=[arm_nic(subnet=SUBNET.upper(), public=PIP.upper())],
        firewalls=[arm_firewall(subnet=FIREWALL_SUBNET.upper())],
        public_ips=[{"id": PIP, "properties": {"ipAddress": "20.71.10.11"}}],
        policies=[arm_policy(arm_port(), vm=vm_id().upper())],
    )

    assert vm.support is Support.CONFIGURED
    assert vm.firewall_id == FIREWALL
    assert vm.interfaces[0].public_ip == "20.71.10.11"
    assert vm.vnet_prefixes == ("10.1.0.0/16",)


def test_each_vm_is_found_by_its_key():
    """Lower-cased id."""
    snapshot = Snapshot(machines=[arm_vm(), arm_vm(id=vm_id("DB01"))])

    assert set(build_machines(snapshot, now=NOW)) == {key(vm_id()), key(vm_id("db01"))}


# ---- which way packets take ------------------------------------------------------------------


def test_a_classic_firewall_in_the_vms_own_network_is_the_way():
    """Even if the VM has a public address too; the VM sees addresses of the firewall's subnet."""
    vm = the_vm(nics=[arm_nic(public=PIP)], firewalls=[arm_firewall()])

    assert (vm.via, vm.firewall_id) == (Via.FIREWALL, FIREWALL)
    assert vm.firewall_sources == ("10.1.0.0/26",)


def test_a_firewall_in_another_network_is_not_on_the_way():
    """Just-in-time access knows firewalls in the VM's own VNet only."""
    elsewhere = arm_firewall(subnet=f"{NETWORK}/virtualNetworks/hub/subnets/AzureFirewallSubnet")

    vm = the_vm(firewalls=[elsewhere])

    assert (vm.via, vm.firewall_id, vm.firewall_sources) == (Via.PRIVATE, None, ())


def test_a_public_address_is_the_way_without_a_firewall():
    """Guarded by NSGs."""
    vm = the_vm(nics=[arm_nic(public=PIP)])

    assert vm.via is Via.PUBLIC_IP


def test_without_either_the_way_is_private():
    """From inside the network only."""
    vm = the_vm()

    assert vm.via is Via.PRIVATE


def test_a_firewall_subnet_of_several_prefixes_is_known_by_all_of_them():
    """ARM has a singular field and a plural one."""
    subnet = arm_subnet(
        FIREWALL_SUBNET, prefix=None, addressPrefixes=["10.1.0.0/26", "10.1.0.64/26"]
    )

    vm = the_vm(vnets=[arm_vnet(arm_subnet(), subnet)], firewalls=[arm_firewall()])

    assert vm.firewall_sources == ("10.1.0.0/26", "10.1.0.64/26")


def test_a_firewall_whose_subnet_is_not_known_has_no_prefixes():
    """Unknown, not everything."""
    vm = the_vm(vnets=[arm_vnet(arm_subnet())], firewalls=[arm_firewall()])

    assert (vm.via, vm.firewall_sources) == (Via.FIREWALL, ())


def test_a_firewall_is_known_by_the_subnets_of_its_instances():
    """Each once; configurations without a subnet do not count."""
    firewall = arm_firewall()
    configurations = firewall["properties"]["ipConfigurations"]
    configurations.extend([{"properties": {}}, {"properties": {"subnet": ref(FIREWALL_SUBNET)}}])

    assert list_firewall_subnets(firewall) == (key(FIREWALL_SUBNET),)


# ---- NSGs of a VM ----------------------------------------------------------------------------


def test_an_interface_is_guarded_by_its_own_nsg_and_its_subnets():
    """Both must let packets through."""
    vm = the_vm(vnets=[arm_vnet(arm_subnet(nsg=SUBNET_NSG))], nics=[arm_nic(public=PIP)])

    assert vm.interfaces == (
        Interface(
            id=NIC,
            private_ip="10.1.1.4",
            subnet_id=SUBNET,
            nsg_ids=(NSG_ID, SUBNET_NSG),
            public_ip=None,
            public_ip_id=PIP,
            primary=True,
            group_ids=(),
        ),
    )


@pytest.mark.parametrize(
    ("written", "known"),
    [
        ([{"id": "/groups/web"}, {"id": "/groups/db"}], ("/groups/web", "/groups/db")),
        ([], ()),
        (None, ()),
        ([{"name": "web"}], None),
        ("web", None),
    ],
)
def test_an_interface_is_a_member_of_the_groups_of_its_configuration(written, known):
    """A membership that cannot be read leaves all of them unknown."""
    nic = arm_nic()
    nic["properties"]["ipConfigurations"][0]["properties"]["applicationSecurityGroups"] = written

    assert the_vm(nics=[nic]).interfaces[0].group_ids == known


def test_an_interface_without_a_configuration_has_unknown_groups():
    """Nothing was read about it."""
    assert the_vm(nics=[arm_nic(ipConfigurations=[])]).interfaces[0].group_ids is None


def test_a_subnets_nsg_alone_is_a_guard():
    """The interface need not have one."""
    vm = the_vm(vnets=[arm_vnet(arm_subnet(nsg=SUBNET_NSG))], nics=[arm_nic(nsg=None)])

    assert vm.interfaces[0].nsg_ids == (SUBNET_NSG,)
    assert vm.support is Support.NOT_CONFIGURED


def test_the_vm_names_the_primary_one_of_several_interfaces():
    """If the VM does not say, no interface is primary."""
    second = arm_nic(SECOND_NIC, ip="10.1.1.5")
    named = arm_vm(NIC, {"id": SECOND_NIC, "properties": {"primary": True}})

    vm = the_vm(vm=named, nics=[arm_nic(), second])

    assert [(nic.id, nic.primary) for nic in vm.interfaces] == [(NIC, False), (SECOND_NIC, True)]


def test_an_only_interface_is_primary_unless_it_says_otherwise():
    """Azure leaves the field out for a lone interface."""
    vm = the_vm()

    assert vm.interfaces[0].primary is True


def test_every_ip_configuration_of_an_interface_counts_the_primary_one_first():
    """Packets reach the VM by each of them. The order of the list does not matter."""
    nic = arm_nic()
    late = {"properties": {"privateIPAddress": "10.1.1.9", "publicIPAddress": ref(PIP)}}
    nic["properties"]["ipConfigurations"].insert(0, late)

    vm = the_vm(nics=[nic])

    found = [(each.id, each.private_ip, each.primary, each.nsg_ids) for each in vm.interfaces]
    assert found == [(NIC, "10.1.1.4", True, (NSG_ID,)), (NIC, "10.1.1.9", False, (NSG_ID,))]
    assert (vm.via, vm.interfaces[1].public_ip_id) == (Via.PUBLIC_IP, PIP)


def test_an_ipv6_address_has_one_form_in_the_inventory():
    """Azure writes it in several."""
    vm = the_vm(nics=[arm_nic(ip="FD00:DB8:0:0::5")])

    assert vm.interfaces[0].private_ip == "fd00:db8::5"


def test_without_a_primary_configuration_the_first_counts():
    """Better than none."""
    nic = arm_nic(ipConfigurations=[{"properties": {"privateIPAddress": "10.1.1.9"}}])

    vm = the_vm(nics=[nic])

    assert vm.interfaces[0].private_ip == "10.1.1.9"


@pytest.mark.parametrize("written", [None, "", "10.1.1.0/24", "10.1.1.4/32", "web01"])
def test_a_text_that_is_no_address_is_not_read_as_one(written):
    """An interface that is being changed may have none; nothing leads there."""
    nic = arm_nic(ipConfigurations=[{"properties": {"privateIPAddress": written}}])

    assert the_vm(nics=[nic]).interfaces[0].private_ip == ""


@pytest.mark.parametrize("address", [{}, {"ipAddress": ""}, {"ipAddress": None}])
def test_a_public_address_that_is_not_assigned_is_none(address):
    """The id is known, so the way is public."""
    vm = the_vm(nics=[arm_nic(public=PIP)], public_ips=[{"id": PIP, "properties": address}])

    assert (vm.interfaces[0].public_ip, vm.via) == (None, Via.PUBLIC_IP)


def test_an_interface_that_is_not_held_is_unknown():
    """Left out, never invented."""
    vm = the_vm(nics=[])

    assert vm.interfaces == ()


@pytest.mark.parametrize(
    "body",
    [
        {"id": vm_id(), "properties": None},
        {"id": vm_id(), "properties": {"networkProfile": []}},
        {"id": vm_id(), "properties": {"networkProfile": {"networkInterfaces": {"id": NIC}}}},
        {"id": vm_id(), "properties": {"networkProfile": {"networkInterfaces": ["x", {"id": 7}]}}},
    ],
)
def test_a_body_of_another_shape_is_a_vm_without_interfaces(body):
    """Unsupported, with the reason; never an exception."""
    vm = the_vm(vm=body)

    assert (vm.interfaces, vm.support) == ((), Support.UNSUPPORTED)


def test_an_address_space_of_another_shape_is_empty():
    """Nothing is in it for sure."""
    vnet = arm_vnet()
    vnet["properties"]["addressSpace"] = {"addressPrefixes": "10.1.0.0/16"}

    vm = the_vm(vnets=[vnet])

    assert vm.vnet_prefixes == ()


def test_prefixes_that_are_no_text_are_left_out():
    """An unreadable prefix is left out."""
    vm = the_vm(vnets=[arm_vnet(prefixes=("10.1.0.0/16", 7, "everywhere", "*"))])

    assert vm.vnet_prefixes == ("10.1.0.0/16",)


# ---- port rules and requests -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "rule"),
    [
        ({"protocol": "UDP"}, {"protocol": "UDP"}),
        ({"protocol": None}, {"protocol": "*"}),
        (
            {
                "allowedSourceAddressPrefix": None,
                "allowedSourceAddressPrefixes": ["10.0.0.0/8", "192.0.2.0/24"],
            },
            {"allowed_sources": ("10.0.0.0/8", "192.0.2.0/24")},
        ),
        ({"allowedSourceAddressPrefix": None}, {"allowed_sources": ()}),
        (
            {
                "allowedSourceAddressPrefix": None,
                "allowedSourceAddressPrefixes": ["10.0.0.0/8", 7],
            },
            {"allowed_sources": ("10.0.0.0/8", "7")},
        ),
        ({"maxRequestAccessDuration": None}, {"max_duration": timedelta(0)}),
        ({"maxRequestAccessDuration": "P1M"}, {"max_duration": timedelta(0)}),
        ({"maxRequestAccessDuration": "P1D"}, {"max_duration": timedelta(days=1)}),
    ],
)
def test_a_port_rule_allows_only_the_sources_that_can_be_read(fields, rule):
    """An unreadable rule allows nothing."""
    (found,) = parse_port_rules({"ports": [arm_port(**fields)]})

    assert {name: getattr(found, name) for name in rule} == rule


@pytest.mark.parametrize("ports", [None, "22", [None], [{"number": "22"}], [{}]])
def test_a_port_without_a_number_is_no_rule(ports):
    """Silence is not consent."""
    assert list(parse_port_rules({"ports": ports})) == []


def test_strangers_requests_occupy_their_ports():
    """Those in force on this VM, which the broker did not make."""
    end = "2026-11-22T19:00:00Z"
    port = {"number": 22, "allowedSourceAddressPrefix": "192.0.2.9", "endTimeUtc": end}
    request = {
        "startTimeUtc": "2026-11-22T17:00:00Z",
        "virtualMachines": [{"id": vm_id(), "ports": [port]}],
    }
    ours = {**request, "justification": defender_requests.mark_reason(MINE, "patch")}
    elsewhere = {**request, "virtualMachines": [{"id": vm_id("db01"), "ports": [port]}]}

    vm = the_vm(policies=[arm_policy(arm_port(), requests=[request, ours, elsewhere])])

    assert vm.occupations == (
        Occupation(port=22, sources=("192.0.2.9",), ends_at=datetime(2026, 11, 22, 19, tzinfo=UTC)),
    )


# ---- further reads ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("resource", "expected"),
    [
        (arm_vm(NIC, SECOND_NIC), {NIC, SECOND_NIC}),
        (arm_nic(public=PIP), {NSG_ID, PIP, VNET}),
        (arm_nic(nsg=None), {VNET}),
        ({"id": "x"}, set()),
    ],
)
def test_a_resource_refers_to_the_resources_of_its_path(resource, expected):
    """A subnet is read as part of its network."""
    assert set(filter(None, find_references(resource))) == expected


def test_only_the_nsgs_of_subnets_in_use_are_read():
    """In any case; other subnets' NSGs are of no concern."""
    other = arm_subnet(f"{VNET}/subnets/other", nsg=f"{NETWORK}/networkSecurityGroups/other")
    vnet = arm_vnet(arm_subnet(nsg=SUBNET_NSG), other)

    assert list(list_subnet_nsg_ids(vnet, [SUBNET.upper()])) == [SUBNET_NSG]


# ---- Bastions ------------------------------------------------------------------------------------


def test_a_vm_knows_the_bastions_that_reach_it():
    """None were read: not known. None is there: none."""
    subnet = arm_subnet(f"{VNET}/subnets/AzureBastionSubnet", prefix="10.1.2.0/26")
    leg = {"properties": {"subnet": ref(subnet["id"])}}
    host = {"id": f"{NETWORK}/bastionHosts/bas", "properties": {"ipConfigurations": [leg]}}
    vnets = [arm_vnet(arm_subnet(), subnet)]

    (found,) = the_vm(vnets=vnets, bastions=[host]).bastions
    assert (found.name, found.prefixes) == ("bas", ("10.1.2.0/26",))
    assert the_vm(vnets=vnets, bastions=[]).bastions == ()
    assert the_vm(vnets=vnets).bastions is None
