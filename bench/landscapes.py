"""Landscapes for the benchmarks: the local stack's own people and roles, as many VMs as wanted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from local.stack import ROOT

SUBSCRIPTION = "5c0ffee0-0000-4000-8000-000000000002"
PORTS = (22, 3389)
_OWN = ROOT / "local" / "landscape.json"


def write(file: Path, *, farms: int, machines: int) -> Path:
    """
    Write a landscape whose only subscription has *farms* farms of *machines* VMs each.

    Each farm has one JIT policy, one NSG, one network; each VM has a public IP and the ports 22
    and 3389 in the policy.

    Returns:
        The file.
    """
    document = json.loads(_OWN.read_text())
    (own,) = (item for item in document["subscriptions"] if item["id"] == SUBSCRIPTION)
    own["farms"] = [_farm(number, machines) for number in range(farms)]
    document["subscriptions"] = [own]
    document["roleFiles"] = [str((_OWN.parent / each).resolve()) for each in document["roleFiles"]]
    file.write_text(json.dumps(document))
    return file


def _farm(number: int, machines: int) -> dict[str, Any]:
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
