"""
The rules of open requests: Defender writes them and removes them.

In an NSG one write removes the old rule of a VM port and adds the new one. In a
firewall a VM port has one DNAT rule with one mapped port. Its sources are the
sources of the latest request.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from ipaddress import ip_address, ip_network

from local.azure.arm.store import Store
from local.azure.control.faults import Faults, Subject
from local.azure.defender import jit_rules
from local.azure.defender.access import Access
from local.azure.defender.write_queues import PRINCIPAL, Change, WriteQueues, plan_removal
from local.azure.network.topology import (
    Interface,
    find_firewall_address,
    find_jit_firewall,
    list_interfaces,
)
from local.azure.values import ids
from local.azure.values.http import Json


@dataclass
class AccessRules:
    """
    Writes and removes allow rules of NSGs, DNAT rules of firewalls.

    Attributes:
        taken: Returns True if an open request holds a VM port.
    """

    store: Store
    turns: WriteQueues
    faults: Faults
    taken: Callable[[tuple[str, int]], bool]
    _mapped: dict[tuple[str, tuple[str, int]], int] = field(default_factory=dict)

    def change(self, opening: list[Access], ending: list[Access]) -> None:
        """
        Write the rules of *opening*, remove the rules of *ending*: one write per NSG or firewall.

        A fault may make Defender forget to remove all rules of a request, or one kind of them.
        """
        leaving = [each for each in ending if not self.faults.forgets(each.subject)]
        self._write_groups(opening, leaving)
        self._write_firewalls(opening)
        self._clear_firewalls([each for each in leaving if not self.taken(each.key)])

    def _write_groups(self, opening: list[Access], leaving: list[Access]) -> None:
        additions: defaultdict[str, list[tuple[Access, Interface]]] = defaultdict(list)
        for access in opening:
            for interface in list_interfaces(self.store, access.machine):
                if interface.guard is not None and _is_reachable(interface, access):
                    additions[ids.key(interface.guard)].append((access, interface))
        removals = self._find_leaving_rules(leaving)
        for group in sorted(additions.keys() | removals.keys()):
            self.turns.submit(group, _plan_allows(additions[group], removals[group]))

    def _find_leaving_rules(self, leaving: list[Access]) -> defaultdict[str, set[str]]:
        found: defaultdict[str, set[str]] = defaultdict(set)
        for access in leaving:
            for group, name in access.rules:
                rule = f"{group}/securityRules/{name}"
                if not self.faults.forgets(Subject("DELETE", rule, principal=PRINCIPAL)):
                    found[ids.key(group)].add(name)
        return found

    def _write_firewalls(self, opening: list[Access]) -> None:
        for firewall, accesses in self._group_by_firewall(opening):
            address = find_firewall_address(self.store, firewall)
            if address is not None:
                mapped = [
                    (each, self._assign_mapped_port(firewall, address, each)) for each in accesses
                ]
                write = self._plan_translations(address, mapped)
                self.turns.submit(firewall["id"], write, partial(_show_ports, mapped))

    def _plan_translations(self, address: str, mapped: list[tuple[Access, int]]) -> Change:
        def change(firewall: Json) -> bool:
            live = [(access, port) for access, port in mapped if access.live]
            rules = [self._make_translation(access, (address, port)) for access, port in live]
            made = [jit_rules.set_nat_rule(firewall, rule) for rule in rules]
            return any(made)

        return change

    def _make_translation(self, access: Access, outside: tuple[str, int]) -> Json:
        inside = next(iter(list_interfaces(self.store, access.machine))).address
        return jit_rules.nat_rule(
            jit_rules.nat_name(access.machine["name"], access.wanted.port),
            access.policy.rsplit("/", 1)[1],
            protocol=access.wanted.protocol,
            sources=access.wanted.sources,
            outside=outside,
            inside=(inside, access.wanted.port),
        )

    def _clear_firewalls(self, leaving: list[Access]) -> None:
        for firewall, accesses in self._group_by_firewall(leaving):
            subject = Subject("PUT", firewall["id"], principal=PRINCIPAL)
            gone = [each for each in accesses if not self.faults.forgets(subject)]
            if gone:
                self.turns.submit(firewall["id"], self._plan_clearance(gone))

    def _plan_clearance(self, leaving: list[Access]) -> Change:
        def change(firewall: Json) -> bool:
            free = [each for each in leaving if not self.taken(each.key)]
            names = [jit_rules.nat_name(each.machine["name"], each.wanted.port) for each in free]
            made = [jit_rules.remove_nat_rule(firewall, name) for name in names]
            return any(made)

        return change

    def _group_by_firewall(self, accesses: list[Access]) -> list[tuple[Json, list[Access]]]:
        found: dict[str, tuple[Json, list[Access]]] = {}
        for access in accesses:
            firewall = find_jit_firewall(self.store, access.machine)
            if firewall is not None:
                found.setdefault(firewall["id"], (firewall, []))[1].append(access)
        return list(found.values())

    def _assign_mapped_port(self, firewall: Json, address: str, access: Access) -> int:
        """Return the mapped port of a VM port, which stays the same for ever."""
        place = (ids.key(firewall["id"]), access.key)
        if place not in self._mapped:
            reserved = {port for (where, _), port in self._mapped.items() if where == place[0]}
            port = jit_rules.choose_mapped_port(firewall, address, access.wanted.port, reserved)
            self._mapped[place] = port
        return self._mapped[place]


def _plan_allows(opening: list[tuple[Access, Interface]], names: set[str]) -> Change:
    def change(group: Json) -> bool:
        live = [(access, interface) for access, interface in opening if access.live]
        changed = plan_removal(names)(group)
        for access, interface in live:
            _add_allow(group, access, interface)
        return changed or bool(live)

    return change


def _is_reachable(interface: Interface, access: Access) -> bool:
    """Return True if the sources have the IP version of the address: a rule has only one."""
    versions = {ip_network(source).version for source in access.wanted.sources if source != "*"}
    return not versions or ip_address(interface.address).version in versions


def _add_allow(group: Json, access: Access, interface: Interface) -> None:
    rules = group["properties"]["securityRules"]
    name = jit_rules.allow_name(interface.place, str(access.number))
    rule = jit_rules.allow_rule(
        name,
        access.policy.rsplit("/", 1)[1],
        access.machine["name"],
        address=interface.address,
        port=access.wanted.port,
        protocol=access.wanted.protocol,
        sources=access.wanted.sources,
    )
    rule["properties"]["priority"] = jit_rules.find_free_priority_from(rules)
    group["properties"]["securityRules"] = [*rules, rule]
    access.rules.append((group["id"], name))


def _show_ports(mapped: list[tuple[Access, int]]) -> None:
    for access, port in mapped:
        access.entry["mappedPort"] = port
