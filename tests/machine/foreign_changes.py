"""Changes in Azure by others: people in the portal, Terraform, customers."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from datetime import timedelta
from typing import Any

from local.azure.values import ids
from tests.broker.inprocess import policy_of
from tests.builders.admin_rules import DENY
from tests.crash.promises import VmPort
from tests.local.azure.sim import (
    APP01,
    DB,
    DB01,
    FW_PROD,
    NSG_DB,
    NSG_WEB,
    WEB,
    WEB01,
    Sim,
    network,
)
from tests.machine.promise_watch import RULES_READ, PromiseWatch

NSG_FRONT = network("networkSecurityGroups", "nsg-app-front", DB)
VM_PORTS: tuple[tuple[str, int], ...] = (
    (DB01, 22),
    (DB01, 3389),
    (APP01, 3389),
    (WEB01, 22),
    (WEB01, 3389),
)
"""The VM ports that people ask for: behind one NSG, two NSGs, a firewall."""

NSGS = {NSG_DB: DB01, NSG_FRONT: APP01, NSG_WEB: WEB01}
"""Each NSG with the VM behind it."""

NETWORKS = {
    network("virtualNetworks", "vnet-db", DB): (DB01, APP01),
    network("virtualNetworks", "vnet-prod", WEB): (WEB01,),
}
"""Each virtual network with the VMs in it."""

_REOPENED = timedelta(minutes=25)
"""A wiped firewall path reopens after the comparison, the next turn and two updates."""

_CUSTOMER_RULE, _JUMP = "customer-extra", "jump"


class ForeignChanges:
    """Changes by everybody in the subscription except the broker."""

    def __init__(self, sim: Sim, watch: PromiseWatch) -> None:
        """Change *sim*, and note each change in *watch*."""
        self._sim = sim
        self._watch = watch
        self._published: frozenset[int] = frozenset()
        self._denying: set[str] = set()  # NSGs and networks whose owners deny somebody

    # ---- the portal ------------------------------------------------------------------------------

    def request(self, vm_port: VmPort, source: str, minutes: int) -> None:
        """Ask for access without the broker, as petra."""
        vm, port = vm_port
        until = self._sim.now + timedelta(minutes=minutes)
        if self._sim.initiate(vm, port, source, minutes, as_="petra").status == 202:
            self._watch.note_foreign_access(vm, port, source, until, sure=not self._may_deny(vm))

    def edit_policy(self, vm: str, **change: Any) -> None:
        """Change each port of a VM's JIT policy; None for a member keeps it."""
        policy = self._read(policy_of(vm))
        for entry in policy["properties"]["virtualMachines"]:
            if ids.key(entry["id"]) == ids.key(vm):
                entry["ports"] = [{**port, **change} for port in entry["ports"]]
        self._write(policy)
        self._disturb(vm, timedelta(hours=1))

    def drop_from_policy(self, vm: str) -> None:
        """Take a VM out of its JIT policy, unless it is the only one."""
        policy = self._read(policy_of(vm))
        machines = policy["properties"]["virtualMachines"]
        kept = [entry for entry in machines if ids.key(entry["id"]) != ids.key(vm)]
        if kept:
            policy["properties"]["virtualMachines"] = kept
            self._write(policy)
            self._disturb(vm, timedelta(hours=1))

    # ---- Terraform -------------------------------------------------------------------------------

    def wipe_nsg(self, nsg: str) -> None:
        """Write an NSG without the JIT rules, which Terraform does not know."""
        body = self._read(nsg)
        rules = body["properties"]["securityRules"]
        body["properties"]["securityRules"] = [r for r in rules if not _is_jit_rule(r["name"])]
        if self._write(body):
            self._disturb(NSGS[nsg], _REOPENED)

    def block(self, nsg: str, source: str, priority: int) -> None:
        """Write a customer's rule that denies *source*."""
        self._replace_extra(nsg, [_deny(source, priority)])

    def unblock(self, nsg: str) -> None:
        """Remove that rule."""
        self._replace_extra(nsg, [])

    def _replace_extra(self, nsg: str, rules: list[Any]) -> None:
        body = self._read(nsg)
        kept = [r for r in body["properties"]["securityRules"] if r["name"] != _CUSTOMER_RULE]
        body["properties"]["securityRules"] = [*kept, *rules]
        if self._write(body):
            self._note_denying(nsg, denies=bool(rules))
            self._disturb(NSGS[nsg], _REOPENED)

    def wipe_firewall(self) -> None:
        """Write the firewall without Defender's collections, which Terraform does not know."""
        body = self._read(FW_PROD)
        nats = body["properties"]["natRuleCollections"]
        kept = [each for each in nats if not each["name"].startswith("MDC-JIT")]
        body["properties"]["natRuleCollections"] = kept
        if self._write(body):
            self._disturb(WEB01, _REOPENED)

    def publish(self, port: int) -> None:
        """Write a NAT rule that leads everybody to a port of web01, or take it back."""
        left = self._published ^ {port}
        body = self._read(FW_PROD)
        nats = [n for n in body["properties"]["natRuleCollections"] if n["name"] != _JUMP]
        body["properties"]["natRuleCollections"] = [*nats, *_lead_to(left)]
        if self._write(body):
            self._published = left
            self._watch.note_published((ids.key(WEB01), port))
            self._disturb(WEB01, _REOPENED)

    def edit_firewall(self, address: str, port: int) -> None:
        """Change a customer's rule of each kind in the firewall."""
        body = self._read(FW_PROD)
        for kind, change in _edits(address, port).items():
            for collection in _customer_collections(body, kind)[:1]:
                collection["properties"]["rules"][-1].update(deepcopy(change))
        self._write(body)

    def lose_a_rule(self, nsg: str, number: int) -> None:
        """Let one of Defender's allow rules disappear, as if Defender took it for a duplicate."""
        rules = self._read(nsg)["properties"]["securityRules"]
        allows = [each["id"] for each in rules if "JITRule-" in each["name"]]
        for rule_id in allows[number % len(allows) :][:1] if allows else ():
            self._sim.control("PUT", "state", {"resources": {rule_id: None}})
            self._disturb(NSGS[nsg], _REOPENED)

    def _may_deny(self, vm: str) -> bool:
        """Return True if an owner's rule may keep people out that Defender lets in."""
        before = [nsg for nsg, behind in NSGS.items() if behind == vm]
        around = [network_id for network_id, inside in NETWORKS.items() if vm in inside]
        return not self._denying.isdisjoint([*before, *around])

    def _note_denying(self, resource_id: str, *, denies: bool) -> None:
        (self._denying.add if denies else self._denying.discard)(resource_id)

    # ---- calls -----------------------------------------------------------------------------------

    def _read(self, resource_id: str) -> Any:
        return self._sim.call("GET", resource_id, as_="petra").json()

    def _write(self, body: Any) -> bool:
        """Write a resource; return False if Azure refuses it now."""
        answer = self._sim.call("PUT", body["id"], body, as_="petra")
        self._watch.note_customer_change()
        return answer.status < 300

    def manage(self, network_id: str, *rules: Any) -> None:
        """Let a virtual network have these security admin rules."""
        denies = any(each["properties"]["access"] == DENY for each in rules)
        self._note_denying(network_id, denies=denies)
        self._sim.control("PUT", "state", {"adminRules": {network_id: list(rules)}})
        self._watch.note_managed()
        for vm in NETWORKS[network_id]:
            self._disturb(vm, RULES_READ)

    def _disturb(self, vm: str, gap: timedelta) -> None:
        for name, port in VM_PORTS:
            if name == vm:
                self._watch.note_disturbance((ids.key(name), port), gap)


def _is_jit_rule(name: str) -> bool:
    return "JITRule" in name or name.startswith("jit-broker-")


def _customer_collections(firewall: Any, kind: str) -> list[Any]:
    found: Iterator[Any] = iter(firewall["properties"].get(kind) or ())
    return [each for each in found if not each["name"].startswith("MDC-JIT")]


def _lead_to(ports: frozenset[int]) -> list[dict[str, Any]]:
    """Return the NAT rule collection that leads everybody to these ports of web01; none without."""
    rules = [
        {
            "name": f"jump-{port}",
            "protocols": ["TCP"],
            "sourceAddresses": ["*"],
            "destinationAddresses": ["52.137.62.53"],
            "destinationPorts": [str(40000 + port)],
            "translatedAddress": "10.1.1.4",
            "translatedPort": str(port),
        }
        for port in sorted(ports)
    ]
    properties = {"priority": 450, "action": {"type": "Dnat"}, "rules": rules}
    return [{"name": _JUMP, "properties": properties}] if rules else []


def _edits(address: str, port: int) -> dict[str, dict[str, Any]]:
    return {
        "natRuleCollections": {"translatedPort": str(port), "description": "moved"},
        "networkRuleCollections": {"sourceAddresses": [address]},
        "applicationRuleCollections": {"sourceAddresses": [address]},
    }


def _deny(source: str, priority: int) -> dict[str, Any]:
    return {
        "name": _CUSTOMER_RULE,
        "properties": {
            "priority": priority,
            "direction": "Inbound",
            "access": "Deny",
            "protocol": "Tcp",
            "sourceAddressPrefix": source,
            "sourcePortRange": "*",
            "destinationAddressPrefix": "*",
            "destinationPortRange": "*",
        },
    }
