"""Warnings for the owner of each VM, and obstacles, from the lists of a whole subscription."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from jit.domain.advice import setup
from jit.domain.advice.admin_rule_warnings import find_admin_rule_warnings
from jit.domain.advice.failed_updates import (
    UPDATE_CODES,
    find_failed,
    find_update_warnings,
)
from jit.domain.advice.nat_rules import NAT_CODES, find_nat_warnings
from jit.domain.advice.nsg import (
    BASTION_CODES,
    JIT_CODES,
    find_bastion_warnings,
    find_jit_warnings,
)
from jit.domain.advice.obstacle_warnings import (
    NSG_CODES,
    ROUTE_CODES,
    find_obstacle_warnings,
)
from jit.domain.azure import arm_json, firewall, nsg_rules
from jit.domain.azure.arm_json import Resource
from jit.domain.azure.nsg_index import RulesByAddress
from jit.domain.azure.nsg_rules import SecurityRule
from jit.domain.azure.route_tables import RoutesBySubnet, group_routes
from jit.domain.inventory import bastions
from jit.domain.inventory.topology import Snapshot
from jit.domain.model.machine import Interface, MachineWarning, Support, VirtualMachine
from jit.domain.network_manager.security_admin_rules import KnownAdminRules
from jit.domain.obstacles.admin_obstacles import find_admin_obstacles
from jit.domain.obstacles.nsg_obstacles import find_first_free, find_nsg_obstacles
from jit.domain.obstacles.route_obstacles import find_route_obstacles
from jit.domain.paths.machine_view import FirewallView, MachineView, NsgView, view_firewall
from jit.domain.paths.published_ports import find_obstacles, find_published_ports
from jit.domain.paths.rules import list_addresses, list_holders
from jit.domain.values import arm_ids
from jit.domain.values.prefixes import keep_prefixes, read_prefix


@dataclass(frozen=True, slots=True, kw_only=True)
class _Surroundings:
    """
    Everything around the VMs of a subscription that their warnings depend on.

    Attributes:
        rules: The rules of each NSG, by its key.
        first_free: The first priority that is free for a grant's rule, by the key of the NSG.
        bastions: Prefixes of the Bastions that reach each virtual network, by its key.
        firewalls: By key.
        nats: The firewalls with NAT rules of customers, as views, by key.
        public_ips: By key: the address, or the name if the address is not known.
        used: By VM key: the public IP that its JIT policy names.
        plan: The warnings about Defender's plan.
        changing: Keys of the NSGs, interfaces, networks and firewalls that are not settled.
        changing_bastions: As *bastions*, of the hosts that are not settled.
        failed: By key, the NSGs and firewalls whose last update failed, with the action to take.
        admin: The security admin rules of the virtual networks.
        routes: The user-defined routes of the subnets.
    """

    rules: Mapping[str, RulesByAddress]
    first_free: Mapping[str, int]
    bastions: Mapping[str, tuple[str, ...]]
    firewalls: Mapping[str, Resource]
    nats: Mapping[str, FirewallView]
    public_ips: Mapping[str, str]
    used: Mapping[str, str]
    plan: tuple[MachineWarning, ...]
    changing: frozenset[str]
    changing_bastions: Mapping[str, tuple[str, ...]]
    failed: Mapping[str, str]
    admin: KnownAdminRules
    routes: RoutesBySubnet


def add_warnings(
    machines: Iterable[VirtualMachine], snapshot: Snapshot, admin: KnownAdminRules
) -> tuple[VirtualMachine, ...]:
    """
    Return *machines* with their warnings and obstacles.

    A VM without a JIT policy has at most one warning, about Defender's plan, and only if
    just-in-time access could serve the VM. Something that is being updated, an NSG that is not in
    the snapshot, or an address that cannot be read gives no warning, because a guess would be
    worse. Then ``unsettled`` names the codes, so that the last warnings stay. A VM in doubt keeps
    its last warnings and obstacles: the snapshot lacks something that they depend on.
    """
    around = _collect_surroundings(snapshot, admin)
    return tuple(vm if vm.is_in_doubt else _warn_about_machine(vm, around) for vm in machines)


def _view_machine(vm: VirtualMachine, around: _Surroundings) -> MachineView:
    """Return the VM with its NSGs, and with its firewall if it has NAT rules of customers."""
    keys = {arm_ids.key(nsg_id) for nic in vm.interfaces for nsg_id in nic.nsg_ids}
    addresses = list_addresses(vm)
    nsgs = {
        key: NsgView(
            id=key,
            settled=key not in around.changing,
            rules=tuple(around.rules[key].find_rules_at(*addresses)),
            allows=(),
        )
        for key in keys
        if key in around.rules
    }
    return MachineView(
        vm=vm, nsgs=nsgs, firewall=around.nats.get(arm_ids.key(vm.firewall_id or ""))
    )


def _collect_surroundings(snapshot: Snapshot, admin: KnownAdminRules) -> _Surroundings:
    rules = {arm_json.key(nsg): nsg_rules.parse_rules(nsg) for nsg in snapshot.nsgs}
    return _Surroundings(
        rules={key: RulesByAddress(found) for key, found in rules.items()},
        first_free={key: find_first_free(found) for key, found in rules.items()},
        bastions=bastions.find_bastions(snapshot.networks, snapshot.bastions),
        firewalls={arm_json.key(item): item for item in snapshot.firewalls},
        nats={
            arm_json.key(item): view
            for item in snapshot.firewalls
            if _has_customers_rules(view := view_firewall(item))
        },
        public_ips={arm_json.key(item): _address(item) for item in snapshot.public_ips},
        used={
            arm_json.key(entry): arm_json.text(entry, "publicIpAddress")
            for policy in snapshot.policies
            for entry in arm_json.mappings(arm_json.properties(policy), "virtualMachines")
        },
        plan=tuple(setup.find_plan_warnings(snapshot.plan)),
        changing=frozenset(
            (
                *(key for key, found in rules.items() if any(map(_is_being_written, found))),
                *(arm_json.key(item) for item in _list_unsettled(snapshot)),
            )
        ),
        changing_bastions=bastions.find_bastions(
            snapshot.networks, [host for host in snapshot.bastions or () if not _is_settled(host)]
        ),
        failed=find_failed(snapshot.nsgs, snapshot.firewalls),
        admin=admin,
        routes=group_routes(snapshot.networks, snapshot.route_tables),
    )


def _list_unsettled(snapshot: Snapshot) -> Iterator[Resource]:
    """Yield the NSGs, interfaces, networks and firewalls whose last update has not succeeded."""
    for items in (snapshot.nsgs, snapshot.interfaces, snapshot.networks, snapshot.firewalls):
        yield from (item for item in items if not _is_settled(item))


def _is_settled(item: Resource) -> bool:
    """Return True if the last update of a resource succeeded, or if Azure sends no state of it."""
    return arm_json.read_provisioning_state(item) in {"Succeeded", ""}


def _has_customers_rules(view: FirewallView) -> bool:
    return any(not rule.is_jit for rule in view.nat_rules)


def _address(public_ip: Resource) -> str:
    address = arm_json.text(arm_json.properties(public_ip), "ipAddress")
    return address or arm_json.text(public_ip, "name")


def _warn_about_machine(vm: VirtualMachine, around: _Surroundings) -> VirtualMachine:
    """Return *vm* with the warnings that can be judged; ``unsettled`` names the others."""
    if vm.support is not Support.CONFIGURED:
        return replace(vm, warnings=tuple(_find_warnings(vm, around, frozenset())))
    unsettled, view = _find_unsettled(vm, around), _view_machine(vm, around)
    stops = find_nsg_obstacles(view, around.first_free) if not NSG_CODES & unsettled else ()
    detours = find_route_obstacles(vm, around.routes)
    found = dict.fromkeys(
        (
            *_find_warnings(vm, around, unsettled),
            *find_nat_warnings(find_published_ports(view)),
            *find_obstacle_warnings((*stops, *detours)),
        )
    )
    judged = tuple(warning for warning in found if warning.code not in unsettled)
    denied = find_admin_obstacles(vm, around.admin.find(vm.network_id))
    obstacles = (*find_obstacles(view), *stops, *denied, *detours)
    return replace(vm, warnings=judged, unsettled=unsettled, obstacles=obstacles)


def _find_unsettled(vm: VirtualMachine, around: _Surroundings) -> frozenset[str]:
    """Return the codes of the warnings that depend on something that is being updated."""
    codes: set[str] = set()
    holders = frozenset(map(arm_ids.key, list_holders(vm)))
    if holders & around.changing and not holders & around.failed.keys():
        codes |= UPDATE_CODES
    if arm_ids.key(vm.firewall_id or "") in around.changing:
        codes |= setup.FIREWALL_CODES | NAT_CODES
    for nic in vm.interfaces:
        network = _network_key(nic)
        if not _is_interface_settled(nic, around):
            codes |= JIT_CODES | BASTION_CODES | NAT_CODES | NSG_CODES
        if around.routes.get(arm_ids.key(nic.subnet_id), ()) is None:
            codes |= ROUTE_CODES
        if network in around.changing or around.changing_bastions.get(network):
            codes |= BASTION_CODES
    return frozenset(codes)


def _is_interface_settled(nic: Interface, around: _Surroundings) -> bool:
    """Return True if the address and all NSGs of *nic* are known, and none is being updated."""
    keys = [arm_ids.key(nsg_id) for nsg_id in nic.nsg_ids]
    if around.changing.intersection((arm_ids.key(nic.id), *keys)):
        return False
    return read_prefix(nic.private_ip) is not None and all(key in around.rules for key in keys)


def _is_being_written(rule: SecurityRule) -> bool:
    return not rule.in_force and rule.state.lower() != "failed"


def _network_key(nic: Interface) -> str:
    return arm_ids.key(nic.subnet_id.rsplit("/subnets/", 1)[0])


def _find_warnings(
    vm: VirtualMachine, around: _Surroundings, unsettled: frozenset[str]
) -> Iterator[MachineWarning]:
    if vm.support is Support.UNSUPPORTED:
        return
    yield from around.plan
    if vm.support is Support.CONFIGURED:
        yield from setup.find_policy_warnings(vm)
        yield from find_update_warnings(vm, around.failed)
        yield from _warn_about_firewall(vm, around)
        yield from find_admin_rule_warnings(vm, around.admin.find(vm.network_id))
        for nic in vm.interfaces if not JIT_CODES & unsettled else ():
            yield from _warn_about_interface(nic, vm, around)


def _warn_about_firewall(vm: VirtualMachine, around: _Surroundings) -> Iterator[MachineWarning]:
    found = around.firewalls.get(arm_ids.key(vm.firewall_id or ""))
    if found is not None:
        keys = map(arm_ids.key, firewall.list_public_ip_ids(found))
        addresses = tuple(around.public_ips.get(key, key.rsplit("/", 1)[-1]) for key in keys)
        yield from setup.find_firewall_warnings(
            arm_json.text(found, "name"), addresses, around.used.get(arm_ids.key(vm.id), "")
        )


def _warn_about_interface(
    nic: Interface, vm: VirtualMachine, around: _Surroundings
) -> tuple[MachineWarning, ...]:
    keys = [arm_ids.key(nsg_id) for nsg_id in nic.nsg_ids]
    nsgs = [around.rules[key].find_rules_at(nic.private_ip) for key in keys]
    vnet = keep_prefixes(vm.vnet_prefixes)
    near = around.bastions.get(_network_key(nic), ())
    return (
        *find_jit_warnings(
            nsgs,
            private_ip=nic.private_ip,
            ports=vm.ports,
            vnet_prefixes=vnet,
            groups=nic.group_keys,
        ),
        *find_bastion_warnings(
            nsgs,
            private_ip=nic.private_ip,
            ports=vm.ports,
            bastion_prefixes=near,
            vnet_prefixes=vnet,
            groups=nic.group_keys,
        ),
    )
