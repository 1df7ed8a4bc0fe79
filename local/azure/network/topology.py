"""The place of a virtual machine in the network: its interfaces, groups, firewall."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from local.azure.arm.store import Store
from local.azure.values import ids
from local.azure.values.http import Json


@dataclass(frozen=True, slots=True)
class Interface:
    """
    One IP configuration of a VM's network interface, with its addresses, NSGs and subnet.

    Attributes:
        id: Id of the interface.
        configuration: Id of the IP configuration.
        place: Tells it from the VM's others: the id of the interface, or of its further
            IP configurations.
        address: Its private IP.
        public: Its public IP; None without one.
        public_id: Id of the public IP's resource.
        group: Id of the interface's own NSG.
        subnet: Id of its subnet.
        subnet_group: Id of the subnet's NSG.
        memberships: Keys of the application security groups that it is a member of.
    """

    id: str
    configuration: str
    place: str
    address: str
    public: str | None
    public_id: str | None
    group: str | None
    subnet: str
    subnet_group: str | None
    memberships: frozenset[str]

    @property
    def network(self) -> str:
        """Id of the virtual network."""
        return ids.parent(self.subnet)

    @property
    def guard(self) -> str | None:
        """The NSG in which Defender writes: the interface's, else the subnet's."""
        return self.group or self.subnet_group


def list_interfaces(store: Store, machine: Json) -> Iterator[Interface]:
    """Yield the interfaces of *machine* in the order of its network profile."""
    for reference in machine["properties"].get("networkProfile", {}).get("networkInterfaces", ()):
        nic = store.get(reference["id"])
        if nic is not None:
            for index, each in enumerate(nic["properties"].get("ipConfigurations", ())):
                name = each.get("name", f"ipconfig{index + 1}")
                here = f"{nic['id']}/ipConfigurations/{name}"
                place = nic["id"] if index == 0 else here
                yield _build_interface(store, nic, each, (here, place))


def _build_interface(
    store: Store, nic: Json, configuration: Json, names: tuple[str, str]
) -> Interface:
    properties = configuration["properties"]
    public = store.get(_find_reference(properties, "publicIPAddress") or "")
    subnet_id = properties["subnet"]["id"]
    subnet = find_subnet(store, subnet_id) or {"properties": {}}
    return Interface(
        id=nic["id"],
        configuration=names[0],
        place=names[1],
        address=properties["privateIPAddress"],
        public=None if public is None else public["properties"].get("ipAddress"),
        public_id=None if public is None else public["id"],
        group=_find_reference(nic["properties"], "networkSecurityGroup"),
        subnet=subnet_id,
        subnet_group=_find_reference(subnet["properties"], "networkSecurityGroup"),
        memberships=frozenset(list_memberships(properties)),
    )


def list_memberships(properties: Json) -> list[str]:
    """Return the keys of the application security groups of an IP configuration."""
    return [ids.key(each["id"]) for each in properties.get("applicationSecurityGroups") or ()]


def list_members(store: Store, group_key: str, network: str) -> Iterator[str]:
    """Yield the addresses of a group's members in the virtual network *network*."""
    for nic in store.list_of_type(ids.INTERFACES, network.split("/")[2]):
        for each in nic["properties"]["ipConfigurations"]:
            inner = each["properties"]
            there = ids.key(ids.parent(inner["subnet"]["id"])) == ids.key(network)
            if there and group_key in list_memberships(inner):
                yield inner["privateIPAddress"]


def _find_reference(properties: Json, name: str) -> str | None:
    target = properties.get(name)
    return target["id"] if target else None


def list_prefixes(subnet: Json) -> list[str]:
    """Return the prefixes of a subnet: ARM has one field for one, another for several."""
    properties = subnet["properties"]
    return list(properties.get("addressPrefixes") or [properties["addressPrefix"]])


def list_legs(firewall: Json) -> list[str]:
    """Return the ids of the subnets of a firewall; a leg for a further public IP names none."""
    legs = (leg["properties"] for leg in firewall["properties"].get("ipConfigurations", ()))
    return [leg["subnet"]["id"] for leg in legs if leg.get("subnet")]


def find_subnet(store: Store, subnet_id: str) -> Json | None:
    """Return the subnet of that id from inside its virtual network."""
    network = store.get(ids.parent(subnet_id))
    subnets = network["properties"].get("subnets", ()) if network else ()
    wanted = ids.key(subnet_id)
    return next((each for each in subnets if ids.key(each["id"]) == wanted), None)


def find_firewalls(store: Store, network_id: str) -> list[Json]:
    """Return the firewalls with a leg in the virtual network."""
    subscription = network_id.split("/")[2]
    return [
        firewall
        for firewall in store.list_of_type(ids.FIREWALLS, subscription)
        if any(ids.key(ids.parent(subnet)) == ids.key(network_id) for subnet in list_legs(firewall))
    ]


def find_jit_firewall(store: Store, machine: Json) -> Json | None:
    """Return the firewall through which Defender opens *machine*: same network, classic rules."""
    for interface in list_interfaces(store, machine):
        for firewall in find_firewalls(store, interface.network):
            if not firewall["properties"].get("firewallPolicy"):
                return firewall
    return None


def find_firewall_address(store: Store, firewall: Json) -> str | None:
    """Return the firewall's first public IP address."""
    for leg in firewall["properties"].get("ipConfigurations", ()):
        public = store.get(_find_reference(leg["properties"], "publicIPAddress") or "")
        if public is not None:
            return str(public["properties"]["ipAddress"])
    return None
