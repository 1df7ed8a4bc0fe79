"""The deny rules that Defender keeps in front of the VMs of JIT policies."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from local.azure.arm.store import Store
from local.azure.defender import jit_rules
from local.azure.defender.write_queues import Change, WriteQueues, combine_changes, plan_removal
from local.azure.network.security_rules import HIGHEST
from local.azure.network.topology import find_firewall_address, find_jit_firewall, list_interfaces
from local.azure.options import Options
from local.azure.values import ids
from local.azure.values.http import Json

_Changes = defaultdict[str, list[Change]]


@dataclass
class DenyRules:
    """Writes, moves, removes deny rules: one rule per interface, one write per NSG."""

    store: Store
    turns: WriteQueues
    options: Options

    def protect(self, policy: Json, before: Iterable[str] = (), *, at_once: bool = False) -> None:
        """
        Write the deny rules of *policy*; remove those of the VMs *before* that it lost.

        Args:
            policy: As stored; an entry of a VM behind a firewall gets its public address.
            before: Ids of the VMs that it had.
            at_once: Skip the wait for the NSGs' turns.
        """
        present = {ids.key(entry["id"]) for entry in policy["properties"]["virtualMachines"]}
        changes: _Changes = defaultdict(list)
        for lost in [each for each in before if ids.key(each) not in present]:
            self._plan_exposure(lost, changes)
        for entry in policy["properties"]["virtualMachines"]:
            self._plan_protection(policy, entry, changes)
        write = self.turns.apply_now if at_once else self.turns.submit
        for group, steps in changes.items():
            write(group, combine_changes(steps))

    def expose(self, machines: Iterable[str]) -> None:
        """Remove the deny rules of VMs whose policy is gone."""
        changes: _Changes = defaultdict(list)
        for machine in machines:
            self._plan_exposure(machine, changes)
        for group, steps in changes.items():
            self.turns.submit(group, combine_changes(steps))

    def _plan_protection(self, policy: Json, entry: Json, changes: _Changes) -> None:
        machine = self.store.get(entry["id"])
        if machine is None:
            return
        firewall = find_jit_firewall(self.store, machine)
        address = None if firewall is None else find_firewall_address(self.store, firewall)
        if address is not None:
            entry["publicIpAddress"] = address
        ports = [port["number"] for port in entry["ports"]]
        for interface in list_interfaces(self.store, machine):
            if interface.guard is not None:
                name = jit_rules.deny_name(machine["id"], interface.place)
                names = (name, policy["name"], machine["name"])
                rule = jit_rules.deny_rule(*names, interface.address, ports)
                changes[ids.key(interface.guard)].append(
                    self._plan_deny(rule, interface.address, ports)
                )

    def _plan_exposure(self, machine_id: str, changes: _Changes) -> None:
        machine = self.store.get(machine_id)
        if machine is None:
            return
        for interface in list_interfaces(self.store, machine):
            if interface.guard is not None:
                name = jit_rules.deny_name(machine["id"], interface.place)
                changes[ids.key(interface.guard)].append(plan_removal({name}))

    def _plan_deny(self, rule: Json, address: str, ports: list[int]) -> Change:
        def change(group: Json) -> bool:
            rules = group["properties"]["securityRules"]
            old = next((each for each in rules if each["name"] == rule["name"]), None)
            if old is None:
                priority = self._choose_priority(rules, address, ports)
            else:
                priority = old["properties"]["priority"]
            fresh = {**rule, "properties": {**rule["properties"], "priority": priority}}
            if old is not None and _is_same(old, fresh):
                return False
            group["properties"]["securityRules"] = [*(r for r in rules if r is not old), fresh]
            return True

        return change

    def _choose_priority(self, rules: list[Json], address: str, ports: list[int]) -> int:
        conflicts = jit_rules.find_conflicting_rules(rules, address, ports)
        if not conflicts or self.options.deny_placement == "lowest":
            return jit_rules.find_free_priority_up_to(rules, HIGHEST)
        first = int(conflicts[0]["properties"]["priority"])
        if self.options.deny_placement == "reprioritise":
            conflicts[0]["properties"]["priority"] = jit_rules.find_free_priority_from(
                rules, first + 1
            )
            return first
        return jit_rules.find_free_priority_up_to(rules, first - 1)


def _is_same(old: Json, fresh: Json) -> bool:
    shown = {k: v for k, v in old["properties"].items() if k != "provisioningState"}
    return bool(shown == fresh["properties"])
