"""
The network path of a grant as observed: its rules, and whether packets would pass.

A path is ``open`` only if its rules were seen, they let every source in, and the last update of
each resource has succeeded. Behind a firewall the VM sees an address of AzureFirewallSubnet instead
of the requester's (https://github.com/MicrosoftDocs/azure-docs/issues/46777), so the NSGs are
evaluated for these addresses.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import TypedDict

from jit.domain.model.grant import Grant
from jit.domain.model.machine import Connection, Interface, Via
from jit.domain.paths.blocks import find_block, is_certainly_stopped, read_version
from jit.domain.paths.connection import build_connection
from jit.domain.paths.machine_view import MachineView, NsgView
from jit.domain.paths.rules import (
    PathRule,
    find_packet_protocol,
    find_port_rules,
    is_limited_to,
    keep_rules_for,
    lets_all_in,
)
from jit.domain.values.prefixes import Prefix

_UNSEEN_ROUTES = "the NSGs let its sources in; whether a route leads to the VM was not looked at"
_UNKNOWN_ADDRESS = "its public address is not known: Azure assigns it when the VM starts"

FAILED_UPDATE = "the last update of "
"""A reason begins with it if somebody must repeat a failed update in Azure."""


class PathState(Enum):
    """How much of a path is there, and if it works."""

    OPEN = "open"  # rules present, packets pass
    BLOCKED = "blocked"  # rules present, something stops the packets
    PARTIAL = "partial"  # some of the rules are there
    ABSENT = "absent"  # no rule is there
    UNCLEAR = "unclear"  # something is being updated or could not be read


@dataclass(frozen=True, slots=True, kw_only=True)
class PathView:
    """
    A path as observed.

    Attributes:
        state: The summary.
        rules: Rules that let any of the grant's sources in.
        connection: Address and port to connect to, if ``open``.
        why: A sentence for people: the reason of a state, or a limit of an open path.
        address: The private address of the VM that *state* and *blocked_by* are about.
        blocked_by: Per NSG id, the priority of the rule that stops the firewall's address.
        leaving: Only while ``unclear``: as the listed rules read, they certainly do not let every
            source in any more.
    """

    state: PathState
    rules: tuple[PathRule, ...] = ()
    connection: Connection | None = None
    why: str = ""
    address: str = ""
    blocked_by: Mapping[str, int] | None = None
    leaving: bool = False

    @property
    def rule_ids(self) -> tuple[str, ...]:
        """Resource ids of the rules."""
        return tuple(rule.id for rule in self.rules)


def observe_path(
    grant: Grant, view: MachineView, asked: Iterable[Prefix] | None = None
) -> PathView:
    """
    Return how far the path of *grant* is there, and if it works for every source.

    Args:
        grant: Any grant on the VM of *view*.
        view: The VM as just read.
        asked: Everything that was asked for on the VM port, or None. A rule that opens more is
            ignored, because no access may depend on it.
    """
    everything = find_port_rules(view, grant.port, grant.footprint.private_ips)
    rules = keep_rules_for(everything, grant.sources)
    if asked is not None:
        allowed = frozenset(asked)
        rules = tuple(rule for rule in rules if is_limited_to(rule, allowed))
    if why := _explain_unclear(grant, view):
        return PathView(
            state=PathState.UNCLEAR,
            rules=rules,
            why=why,
            leaving=_is_leaving(grant, view, rules),
            **_predict_block(grant, view),
        )
    if not rules:
        why = _explain_absence(grant, view)
        return PathView(state=PathState.ABSENT, why=why, **_predict_block(grant, view))
    return _judge_best(grant, view, rules)


# ---- while something is unclear or missing ---------------------------------------------------


def _is_leaving(grant: Grant, view: MachineView, rules: Sequence[PathRule]) -> bool:
    """Return True if the rules could be read, and let every source in by no address any more."""
    if grant.via is Via.FIREWALL and view.firewall is None:
        return False
    nics = _list_offered(grant, view, rules)
    return bool(nics) and all(_is_leaving_at(grant, view, rules, nic) for nic in nics)


def _is_leaving_at(
    grant: Grant, view: MachineView, rules: Sequence[PathRule], nic: Interface
) -> bool:
    """Return True if the path by *nic* was read and certainly does not let every source in."""
    nsgs_read = view.nsgs_of(nic) is not None
    if grant.via is not Via.FIREWALL and not nsgs_read:
        return False
    own = _rules_to(nic, rules, grant)
    return not lets_all_in(own, grant.sources) or (
        nsgs_read and is_certainly_stopped(grant, view, nic)
    )


def _explain_absence(grant: Grant, view: MachineView) -> str:
    has_nsg = any(nic.nsg_ids for nic in view.vm.interfaces)
    if grant.via is Via.FIREWALL or has_nsg:
        return "no rule is there yet"
    return "no NSG guards the VM any more, so there is no place for a rule"


class _Prediction(TypedDict):
    """The fields of a `PathView` that tell where the firewall's packets will be stopped."""

    address: str
    blocked_by: Mapping[str, int]


def _predict_block(grant: Grant, view: MachineView) -> _Prediction:
    """Return the NSGs that will stop packets after the firewall lets them through."""
    nic = next(iter(view.vm.ordered_interfaces), None)
    if nic is None or grant.via is not Via.FIREWALL or _explain_unclear_nsg(view):
        return _Prediction(address="", blocked_by={})
    block = find_block(grant, view, nic)
    return _Prediction(address=nic.private_ip, blocked_by=block.by if block is not None else {})


def _explain_unclear(grant: Grant, view: MachineView) -> str:
    why = _explain_unclear_nsg(view)
    if not why and grant.via is Via.FIREWALL:
        return explain_unclear_firewall(view)
    return why


def _explain_unclear_nsg(view: MachineView) -> str:
    for nic in view.vm.interfaces:
        nsgs = view.nsgs_of(nic)
        if nsgs is None:
            return f"an NSG of {_name(nic.id)} could not be read"
        for nsg in nsgs:
            if why := _explain_unsettled(nsg):
                return why
    return ""


def _explain_unsettled(nsg: NsgView) -> str:
    if nsg.failed:
        return explain_failed_nsg(nsg.id)
    return "" if nsg.settled else f"NSG {_name(nsg.id)} is being updated"


def explain_unclear_firewall(view: MachineView) -> str:
    """Return why the rules of the firewall before a VM are not known; empty if they are."""
    firewall = view.firewall
    if firewall is None:  # without a firewall in the inventory, there is no rule in one
        return "the firewall could not be read" if view.vm.firewall_id else ""
    if firewall.failed:
        return explain_failed_firewall(firewall.id)
    return "" if firewall.settled else f"firewall {_name(firewall.id)} is being updated"


def explain_failed_nsg(nsg_id: str) -> str:
    """Return the reason and the action to take if the last update of an NSG failed."""
    return f"{FAILED_UPDATE}NSG {_name(nsg_id)} failed; repeat it in Azure"


def explain_failed_firewall(firewall_id: str) -> str:
    """Return the same for a firewall."""
    return f"{FAILED_UPDATE}firewall {_name(firewall_id)} failed; repeat it in Azure"


def explain_unclear_holders(view: MachineView) -> str:
    """
    Return why the rules of a former NSG, or of a firewall, are not known; empty if all are.

    If a firewall was put under a firewall policy, its rules may stand there. The broker does not
    read such policies.
    """
    for nsg in view.former.values():
        if why := _explain_unsettled(nsg):
            return why
    for firewall in view.firewalls:
        if why := explain_unclear_firewall(replace(view, firewall=firewall)):
            return why
        if firewall.policy_id:
            name, policy = _name(firewall.id), _name(firewall.policy_id)
            return f"{name} has firewall policy {policy} now, which may have the rule: look there"
    return explain_unclear_firewall(view)


def _name(resource_id: str) -> str:
    return resource_id.rsplit("/", 1)[-1]


# ---- judging a path --------------------------------------------------------------------------


_ADVANCED = (PathState.OPEN, PathState.BLOCKED, PathState.PARTIAL)
"""The states of a path whose rules were seen, the most advanced first."""


def _judge_best(grant: Grant, view: MachineView, rules: tuple[PathRule, ...]) -> PathView:
    """Return the path by the one of the VM's addresses that is the most advanced."""
    judge = _judge_firewall_path if grant.via is Via.FIREWALL else _judge_nsg_path
    paths = [judge(grant, view, rules, nic) for nic in _list_offered(grant, view, rules)]
    if paths:
        return min(paths, key=lambda path: (_ADVANCED.index(path.state), not _is_told(grant, path)))
    state, why = PathState.UNCLEAR, "the VM has no interface"
    if view.vm.interfaces:
        state, why = PathState.BLOCKED, "the VM's interface has no public address any more"
    elif grant.via is Via.FIREWALL:
        state = PathState.PARTIAL  # its NAT rules lead to an address that it had
    return PathView(state=state, rules=rules, why=why)


def _is_told(grant: Grant, path: PathView) -> bool:
    """Return True if the person was told this address: it stays while it leads in."""
    told, new = grant.connection, path.connection
    return told is not None and new is not None and told.address == new.address


def _list_offered(grant: Grant, view: MachineView, rules: Iterable[PathRule]) -> list[Interface]:
    """
    Return the interfaces by which people may reach the VM, in the order of preference.

    Through a firewall, they are those that a NAT rule leads to; until one does, the first.
    """
    nics = list(view.vm.ordered_interfaces)
    if grant.via is Via.FIREWALL:
        targets = {rule.target for rule in rules if rule.collection is not None}
        return [nic for nic in nics if nic.private_ip in targets] or nics[:1]
    if grant.via is Via.PUBLIC_IP:
        # A stopped VM gets its dynamic address when it starts: the resource is there already.
        nics = [nic for nic in nics if nic.public_ip or nic.public_ip_id]
        nics.sort(key=lambda nic: nic.public_ip is None)
    versions = {source.version for source in grant.sources}
    return [nic for nic in nics if read_version(nic) in versions] or nics[:1]


def _rules_to(nic: Interface, rules: Iterable[PathRule], grant: Grant) -> list[PathRule]:
    """Return the rules of the path that lead to one address: NAT rules, or rules of NSGs."""
    behind = grant.via is Via.FIREWALL
    return [
        rule
        for rule in rules
        if rule.target == nic.private_ip and (rule.collection is not None) is behind
    ]


def _judge_nsg_path(
    grant: Grant, view: MachineView, rules: tuple[PathRule, ...], nic: Interface
) -> PathView:
    address = nic.private_ip
    if not lets_all_in(_rules_to(nic, rules, grant), grant.sources):
        why = "not every rule is there yet"
        return PathView(state=PathState.PARTIAL, rules=rules, why=why, address=address)
    if block := find_block(grant, view, nic):
        return PathView(state=PathState.BLOCKED, rules=rules, why=block.why, address=address)
    if grant.via is Via.PRIVATE:
        return _open_view(grant, rules, nic, (address, grant.port), _UNSEEN_ROUTES)
    if nic.public_ip:
        return _open_view(grant, rules, nic, (nic.public_ip, grant.port))
    told = grant.connection.address if grant.connection is not None else address
    return _open_view(grant, rules, nic, (told, grant.port), _UNKNOWN_ADDRESS)


def _judge_firewall_path(
    grant: Grant, view: MachineView, rules: tuple[PathRule, ...], nic: Interface
) -> PathView:
    own = [rule for rule in _rules_to(nic, rules, grant) if _carries(rule, grant)]
    public_ends = tuple(dict.fromkeys(rule.public_end for rule in own if rule.public_end))
    public_end = next((end for end in public_ends if _leads_in(end, own, grant)), None)
    block = find_block(grant, view, nic)
    if public_end is not None and block is None:
        return _open_view(grant, rules, nic, public_end)
    state, why = PathState.PARTIAL, "the NAT rule is not there yet"
    if public_ends:
        why = "no NAT rule lets all its sources in by one address and port"
    if public_end is not None and block is not None:
        state, why = PathState.BLOCKED, block.why
    return PathView(
        state=state,
        rules=rules,
        why=why,
        address=nic.private_ip,
        blocked_by=block.by if block is not None else {},
    )


def _carries(rule: PathRule, grant: Grant) -> bool:
    """Return True if a NAT rule forwards every protocol of the grant."""
    wanted, forwarded = (
        find_packet_protocol(grant).upper(),
        {text.upper() for text in rule.protocols},
    )
    return "ANY" in forwarded or forwarded >= ({"TCP", "UDP"} if wanted == "*" else {wanted})


def _leads_in(public_end: tuple[str, int], rules: Iterable[PathRule], grant: Grant) -> bool:
    """Return True if all sources of *grant* may connect to that one address and port."""
    return lets_all_in((rule for rule in rules if rule.public_end == public_end), grant.sources)


def _open_view(
    grant: Grant,
    rules: tuple[PathRule, ...],
    nic: Interface,
    end: tuple[str, int],
    why: str = "",
) -> PathView:
    return PathView(
        state=PathState.OPEN,
        rules=rules,
        connection=build_connection(grant, *end),
        why=why,
        address=nic.private_ip,
    )
