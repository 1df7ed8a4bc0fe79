"""The Bastions that reach a VM, as last known if the lists may lack one only by a fault."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime

from jit.domain.azure.arm_json import Resource, key
from jit.domain.inventory.bastions import list_network_ids
from jit.domain.inventory.topology import Snapshot
from jit.domain.model.absence import Absence
from jit.domain.model.bastion import Bastion
from jit.domain.model.machine import VirtualMachine
from jit.domain.values import arm_ids


def keep_last_bastions(
    vm: VirtualMachine, last: VirtualMachine | None, snapshot: Snapshot, now: datetime
) -> VirtualMachine:
    """
    Return *vm* with the Bastions of *last* that the lists lack for less than ``ABSENT_AFTER``.

    A Bastion is lacked if it is not listed, or if its virtual network is not. Those that are
    listed stand first. A list of Bastions that could not be read says nothing: none are known then.

    Args:
        vm: The VM as *snapshot* has it.
        last: The VM of the inventory; None if it has none.
        snapshot: Complete lists.
        now: Aware, UTC.
    """
    if last is None or not last.bastions or vm.bastions is None or snapshot.bastions is None:
        return vm
    hosts = {key(host): host for host in snapshot.bastions}
    networks = frozenset(key(vnet) for vnet in snapshot.networks)
    found = {arm_ids.key(each.id) for each in vm.bastions}
    since = {each.key: each.since for each in last.absences}
    kept, absences = [], {each.key: each for each in vm.absences}
    for bastion in last.bastions:
        if arm_ids.key(bastion.id) in found:
            continue
        for lacked in _list_lacked(bastion, hosts, networks):
            absence = Absence(key=lacked, since=since.get(lacked, now))
            if not absence.is_proved(now):
                kept.append(bastion)
                absences.setdefault(lacked, absence)
    if not kept:
        return vm
    return replace(vm, bastions=(*vm.bastions, *kept), absences=tuple(absences.values()))


def _list_lacked(
    bastion: Bastion, hosts: Mapping[str, Resource], networks: frozenset[str]
) -> Iterator[str]:
    """Yield the key that the lists lack: of *bastion* itself, or else of its virtual network."""
    own = arm_ids.key(bastion.id)
    if own not in hosts:
        yield own
        return
    yield from (
        each for each in map(arm_ids.key, list_network_ids(hosts[own])) if each not in networks
    )
