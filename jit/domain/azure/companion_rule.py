"""The companion: the one NSG rule that the broker itself adds, for a VM port behind a firewall."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from hashlib import sha256
from typing import Any

from jit.domain.azure.nsg_rules import Access, Direction
from jit.domain.values import arm_ids

_COMPANION = "jit-broker-"
_COMPANION_NAME = re.compile(
    _COMPANION + r"(?P<owner>[0-9A-Za-z](?:[0-9A-Za-z-]{0,67}[0-9A-Za-z])?)"
)
_SHARED = re.compile(r"vmport-[0-9]{1,5}-[a-z2-7]{26}")
"""The owner in the name of a shared companion. No grant id ends with such a text."""

_ARM_PROTOCOLS = {"TCP": "Tcp", "UDP": "Udp", "*": "*"}


@lru_cache(maxsize=4096)  # each grant of a VM port asks at each look
def build_shared_owner(policy_id: str, vm_id: str, port: int, protocol: str) -> str:
    """
    Return the owner that all grants of a VM port are together: ``vmport-<port>-<hash>``.

    Each instance of the broker builds the same text. Two JIT policies, or two protocols, have an
    owner each: the worker of a policy knows the grants of that policy, and no others.

    Args:
        policy_id: ARM id of the JIT policy, in any case.
        vm_id: ARM id of the VM, in any case.
        port: The VM's port.
        protocol: ``TCP``, ``UDP`` or ``*``, in any case.
    """
    parts = (arm_ids.key(policy_id), arm_ids.key(vm_id), str(port), protocol.upper())
    digest = sha256("\n".join(parts).encode()).digest()
    return f"vmport-{port}-{arm_ids.base32(digest[:16])}"


def is_shared_owner(owner: str) -> bool:
    """Return True if *owner* is a VM port, and no single grant."""
    return _SHARED.fullmatch(owner) is not None


def build_companion_name(owner: str) -> str:
    """
    Return the name of the one NSG rule that the broker adds for a VM port behind a firewall.

    Args:
        owner: The text of `build_shared_owner`. An older version wrote a companion for each grant:
            there it is the grant's id.

    Raises:
        ValueError: *owner* is longer than 69 characters, or has characters that a name may not
            have. NSG rule names have at most 80 characters (Learn, "Naming rules and restrictions
            for Azure resources").
    """
    name = _COMPANION + owner
    if not _COMPANION_NAME.fullmatch(name):
        raise ValueError(f"{owner!r} cannot be part of a rule name")
    return name


@lru_cache(maxsize=4096)  # each grant of a VM port reads the same names
def parse_companion_name(name: str) -> str | None:
    """
    Return the owner in *name*: a VM port or, in an older companion, a grant; None if there is none.

    Proof of ownership is the store, not the name.
    """
    found = _COMPANION_NAME.fullmatch(name)
    return found["owner"] if found else None


def build_companion_body(
    owner: str,
    *,
    private_ips: Sequence[str],
    port: int,
    protocol: str,
    sources: Sequence[str],
    priority: int,
) -> dict[str, Any]:
    """
    Return the body of a PUT that creates a companion rule.

    The rule lets in the traffic that the firewall forwards. DNAT traffic has a source address of
    AzureFirewallSubnet (Learn, "Azure Firewall FAQ": source NAT of DNAT traffic). Defender's own
    NSG rule is for the requester's address, so it does not match.

    Args:
        owner: Names the rule, and stands in its description.
        private_ips: The addresses of the VM that the grants' paths lead to, at least one.
        port: The VM's port.
        protocol: ``TCP``, ``UDP`` or ``*``, in any case.
        sources: Prefixes of AzureFirewallSubnet, at least one.
        priority: 100 to 4096, free, smaller than the priority of the blocking rule.

    Raises:
        ValueError: The name cannot be built; there is no such *protocol*; or *sources* or
            *private_ips* is empty. A rule without a source or a destination must never be sent,
            because it is unknown how Azure reads it.
    """
    if not sources:
        raise ValueError("a companion rule needs a source")
    if not private_ips:
        raise ValueError("a companion rule needs a destination")
    if protocol.upper() not in _ARM_PROTOCOLS:
        raise ValueError(f"a companion rule cannot carry {protocol!r}")
    build_companion_name(owner)  # raises ValueError if no rule can have this name
    return {
        "properties": {
            "description": f"Companion of JIT access for {owner}; see its broker.",
            "protocol": _ARM_PROTOCOLS[protocol.upper()],
            "sourcePortRange": "*",
            "destinationPortRange": str(port),
            **_prefix_fields("source", tuple(sources)),
            **_prefix_fields("destination", tuple(private_ips)),
            "access": Access.ALLOW.value,
            "priority": priority,
            "direction": Direction.INBOUND.value,
        }
    }


def _prefix_fields(side: str, prefixes: tuple[str, ...]) -> dict[str, object]:
    """Return the singular or the plural field: Azure takes exactly one of them."""
    if len(prefixes) == 1:
        return {f"{side}AddressPrefix": prefixes[0]}
    return {f"{side}AddressPrefixes": list(prefixes)}
