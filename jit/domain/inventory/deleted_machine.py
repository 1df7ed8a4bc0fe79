"""A VM that Azure no longer lists, rebuilt from its grants: their rules may still exist."""

from __future__ import annotations

from collections.abc import Sequence

from jit.domain.model.grant import Grant
from jit.domain.model.machine import Interface, Support, VirtualMachine
from jit.domain.values import arm_ids


def rebuild_machine(grants: Sequence[Grant]) -> VirtualMachine:
    """
    Return a VM made from the rules that its *grants* recorded. There is at least one grant.

    Its interfaces have the addresses and NSGs of these rules. The VM only serves to find out if the
    rules are gone. No access is decided with it.
    """
    first = grants[0]
    nsg_ids = tuple(dict.fromkeys(nsg for grant in grants for nsg in _nsg_ids(grant)))
    ips = tuple(dict.fromkeys(ip for grant in grants for ip in grant.footprint.private_ips))
    return VirtualMachine(
        id=first.vm_id,
        name=arm_ids.name(first.vm_id),
        location="",
        support=Support.UNSUPPORTED,
        reasons=("it no longer exists",),
        via=first.via,
        policy_id=first.policy_id,
        interfaces=tuple(_interface(ip, nsg_ids, primary=ip == ips[0]) for ip in ips),
        firewall_id=next((grant.firewall_id for grant in grants if grant.firewall_id), None),
    )


def _nsg_ids(grant: Grant) -> list[str]:
    """Return the NSGs in the ids of a grant's rules."""
    parts = (arm_ids.key(rule).partition("/securityrules/") for rule in _rules(grant))
    return [holder for holder, found, _ in parts if found]


def _rules(grant: Grant) -> tuple[str, ...]:
    return (*grant.footprint.rules, *grant.footprint.companions)


def _interface(address: str, nsg_ids: tuple[str, ...], *, primary: bool) -> Interface:
    return Interface(id="", private_ip=address, subnet_id="", nsg_ids=nsg_ids, primary=primary)
