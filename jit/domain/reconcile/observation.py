"""A subscription as it was read: its NSGs, firewalls and VMs, and Defender's rules in them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from jit.domain.azure import arm_json, defender_requests
from jit.domain.azure.defender_requests import DefenderRequest
from jit.domain.azure.defender_rules import opens_one_port
from jit.domain.azure.firewall import NatRule
from jit.domain.azure.nsg_rules import SecurityRule
from jit.domain.inventory import topology
from jit.domain.model.machine import VirtualMachine
from jit.domain.network_manager.security_admin_rules import NOTHING_KNOWN, KnownAdminRules
from jit.domain.paths import rules
from jit.domain.paths.machine_view import (
    FirewallView,
    MachineView,
    NsgView,
    view_firewall,
    view_machine,
    view_nsg,
)
from jit.domain.paths.rules import PathRule
from jit.domain.values import arm_ids
from jit.domain.values.prefixes import read_prefix


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """
    A subscription as read: everything by key (lower-cased id).

    Attributes:
        nsgs: NSGs that could be read.
        firewalls: Classic-rules firewalls that could be read.
        machines: VMs with the NSGs and firewalls on their paths.
        entries: Defender's requests of all JIT policies, oldest first.
        admin: The security admin rules of the networks, as last read.
    """

    nsgs: Mapping[str, NsgView]
    firewalls: Mapping[str, FirewallView]
    machines: Mapping[str, MachineView]
    entries: tuple[DefenderRequest, ...]
    admin: KnownAdminRules = NOTHING_KNOWN


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundRule:
    """
    One of Defender's rules, as observed.

    Attributes:
        path:
            The same as a path's rule: its id, its holder, its sources. It is *exact* if it leads
            to one port of one address, as all that Defender writes, and could be read in full.
        settled: True if the rule is in force as listed: its holder's last update has succeeded.
        addresses: Private addresses that it leads to; empty if they cannot be read.
    """

    raw: SecurityRule | NatRule
    path: PathRule
    settled: bool
    addresses: frozenset[str]

    def leads_to(self, port: int) -> bool:
        """Return True if it lets anybody reach *port*."""
        if isinstance(self.raw, NatRule):
            return self.raw.translated_port == str(port)
        return any(port in ports for ports in self.raw.destination_ports)

    @property
    def title(self) -> str:
        """The rule's name as people look for it; NAT rules stand in a collection."""
        if self.path.collection is None:
            return self.path.name
        return f"{self.path.collection}/{self.path.name}"


def list_jit_rules(observed: Observation) -> Iterator[FoundRule]:
    """Yield every rule that carries the name of one of Defender's, NSGs first."""
    for nsg in observed.nsgs.values():
        yield from (_build_from_nsg(nsg, allow) for allow in nsg.allows)
    for firewall in observed.firewalls.values():
        yield from (
            _build_from_firewall(firewall, rule) for rule in firewall.nat_rules if rule.is_jit
        )


def _build_from_nsg(nsg: NsgView, allow: SecurityRule) -> FoundRule:
    addresses = rules.name_addresses(allow.destinations)
    path = PathRule(
        id=allow.id,
        holder_id=nsg.id,
        name=allow.name,
        collection=None,
        sources=allow.sources,
        target=min(addresses, default=""),
        exact=opens_one_port(allow),
    )
    settled = nsg.settled and allow.state.lower() == "succeeded"
    return FoundRule(raw=allow, path=path, settled=settled, addresses=addresses)


def _build_from_firewall(firewall: FirewallView, rule: NatRule) -> FoundRule:
    path = PathRule(
        id=rules.build_nat_rule_id(firewall.id, rule),
        holder_id=firewall.id,
        name=rule.name,
        collection=rule.collection,
        sources=rule.sources,
        target=rule.translated_address,
        exact=not rule.ip_groups
        and not rule.translated_fqdn
        and read_prefix(rule.translated_address) is not None,
        port=int(rule.translated_port) if rule.translated_port.isdecimal() else 0,
    )
    addresses = frozenset(filter(None, (rule.translated_address,)))
    settled = firewall.settled and not firewall.failed
    return FoundRule(raw=rule, path=path, settled=settled, addresses=addresses)


def observe_lists(
    snapshot: topology.Snapshot, machines: Iterable[VirtualMachine], admin: KnownAdminRules
) -> Observation:
    """Return a subscription's lists as the observation to compare its grants with."""
    nsgs = {arm_ids.key(arm_json.text(nsg, "id")): view_nsg(nsg) for nsg in snapshot.nsgs}
    firewalls = {
        arm_ids.key(arm_json.text(item, "id")): view_firewall(item) for item in snapshot.firewalls
    }
    return Observation(
        nsgs=nsgs,
        firewalls=firewalls,
        machines={
            arm_ids.key(vm.id): view_machine(vm, nsgs, firewalls, admin.find(vm.network_id))
            for vm in machines
        },
        entries=tuple(
            entry
            for policy in snapshot.policies
            for entry in defender_requests.parse_requests(policy)
        ),
        admin=admin,
    )
