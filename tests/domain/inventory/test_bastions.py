"""Bastions: the virtual networks that they reach, and their prefixes."""

import pytest

from jit.domain.inventory.bastions import (
    SHARED,
    find_bastions,
    list_bastions,
    list_network_ids,
)

WHERE = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Network"
HUB, SPOKE = f"{WHERE}/virtualNetworks/hub", f"{WHERE}/virtualNetworks/spoke"
PREFIX = "10.9.0.0/26"


def a_subnet(vnet, name="AzureBastionSubnet", **fields):
    return {"id": f"{vnet}/subnets/{name}", "name": name, "properties": fields}


def a_vnet(vnet, *subnets, peer=None, **peering):
    fields = {"peeringState": "Connected", "remoteVirtualNetwork": {"id": peer}, **peering}
    peerings = [{"properties": fields}] if peer else []
    inside = {"subnets": list(subnets), "virtualNetworkPeerings": peerings}
    return {"id": vnet, "properties": inside}


def a_host(*subnets, **properties):
    legs = [{"properties": {"subnet": {"id": subnet}}} for subnet in subnets]
    return {"name": "bas", "properties": {"ipConfigurations": legs, **properties}}


OWN = a_subnet(HUB, addressPrefix=PREFIX)
HOST = a_host(OWN["id"])


def near(vnet, *networks, hosts=(HOST,)):
    """The prefixes of the Bastions that reach *vnet*."""
    return find_bastions(networks, hosts)[vnet.lower()]


@pytest.mark.parametrize("spell", [str, str.lower, str.upper])
def test_a_bastion_reaches_its_own_network_in_any_case_of_its_id(spell):
    """ARM ids vary in case."""
    assert near(HUB, a_vnet(HUB, OWN), hosts=[a_host(spell(OWN["id"]))]) == (PREFIX,)


@pytest.mark.parametrize(
    "fields",
    [
        {"addressPrefixes": [PREFIX, "fd00::/64"]},
        {"addressPrefixes": [PREFIX, "nonsense", "fd00::/64"]},
    ],
)
def test_every_readable_prefix_of_the_subnet_counts(fields):
    """A subnet may have two families; an unreadable prefix is left out."""
    assert near(HUB, a_vnet(HUB, a_subnet(HUB, **fields))) == (PREFIX, "fd00::/64")


def test_a_subnet_without_a_host_is_nobodys():
    """A name alone connects to nothing."""
    assert near(HUB, a_vnet(HUB, OWN), hosts=[]) == ()


def test_hosts_that_are_not_known_are_taken_to_be_where_they_could_be():
    """By the name of the subnet, in any case; no other subnet."""
    shouted = a_subnet(HUB, "AZUREBASTIONSUBNET", addressPrefix=PREFIX)
    other = a_subnet(HUB, "web", addressPrefix="10.9.1.0/24")

    assert near(HUB, a_vnet(HUB, shouted, other), hosts=None) == (PREFIX,)


@pytest.mark.parametrize("hosts", [[HOST], None])
def test_a_bastion_reaches_the_networks_that_are_peered_with_its_own(hosts):
    """One in the hub serves all spokes."""
    spoke = a_vnet(SPOKE, peer=HUB.upper())

    assert near(SPOKE, spoke, a_vnet(HUB, OWN, peer=SPOKE), hosts=hosts) == (PREFIX,)


@pytest.mark.parametrize("state", ["Initiated", "Disconnected", ""])
def test_a_peering_that_is_not_connected_carries_nothing(state):
    """Half a peering is none."""
    spoke = a_vnet(SPOKE, peer=HUB, peeringState=state)

    assert near(SPOKE, spoke, a_vnet(HUB, OWN)) == ()


def test_peering_is_not_passed_on():
    """A spoke of a spoke is out of reach."""
    far = f"{WHERE}/virtualNetworks/far"
    networks = [a_vnet(far, peer=SPOKE), a_vnet(SPOKE, peer=HUB), a_vnet(HUB, OWN)]

    assert near(far, *networks) == ()


def test_a_peer_that_is_not_listed_says_nothing():
    """It belongs to another subscription."""
    assert near(SPOKE, a_vnet(SPOKE, peer=HUB)) == ()


def test_a_bastion_without_a_subnet_comes_from_the_hosts_address():
    """The SKU Developer; of its own network only, for it has no peering."""
    networks = [a_vnet(HUB), a_vnet(SPOKE, peer=HUB)]
    developer = a_host(virtualNetwork={"id": HUB.upper()})

    assert (near(HUB, *networks, hosts=[developer]), near(SPOKE, *networks, hosts=[developer])) == (
        (SHARED,),
        (),
    )


def test_a_prefix_that_two_ways_lead_to_is_named_once():
    """A hub peered with itself, by mistake."""
    assert near(HUB, a_vnet(HUB, OWN, peer=HUB)) == (PREFIX,)


@pytest.mark.parametrize(
    "hosts", [[{}], [{"properties": None}], [a_host("")], [{"properties": {"ipConfigurations": 3}}]]
)
def test_a_host_that_cannot_be_read_reaches_nothing(hosts):
    """A network without an id is kept, but has no prefixes."""
    networks = [{"properties": {"subnets": [{"properties": {"addressPrefix": PREFIX}}]}}]

    assert find_bastions(networks, hosts) == {"": ()}


# ---- the Bastions themselves -------------------------------------------------------------------


def reaching(vnet, *networks, hosts):
    """Name and prefixes of the Bastions that reach *vnet*."""
    found = list_bastions(networks, hosts)[vnet.lower()]
    return [(each.name, each.prefixes) for each in found]


def named(name, *subnets, **properties):
    return {**a_host(*subnets, **properties), "id": f"{WHERE}/bastionHosts/{name}", "name": name}


def test_the_bastion_of_the_own_network_stands_before_those_of_peers():
    """Each with the prefixes of its subnet."""
    own = a_subnet(SPOKE, addressPrefix="10.8.0.0/26")
    spoke, hub = a_vnet(SPOKE, own, peer=HUB), a_vnet(HUB, OWN)
    hosts = [named("a", OWN["id"]), named("b", own["id"].upper())]

    expected = [("b", ("10.8.0.0/26",)), ("a", (PREFIX,))]
    assert reaching(SPOKE, spoke, hub, hosts=hosts) == expected
    assert reaching(HUB, spoke, hub, hosts=hosts) == [("a", (PREFIX,))]


@pytest.mark.parametrize("state", ["Disconnected", "Initiated", ""])
def test_a_peering_that_is_not_connected_leads_to_no_bastion(state):
    """Its packets would not arrive."""
    spoke = a_vnet(SPOKE, peer=HUB, peeringState=state)

    assert reaching(SPOKE, spoke, a_vnet(HUB, OWN), hosts=[named("a", OWN["id"])]) == []


@pytest.mark.parametrize(
    ("fields", "prefixes"),
    [
        ({"addressPrefixes": [PREFIX, "10.9.1.0/26"]}, (PREFIX, "10.9.1.0/26")),
        ({"addressPrefixes": [PREFIX, "fd00::/64"]}, (PREFIX,)),
        ({"addressPrefixes": [PREFIX, "nonsense"]}, ()),
        ({"addressPrefixes": ["fd00::/64"]}, ()),
        ({}, ()),
    ],
)
def test_the_sources_of_a_bastion_are_all_ipv4_prefixes_of_its_subnet_or_unknown(fields, prefixes):
    """A prefix that cannot be read may be the one that it uses."""
    vnet = a_vnet(HUB, a_subnet(HUB, **fields))

    assert reaching(HUB, vnet, hosts=[named("a", OWN["id"])]) == [("a", prefixes)]


def test_several_subnets_of_one_bastion_are_not_understood():
    """Azure has one; which one would it use?"""
    other = a_subnet(HUB, "other", addressPrefix="10.9.1.0/26")
    hosts = [named("a", OWN["id"], other["id"])]

    assert reaching(HUB, a_vnet(HUB, OWN, other), hosts=hosts) == [("a", ())]


def test_a_subnet_with_another_name_is_no_source():
    """Azure puts a Bastion into no other one, and other machines may be there."""
    other = a_subnet(HUB, "snet-web", addressPrefix="10.9.1.0/26")
    hosts = [named("a", other["id"])]

    assert reaching(HUB, a_vnet(HUB, other), hosts=hosts) == [("a", ())]


def test_a_bastion_of_the_sku_developer_reaches_its_own_network_from_an_unknown_source():
    """It shares the address of the host."""
    host = named("dev", virtualNetwork={"id": HUB})
    networks = (a_vnet(HUB), a_vnet(SPOKE, peer=HUB))

    assert reaching(HUB, *networks, hosts=[host]) == [("dev", ())]
    assert reaching(SPOKE, *networks, hosts=[host]) == []


def test_a_bastion_of_a_network_that_was_not_read_reaches_nobody():
    """Nothing is known about its subnet."""
    assert reaching(SPOKE, a_vnet(SPOKE), hosts=[named("a", OWN["id"])]) == []


@pytest.mark.parametrize(("told", "native"), [({}, False), ({"enableTunneling": True}, True)])
def test_a_bastion_takes_native_clients_if_tunneling_is_on(told, native):
    """Otherwise people need a browser."""
    (found,) = list_bastions([a_vnet(HUB, OWN)], [named("a", OWN["id"], **told)])[HUB.lower()]

    assert found.native is native


def test_the_network_of_a_bastion_is_that_of_its_subnet():
    """The SKU Developer has no subnet."""
    assert list_network_ids(HOST) == (HUB,)
    assert list_network_ids(named("dev", virtualNetwork={"id": HUB})) == ()
