"""VMs beside web01, behind the same firewall; each has a resource group and a JIT policy alone."""

from __future__ import annotations

import copy
import json
from typing import Any

from tests.local.azure.sim import WEB, WEB01, Sim, group, network, policy

ADDRESS = "10.1.1.{}"


def add_web_machines(sim: Sim, count: int) -> tuple[str, ...]:
    """
    Put VMs like web01 into its subnet, and return the id of web01 and theirs.

    A portal user writes their JIT policies, so that Defender denies their ports.
    """
    more = [_put_machine(sim, number) for number in range(2, count + 1)]
    sim.advance("PT5M")
    return WEB01, *more


def _put_machine(sim: Sim, number: int) -> str:
    """Put a copy of web01 with an address of its own; return its id."""
    where = group(f"rg-web-{number}")
    vm, nic = (copy.deepcopy(sim.get(each)) for each in (WEB01, _find_nic(sim)))
    leg = nic["properties"]["ipConfigurations"][0]["properties"]
    leg["privateIPAddress"] = ADDRESS.format(100 + number)
    made = [_move(body, where, f"web{number:02d}") for body in (vm, nic)]
    sim.control("PUT", "state", {"resources": {body["id"]: body for body in made}})
    (entry,) = copy.deepcopy(sim.get(policy(WEB))["properties"]["virtualMachines"])
    entry["id"] = made[0]["id"]
    body = {"kind": "Basic", "properties": {"virtualMachines": [entry]}}
    answer = sim.call("PUT", policy(where), body, as_="petra")
    if answer.status >= 300:
        raise AssertionError(answer.json())
    return str(made[0]["id"])


def _find_nic(sim: Sim) -> str:
    (nic,) = sim.get(WEB01)["properties"]["networkProfile"]["networkInterfaces"]
    return str(nic["id"])


def _move(body: Any, where: str, name: str) -> Any:
    """Return a resource of web01 as one of VM *name* in the resource group *where*."""
    text = json.dumps(body).replace("RG-WEB", "rg-web")
    for kind in ("virtualMachines", "networkInterfaces"):
        there = network(kind, "web01", where).replace("Network/virtual", "Compute/virtual")
        here = there.replace(where, WEB)
        text = text.replace(here, there.replace("web01", name))
    return json.loads(text)
