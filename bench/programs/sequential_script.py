"""
The yardstick of opening many VMs: a careful script that works without the broker.

It opens one VM at a time, with the same SDKs and the same managed identity: initiate, poll the
policy until Defender says ``Initiated``, check that the NSG has a rule for the source. It knows the
ids of policy and NSG beforehand, looks often, and does not wait for the end of the NSG's update.
So it is quicker than a script that has to find the ids.

Usage: ``python -m bench.programs.sequential_script <farms> <machines>``. It prints its seconds.
"""

from __future__ import annotations

import os
import sys
import time
from datetime import UTC, datetime, timedelta
from typing import Any

from azure.identity import ManagedIdentityCredential
from azure.mgmt.network import NetworkManagementClient
from azure.mgmt.security.v2020_01_01 import SecurityCenter

from bench.measures.processes import MeasurementFailed
from bench.stack import landscapes
from bench.traffic.access_requests import SOURCE
from jit.domain.values import arm_ids
from jit.gateways.arm import build_policies as pipeline

PORT = 22
LOOK_SECONDS = 0.5
_LOOKS = 200
_SCOPE = "https://management.azure.com/.default"


def main(farms: int, machines: int) -> None:
    """Open port 22 of every VM, one after the other."""
    endpoint, credential = os.environ["JIT_ARM_ENDPOINT"], ManagedIdentityCredential()
    options: dict[str, Any] = {
        "base_url": endpoint,
        "credential_scopes": [_SCOPE],
        "policies": pipeline(credential, _SCOPE),  # tokens over http, to loopback alone
    }
    security = SecurityCenter(credential, landscapes.SUBSCRIPTION, **options)
    network = NetworkManagementClient(credential, landscapes.SUBSCRIPTION, **options)
    began = time.perf_counter()
    for farm in range(farms):
        for number in range(machines):
            _open(security, network, farm, landscapes.machine(farm, number, machines))
    print(time.perf_counter() - began)


def _open(security: Any, network: Any, farm: int, machine: str) -> None:
    place = (landscapes.group(farm), "westeurope", "default")
    end = datetime.now(UTC) + timedelta(hours=1)
    port = {
        "number": PORT,
        "endTimeUtc": end.isoformat(timespec="seconds"),
        "allowedSourceAddressPrefix": SOURCE,
    }
    body = {"virtualMachines": [{"id": machine, "ports": [port]}], "justification": "benchmark"}
    security.jit_network_access_policies.initiate(*place, body)
    _wait(security, place, machine)
    nsg = network.network_security_groups.get(
        landscapes.group(farm), landscapes.group(farm).replace("rg-", "nsg-")
    )
    if not any(_lets_in(rule, machine) for rule in nsg.security_rules):
        raise MeasurementFailed(f"{machine} has no rule")


def _wait(security: Any, place: tuple[str, str, str], machine: str) -> None:
    """Look at the policy until the newest request for *machine* is ``Initiated``."""
    for _ in range(_LOOKS):
        policy = security.jit_network_access_policies.get(*place)
        if _list_statuses(policy, machine)[-1:] == ["Initiated"]:
            return
        time.sleep(LOOK_SECONDS)
    raise MeasurementFailed(f"{machine} did not open")


def _list_statuses(policy: Any, machine: str) -> list[str]:
    return [
        port.status
        for request in policy.requests or ()
        for entry in request.virtual_machines
        if arm_ids.key(entry.id) == arm_ids.key(machine)
        for port in entry.ports
    ]


def _lets_in(rule: Any, machine: str) -> bool:
    """Return True if *rule* is an allow of Defender's for *machine* from our source."""
    named = f"of VM '{arm_ids.name(machine)}'" in (rule.description or "")
    return named and rule.access == "Allow" and SOURCE in (rule.source_address_prefix or "")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
