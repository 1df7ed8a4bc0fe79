"""Field types of a network path: the VM, its ports, the sources."""

from __future__ import annotations

from collections.abc import Sequence

from jit.domain.limits import Limits
from jit.domain.model.bastion import BY_BASTION
from jit.domain.requests.fields import Choice, Items, ReadContext, Schema, parse_text
from jit.domain.requests.json_node import Node
from jit.domain.values import prefixes
from jit.domain.values.arm_ids import VmId, key, parse_vm_id
from jit.domain.values.prefixes import Prefix

DUPLICATE_VM = "duplicate-vm"
PORT_OUT_OF_RANGE = "port-out-of-range"
PROTOCOL_UNKNOWN = "protocol-unknown"
DUPLICATE_PORT = "duplicate-port"
DUPLICATE_SOURCE = "duplicate-source"
SOURCE_OVERLAP = "source-overlap"
SOURCE_FAMILIES = "source-families"
VIA_UNKNOWN = "via-unknown"

LAST_PORT = 65_535

_PREFIX = "[0-9A-Fa-f:.]+(/[0-9]{1,3})?"


class UniqueVmId:
    """The ARM id of a VM, once in its list, in any case."""

    def read(self, node: Node, context: ReadContext) -> VmId | None:
        """Return the id; None also if an earlier item has it."""
        vm = parse_text(node, parse_vm_id)
        if vm is None or context.remember(key(vm.id)):
            return vm
        node.add_fault(DUPLICATE_VM, f"{vm.name} stands in the list already")
        return None

    def describe(self, _limits: Limits) -> Schema:
        """Return a pattern of eight segments: ids vary in case, and a pattern cannot."""
        text = (
            "ARM id of a virtual machine: /subscriptions/{uuid}/resourceGroups/{group}"
            "/providers/Microsoft.Compute/virtualMachines/{name}. Only once in the list."
        )
        return {"type": "string", "pattern": "^(/[^/]+){8}$", "description": text}


class UniquePort:
    """A port number, once in its list."""

    def read(self, node: Node, context: ReadContext) -> int | None:
        """Return the number; None also if an earlier item has it."""
        number = node.read_integer()
        if number is None:
            return None
        if not 1 <= number <= LAST_PORT:
            node.add_fault(PORT_OUT_OF_RANGE, f"a port lies between 1 and {LAST_PORT}")
            return None
        if context.remember(number):
            return number
        node.add_fault(DUPLICATE_PORT, f"port {number} stands in the list already")
        return None

    def describe(self, _limits: Limits) -> Schema:
        """Return the range."""
        text = "Only once in the list."
        return {"type": "integer", "minimum": 1, "maximum": LAST_PORT, "description": text}


class SourcePrefix:
    """An address or prefix that a caller wants to come from."""

    def read(self, node: Node, context: ReadContext) -> Prefix | None:
        """Return the prefix; each of its faults is noted."""
        text = node.read_text()
        if text is None:
            return None
        v4, v6 = context.limits.widest_source_v4, context.limits.widest_source_v6
        result = prefixes.parse_source(text, widest_v4=v4, widest_v6=v6)
        if not isinstance(result, tuple):
            return result
        for fault in result:
            node.add_fault(fault.code, str(fault))
        return None

    def describe(self, limits: Limits) -> Schema:
        """Return the characters of a prefix; the widest one is in the description."""
        v4, v6 = limits.widest_source_v4, limits.widest_source_v6
        text = f"One address or prefix; /{v4} (IPv6: /{v6}) is the widest accepted."
        return {"type": "string", "pattern": f"^{_PREFIX}$", "description": text}


class AllowedSources:
    """
    The sources that a JIT policy allows: ``["*"]``, or disjoint prefixes.

    A prefix may have any width except everything, which is written ``*``.
    """

    def read(self, node: Node, context: ReadContext) -> tuple[str, ...]:
        """Return the good ones as text."""
        items = node.read_items("allowed sources", most=context.limits.sources)
        if [item.value for item in items] == ["*"]:
            return ("*",)
        found: list[Prefix | None] = []
        for item in items:
            network = parse_text(item, prefixes.parse_allowed)
            found.append(keep_disjoint(item, network, found))
        return tuple(str(network) for network in found if network)

    def describe(self, limits: Limits) -> Schema:
        """Return a list of ``*`` or prefixes."""
        return {
            "type": "array",
            "minItems": 1,
            "maxItems": limits.sources,
            "items": {"type": "string", "pattern": rf"^(\*|{_PREFIX})$"},
            "description": 'Addresses and prefixes that do not overlap, or ["*"] for everything.',
        }


def keep_disjoint(
    node: Node, network: Prefix | None, earlier: Sequence[Prefix | None]
) -> Prefix | None:
    """Return *network*; if it shares an address with an *earlier* one, note it and return None."""
    for other in earlier:
        if network and other == network:
            node.add_fault(DUPLICATE_SOURCE, f"{network} stands in the list already")
            return None
        if network and other and network.overlaps(other):
            node.add_fault(SOURCE_OVERLAP, f"{network} overlaps {other}")
            return None
    return network


def keep_sources(
    node: Node, network: Prefix | None, earlier: Sequence[Prefix | None]
) -> Prefix | None:
    """
    Return *network*; note it and return None if one rule cannot have it beside an *earlier* one.

    Azure takes no rule with IPv4 and IPv6 prefixes (https://github.com/Azure/AKS/issues/3136).
    """
    if network and any(other and other.version != network.version for other in earlier):
        node.add_fault(SOURCE_FAMILIES, f"{network} is not of the family of the sources before it")
        return None
    return keep_disjoint(node, network, earlier)


VM_ID = UniqueVmId()
MACHINES = Items("virtual machines", most="machines")
PORT_NUMBER = UniquePort()
PORTS = Items("ports", most="ports")
PROTOCOL = Choice(("TCP", "UDP", "*"), PROTOCOL_UNKNOWN, "a protocol is TCP, UDP or *")
SOURCE = SourcePrefix()
SOURCES = Items("sources", most="sources", compare=keep_sources)
ALLOWED_SOURCES = AllowedSources()
VIA = Choice((BY_BASTION,), VIA_UNKNOWN, f"the only way that a request may name is {BY_BASTION}")
