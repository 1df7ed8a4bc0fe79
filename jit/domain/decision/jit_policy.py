"""
Decision by the JIT policy: may a caller have the VM ports of a request?

The broker decides when it accepts a request, and again when a grant opens. A VM that is not known,
a port without a rule, or a prefix that cannot be read is never allowed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime

from jit.domain.decision.bastion_access import (
    VIA,
    check_bastion,
    check_bastion_port,
    is_stopped_by,
    join_sources,
    list_bastion_sources,
)
from jit.domain.decision.verdict import Finding, FindingKind
from jit.domain.decision.wanted_access import WantedAccess, list_sources
from jit.domain.errors import Violation
from jit.domain.limits import LIMITS, Limits
from jit.domain.model.machine import (
    INTERNET,
    LONGEST_NAMES,
    PolicyFault,
    PolicyField,
    PortRule,
    Support,
    Via,
    VirtualMachine,
)
from jit.domain.model.request import WantedMachine, WantedPort
from jit.domain.values import arm_ids, prefixes
from jit.domain.values.json_pointer import ROOT, at
from jit.domain.values.listing import list_few
from jit.domain.values.prefixes import Prefix, Prefixes
from jit.domain.values.times import format_duration, format_instant

VM_NOT_FOUND = "vm-not-found"
VM_UNSUPPORTED = "vm-unsupported"
NO_JIT_POLICY = "no-jit-policy"
PORT_NOT_IN_POLICY = "port-not-in-policy"
PROTOCOL_NOT_IN_POLICY = "protocol-not-in-policy"
SOURCE_NOT_ALLOWED = "source-not-allowed"
SOURCE_NOT_PUBLIC = "source-not-public"
SOURCE_NOT_PRIVATE = "source-not-private"
IPV6_NOT_ALLOWED = "ipv6-not-allowed"
POLICY_NOT_UNDERSTOOD = "policy-not-understood"
DURATION_TOO_LONG = "duration-too-long"
DURATION_TOO_SHORT = "duration-too-short"
NAMES_TOO_LONG = "names-too-long"
OCCUPIED = "occupied"

VM_IDS = "GET virtual-machines lists the ids"
MY_ADDRESS = "GET my-address shows the caller's address"
ADD_SUBNET = "an operator can add the Bastion's subnet to it"
"""Next steps of a caller, at the end of a sentence."""

_DURATION = at(ROOT, "duration")
_NAMED_PORTS = 10

_TOO_LONG = (
    "the names of {name} and its JIT policy have more characters together than Defender takes, "
    "{most}, so it could never write the rule: an operator can use a policy with a shorter name"
)
_NO_WAY = (
    "{source} is public, but {name} has private addresses only: no path from the internet to it is "
    "known; ask for the private address that you come from (a VPN), or for the way of a Bastion "
    '("via": "bastion")'
)


def decide(
    access: WantedAccess,
    machines: Mapping[str, VirtualMachine],
    *,
    now: datetime,
    limits: Limits = LIMITS,
) -> tuple[Finding, ...]:
    """
    Return every reason to refuse *access*.

    A source is allowed if it is inside one of the rule's prefixes: a single address inside an
    allowed /24 is enough. The tag ``Internet`` contains each public address. IPv6 is allowed only
    if the rule names an IPv6 prefix (people write ``*`` with IPv4 in mind), and never through an
    Azure Firewall, which has no IPv6. A part of a policy that is not understood allows nothing. A
    port is occupied if a foreign request for it lasts beyond the start, unless its sources are the
    same. A port with an obstacle could not open to the sources that it stops, so these are refused
    now. If *access* asks for a Bastion, the prefixes of its subnet are sources as well.

    Args:
        access: Its pointers name the places of faults.
        machines: The VMs of the inventory, by `arm_ids.key` of the id.
        now: Aware.
        limits: The contract's numbers.

    Returns:
        In the order of the wanted access's machines. No finding means that *access* may be granted.
    """
    return tuple(_check_machines(access, machines, now=now, limits=limits))


def find_effective_protocol(asked: str | None, rule: PortRule) -> str | None:
    """
    Return the protocol that a grant under *rule* shows, or None if *asked* is not allowed.

    An initiate has no protocol, so Defender opens the rule's protocol. If the rule is for ``*``, a
    request for ``TCP`` or ``UDP`` is accepted and shown as ``*``. Any other difference is refused.
    """
    return rule.protocol if asked in {None, rule.protocol} or rule.protocol == "*" else None


def _check_machines(
    access: WantedAccess,
    machines: Mapping[str, VirtualMachine],
    *,
    now: datetime,
    limits: Limits,
) -> Iterator[Finding]:
    for wanted in access.machines:
        machine = machines.get(arm_ids.key(wanted.id))
        yield from _check_machine(access, wanted, machine, now=now, limits=limits)


def _check_machine(
    access: WantedAccess,
    wanted: WantedMachine,
    machine: VirtualMachine | None,
    *,
    now: datetime,
    limits: Limits,
) -> Iterator[Finding]:
    here = at(wanted.pointer, "id")
    if not limits.allows_subscription(arm_ids.subscription(wanted.id)):
        where = "is in a subscription that the broker does not look after"
        detail = f"{arm_ids.name(wanted.id)} {where}: {VM_IDS}"
        yield _policy_finding(here, VM_NOT_FOUND, detail)
    elif machine is None:
        detail = f"{arm_ids.name(wanted.id)} is not among the VMs the broker sees: {VM_IDS}"
        yield _policy_finding(here, VM_NOT_FOUND, detail)
    elif machine.support is Support.UNSUPPORTED:
        why = "; ".join(machine.reasons)
        yield _policy_finding(here, VM_UNSUPPORTED, f"{machine.name} cannot be served: {why}")
    elif machine.support is Support.NOT_CONFIGURED:
        detail = f"{machine.name} is in no JIT policy: an operator can put it into one"
        yield _policy_finding(here, NO_JIT_POLICY, detail)
    elif fault := machine.find_policy_fault(None, PolicyField.ENTRIES):
        yield _refuse_unclear(here, machine.name, fault)
    elif not machine.names_fit:
        yield _policy_finding(
            here, NAMES_TOO_LONG, _TOO_LONG.format(name=machine.name, most=LONGEST_NAMES)
        )
    else:
        yield from _check_path(access, machine, limits)
        yield from check_bastion(access, machine, limits)
        for port in wanted.ports:
            yield from _check_port(access, port, machine, now)


def _check_path(access: WantedAccess, machine: VirtualMachine, limits: Limits) -> Iterator[Finding]:
    shortest = limits.shortest_behind_firewall
    behind_firewall = machine.via is Via.FIREWALL
    if behind_firewall and access.duration is not None and access.duration < shortest:
        detail = f"{machine.name} is behind a firewall: at least {format_duration(shortest)}"
        yield _body_finding(_DURATION, DURATION_TOO_SHORT, detail)
    for pointer, source in list_sources(access):
        is_public = prefixes.is_public(source)
        if machine.via is not Via.PRIVATE and not is_public:
            where = f"{machine.name} is reached over the internet"
            detail = f"{source} is not public, but {where}: {MY_ADDRESS}"
            yield _body_finding(pointer, SOURCE_NOT_PUBLIC, detail)
        if machine.via is Via.PRIVATE and is_public and not _is_in_network(source, machine):
            detail = _NO_WAY.format(source=source, name=machine.name)
            yield _policy_finding(pointer, SOURCE_NOT_PRIVATE, detail)


def _is_in_network(source: Prefix, machine: VirtualMachine) -> bool:
    """Return True if *source* is inside the VM's virtual network, which may use any addresses."""
    return Prefixes(machine.vnet_prefixes).covers(source)


def _check_port(
    access: WantedAccess, port: WantedPort, machine: VirtualMachine, now: datetime
) -> Iterator[Finding]:
    here, name = at(port.pointer, "number"), _title(port, machine)
    rule = machine.find_rule(port.number)
    if rule is None:
        fault = machine.find_policy_fault(None, PolicyField.PORTS, PolicyField.NUMBER)
        theirs = list_few((str(each.number) for each in machine.ports), most=_NAMED_PORTS)
        detail = f"{name} is not in its JIT policy, which has {theirs}"
        missing = _policy_finding(here, PORT_NOT_IN_POLICY, detail)
        yield _refuse_unclear(here, name, fault) if fault is not None else missing
        return
    yield from _check_rule(access, port, rule, machine)
    yield from _check_sources(access, port, rule, machine)
    yield from _find_obstacles(access, port, machine, now)
    if until := _find_occupation_end(access, port, machine, now):
        when = format_instant(until)
        detail = f"{name} is occupied until {when}: ask then, or with a startTime from then on"
        yield Finding(FindingKind.OCCUPIED, Violation(here, OCCUPIED, detail))


def _title(port: WantedPort, machine: VirtualMachine) -> str:
    return f"port {port.number} of {machine.name}"


def _check_rule(
    access: WantedAccess, port: WantedPort, rule: PortRule, machine: VirtualMachine
) -> Iterator[Finding]:
    """Yield the findings about protocol and duration; a part that is not understood allows none."""
    here, name = at(port.pointer, "number"), _title(port, machine)
    fault = machine.find_policy_fault(port.number, PolicyField.NUMBER, PolicyField.PROTOCOL)
    if fault is not None:
        yield _refuse_unclear(here, name, fault)
    elif find_effective_protocol(port.protocol, rule) is None:
        detail = f"{name} allows {rule.protocol}, not {port.protocol}"
        yield _policy_finding(at(port.pointer, "protocol"), PROTOCOL_NOT_IN_POLICY, detail)
    yield from check_bastion_port(access, port, rule.protocol, name)
    fault = machine.find_policy_fault(port.number, PolicyField.DURATION)
    if fault is not None:
        yield _refuse_unclear(here, name, fault)
    elif access.duration is not None and access.duration > rule.max_duration:
        detail = f"{name} allows at most {format_duration(rule.max_duration)}"
        yield _policy_finding(_DURATION, DURATION_TOO_LONG, detail)


def _check_sources(
    access: WantedAccess, port: WantedPort, rule: PortRule, machine: VirtualMachine
) -> Iterator[Finding]:
    """Yield the findings about sources; those that are understood allow their addresses."""
    name = _title(port, machine)
    fault = machine.find_policy_fault(port.number, PolicyField.SOURCE, PolicyField.SOURCES)
    for pointer, source in (*list_sources(access), *list_bastion_sources(access, machine)):
        code = refuse_source(source, rule, machine.via)
        is_hopeless = code == IPV6_NOT_ALLOWED and machine.via is Via.FIREWALL
        if code is not None and fault is not None and not is_hopeless:
            yield _refuse_unclear(pointer, name, fault)
        elif code is not None:
            next_step = ADD_SUBNET if pointer == VIA else MY_ADDRESS
            why = _explain_refusal(code, rule, machine.via, next_step)
            yield _policy_finding(pointer, code, f"{source} may not reach {name}: {why}")


def _find_obstacles(
    access: WantedAccess, port: WantedPort, machine: VirtualMachine, now: datetime
) -> Iterator[Finding]:
    """
    Yield a finding for each reason why *port* could not open, although the policy allows it.

    A grant is open only if packets from each of its sources pass, so one stopped source is enough.
    """
    name = _title(port, machine)
    sources = (*list_sources(access), *list_bastion_sources(access, machine))
    for obstacle in machine.obstacles:
        if not obstacle.is_in_force(port.number, now) or not is_stopped_by(obstacle, access):
            continue
        if not obstacle.sources:
            detail = f"{name} cannot be opened: {obstacle.detail}"
            yield _policy_finding(at(port.pointer, "number"), obstacle.code, detail)
        for pointer, source in sources:
            if any(stopped.overlaps(source) for stopped in obstacle.sources):
                detail = f"{name} cannot be opened to {source}: {obstacle.detail}"
                yield _policy_finding(pointer, obstacle.code, detail)


def refuse_source(source: Prefix, rule: PortRule, via: Via) -> str | None:
    """Return the code of the reason why *rule* does not allow *source*, or None."""
    allowed = Prefixes(rule.allowed_sources)
    if source.version == prefixes.IPV6 and (via is Via.FIREWALL or not allowed.has_ipv6):
        return IPV6_NOT_ALLOWED
    is_internet = INTERNET in rule.allowed_sources and source.version != prefixes.IPV6
    covered = (is_internet and prefixes.is_public(source)) or allowed.covers(source)
    return None if covered else SOURCE_NOT_ALLOWED


def _explain_refusal(code: str, rule: PortRule, via: Via, next_step: str) -> str:
    """Return the reason that a source is refused with *code*, and the sources that are allowed."""
    if code == SOURCE_NOT_ALLOWED:
        return f"its JIT policy allows {list_few(rule.allowed_sources)}; {next_step}"
    if via is Via.FIREWALL:
        return "an Azure Firewall has no IPv6; name an IPv4 address"
    return "its JIT policy names no IPv6 prefix; name an IPv4 address"


def _find_occupation_end(
    access: WantedAccess, port: WantedPort, machine: VirtualMachine, now: datetime
) -> datetime | None:
    """
    Return the end of the last foreign request that occupies *port*, or None.

    A foreign request does not occupy the port if it ends before the start, or if its sources are
    the same. While a source is faulty, the sources cannot be compared: return None.
    """
    start = max(access.starts_at or now, now)
    if None in access.sources:
        return None
    wanted = join_sources(access, machine)
    ends = (
        other.ends_at
        for other in machine.occupations
        if other.port == port.number
        and other.ends_at > start
        and not Prefixes(other.sources).equals(wanted)
    )
    return max(ends, default=None)


def _refuse_unclear(pointer: str, name: str, fault: PolicyFault) -> Finding:
    detail = (
        f"{name} cannot be asked for, because its JIT policy is not understood: {fault.field}: "
        f"{fault.detail}; correct the policy"
    )
    return _policy_finding(pointer, POLICY_NOT_UNDERSTOOD, detail)


def _policy_finding(pointer: str, code: str, detail: str) -> Finding:
    return Finding(FindingKind.POLICY, Violation(pointer, code, detail))


def _body_finding(pointer: str, code: str, detail: str) -> Finding:
    return Finding(FindingKind.BODY, Violation(pointer, code, detail))
