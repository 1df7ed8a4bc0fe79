"""The companion: the one NSG rule that the broker itself adds, for a grant behind a firewall."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from jit.domain.azure.nsg_rules import Access, Direction

_COMPANION = "jit-broker-"
_COMPANION_NAME = re.compile(
    _COMPANION + r"(?P<grant>[0-9A-Za-z](?:[0-9A-Za-z-]{0,67}[0-9A-Za-z])?)"
)
_ARM_PROTOCOLS = {"TCP": "Tcp", "UDP": "Udp", "*": "*"}


def build_companion_name(grant_id: str) -> str:
    """
    Return the name of the one NSG rule that the broker adds for a grant behind a firewall.

    Raises:
        ValueError: *grant_id* is longer than 69 characters, or has characters that a name may not
            have. NSG rule names have at most 80 characters (Learn, "Naming rules and restrictions
            for Azure resources").
    """
    name = _COMPANION + grant_id
    if not _COMPANION_NAME.fullmatch(name):
        raise ValueError(f"{grant_id!r} cannot be part of a rule name")
    return name


def parse_companion_name(name: str) -> str | None:
    """Return the grant id in *name*, else None. Proof of ownership is the store, not the name."""
    found = _COMPANION_NAME.fullmatch(name)
    return found["grant"] if found else None


def build_companion_body(
    grant_id: str,
    *,
    private_ip: str,
    port: int,
    protocol: str,
    sources: Sequence[str],
    priority: int,
) -> dict[str, Any]:
    """
    Return the body of a PUT that creates the companion rule of a grant.

    The rule lets in the traffic that the firewall forwards. DNAT traffic has a source address of
    AzureFirewallSubnet (Learn, "Azure Firewall FAQ": source NAT of DNAT traffic). Defender's own
    NSG rule is for the requester's address, so it does not match.

    Args:
        grant_id: Names the rule, and stands in its description.
        private_ip: The VM's address.
        port: The VM's port.
        protocol: ``TCP``, ``UDP`` or ``*``, in any case.
        sources: Prefixes of AzureFirewallSubnet, at least one.
        priority: 100 to 4096, free, smaller than the priority of the blocking rule.

    Raises:
        ValueError: The name cannot be built; there is no such *protocol*; or *sources* is empty. A
            rule without a source must never be sent, because it is unknown how Azure reads it.
    """
    if not sources:
        raise ValueError("a companion rule needs a source")
    if protocol.upper() not in _ARM_PROTOCOLS:
        raise ValueError(f"a companion rule cannot carry {protocol!r}")
    build_companion_name(grant_id)  # raises ValueError if no rule can have this name
    return {
        "properties": {
            "description": f"Companion of JIT access grant {grant_id}; see its broker.",
            "protocol": _ARM_PROTOCOLS[protocol.upper()],
            "sourcePortRange": "*",
            "destinationPortRange": str(port),
            **_source_fields(tuple(sources)),
            "destinationAddressPrefix": private_ip,
            "access": Access.ALLOW.value,
            "priority": priority,
            "direction": Direction.INBOUND.value,
        }
    }


def _source_fields(sources: tuple[str, ...]) -> dict[str, object]:
    """Return the singular or the plural field: Azure takes exactly one of them."""
    if len(sources) == 1:
        return {"sourceAddressPrefix": sources[0]}
    return {"sourceAddressPrefixes": list(sources)}
