"""
The owners of companion rules: the grants that a companion is for, by its name.

All grants of one VM port behind a firewall share one companion in each NSG. It stands as long as
one of them wants its path. An older version wrote one for each grant, under the grant's id.
"""

from __future__ import annotations

from collections.abc import Iterable

from jit.domain.azure.companion_rule import build_shared_owner, parse_companion_name
from jit.domain.model.grant import Grant
from jit.domain.model.machine import Via
from jit.domain.paths.rules import find_packet_protocol
from jit.domain.values import arm_ids


def find_shared_owner(grant: Grant) -> str:
    """Return the owner of the companion that *grant* shares with its VM port."""
    return build_shared_owner(grant.policy_id, grant.vm_id, grant.port, find_packet_protocol(grant))


def may_share(grant: Grant) -> bool:
    """Return True if people of *grant* come through a firewall: by a Bastion, nobody does."""
    return grant.via is Via.FIREWALL and bool(grant.own_sources)


def list_owners(grant: Grant) -> tuple[str, ...]:
    """
    Return the owners in the names of the companions of *grant*: itself, and its VM port.

    A grant that needs no companion shares none: it would keep one standing, and close with it.
    """
    return (grant.id, find_shared_owner(grant)) if may_share(grant) else (grant.id,)


def list_wanted_owners(grants: Iterable[Grant], withdrawn: Iterable[str] = ()) -> frozenset[str]:
    """
    Return the owners whose companions must stay: one of *grants* wants its path by them.

    Args:
        grants: All grants of a VM port.
        withdrawn: Ids of companions that must go at once. Until they are gone, others come in by
            them, and the sources of the grants that close, too.
    """
    going = {parse_companion_name(arm_ids.name(rule_id)) for rule_id in withdrawn}
    wanted = {owner for grant in grants if grant.wants_path for owner in list_owners(grant)}
    return frozenset(wanted - going)


def group_addresses(grants: Iterable[Grant]) -> dict[str, frozenset[str]]:
    """Return the private addresses that *grants* recorded of their VM, by the owners they share."""
    found: dict[str, set[str]] = {}
    for grant in grants:
        for owner in list_owners(grant):
            found.setdefault(owner, set()).update(grant.footprint.private_ips)
    return {owner: frozenset(addresses) for owner, addresses in found.items()}
