"""The resources that the grants of one JIT policy depend on: which to read, how to view them."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime

from jit.domain.azure import arm_json, defender_requests, policy_json
from jit.domain.azure.arm_json import Resource
from jit.domain.azure.port_rules import explain_entries
from jit.domain.grants.policy_view import PolicyView, name_entry
from jit.domain.inventory import topology
from jit.domain.inventory.bastions import list_network_ids
from jit.domain.model.machine import PolicyFault, PolicyField, VirtualMachine
from jit.domain.model.policy_entry import PolicyEntry
from jit.domain.paths.machine_view import (
    FirewallView,
    NsgView,
    view_firewall,
    view_machine,
    view_nsg,
)
from jit.domain.values import arm_ids
from jit.observer.reads import Read, kind_of

_SETTLED = {"provisioningState": "Succeeded"}
_MOST_NOTED = 200
"""So many entries that a policy lacks are noted at once: one column of a row has all notes."""
_UNREAD_LIST = "the list of VMs in its JIT policy cannot be read, or Azure is changing it"


def predict_reads(vm: VirtualMachine, deciding: bool) -> Iterable[str]:
    """
    Yield the ids of the resources to read for a VM, as the inventory knows it.

    Only for a VM of *deciding* the VM itself, its interfaces and networks are read again, and the
    Bastions that *vm* names.
    """
    yield from (nsg_id for nic in vm.interfaces for nsg_id in nic.nsg_ids)
    if vm.firewall_id:
        yield vm.firewall_id
    if not deciding:
        return
    yield vm.id
    for nic in vm.interfaces:
        yield nic.id
        yield nic.subnet_id.rsplit("/subnets/", 1)[0]
        if nic.public_ip_id:
            yield nic.public_ip_id
    yield from (bastion.id for bastion in vm.bastions or ())


HOLDERS = frozenset({"nsgs", "firewalls"})
"""Kinds of resources that hold rules: if one does not exist, its rules are gone."""


def find_missing_reads(read: Read, predicted: Mapping[str, VirtualMachine]) -> Iterable[str]:
    """Yield the ids that the resources in *read* refer to, and the predicted firewalls."""
    for name in ("machines", "interfaces"):
        for resource in read.list_resources(name):
            yield from filter(None, topology.find_references(resource))
    subnets = [
        arm_json.read_reference(arm_json.properties(ip), "subnet")
        for nic in read.list_resources("interfaces")
        for ip in arm_json.mappings(arm_json.properties(nic), "ipConfigurations")
    ]
    for vnet in read.list_resources("networks"):
        yield from filter(None, topology.list_subnet_nsg_ids(vnet, subnets))
    yield from _list_bastion_networks(read)
    yield from (vm.firewall_id for vm in predicted.values() if vm.firewall_id)


def _list_bastion_networks(read: Read) -> list[str]:
    """Return the ids of the networks of the Bastions that were read: maybe peers of the VMs'."""
    hosts = read.list_resources("bastions")
    return [network_id for host in hosts for network_id in list_network_ids(host)]


def build_policy_view(
    policy: Resource | None,
    predicted: Mapping[str, VirtualMachine],
    deciding: frozenset[str],
    confirming: frozenset[str],
    read: Read,
    now: datetime,
) -> PolicyView:
    """
    Return the view of *policy* and of the VMs that its grants are on.

    A VM of *deciding* that was read only in part is unreadable, and so is one that the inventory
    knows in several JIT policies, because this look sees one policy only. Its view shows it as
    predicted. For a VM of *confirming* only security admin rules that were just read count as
    known.
    """
    snapshot = topology.Snapshot(
        machines=read.list_resources("machines"),
        interfaces=read.list_resources("interfaces"),
        networks=read.list_resources("networks"),
        firewalls=read.list_resources("firewalls"),
        public_ips=read.list_resources("public_ips"),
        policies=(policy,) if policy is not None else (),
        bastions=read.list_resources("bastions"),
    )
    fresh = topology.build_machines(snapshot, now=now)
    known = [key for key in predicted if key in deciding]
    unreadable = {key: why for key in known if (why := _explain_unread(key, predicted[key], read))}
    unreadable |= _find_unread_nsgs({key: fresh.get(key) for key in known}, unreadable, read)
    unreadable |= _find_doubts(fresh, {key: predicted[key] for key in known}, unreadable)
    entries = _read_entries(policy, predicted)
    unlisted = predicted.keys() - (entries or {}).keys()
    is_unclear = policy is not None and policy_json.may_name_more(policy)
    if is_unclear:
        unreadable = dict.fromkeys(unlisted.intersection(known), _UNREAD_LIST) | unreadable
    decidable = deciding - unreadable.keys()
    machines = {key: fresh[key] if key in decidable else vm for key, vm in predicted.items()}
    nsgs, firewalls = view_nsgs(read), view_firewalls(read)
    return PolicyView(
        found=policy is not None,
        entries=entries,
        doubted=frozenset(unlisted if is_unclear else ()),
        requests=defender_requests.parse_requests(policy) if policy is not None else (),
        machines={
            key: replace(
                view_machine(
                    vm, nsgs, firewalls, read.admin.find(vm.network_id, fresh=key in confirming)
                ),
                unread_bastions=_find_unread_bastions(predicted[key], read),
            )
            for key, vm in machines.items()
        },
        unreadable=unreadable,
        missing=frozenset(key for key in read.gone if kind_of(key) in HOLDERS),
    )


def _read_entries(
    policy: Resource | None, wanted: Container[str]
) -> Mapping[str, PolicyEntry] | None:
    """Return the entries of *policy*; None if nobody can tell which VMs it names."""
    if policy is None or not policy_json.has_list(policy):
        return None
    return policy_json.read_entries(policy, wanted)


def _find_unread_bastions(vm: VirtualMachine, read: Read) -> frozenset[str]:
    """Return the keys of the Bastions that *vm* names and that, or whose networks, were unread."""
    hosts = read.found.get("bastions", {})
    needed = {
        key: (key, *map(arm_ids.key, list_network_ids(hosts.get(key, {}))))
        for key in (arm_ids.key(bastion.id) for bastion in vm.bastions or ())
    }
    return frozenset(key for key, keys in needed.items() if not read.failed.keys().isdisjoint(keys))


def add_former_holders(
    view: PolicyView, recorded: Mapping[str, frozenset[str]], read: Read
) -> PolicyView:
    """Return *view* with the holders of *recorded* rules that its VMs do not name."""
    nsgs, firewalls = view_nsgs(read), view_firewalls(read)
    machines = dict(view.machines)
    for key, ids in recorded.items():
        if key in machines:
            machines[key] = replace(
                machines[key],
                former={each: nsgs[each] for each in ids if each in nsgs},
                former_firewalls=tuple(
                    firewalls[each] for each in sorted(ids) if each in firewalls
                ),
            )
    return replace(view, machines=machines)


def judge_absence(view: PolicyView, policy_id: str, missed: Container[str]) -> PolicyView:
    """
    Return *view* with the absence of its policy, if Azure did not find that.

    The policy counts as deleted, so that it has no entries, if a look of *missed* lacked it too. So
    does the entry of a VM that a policy lacks.
    """
    if view.found:
        return _judge_unlisted(view, policy_id, missed)
    is_deleted = arm_ids.row_hash(policy_id) in missed
    missing = view.missing | {arm_ids.key(policy_id)}
    return replace(view, missing=missing, entries={} if is_deleted else None)


def _judge_unlisted(view: PolicyView, policy_id: str, missed: Container[str]) -> PolicyView:
    """Return *view* with doubt about the VMs that its settled policy lacks for the first time."""
    if view.entries is None:
        return view
    unlisted = view.machines.keys() - view.entries.keys()
    noted = {
        key: name_entry(policy_id, key) for key in sorted(unlisted - view.doubted)[:_MOST_NOTED]
    }
    proved = {key for key, name in noted.items() if arm_ids.row_hash(name) in missed}
    return replace(
        view, doubted=frozenset(unlisted - proved), missing=view.missing.union(noted.values())
    )


def _explain_unread(key: str, predicted: VirtualMachine, read: Read) -> str:
    """
    Return the reason if a VM was read only in part; empty if all of it was read.

    The broker must not decide about half a VM: without its interface it looks unsupported, without
    its firewall it looks as if packets came another way.
    """
    vm = read.found.get("machines", {}).get(key)
    if vm is None:
        return read.failed.get(key, "the VM could not be read")
    keys = list(_find_dependencies(vm, read))
    firewall = arm_ids.key(predicted.firewall_id or "")
    if firewall in read.gone:  # one wrong 404 must not open another way; reconcile will find out
        return "its firewall was not found"
    return next((read.failed[item] for item in (*keys, firewall) if item in read.failed), "")


def _find_unread_nsgs(
    fresh: Mapping[str, VirtualMachine | None], unreadable: Container[str], read: Read
) -> dict[str, str]:
    """
    Return the VMs with an NSG that was not read, with the reason to wait.

    Nobody could see the path open, and nobody could see it gone after its end.
    """
    found: dict[str, str] = {}
    for key, vm in fresh.items():
        if vm is None or key in unreadable:
            continue
        ids = (arm_ids.key(nsg_id) for nic in vm.interfaces for nsg_id in nic.nsg_ids)
        unread = [each for each in ids if each in read.failed or each in read.gone]
        if unread:
            name = arm_ids.name(unread[0])
            found[key] = read.failed.get(unread[0], f"{name} was not found")
    return found


def _find_doubts(
    fresh: Mapping[str, VirtualMachine],
    known: Mapping[str, VirtualMachine],
    unreadable: Container[str],
) -> dict[str, str]:
    """
    Return the VMs that are in another JIT policy as well, with the reason to wait.

    A VM that is not in the policy of this look any more, or is or was in it twice, can be decided
    about: no other policy would change the answer.
    """
    found = {key: vm.find_policy_fault(None, PolicyField.ENTRIES) for key, vm in known.items()}
    return {
        key: f"its JIT policy is not understood: {fault.detail}; correct the policy"
        for key, fault in found.items()
        if fault is not None and key not in unreadable and _is_hidden(fault, fresh.get(key))
    }


def _is_hidden(fault: PolicyFault, vm: VirtualMachine | None) -> bool:
    """Return True if the policy that was read has one entry for *vm*, so *fault* needs another."""
    if vm is None or vm.policy_id is None:
        return False
    if vm.find_policy_fault(None, PolicyField.ENTRIES) is not None:
        return False
    twice = explain_entries([vm.policy_id])  # the policy was corrected since
    return fault.detail.lower() != twice.lower()


def _find_dependencies(vm: Resource, read: Read) -> Iterator[str]:
    """Yield the keys of a VM's interfaces, and of their networks and public IPs."""
    for nic_id in topology.find_references(vm):
        nic = read.found.get("interfaces", {}).get(arm_ids.key(nic_id))
        yield arm_ids.key(nic_id)
        for item in topology.find_references(nic) if nic is not None else ():
            if item and kind_of(item) != "nsgs":
                yield arm_ids.key(item)


def view_nsgs(read: Read) -> dict[str, NsgView]:
    """Return the NSGs that were read; an NSG that is absent has no rules any more."""
    found = {key: view_nsg(nsg) for key, nsg in read.found.get("nsgs", {}).items()}
    gone = (key for key in read.absent if kind_of(key) == "nsgs")
    return found | {key: NsgView(id=key, settled=True, rules=(), allows=()) for key in gone}


def view_firewalls(read: Read) -> dict[str, FirewallView]:
    """Return the firewalls that were read; a firewall that is absent has no rules any more."""
    found = {key: view_firewall(body) for key, body in read.found.get("firewalls", {}).items()}
    gone = (key for key in read.absent if kind_of(key) == "firewalls")
    return found | {key: view_firewall({"id": key, "properties": _SETTLED}) for key in gone}
