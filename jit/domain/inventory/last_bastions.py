"""The Bastions that reach a VM, as last known if the lists may lack one only by a fault."""

from __future__ import annotations

from collections.abc import Collection, Mapping
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
    Return *vm* with the Bastions of *last* that are in doubt; each says since when it is.

    The lists lack a Bastion if it is not listed, or if its virtual network is not. It is kept for
    less than ``ABSENT_AFTER``. If the Bastions could not be read, all of *last* are kept. Those
    that are listed stand first.

    Args:
        vm: The VM as *snapshot* has it.
        last: The VM of the inventory; None if it has none.
        snapshot: Complete lists, except for the Bastions: they may be unread.
        now: Aware, UTC.
    """
    if last is None or not last.bastions:
        return vm
    if snapshot.bastions is None:
        unread = (replace(each, unread_since=each.unread_since or now) for each in last.bastions)
        return replace(vm, bastions=tuple(unread))
    hosts = {key(host): host for host in snapshot.bastions}
    networks = frozenset(key(vnet) for vnet in snapshot.networks)
    listed = vm.bastions or ()
    found = {arm_ids.key(each.id) for each in listed}
    kept = (
        replace(each, lacked_since=each.lacked_since or now, unread_since=None)
        for each in last.bastions
        if arm_ids.key(each.id) not in found
        if _is_lacked(each, hosts, networks) and not _is_proved_gone(each, now)
    )
    return replace(vm, bastions=(*listed, *kept))


def _is_proved_gone(bastion: Bastion, now: datetime) -> bool:
    since = bastion.lacked_since
    return since is not None and Absence(key=bastion.id, since=since).is_proved(now)


def _is_lacked(bastion: Bastion, hosts: Mapping[str, Resource], networks: Collection[str]) -> bool:
    """Return True if the lists lack *bastion* itself, or else its virtual network."""
    host = hosts.get(arm_ids.key(bastion.id))
    if host is None:
        return True
    return any(arm_ids.key(each) not in networks for each in list_network_ids(host))
