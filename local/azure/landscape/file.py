"""The landscape file: the subscriptions, networks, machines and people of the beginning."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from local.azure.landscape import arm_forms, farms, firewall_forms
from local.azure.landscape.arm_forms import Place
from local.azure.values import ids
from local.azure.values.http import Json


@dataclass(frozen=True, slots=True)
class Landscape:
    """
    The content of the landscape file.

    Attributes:
        document: The file as read.
        roles: Role definitions that it names, in Azure's own form.
    """

    document: Json
    roles: tuple[Json, ...]

    @property
    def tenant(self) -> str:
        """The tenant's GUID."""
        return str(self.document["tenant"])

    @property
    def subscriptions(self) -> list[Json]:
        """The subscriptions: ``id, name, defenderPlan`` each."""
        return list(self.document["subscriptions"])

    def resources(self) -> Iterator[Json]:
        """Yield each resource anew in its ARM form, JIT policies last."""
        policies: list[Json] = []
        for subscription in self.subscriptions:
            for group in _list_groups(subscription):
                place = Place(subscription["id"], group["name"], self.document["location"])
                yield from _build_network(place, group)
                yield from _build_machines(place, group)
                policies.extend(_build_policies(place, group))
        yield from policies

    def groups(self) -> set[tuple[str, str]]:
        """Return each resource group as (subscription, name), in lower case."""
        return {
            (subscription["id"].lower(), ids.lower(group["name"]))
            for subscription in self.subscriptions
            for group in _list_groups(subscription)
        }


def load(path: Path) -> Landscape:
    """
    Read the landscape file with the role definitions beside it.

    Raises:
        ValueError: The file is not a landscape.
    """
    document = json.loads(path.read_text())
    if not isinstance(document, dict) or "subscriptions" not in document:
        raise ValueError(f"{path} is not a landscape")
    roles = [json.loads((path.parent / each).read_text()) for each in document.get("roleFiles", ())]
    return Landscape(document, tuple(roles))


def _list_groups(subscription: Json) -> Iterator[Json]:
    yield from subscription.get("resourceGroups", ())
    yield from map(farms.build_group, subscription.get("farms", ()))


def _build_network(place: Place, group: Json) -> Iterator[Json]:
    addresses = {each["name"]: each["address"] for each in group.get("publicIpAddresses", ())}
    for network in group.get("virtualNetworks", ()):
        yield arm_forms.virtual_network(place, network)
    for nsg in group.get("networkSecurityGroups", ()):
        yield arm_forms.security_group(place, nsg)
    for address in group.get("publicIpAddresses", ()):
        yield arm_forms.public_address(place, address)
    for firewall in group.get("azureFirewalls", ()):
        yield firewall_forms.firewall(place, firewall, addresses[firewall["publicIp"]])
    for bastion in group.get("bastionHosts", ()):
        yield arm_forms.bastion(place, bastion)


def _build_machines(place: Place, group: Json) -> Iterator[Json]:
    for machine in group.get("virtualMachines", ()):
        for index, nic in enumerate(machine["nics"]):
            yield arm_forms.interface(place, nic, machine["name"], primary=index == 0)
        yield arm_forms.machine(place, machine)


def _build_policies(place: Place, group: Json) -> Iterator[Json]:
    for policy in group.get("jitPolicies", ()):
        machines = [
            {
                "id": ids.write_like_portal(place.id(ids.MACHINES, name)),
                "ports": list(map(arm_forms.jit_port, ports)),
            }
            for name, ports in policy["virtualMachines"].items()
        ]
        yield arm_forms.jit_policy(place, policy["name"], machines)
