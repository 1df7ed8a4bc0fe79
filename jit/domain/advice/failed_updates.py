"""Warnings about NSGs and firewalls on the path to a VM whose last update failed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from jit.domain.azure import arm_json
from jit.domain.azure.arm_json import Resource
from jit.domain.model.machine import MachineWarning, VirtualMachine
from jit.domain.paths.effective import explain_failed_firewall, explain_failed_nsg
from jit.domain.paths.rules import list_holders
from jit.domain.values import arm_ids

UPDATE_CODES = frozenset({"update-failed"})

_EFFECT = (
    "until then other rules may be in force than the listed ones, and no path newly becomes open"
)


def find_failed(nsgs: Iterable[Resource], firewalls: Iterable[Resource]) -> dict[str, str]:
    """Return, by key, the reason and the action to take for each one whose last update failed."""
    return {
        arm_json.key(item): explain(arm_json.text(item, "id"))
        for items, explain in ((nsgs, explain_failed_nsg), (firewalls, explain_failed_firewall))
        for item in items
        if arm_json.read_provisioning_state(item) == "Failed"
    }


def find_update_warnings(vm: VirtualMachine, failed: Mapping[str, str]) -> Iterator[MachineWarning]:
    """Yield a warning for each NSG and firewall on the path to *vm* that is among *failed*."""
    for key in dict.fromkeys(map(arm_ids.key, list_holders(vm))):
        if key in failed:
            yield MachineWarning(code="update-failed", detail=f"{failed[key]}: {_EFFECT}")
