"""
The actions that a person needs to ask for access to a VM, as a set of bits.

Source:
    "Enable just-in-time access on VMs" (https://learn.microsoft.com/azure/defender-for-cloud/just-in-time-access-usage),
    the permissions for "Request JIT access to a VM".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache, reduce
from operator import or_
from types import MappingProxyType

from jit.domain.authorization.action_patterns import covers, overlaps

INITIATE = "Microsoft.Security/locations/jitNetworkAccessPolicies/initiate/action"
READ_POLICIES = "Microsoft.Security/locations/jitNetworkAccessPolicies/*/read"
READ_MACHINE = "Microsoft.Compute/virtualMachines/read"
READ_INTERFACES = "Microsoft.Network/networkInterfaces/*/read"
READ_ADDRESSES = "Microsoft.Network/publicIPAddresses/read"

NEEDED = (INITIATE, READ_POLICIES, READ_MACHINE, READ_INTERFACES, READ_ADDRESSES)
"""In the order in which a refusal names them."""

BIT: Mapping[str, int] = MappingProxyType({action: 1 << at for at, action in enumerate(NEEDED)})
ALL = (1 << len(NEEDED)) - 1

_KEPT = 4096
"""Patterns whose answer is kept: the roles of Azure use the same ones again and again."""


def find_granted(actions: Iterable[str], not_actions: Sequence[str]) -> int:
    """
    Return the bits of the needed actions that a permission of a role grants.

    ``notActions`` subtract within one permission only. An action that stands for several is granted
    if all of them are.
    """
    granted = _join(actions, _find_covered)
    return granted & ~_join(not_actions, _find_touched) if granted else 0


def find_denied(actions: Iterable[str], not_actions: Sequence[str]) -> int:
    """
    Return the bits of the needed actions that a permission of a deny assignment denies.

    An action that stands for several is denied if one of them is.
    """
    denied = _join(actions, _find_touched)
    return denied & ~_join(not_actions, _find_covered) if denied else 0


def list_actions(bits: int) -> list[str]:
    """Return the actions of *bits*."""
    return [action for action in NEEDED if bits & BIT[action]]


@lru_cache(maxsize=_KEPT)
def _find_covered(pattern: str) -> int:
    return sum(bit for action, bit in BIT.items() if covers(pattern, action))


@lru_cache(maxsize=_KEPT)
def _find_touched(pattern: str) -> int:
    return sum(bit for action, bit in BIT.items() if overlaps(pattern, action))


def _join(patterns: Iterable[str], find: Callable[[str], int]) -> int:
    """Return the bits that *find* tells of one of *patterns* at least."""
    return reduce(or_, map(find, patterns), 0)
