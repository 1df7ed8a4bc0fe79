"""
Reading JIT policies and requests: Defender refuses the wrong ones.

Source:
    Microsoft.Security 2020-01-01, jitNetworkAccessPolicies.json; error texts
    from Azure/azure-rest-api-specs#43491, CharbelNemnom/Power-MVP-Elite#8,
    MicrosoftDocs/azure-docs#52013. Codes without one of these are assumptions.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime, timedelta
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any

from local.azure.defender.access import WantedPort
from local.azure.options import Options
from local.azure.values import ids
from local.azure.values.http import ArmError, Json
from local.azure.values.times import parse_duration, parse_instant

LONGEST_NAMES = 56
_SHORTEST, _LONGEST = timedelta(minutes=5), timedelta(days=1)
_TOP_PORT = 65535
_PROTOCOLS = ("TCP", "UDP", "*")
_TIME_SPAN = re.compile(r"(?:(\d+)\.)?(\d{1,2}):(\d\d):(\d\d)")
_INTERNET = "internet"
_EXAMPLES = [IPv4Network(each) for each in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24")]
"""The networks of RFC 5737, which play the internet here."""
_ONE_END = "Only one of fields 'EndTimeUtc' and 'Duration' can be set."


def read_policy(name: str, body: Json) -> list[Json]:
    """
    Return the VMs of a policy's *body* as they will be stored.

    Raises:
        ArmError: 400; 500 for a port with an empty protocol, as Azure does.
    """
    properties = body.get("properties")
    machines = properties.get("virtualMachines") if isinstance(properties, dict) else None
    if not isinstance(machines, list):
        raise _policy_error("The policy needs properties.virtualMachines.")
    read = [_read_policy_machine(name, each) for each in machines]
    if len({ids.key(each["id"]) for each in read}) < len(read):
        raise _policy_error("A virtual machine appears twice.")
    return read


def _read_policy_machine(policy: str, sent: Any) -> Json:
    machine = ids.parse(sent.get("id")) if isinstance(sent, dict) else None
    if machine is None or not machine.is_type(ids.MACHINES):
        raise _policy_error(f"'{sent}' does not name a virtual machine.")
    if len(policy) + len(machine.name) > LONGEST_NAMES:
        raise _policy_error(
            f"The names of policy '{policy}' and virtual machine '{machine.name}' together have "
            f"more than {LONGEST_NAMES} characters."
        )
    ports = sent.get("ports")
    if not isinstance(ports, list) or not ports:
        raise _policy_error(f"Virtual machine '{machine.name}' has no ports.")
    read = [_read_policy_port(port) for port in ports]
    if len({port["number"] for port in read}) < len(read):
        raise _policy_error(f"A port of virtual machine '{machine.name}' appears twice.")
    return {"id": sent["id"], "ports": read}


def _read_policy_port(sent: Any) -> Json:
    if not isinstance(sent, dict):
        raise _policy_error("A port is an object.")
    number, protocol = _read_number(sent.get("number")), sent.get("protocol")
    if protocol is None or protocol == "":
        raise ArmError(500, "InternalServerError", "Internal server error")
    if number is None or protocol not in _PROTOCOLS:
        raise _policy_error(f"Port {sent.get('number')} with protocol '{protocol}' is not valid.")
    sources, listed = _read_sources(sent, _policy_error)
    if not sources:
        raise _policy_error(f"Port {number} needs an allowed source.")
    longest = sent.get("maxRequestAccessDuration")
    if not _SHORTEST <= _read_duration(longest) <= _LONGEST:
        raise _policy_error(f"Port {number}: maxRequestAccessDuration is between PT5M and P1D.")
    field = "allowedSourceAddressPrefixes" if listed else "allowedSourceAddressPrefix"
    allowed = sources if listed else sources[0]
    port: Json = {"number": number, "protocol": protocol, field: allowed}
    return {**port, "maxRequestAccessDuration": longest}


def _read_duration(text: object) -> timedelta:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise _policy_error(f"'{text}' is not a duration.") from error


def read_initiate(body: Json, options: Options, now: datetime) -> list[WantedPort]:
    """
    Return the VM ports that an initiate *body* asks for; protocols are still ``*``.

    Raises:
        ArmError: 400 ``InvalidInitiateInput``.
    """
    machines = body.get("virtualMachines")
    if not isinstance(machines, list) or not machines:
        raise _input_error("The request needs virtualMachines.")
    wanted = [port for machine in machines for port in _read_machine_ports(machine, options, now)]
    if len({(ids.key(each.machine), each.port) for each in wanted}) < len(wanted):
        raise _input_error("A port of a virtual machine appears twice.")
    justification = body.get("justification")
    if justification is not None and not isinstance(justification, str):
        raise _input_error("The justification is a text.")
    return wanted


def _read_machine_ports(sent: Any, options: Options, now: datetime) -> list[WantedPort]:
    machine = sent.get("id") if isinstance(sent, dict) else None
    parts = ids.parse(machine)
    if not isinstance(machine, str) or parts is None or not parts.is_type(ids.MACHINES):
        raise _input_error(f"'{machine}' does not name a virtual machine.")
    ports = sent.get("ports")
    if not isinstance(ports, list) or not ports:
        raise _input_error(f"Virtual machine '{machine}' has no ports.")
    return [_read_wanted_port(machine, port, options, now) for port in ports]


def _read_wanted_port(machine: str, sent: Any, options: Options, now: datetime) -> WantedPort:
    number = _read_number(sent.get("number")) if isinstance(sent, dict) else None
    if number is None:
        raise _input_error(f"'{sent}' is not a port.")
    sources, listed = _read_sources(sent, _input_error)
    if listed and not options.accept_prefix_lists:
        raise _input_error("Field 'AllowedSourceAddressPrefixes' is not supported.")
    if listed and options.ignore_prefix_lists:
        sources, listed = [], False
    end = _read_end(sent, now)
    if end <= now:
        raise _input_error("The end of access lies in the past.")
    return WantedPort(
        machine,
        number,
        "*",
        tuple(sources or [options.caller_address]),
        listed,
        end,
        echoed=options.echo_prefix_lists or not listed,
    )


def _read_end(sent: Json, now: datetime) -> datetime:
    end, duration = sent.get("endTimeUtc"), sent.get("duration")
    if (end is None) == (duration is None):
        raise _input_error(_ONE_END)
    try:
        return now + parse_duration(duration) if end is None else parse_instant(end)
    except ValueError as error:
        raise _input_error(str(error)) from error


def _read_number(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= _TOP_PORT:
        return None
    return value


def _read_sources(sent: Json, fault: Any) -> tuple[list[str], bool]:
    """Return the prefixes of a port with whether they came as a list."""
    one, many = sent.get("allowedSourceAddressPrefix"), sent.get("allowedSourceAddressPrefixes")
    if one is not None and many:
        raise fault(
            "Only one of fields 'AllowedSourceAddressPrefix' and 'AllowedSourceAddressPrefixes' "
            "can be set."
        )
    found = [one] if one is not None else (many or [])
    if not isinstance(found, list) or not all(_is_prefix(each) for each in found):
        raise fault(f"'{found}' is not a list of addresses.")
    return found, bool(many)


def _is_prefix(value: object) -> bool:
    if value == "*":
        return True
    try:
        ip_network(value if isinstance(value, str) else "", strict=False)
    except ValueError:
        return False
    return True


def find_ports(
    policy: Json, wanted: Iterable[WantedPort], options: Options, now: datetime
) -> list[Json]:
    """
    Return the policy's port for each of the *wanted* ones.

    Raises:
        ArmError: 400, the request is not a subset of the policy.
    """
    machines = {ids.key(each["id"]): each for each in policy["properties"]["virtualMachines"]}
    found = []
    for each in wanted:
        machine = machines.get(ids.key(each.machine), {"ports": []})
        ports = [port for port in machine["ports"] if port["number"] == each.port]
        if not ports or not _is_within(ports[0], each, options, now):
            raise ArmError(
                400,
                "InvalidInitiateInput",
                f"The given access request is not a subset of policy '{policy['id']}'. Please "
                "make sure that the access request is within the allowed policy properties.",
            )
        found.append(ports[0])
    return found


def _is_within(port: Json, wanted: WantedPort, options: Options, now: datetime) -> bool:
    if wanted.end - now > _read_stored_duration(port["maxRequestAccessDuration"]):
        return False
    one = port.get("allowedSourceAddressPrefix")
    single = one if isinstance(one, list) else [one or ""]
    allowed = port.get("allowedSourceAddressPrefixes") or single
    return all(_is_allowed(each, allowed, options) for each in wanted.sources)


def _read_stored_duration(text: str) -> timedelta:
    """
    Return the duration of a stored policy, which other tools may have written as a .NET time span.

    Nobody has documented what Defender makes of a text that is neither; here it allows nothing.
    """
    span = _TIME_SPAN.fullmatch(text)
    if span is not None:
        days, hours, minutes, seconds = (int(part or 0) for part in span.groups())
        return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
    try:
        return parse_duration(text)
    except ValueError:
        return timedelta(0)


def _is_allowed(source: str, allowed: list[str], options: Options) -> bool:
    if source in allowed or "*" in allowed:
        return True
    if options.exact_prefix_only or source == "*":
        return False
    inner = ip_network(source, strict=False)
    if _INTERNET in {each.lower() for each in allowed} and _is_public(inner):
        return True
    outers = [ip_network(each, strict=False) for each in allowed if _is_prefix(each)]
    return any(inner.version == each.version and inner.subnet_of(each) for each in outers)  # type: ignore[arg-type] # the versions are equal


def _is_public(network: IPv4Network | IPv6Network) -> bool:
    return network.is_global or any(
        isinstance(network, IPv4Network) and network.subnet_of(each) for each in _EXAMPLES
    )


def _policy_error(message: str) -> ArmError:
    return ArmError(400, "InvalidJitNetworkAccessPolicy", message)


def _input_error(message: str) -> ArmError:
    return ArmError(400, "InvalidInitiateInput", message)
