"""
Values that several bodies share, read from where they stand.

A reader takes the `Node` of a field, or None where the field is missing; it notes every fault at
the node and returns what is good.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from datetime import datetime, timedelta
from typing import TypeVar

from jit.domain.errors import Malformed
from jit.domain.jsonvalue import Node
from jit.domain.limits import Limits
from jit.domain.values import prefixes
from jit.domain.values.arm_ids import VmId, key, parse_vm_id
from jit.domain.values.prefixes import Prefix
from jit.domain.values.times import format_duration, format_instant, parse_duration, parse_instant

TEXT_TOO_SHORT = "text-too-short"
TEXT_TOO_LONG = "text-too-long"
TEXT_NOT_ONE_LINE = "text-not-one-line"
TEXT_HIDDEN_CHARACTER = "text-hidden-character"
DUPLICATE_VM = "duplicate-vm"
SUBSCRIPTIONS_DIFFER = "subscriptions-differ"
PORT_OUT_OF_RANGE = "port-out-of-range"
PROTOCOL_UNKNOWN = "protocol-unknown"
DUPLICATE_PORT = "duplicate-port"
DUPLICATE_SOURCE = "duplicate-source"
SOURCE_OVERLAP = "source-overlap"
DURATION_TOO_SHORT = "duration-too-short"
DURATION_TOO_LONG = "duration-too-long"
START_IN_PAST = "start-in-past"
START_TOO_FAR = "start-too-far"

PROTOCOLS = ("TCP", "UDP", "*")
LAST_PORT = 65_535

_NOT_ONE_LINE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
# Bidirectional controls, zero-width and filler characters, tags, half surrogate pairs: whoever
# reads the audit trail must see all of it. U+200C and U+200D stay: scripts and emoji need them.
_HIDDEN = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b\u200e\u200f\u202a-\u202e"
    "\u2060-\u206f\u3164\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff\ud800-\udfff\U000e0000-\U000e0fff]"
)

T = TypeVar("T")


def parsed(node: Node | None, parse: Callable[[str], T]) -> T | None:
    """Read a string that *parse* takes, or note its `Malformed`."""
    text = node.text() if node else None
    if node is None or text is None:
        return None
    try:
        return parse(text)
    except Malformed as fault:
        node.fault(fault.code, str(fault))
        return None


def line(node: Node | None, least: int, most: int) -> str | None:
    """
    Read one visible line of *least* to *most* characters; spaces at its ends do not count.

    Characters are Unicode code points. Control characters, line breaks of any kind, and
    characters that hide or reorder others are refused.
    """
    text = node.text() if node else None
    if node is None or text is None:
        return None
    before = len(node.faults)
    if _NOT_ONE_LINE.search(text):
        node.fault(TEXT_NOT_ONE_LINE, "must be one line, without control characters")
    if _HIDDEN.search(text):
        node.fault(TEXT_HIDDEN_CHARACTER, "must not hold invisible or reordering characters")
    text = text.strip()
    if len(text) < least:
        node.fault(TEXT_TOO_SHORT, f"{len(text)} characters; at least {least} are required")
    if len(text) > most:
        node.fault(TEXT_TOO_LONG, f"{len(text)} characters; at most {most} are accepted")
    return text if len(node.faults) == before else None


def each_vm(
    node: Node | None, known: Collection[str], limits: Limits
) -> Iterator[tuple[Node, VmId | None, dict[str, Node]]]:
    """
    Read a list of objects that name a VM each by ``id``, VMs unique.

    Yields:
        The object's node, its id (None if faulty or there already), its *known* fields.
    """
    seen: set[str] = set()
    for item in node.items("virtual machines", most=limits.machines) if node else ():
        fields = item.fields(known)
        vm = parsed(fields.get("id"), parse_vm_id)
        if vm and key(vm.id) in seen:
            item.child("id").fault(DUPLICATE_VM, f"{vm.name} stands in the list already")
            vm = None
        if vm:
            seen.add(key(vm.id))
        yield item, vm, fields


def each_port(
    node: Node | None, required: Collection[str], optional: Collection[str], limits: Limits
) -> Iterator[tuple[Node, int | None, dict[str, Node]]]:
    """
    Read a list of objects that hold a port each as ``number``, numbers unique.

    Yields:
        The object's node, its number (None if faulty or there already), its known fields.
    """
    seen: set[int] = set()
    for item in node.items("ports", most=limits.ports) if node else ():
        fields = item.fields(required, optional)
        number = port_number(fields.get("number"))
        if number in seen:
            item.child("number").fault(DUPLICATE_PORT, f"port {number} stands in the list already")
            number = None
        if number:
            seen.add(number)
        yield item, number, fields


def port_number(node: Node | None) -> int | None:
    """Read 1 to 65535."""
    number = node.integer() if node else None
    if node and number is not None and not 1 <= number <= LAST_PORT:
        node.fault(PORT_OUT_OF_RANGE, f"a port lies between 1 and {LAST_PORT}")
        return None
    return number


def protocol(node: Node | None) -> str | None:
    """Read ``TCP``, ``UDP`` or ``*``."""
    text = node.text() if node else None
    if node and text is not None and text not in PROTOCOLS:
        node.fault(PROTOCOL_UNKNOWN, "a protocol is TCP, UDP or *")
        return None
    return text


def source_list(node: Node | None, limits: Limits) -> tuple[Prefix | None, ...]:
    """Read the places traffic may come from, disjoint; None where an entry is faulty."""
    found: list[Prefix | None] = []
    for item in node.items("sources", most=limits.sources) if node else ():
        network = _source(item, limits)
        found.append(network if network and _clear(item, network, found) else None)
    return tuple(found)


def _source(node: Node, limits: Limits) -> Prefix | None:
    text = node.text()
    if text is None:
        return None
    result = prefixes.parse_source(
        text, widest_v4=limits.widest_source_v4, widest_v6=limits.widest_source_v6
    )
    if not isinstance(result, tuple):
        return result
    for fault in result:
        node.fault(fault.code, str(fault))
    return None


def allowed_sources(node: Node | None, limits: Limits) -> tuple[str, ...]:
    """
    Read where a JIT policy lets requests come from: ``["*"]``, or disjoint prefixes.

    A prefix may be as wide as it likes short of everything, for which ``*`` is the word.
    """
    items = node.items("allowed sources", most=limits.sources) if node else []
    if [item.value for item in items] == ["*"]:
        return ("*",)
    found: list[Prefix | None] = []
    for item in items:
        network = parsed(item, prefixes.parse_allowed)
        found.append(network if network and _clear(item, network, found) else None)
    return tuple(str(network) for network in found if network)


def _clear(node: Node, network: Prefix, others: list[Prefix | None]) -> bool:
    """Tell whether *network* shares no address with *others*; note it at *node* if it does."""
    for other in others:
        if other == network:
            node.fault(DUPLICATE_SOURCE, f"{network} stands in the list already")
            return False
        if other and network.overlaps(other):
            node.fault(SOURCE_OVERLAP, f"{network} overlaps {other}")
            return False
    return True


def span(node: Node | None, limits: Limits) -> timedelta | None:
    """Read a duration within the contract's limits: 5 minutes to 24 hours."""
    length = parsed(node, parse_duration)
    if node is None or length is None:
        return None
    if length < limits.shortest:
        node.fault(DURATION_TOO_SHORT, f"the shortest is {format_duration(limits.shortest)}")
        return None
    if length > limits.longest:
        node.fault(DURATION_TOO_LONG, f"the longest is {format_duration(limits.longest)}")
        return None
    return length


def start(node: Node | None, now: datetime, limits: Limits) -> datetime | None:
    """Read when access shall start: from *now* (with some grace) to the horizon."""
    instant = parsed(node, parse_instant)
    if node is None or instant is None:
        return None
    if instant < now - limits.start_grace:
        node.fault(START_IN_PAST, f"a start lies in the future; it is {format_instant(now)}")
        return None
    if instant > now + limits.start_horizon:
        horizon = format_instant(now + limits.start_horizon)
        node.fault(START_TOO_FAR, f"the latest start accepted now is {horizon}")
        return None
    return instant
