"""Landscapes for the benchmarks: the local stack's people and some more, as many VMs as wanted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from local.stack import ROOT

SUBSCRIPTION = "5c0ffee0-0000-4000-8000-000000000002"
WALLED = "5c0ffee0-0000-4000-8000-000000000001"
FIREWALL = (
    f"/subscriptions/{WALLED}/resourceGroups/rg-web/providers/Microsoft.Network"
    "/azureFirewalls/fw-prod"
)
PORTS = (22, 3389)
PEOPLE = tuple(f"person-{number}" for number in range(1, 9))
"""Requesters beside those of the local stack."""

_OWN = ROOT / "local" / "landscape.json"


def write(file: Path, *, farms: int, machines: int, subscriptions: int = 1) -> Path:
    """
    Write a landscape whose *subscriptions* have *farms* farms of *machines* VMs each.

    Each farm has one JIT policy, one NSG, one network; each VM has a public IP and the ports 22
    and 3389 in the policy. Subscriptions differ in their ids alone.

    Returns:
        The file.
    """
    document, own = _read_one_subscription(SUBSCRIPTION)
    own["farms"] = [_make_farm(number, machines) for number in range(farms)]
    document["subscriptions"] = [
        {**own, "id": name} for name in (subscription(number) for number in range(subscriptions))
    ]
    file.write_text(json.dumps(document))
    return file


def subscription(number: int) -> str:
    """Return the id of subscription *number* (from 0, which is ``SUBSCRIPTION``)."""
    head, _, last = SUBSCRIPTION.rpartition("-")
    return f"{head}-{int(last) + number:012d}"


def write_walled(file: Path, *, machines: int, policies: int = 1) -> Path:
    """
    Write a landscape whose only subscription has so many VMs behind one firewall.

    Each VM has an NSG of its own. It is in one of *policies* JIT policies, in turn.

    Returns:
        The file.
    """
    document, own = _read_one_subscription(WALLED)
    (home,) = (item for item in own["resourceGroups"] if item["name"] == "rg-web")
    home["virtualMachines"] = [_make_walled_machine(number) for number in range(machines)]
    ports = [{"number": port, "protocol": "TCP", "sources": "*", "max": "PT3H"} for port in PORTS]
    names = [item["name"] for item in home["virtualMachines"]]
    home["networkSecurityGroups"] = [{"name": f"nsg-{name}", "rules": []} for name in names]
    home["jitPolicies"] = [
        {
            "name": f"policy-{number}" if number else "default",
            "virtualMachines": dict.fromkeys(names[number::policies], ports),
        }
        for number in range(policies)
    ]
    own["resourceGroups"] = [home]
    file.write_text(json.dumps(document))
    return file


def _read_one_subscription(subscription: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the local stack's landscape with one subscription of its own, and that one."""
    document = json.loads(_OWN.read_text())
    (own,) = (item for item in document["subscriptions"] if item["id"] == subscription)
    document["subscriptions"] = [own]
    document["people"] += [_make_person(number, name) for number, name in enumerate(PEOPLE, 1)]
    document["azureRoles"] += [
        {"person": name, "role": "JIT requester", "scope": "*"} for name in PEOPLE
    ]
    document["roleFiles"] = [str((_OWN.parent / each).resolve()) for each in document["roleFiles"]]
    return document, own


def _make_person(number: int, name: str) -> dict[str, Any]:
    oid = f"be4c0000-0000-4000-8000-{number:012d}"
    return {
        "name": name,
        "id": oid,
        "displayName": name,
        "kind": "User",
        "roles": ["Jit.Requester"],
    }


def _make_walled_machine(number: int) -> dict[str, Any]:
    name = f"wall{number + 1:02d}"
    nic = {"name": f"{name}-nic", "subnet": "vnet-prod/snet-web", "nsg": f"nsg-{name}"}
    return {"name": name, "os": "Linux", "nics": [{**nic, "privateIp": f"10.1.1.{number + 4}"}]}


def _make_farm(number: int, machines: int) -> dict[str, Any]:
    return {
        "resourceGroup": group(number),
        "first": number * machines + 1,
        "count": machines,
        "network": f"10.{20 + number}.0.0/16",
        "publicNetwork": f"20.71.{20 + number}.0/24",
        "os": "Linux",
    }


def group(farm: int) -> str:
    """Return the name of a farm's resource group."""
    return f"rg-farm-{farm + 1}"


def machine(farm: int, number: int, machines: int) -> str:
    """Return the id of VM *number* (from 0) of a farm of *machines*."""
    name = f"farm{farm * machines + number + 1:02d}"
    return (
        f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{group(farm)}"
        f"/providers/Microsoft.Compute/virtualMachines/{name}"
    )


def policy(farm: int) -> str:
    """Return the id of a farm's JIT policy."""
    return (
        f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{group(farm)}"
        "/providers/Microsoft.Security/locations/westeurope/jitNetworkAccessPolicies/default"
    )


def walled_machine(number: int) -> str:
    """Return the id of VM *number* (from 0) behind the firewall."""
    return (
        f"/subscriptions/{WALLED}/resourceGroups/rg-web"
        f"/providers/Microsoft.Compute/virtualMachines/wall{number + 1:02d}"
    )
