"""
The VMs of a subscription's lists, completed by the inventory if a list is too short.

One list of Azure may be short or empty by a fault. A resource that the lists lack counts as deleted
if lists at least `ABSENT_AFTER` apart lack it. Until then a VM stays as it was last known.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime

from jit.domain.azure import policy_json
from jit.domain.azure.arm_json import Resource, key
from jit.domain.inventory.last_bastions import keep_last_bastions
from jit.domain.inventory.topology import Snapshot, find_references, judge_support
from jit.domain.model.absence import Absence
from jit.domain.model.machine import Support, VirtualMachine
from jit.domain.values import arm_ids

_NSGS = "/networksecuritygroups/"


def keep_last_known(
    found: Mapping[str, VirtualMachine],
    snapshot: Snapshot,
    last: Iterable[VirtualMachine],
    *,
    now: datetime,
) -> dict[str, VirtualMachine]:
    """
    Return the VMs of complete lists, with all that may only be missing by a fault.

    A VM refers to its interfaces, and these to their networks and public addresses. If the lists
    lack one of them, or the firewall or JIT policy that the VM had, this part of the VM stays as
    last known. An NSG that the lists lack keeps its place on the path, and nothing is known about
    its rules. A Bastion that the lists lack still reaches the VM; see `keep_last_bastions`.

    Args:
        found: The VMs of *snapshot*, by key.
        snapshot: Complete lists.
        last: The VMs of the inventory that the lists should have.
        now: Aware, UTC.

    Returns:
        VMs by key; ``absences`` has the resources that were missed.
    """
    before = {arm_ids.key(vm.id): vm for vm in last}
    listed = _find_listed(snapshot)
    references = _find_references(snapshot)
    complete = {
        name: _complete(vm, before.get(name), references[name], listed, now)
        for name, vm in found.items()
    }
    complete = {
        name: keep_last_bastions(vm, before.get(name), snapshot, now)
        for name, vm in complete.items()
    }
    missed = (_miss(vm, now) for name, vm in before.items() if name not in found)
    return complete | {arm_ids.key(vm.id): vm for vm in missed if vm is not None}


def _find_listed(snapshot: Snapshot) -> frozenset[str]:
    """
    Return the keys of all resources of a snapshot, except for NSGs.

    A JIT policy that may name more VMs than its list has is no proof about the VMs that it lacks.
    """
    lists = (snapshot.interfaces, snapshot.networks, snapshot.public_ips)
    policies = [each for each in snapshot.policies if not policy_json.may_name_more(each)]
    owners = (snapshot.firewalls, policies)
    return frozenset(key(item) for items in (*lists, *owners) for item in items)


def _find_references(snapshot: Snapshot) -> dict[str, frozenset[str]]:
    """Return the keys that each VM and its interfaces refer to, except for NSGs, by VM key."""
    nics = {key(nic): nic for nic in snapshot.interfaces}
    return {key(vm): frozenset(_list_references(vm, nics)) for vm in snapshot.machines}


def _list_references(vm: Resource, nics: Mapping[str, Resource]) -> Iterator[str]:
    for nic_key in filter(None, map(arm_ids.key, find_references(vm))):
        yield nic_key
        for reference in map(arm_ids.key, find_references(nics.get(nic_key, {}))):
            if reference and _NSGS not in reference:
                yield reference


def _complete(
    vm: VirtualMachine,
    last: VirtualMachine | None,
    references: Collection[str],
    listed: Collection[str],
    now: datetime,
) -> VirtualMachine:
    """Return a VM of the lists with the parts of *last* that only a fault may hide."""
    lacked = sorted(each for each in references if each not in listed)
    if last is None:
        return replace(vm, absences=_note(lacked, (), now))
    lost = [each for each in _list_owners(vm, last) if each not in listed]
    absences = _note(dict.fromkeys((*lacked, *lost)), last.absences, now)
    doubts = frozenset(each.key for each in absences if not each.is_proved(now))
    # a firewall or policy that is gone leaves the VM, and no list is asked for it any more
    kept = tuple(each for each in absences if each.key in references or each.key in doubts)
    return replace(_keep_parts(vm, last, doubts), absences=kept)


def _list_owners(vm: VirtualMachine, last: VirtualMachine) -> Iterator[str]:
    """Yield the keys of the firewall and the JIT policy of *last* that the lists should have."""
    if last.firewall_id and vm.firewall_id is None:  # another firewall is no gap in a list
        yield arm_ids.key(last.firewall_id)
    if last.policy_id and arm_ids.key(last.policy_id) != arm_ids.key(vm.policy_id or ""):
        yield arm_ids.key(last.policy_id)


def _note(lacked: Iterable[str], known: Iterable[Absence], now: datetime) -> tuple[Absence, ...]:
    """Return the absences of the keys *lacked*, each since its first one."""
    since = {each.key: each.since for each in known}
    return tuple(Absence(key=each, since=since.get(each, now)) for each in lacked)


def _keep_parts(
    vm: VirtualMachine, last: VirtualMachine, doubts: Collection[str]
) -> VirtualMachine:
    """Return *vm* with the path and the policy of *last*, as far as they are in doubt."""
    if not doubts:
        return vm
    policy_key = arm_ids.key(last.policy_id or "")
    policy = last if policy_key in doubts else vm
    path = last if any(each != policy_key for each in doubts) else vm
    faults = path.reasons if path.support is Support.UNSUPPORTED else ()
    support, reasons = judge_support(policy.policy_id, faults)
    return replace(
        path,
        name=vm.name,
        location=vm.location,
        support=support,
        reasons=reasons,
        policy_id=policy.policy_id,
        ports=policy.ports,
        policy_faults=policy.policy_faults,
        occupations=policy.occupations,
        warnings=last.warnings,
        obstacles=last.obstacles,
        is_in_doubt=True,
    )


def _miss(last: VirtualMachine, now: datetime) -> VirtualMachine | None:
    """Return a VM that the list of VMs lacks as last known; None if it counts as deleted."""
    (absence,) = _note([arm_ids.key(last.id)], last.absences, now)
    if absence.is_proved(now):
        return None
    return replace(last, absences=(absence,), is_in_doubt=True)
