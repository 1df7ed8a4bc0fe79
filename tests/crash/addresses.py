"""Addresses of VMs that somebody gives, takes away or changes while the broker works."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from local.azure.values import ids
from tests.local.azure.sim import Sim


def toggle_second_address(sim: Sim, vm: str) -> None:
    """Give a VM's first interface a second IP configuration, or take it away."""
    nic = _read_interface(sim, vm)
    held = nic["properties"]["ipConfigurations"]
    if len(held) > 1:
        del held[1:]
    else:
        second = deepcopy(held[0])
        second["name"] = "second"
        second["properties"].pop("publicIPAddress", None)
        network = held[0]["properties"]["privateIPAddress"].rsplit(".", 1)[0]
        second["properties"].update(privateIPAddress=f"{network}.99", primary=False)
        held.append(second)
    _put_state(sim, nic)


def renumber(sim: Sim, vm: str) -> None:
    """Give a VM's public address another value, as Azure does with a dynamic one."""
    for configuration in _read_interface(sim, vm)["properties"]["ipConfigurations"]:
        reference = configuration["properties"].get("publicIPAddress")
        if reference:
            public = _read(sim, reference["id"])
            network, last = public["properties"]["ipAddress"].rsplit(".", 1)
            public["properties"]["ipAddress"] = f"{network}.{int(last) ^ 128}"
            _put_state(sim, public)


def _read_interface(sim: Sim, vm: str) -> Any:
    links = _read(sim, vm)["properties"]["networkProfile"]["networkInterfaces"]
    return _read(sim, links[0]["id"])


def _read(sim: Sim, resource_id: str) -> Any:
    """Return a resource out of the state: faults that are meant for the broker do not hit this."""
    found = sim.control("GET", "state")["resources"].items()
    return next(body for name, body in found if ids.key(name) == ids.key(resource_id))


def _put_state(sim: Sim, resource: Any) -> None:
    sim.control("PUT", "state", {"resources": {resource["id"]: resource}})
