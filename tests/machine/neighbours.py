"""What people do in the portal and Terraform does at night, beside the broker."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from datetime import timedelta
from typing import Any

from local.azure.values import ids
from tests.broker.inprocess import policy_of
from tests.crash.promises import Door
from tests.local.azure.sim import APP01, DB, DB01, FW_PROD, NSG_DB, NSG_WEB, WEB01, Sim, network
from tests.machine.watch import Watch

NSG_FRONT = network("networkSecurityGroups", "nsg-app-front", DB)
DOORS: tuple[tuple[str, int], ...] = (
    (DB01, 22),
    (DB01, 3389),
    (APP01, 3389),
    (WEB01, 22),
    (WEB01, 3389),
)
"""VM ports that are asked for: through one NSG, two NSGs, a firewall."""

GUARDS = {NSG_DB: DB01, NSG_FRONT: APP01, NSG_WEB: WEB01}
"""NSGs, each with the VM behind it."""

_REOPENED = timedelta(minutes=25)
"""A wiped firewall path: found by the comparison, asked for in turn, then updated twice."""

_EXTRA = "customer-extra"


class Neighbours:
    """Everybody in the subscription but the broker."""

    def __init__(self, sim: Sim, watch: Watch) -> None:
        """Act on *sim*, and tell *watch* what is done by right."""
        self._sim = sim
        self._watch = watch

    # ---- the portal ------------------------------------------------------------------------------

    def request(self, door: Door, source: str, minutes: int) -> None:
        """Ask for access without the broker, as petra."""
        vm, port = door
        until = self._sim.now + timedelta(minutes=minutes)
        if self._sim.initiate(vm, port, source, minutes, as_="petra").status == 202:
            self._watch.stranger(vm, port, source, until)

    def edit_policy(self, vm: str, **change: Any) -> None:
        """Change each port of a VM's JIT policy; None for a member keeps it."""
        policy = self._read(policy_of(vm))
        for entry in policy["properties"]["virtualMachines"]:
            if ids.key(entry["id"]) == ids.key(vm):
                entry["ports"] = [{**port, **change} for port in entry["ports"]]
        self._write(policy)
        self._disturb(vm, timedelta(hours=1))

    def drop_from_policy(self, vm: str) -> None:
        """Take a VM out of its JIT policy; one without other VMs is left alone."""
        policy = self._read(policy_of(vm))
        machines = policy["properties"]["virtualMachines"]
        kept = [entry for entry in machines if ids.key(entry["id"]) != ids.key(vm)]
        if kept:
            policy["properties"]["virtualMachines"] = kept
            self._write(policy)
            self._disturb(vm, timedelta(hours=1))

    # ---- Terraform -------------------------------------------------------------------------------

    def wipe_group(self, guard: str) -> None:
        """Write an NSG without the rules that are not in somebody's files."""
        body = self._read(guard)
        rules = body["properties"]["securityRules"]
        body["properties"]["securityRules"] = [r for r in rules if not _jit(r["name"])]
        if self._write(body):
            self._disturb(GUARDS[guard], _REOPENED)

    def block(self, guard: str, source: str, priority: int) -> None:
        """Write a rule of a customer's own that shuts somebody out, wherever it stands."""
        self._replace_extra(guard, [_deny(source, priority)])

    def unblock(self, guard: str) -> None:
        """Take that rule away again."""
        self._replace_extra(guard, [])

    def _replace_extra(self, guard: str, rules: list[Any]) -> None:
        body = self._read(guard)
        kept = [r for r in body["properties"]["securityRules"] if r["name"] != _EXTRA]
        body["properties"]["securityRules"] = [*kept, *rules]
        if self._write(body):
            self._disturb(GUARDS[guard], _REOPENED)

    def wipe_firewall(self) -> None:
        """Write the firewall without the collections that are not in somebody's files."""
        body = self._read(FW_PROD)
        nats = body["properties"]["natRuleCollections"]
        kept = [each for each in nats if not each["name"].startswith("MDC-JIT")]
        body["properties"]["natRuleCollections"] = kept
        if self._write(body):
            self._disturb(WEB01, _REOPENED)

    def edit_firewall(self, address: str, port: int) -> None:
        """Change a rule of each kind in the firewall."""
        body = self._read(FW_PROD)
        for kind, change in _edits(address, port).items():
            for collection in _customers(body, kind)[:1]:
                collection["properties"]["rules"][-1].update(deepcopy(change))
        self._write(body)

    # ---- calls -----------------------------------------------------------------------------------

    def _read(self, resource_id: str) -> Any:
        return self._sim.call("GET", resource_id, as_="petra").json()

    def _write(self, body: Any) -> bool:
        """Write a resource back; False where Azure will not have it just now."""
        answer = self._sim.call("PUT", body["id"], body, as_="petra")
        self._watch.moved()
        return answer.status < 300

    def _disturb(self, vm: str, gap: timedelta) -> None:
        for name, port in DOORS:
            if name == vm:
                self._watch.disturbed((ids.key(name), port), gap)


def _jit(name: str) -> bool:
    return "JITRule" in name or name.startswith("jit-broker-")


def _customers(firewall: Any, kind: str) -> list[Any]:
    found: Iterator[Any] = iter(firewall["properties"].get(kind) or ())
    return [each for each in found if not each["name"].startswith("MDC-JIT")]


def _edits(address: str, port: int) -> dict[str, dict[str, Any]]:
    return {
        "natRuleCollections": {"translatedPort": str(port), "description": "moved"},
        "networkRuleCollections": {"sourceAddresses": [address]},
        "applicationRuleCollections": {"sourceAddresses": [address]},
    }


def _deny(source: str, priority: int) -> dict[str, Any]:
    return {
        "name": _EXTRA,
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
