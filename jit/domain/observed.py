"""A subscription as it was read: its NSGs, firewalls and VMs, and Defender's rules in them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from jit.domain import pathrules
from jit.domain.addresses import network
from jit.domain.entries import Entry
from jit.domain.firewall import NatRule
from jit.domain.jitrules import JitAllow
from jit.domain.pathrules import Firewall, Guard, MachineView, PathRule


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """
    A subscription as read: everything by key (lower-cased id).

    Attributes:
        guards: NSGs that could be read.
        firewalls: Classic-rules firewalls that could be read.
        machines: VMs with what is on their paths.
        entries: Defender's requests of all JIT policies, oldest first.
    """

    guards: Mapping[str, Guard]
    firewalls: Mapping[str, Firewall]
    machines: Mapping[str, MachineView]
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """
    One of Defender's rules, as observed.

    Attributes:
        path:
            The same as a path's rule: its id, its holder, its sources. It is *exact* if it leads
            to one port of one address, as all that Defender writes, and could be read in full.
        settled: The rule is what it says: its holder's last update has succeeded.
        addresses: Private addresses that it leads to; empty where they cannot be told.
    """

    raw: JitAllow | NatRule
    path: PathRule
    settled: bool
    addresses: frozenset[str]

    def leads_to(self, port: int) -> bool:
        """Tell whether it lets anybody reach *port*."""
        if isinstance(self.raw, NatRule):
            return self.raw.translated_port == str(port)
        return any(port in ports for ports in self.raw.ports)

    @property
    def title(self) -> str:
        """The rule's name as people look for it; NAT rules stand in a collection."""
        if self.path.collection is None:
            return self.path.name
        return f"{self.path.collection}/{self.path.name}"


def jit_rules(observed: Observed) -> Iterator[Found]:
    """Yield every rule that carries the name of one of Defender's, NSGs first."""
    for guard in observed.guards.values():
        yield from (_in_guard(guard, allow) for allow in guard.allows)
    for firewall in observed.firewalls.values():
        yield from (_in_firewall(firewall, rule) for rule in firewall.nat_rules if rule.is_jit)


def _in_guard(guard: Guard, allow: JitAllow) -> Found:
    addresses = frozenset(text.removesuffix("/32") for text in allow.destinations)
    path = PathRule(
        id=allow.id,
        holder_id=guard.id,
        name=allow.name,
        collection=None,
        sources=allow.sources,
        target=min(addresses, default=""),
        exact=_lone(allow),
    )
    settled = guard.settled and allow.state.lower() == "succeeded"
    return Found(raw=allow, path=path, settled=settled, addresses=addresses)


def _lone(allow: JitAllow) -> bool:
    target = network(allow.destinations[0]) if len(allow.destinations) == 1 else None
    ports = [ports for ports in allow.ports if ports.first == ports.last]
    return (
        not allow.faults
        and target is not None
        and target.num_addresses == 1
        and len(ports) == len(allow.ports) == 1
    )


def _in_firewall(firewall: Firewall, rule: NatRule) -> Found:
    path = PathRule(
        id=pathrules.nat_rule_id(firewall.id, rule),
        holder_id=firewall.id,
        name=rule.name,
        collection=rule.collection,
        sources=rule.sources,
        target=rule.translated_address,
        exact=not rule.ip_groups and network(rule.translated_address) is not None,
    )
    addresses = frozenset(filter(None, (rule.translated_address,)))
    settled = firewall.settled and not firewall.failed
    return Found(raw=rule, path=path, settled=settled, addresses=addresses)
