"""
Foreign ways: NAT rules of others that may lead to a VM port behind a firewall.

To an NSG, all packets of a firewall look the same: each comes from AzureFirewallSubnet. So a
companion rule lets in the packets of every NAT rule that leads to its VM port. It may stand only
while there is no NAT rule but those that Defender wrote for the grants. The sources of a
customer's rule do not matter: they may change, or stand in an IP group. Nor does its destination:
it may be a private address of the firewall.

Source:
    Learn, "Azure Firewall FAQ" (source NAT of DNAT traffic); Microsoft.Network 2021-02-01,
    ``AzureFirewallNatRule``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from jit.domain.azure.companion_rule import parse_companion_name
from jit.domain.azure.firewall import NatRule
from jit.domain.azure.nsg_rules import read_port_range
from jit.domain.model.grant import Grant
from jit.domain.model.machine import Via
from jit.domain.paths.companion_owners import list_owners
from jit.domain.paths.machine_view import MachineView
from jit.domain.paths.rules import find_packet_protocol, list_addresses
from jit.domain.values.prefixes import Prefix, Prefixes, read_prefix

_ONE_PROTOCOL = frozenset({"TCP", "UDP"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignWay:
    """
    A way through a firewall by which others may reach a VM port.

    Attributes:
        firewall_id: The firewall; empty if none is known.
        rule: The NAT rule, with its collection before it; empty if the rules are not known.
        title: The way in words, the subject of a sentence.
    """

    firewall_id: str
    rule: str
    title: str

    def explain(self) -> str:
        """Return the reason why no companion rule may stand: a sentence for people."""
        return f"{self.title}; meanwhile no companion rule may let the firewall's packets in"


def find_foreign_way(
    grant: Grant, view: MachineView, asked: Collection[Prefix] | None = None
) -> ForeignWay | None:
    """
    Return a way by which others may reach the VM port of *grant*; None if there is none.

    A firewall that could not be read, or is being updated, shows what it showed before.

    Args:
        grant: A grant on the VM of *view*.
        view: The VM as just read.
        asked: Every source that was asked for on the VM port. A NAT rule of Defender that lets in
            another one is foreign. None if that is not known: then Defender's rules are not.
    """
    if grant.via is not Via.FIREWALL:
        return None
    firewall = view.firewall
    if firewall is None:
        return None if view.vm.firewall_id else _build_lost_way(grant)
    if firewall.policy_id:
        name, policy = _name(firewall.id), _name(firewall.policy_id)
        title = f"firewall {name} follows the firewall policy {policy}, whose rules are not read"
        return ForeignWay(firewall_id=firewall.id, rule="", title=title)
    targets = tuple(_list_targets(grant, view))
    protocol = find_packet_protocol(grant)
    for rule in firewall.nat_rules:
        leads = may_lead_to(rule, targets, grant.port, protocol)
        if leads and not _is_own(rule, targets, grant.port, asked):
            return build_way(firewall.id, rule, grant.port)
    return None


def build_way(firewall_id: str, rule: NatRule, port: int) -> ForeignWay:
    """Return the way by which a NAT *rule* leads others to *port* of a VM."""
    name = f"{rule.collection}/{rule.name}"
    verb = "leads" if read_prefix(rule.translated_address) is not None else "may lead"
    title = f"NAT rule {name} of firewall {_name(firewall_id)} {verb} others to port {port}"
    return ForeignWay(firewall_id=firewall_id, rule=name, title=title)


def _name(resource_id: str) -> str:
    """Return the last part of an id, whatever its form: a doubt must not stop a withdrawal."""
    return resource_id.rsplit("/", 1)[-1]


def _build_lost_way(grant: Grant) -> ForeignWay:
    """Return the way if no firewall with classic rules stands before the VM any more."""
    title = "the firewall before the VM has no classic rules any more"
    return ForeignWay(firewall_id=grant.firewall_id or "", rule="", title=title)


def _list_targets(grant: Grant, view: MachineView) -> Iterator[Prefix]:
    """Yield the addresses of the VM, now and before, and those that its companions lead to."""
    owners = list_owners(grant)
    companions = (
        text
        for nsg in view.nsgs.values()
        for rule in nsg.rules
        if parse_companion_name(rule.name) in owners
        for text in rule.destinations
    )
    texts = (*list_addresses(view.vm), *grant.footprint.private_ips, *companions)
    yield from Prefixes(tuple(dict.fromkeys(texts))).readable


def may_lead_to(rule: NatRule, targets: Collection[Prefix], port: int, protocol: str) -> bool:
    """
    Return True if a NAT rule leads, or may lead, to *port* of one of *targets*.

    A part that cannot be resolved may be any: the name in ``translatedFqdn``, an address or a port
    that cannot be read.

    Args:
        rule: Anybody's.
        targets: Private addresses.
        port: Port of the VM.
        protocol: ``TCP``, ``UDP`` or ``*`` for both: the packets that matter.
    """
    ports = read_port_range(rule.translated_port)
    if ports is not None and port not in ports:
        return False
    if not _may_forward(rule, protocol):
        return False
    to = None if rule.translated_fqdn else read_prefix(rule.translated_address)
    return to is None or any(to.overlaps(target) for target in targets)


def _may_forward(rule: NatRule, protocol: str) -> bool:
    """Return True unless *rule* certainly forwards other protocols only."""
    forwarded = {text.upper() for text in rule.protocols}
    is_clear = bool(forwarded) and forwarded <= _ONE_PROTOCOL
    return not is_clear or protocol == "*" or protocol.upper() in forwarded


def _is_own(
    rule: NatRule, targets: Collection[Prefix], port: int, asked: Collection[Prefix] | None
) -> bool:
    """
    Return True if Defender wrote *rule* for sources that were *asked* for.

    The name of its collection alone is no proof: anybody may write into it.
    """
    if not rule.is_jit or rule.ip_groups or rule.translated_fqdn or not rule.sources:
        return False
    if rule.translated_port != str(port) or read_prefix(rule.translated_address) not in targets:
        return False
    return asked is None or Prefixes(rule.sources).are_inside(asked)
