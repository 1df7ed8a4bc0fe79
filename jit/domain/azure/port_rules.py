"""
The port rules of a VM in its JIT policy: read as far as they are clear, with a note about the rest.

Policies come from many tools, and some write them in other forms than Defender's portal: `Tcp` for
`TCP`, a .NET time span for an ISO 8601 duration, a prefix with host bits, the service tag
`Internet`, a list in the member for one source. These forms have one meaning. A part without one
clear meaning allows nothing. Two members for the sources that differ have none, and neither has a
prefix of length 0 with host bits: its author may have meant one address.

Source:
    Microsoft.Security 2020-01-01, ``JitNetworkAccessPortRule``;
    https://learn.microsoft.com/dotnet/standard/base-types/standard-timespan-format-strings.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta

from jit.domain.azure import arm_json
from jit.domain.azure.arm_json import Resource
from jit.domain.model.machine import INTERNET, PolicyFault, PolicyField, PortRule
from jit.domain.values import times
from jit.domain.values.prefixes import Prefixes, read_prefix

_PROTOCOLS = {"TCP", "UDP", "*"}
_PLAIN = re.compile(r"[0-9A-Fa-f.:]+(?:/[0-9]{1,3})?")
_TIME_SPAN = re.compile(r"(?:([0-9]{1,5})\.)?([01]?[0-9]|2[0-3]):([0-5][0-9]):([0-5][0-9])")
_LAST_PORT = 65535
_SHOWN = 60
"""Characters of a text that is not understood: it goes into messages to people."""


def parse_port_rules(entry: Resource) -> Iterator[PortRule]:
    """
    Yield the port rules of a policy's VM entry; a rule without a port number is left out.

    A part that is not understood allows nothing: an unreadable duration counts as none, and an
    unreadable source contains no address. `find_policy_faults` names these parts.
    """
    for port in arm_json.mappings(entry, "ports"):
        number = _number(port)
        if number is not None:
            yield PortRule(
                number=number,
                protocol=_protocol(port),
                allowed_sources=tuple(_read_source(text) or text for text in _sources(port)),
                max_duration=_parse_duration(port.get(PolicyField.DURATION)) or timedelta(0),
            )


def find_policy_faults(entries: Sequence[tuple[Resource, Resource]]) -> Iterator[PolicyFault]:
    """
    Yield a fault for each part of a VM's JIT policy that is not understood.

    Args:
        entries: Each JIT policy that names the VM, with its entry for the VM; usually one.
    """
    if len(entries) > 1:
        detail = explain_entries(arm_json.text(policy, "id") for policy, _ in entries)
        yield PolicyFault(port=None, field=PolicyField.ENTRIES, detail=detail)
    for _, entry in entries[-1:]:
        yield from _find_entry_faults(entry)


def explain_entries(policy_ids: Iterable[str]) -> str:
    """Return the clause about a VM that has several entries in the policies of these ids."""
    ids = dict.fromkeys(policy_ids)
    return f"the VM is in {' and '.join(ids)}{' twice' if len(ids) == 1 else ''}"


def _find_entry_faults(entry: Resource) -> Iterator[PolicyFault]:
    ports = arm_json.array(entry, "ports")
    if ports is None:
        yield PolicyFault(port=None, field=PolicyField.PORTS, detail="ports is no list")
    rules: dict[int, PortRule] = {}
    for port, rule in _pair_rules(ports or ()):
        if rule is None:
            what = _quote(port.get("number") if isinstance(port, Mapping) else port)
            yield PolicyFault(
                port=None, field=PolicyField.NUMBER, detail=f"{what} is no port number"
            )
        elif rules.setdefault(rule.number, rule) != rule:
            detail = "the port has two rules that differ"
            yield PolicyFault(port=rule.number, field=PolicyField.NUMBER, detail=detail)
        if rule is not None and isinstance(port, Mapping):
            yield from _find_rule_faults(port, rule.number)


def _pair_rules(ports: Iterable[object]) -> Iterator[tuple[object, PortRule | None]]:
    """Yield each item of a list of ports with its rule."""
    for port in ports:
        yield port, next(parse_port_rules({"ports": [port]}), None)


def _find_rule_faults(port: Resource, number: int) -> Iterator[PolicyFault]:
    if _protocol(port) not in _PROTOCOLS:
        detail = f"{_quote(port.get(PolicyField.PROTOCOL))} is none of TCP, UDP and *"
        yield PolicyFault(port=number, field=PolicyField.PROTOCOL, detail=detail)
    unread = [source for source in _sources(port) or ("",) if _read_source(source) is None]
    if detail := _explain_contradiction(port):
        yield PolicyFault(port=number, field=PolicyField.SOURCES, detail=detail)
    elif unread:
        field = PolicyField.SOURCES if port.get(PolicyField.SOURCES) else PolicyField.SOURCE
        more = f" (and {len(unread) - 1} more)" if len(unread) > 1 else ""
        detail = f"{_quote(unread[0])}{more} is no address, prefix, * or {INTERNET}"
        yield PolicyFault(port=number, field=field, detail=detail)
    if not _parse_duration(port.get(PolicyField.DURATION)):
        detail = f"{_quote(port.get(PolicyField.DURATION))} is no duration such as PT3H"
        yield PolicyFault(port=number, field=PolicyField.DURATION, detail=detail)


def _quote(value: object) -> str:
    """Return *value* for a message, shortened."""
    written = repr(value) if isinstance(value, str) else str(value)
    return written if len(written) <= _SHOWN else f"{written[:_SHOWN]}…"


# ---- the parts of a rule -------------------------------------------------------------------------


def _number(port: Resource) -> int | None:
    number = arm_json.number(port, "number")
    return number if number is not None and 1 <= number <= _LAST_PORT else None


def _protocol(port: Resource) -> str:
    """Return the protocol of a port in upper case, or as it is written if it is unknown."""
    value = port.get(PolicyField.PROTOCOL)
    written = "*" if value is None else str(value) or "*"
    return written.upper() if written.upper() in _PROTOCOLS else written


def _sources(port: Resource) -> tuple[str, ...]:
    """Return the sources of a port; members that contradict each other are one unreadable text."""
    if _explain_contradiction(port):
        one, many = port.get(PolicyField.SOURCE), port.get(PolicyField.SOURCES)
        return (f"{one!r} or {many!r}",)
    return arm_json.one_or_many(port, PolicyField.SOURCE, PolicyField.SOURCES, keep_all=True)


def _explain_contradiction(port: Resource) -> str:
    """Return why the members for one source and for several do not fit; empty if they do."""
    one, many = port.get(PolicyField.SOURCE), port.get(PolicyField.SOURCES)
    if _is_absent(many):
        return ""
    if not isinstance(many, list):
        return f"{_quote(many)} is no list"
    if _is_absent(one) or _name_sources(one) == _name_sources(many):
        return ""
    return f"{_quote(many)} is not the {_quote(one)} of {PolicyField.SOURCE}"


def _is_absent(value: object) -> bool:
    """Return True if a member says nothing: tools write null, an empty text or an empty list."""
    return value is None or value in ("", [])


def _name_sources(value: object) -> frozenset[str]:
    """Return the sources of one member in one spelling, to compare them."""
    items = value if isinstance(value, list) else [value]
    return frozenset(_name_source(str(item)) for item in items)


def _name_source(text: str) -> str:
    known = _read_source(text)
    prefix = read_prefix(known) if known is not None else None
    return str(prefix) if prefix is not None else known or text


def _read_source(source: str) -> str | None:
    """Return *source* as the broker writes it; None if it is not understood."""
    if source.lower() in {"*", INTERNET.lower()}:
        return source if source == "*" else INTERNET
    prefix = read_prefix(source) if _PLAIN.fullmatch(source) else None
    if prefix is None or Prefixes((source,)).covers(prefix):
        return source if prefix is not None else None
    return str(prefix) if prefix.prefixlen else None  # the address may be all that is meant


def _parse_duration(value: object) -> timedelta | None:
    """Return the span that *value* writes, in ISO 8601 or as .NET does; None if unreadable."""
    if not isinstance(value, str):
        return None
    if found := _TIME_SPAN.fullmatch(value):
        days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
        return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
    try:
        return times.parse_duration(value.upper())
    except ValueError:
        return None
