"""
A JIT policy as raw JSON: how to read it, and how to change it for some of its VMs.

A PUT replaces all VMs of a policy, and there is no ETag. To change one VM, we send back everything
else as it was read: other VMs, ``requests``, and fields that this code does not know
(Microsoft.Security 2020-01-01; https://github.com/MicrosoftDocs/azure-docs/issues/36343).
"""

from __future__ import annotations

from collections.abc import Collection, Container, Iterable, Mapping, Sequence
from datetime import timedelta

from jit.domain.azure import arm_json
from jit.domain.azure.arm_json import Resource
from jit.domain.azure.port_rules import find_policy_faults, parse_port_rules
from jit.domain.model.machine import PortRule
from jit.domain.model.policy_entry import PolicyEntry
from jit.domain.values import arm_ids
from jit.domain.values.prefixes import read_prefix
from jit.domain.values.times import format_duration

Rules = Mapping[str, Sequence[PortRule]]
"""Port rules by the ARM id of their VM."""

_OURS = {
    "number",
    "protocol",
    "allowedSourceAddressPrefix",
    "allowedSourceAddressPrefixes",
    "maxRequestAccessDuration",
}
_Rule = tuple[int, str, frozenset[str], timedelta]


def set_port_rules(policy: Resource | None, rules: Rules) -> dict[str, object]:
    """
    Return *policy* with *rules* as the port rules of their VMs.

    Everything else stays as it was read: other VMs, the order, unknown fields of the policy, of an
    entry, and of a port that keeps its number. None as *policy* makes a new policy.
    """
    wanted = {arm_ids.key(vm_id): (vm_id, ports) for vm_id, ports in rules.items()}
    entries = [
        _entry(item, wanted.pop(key)[1]) if (key := _key(item)) in wanted else item
        for item in _items(policy)
    ]
    entries += [_entry({"id": vm_id}, ports) for vm_id, ports in wanted.values()]
    return _replace_entries(policy, entries)


def remove_machines(policy: Resource, gone: Iterable[str]) -> dict[str, object]:
    """Return *policy* without the VMs with the ids *gone*."""
    keys = {arm_ids.key(vm_id) for vm_id in gone}
    return _replace_entries(policy, [item for item in _items(policy) if _key(item) not in keys])


def group_entries(policy: Resource | None) -> dict[str, Resource]:
    """Return the VM entries of a policy by the key of their VM."""
    return {_key(item): item for item in _items(policy) if isinstance(item, Mapping)}


def has_list(policy: Resource) -> bool:
    """Return True if *policy* has a list of VMs."""
    return arm_json.array(arm_json.properties(policy), "virtualMachines") is not None


def is_readable(policy: Resource) -> bool:
    """Return True if *policy* has a list of VMs, and no member ``requests`` that is not a list."""
    body = arm_json.properties(policy)
    has_requests = body.get("requests") is None or arm_json.array(body, "requests") is not None
    return has_list(policy) and has_requests


def has_nameless_entry(policy: Resource) -> bool:
    """Return True if an item in the list of *policy* does not name its VM."""
    return not all(map(_key, _items(policy)))


def may_name_more(policy: Resource) -> bool:
    """
    Return True if *policy* may name VMs that its list lacks.

    Azure is changing it, its list cannot be read, or an item does not say which VM it is about.
    """
    is_settled = arm_json.read_provisioning_state(policy) in ("", "Succeeded")
    return not is_settled or not has_list(policy) or has_nameless_entry(policy)


def read_entries(policy: Resource | None, wanted: Container[str]) -> dict[str, PolicyEntry]:
    """
    Return the entries of *policy* for the VMs *wanted*, by the key of the VM.

    A VM that it does not name is missing. A VM that it names twice has a fault.
    """
    found: dict[str, list[Resource]] = {}
    for item in arm_json.mappings(arm_json.properties(policy or {}), "virtualMachines"):
        if _key(item) in wanted:
            found.setdefault(_key(item), []).append(item)
    return {
        key: PolicyEntry(
            ports=tuple(parse_port_rules(items[-1])),
            faults=tuple(find_policy_faults([(policy or {}, item) for item in items])),
        )
        for key, items in found.items()
    }


def find_differences(one: Resource | None, other: Resource | None) -> tuple[str, ...]:
    """
    Return the sorted keys of the VMs that have different port rules in two policies.

    None is a policy without VMs. Azure may write the same rules in another way, so these make no
    difference: the order of ports and sources, the spelling of a prefix or a duration, and fields
    that are not part of a rule.
    """
    mine, theirs = _rules_by_machine(one), _rules_by_machine(other)
    return tuple(
        sorted(key for key in mine.keys() | theirs.keys() if mine.get(key) != theirs.get(key))
    )


def find_policies(policies: Iterable[Resource], vm_id: str) -> list[Resource]:
    """Return the policies that name a VM: one in Defender, but a list may be out of date."""
    key = arm_ids.key(vm_id)
    return [policy for policy in policies if key in group_entries(policy)]


def _items(policy: Resource | None) -> list[object]:
    return list(arm_json.array(arm_json.properties(policy or {}), "virtualMachines") or ())


def _key(item: object) -> str:
    return arm_json.key(item) if isinstance(item, Mapping) else ""


def _replace_entries(policy: Resource | None, items: Sequence[object]) -> dict[str, object]:
    before = policy or {"kind": "Basic"}
    return {
        **before,
        "properties": {**arm_json.properties(before), "virtualMachines": list(items)},
    }


def _entry(item: object, rules: Sequence[PortRule]) -> dict[str, object]:
    before = item if isinstance(item, Mapping) else {}
    ports = {arm_json.number(port, "number"): port for port in arm_json.mappings(before, "ports")}
    return {**before, "ports": [_port(ports.get(rule.number, {}), rule) for rule in rules]}


def _port(before: Resource, rule: PortRule) -> dict[str, object]:
    """Write one port; one source goes into the singular member, several into the plural one."""
    sources = [_drop_full_length(source) for source in rule.allowed_sources]
    where: dict[str, object] = (
        {"allowedSourceAddressPrefix": sources[0]}
        if len(sources) == 1
        else {"allowedSourceAddressPrefixes": sources}
    )
    return {
        **{name: value for name, value in before.items() if name not in _OURS},
        "number": rule.number,
        "protocol": rule.protocol,
        **where,
        "maxRequestAccessDuration": format_duration(rule.max_duration),
    }


def _drop_full_length(source: str) -> str:
    """
    Write a single address without its length, as an initiate writes it.

    Defender has refused an initiate because its prefix was written differently in the policy
    (https://github.com/MicrosoftDocs/azure-docs/issues/53026).
    """
    address, _, length = source.partition("/")
    return address if length == ("128" if ":" in address else "32") else source


def _rules_by_machine(policy: Resource | None) -> dict[str, frozenset[_Rule]]:
    return {key: frozenset(_rules(entry)) for key, entry in group_entries(policy).items()}


def _rules(entry: Resource) -> Collection[_Rule]:
    return [
        (
            rule.number,
            rule.protocol,
            frozenset(_normalise(source) for source in rule.allowed_sources),
            rule.max_duration,
        )
        for rule in parse_port_rules(entry)
    ]


def _normalise(source: str) -> str:
    prefix = read_prefix(source)
    return source if prefix is None else str(prefix)
