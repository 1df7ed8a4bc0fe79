"""Warnings about the NSGs that should keep the JIT ports of a VM closed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from itertools import takewhile

from jit.domain.azure.companion_rule import parse_companion_name
from jit.domain.azure.defender_rules import JitKind, is_jit_allow_name, parse_jit_name
from jit.domain.azure.nsg_effect import (
    Allowed,
    Blocked,
    Flow,
    Part,
    evaluate_path,
    may_concern,
    split_flow,
)
from jit.domain.azure.nsg_rules import Access, Direction, SecurityRule
from jit.domain.model.machine import MachineWarning, PortRule
from jit.domain.values.prefixes import Prefix, read_prefix

Rules = Sequence[SecurityRule]
Predicate = Callable[[SecurityRule], bool]

JIT_CODES = frozenset({"deny-missing", "jit-bypassed", "deny-shadowed"})
BASTION_CODES = frozenset({"bastion-cut-off", "bastion-bypass"})
"""The codes of the warnings of this module."""

_MISSING = (
    "no NSG has the deny rule of the JIT policy; configure JIT for the VM again, and see that no "
    "other tool removes the rule"
)
_MOVE = "remove that rule, or move it behind the deny rule"
_CUT_OFF = (
    'the JIT deny rule stops the Bastion {}; ask for access with "via": "bastion", which opens the '
    "port for it"
)
_ANYWHERE = {4: ip_network("0.0.0.0/0"), 6: ip_network("::/0")}


def find_jit_warnings(
    nsgs: Sequence[Rules],
    *,
    private_ip: str,
    ports: Iterable[PortRule],
    vnet_prefixes: Iterable[str],
    groups: frozenset[str] | None = None,
) -> tuple[MachineWarning, ...]:
    """
    Return warnings about weak JIT deny rules of one interface, at most one for each port.

    * ``deny-missing``: no NSG of the interface has the deny rule that Defender writes.
    * ``jit-bypassed``: a standing rule lets some traffic in before the deny rule.
    * ``deny-shadowed``: the same, and the deny rule decides about no packet at all.

    Allow rules of grants and the broker's companions are not standing rules. A rule with unknown
    sources (a service tag, an unreadable rule) counts as a rule that lets traffic in. A rule of
    Defender's is never named, and a rule that is not in force only if it reads as a rule for the
    port.

    Args:
        nsgs: The rules of the interface's and the subnet's NSG; without any there is no warning.
        private_ip: The interface's address.
        ports: The port rules of the VM in its JIT policy.
        vnet_prefixes: As for ``nsg_effect.evaluate``.
        groups: Keys of the application security groups of the interface; None if not known.

    Raises:
        ValueError: *private_ip* is no address, or one of *vnet_prefixes* no prefix.

    Source:
        Learn, "Understand just-in-time VM access": existing rules for a port take priority over
        the deny rule.
    """
    address = ip_address(private_ip)
    prefixes = tuple(vnet_prefixes)
    checks = [_PortCheck(nsgs, address, port, prefixes, groups) for port in ports if nsgs]
    return tuple(warning for check in checks for warning in check.drop_others().find_bypasses())


def find_bastion_warnings(
    nsgs: Sequence[Rules],
    *,
    private_ip: str,
    ports: Iterable[PortRule],
    bastion_prefixes: Iterable[str],
    vnet_prefixes: Iterable[str],
    groups: frozenset[str] | None = None,
) -> tuple[MachineWarning, ...]:
    """
    Return warnings about conflicts between JIT deny rules and a Bastion that serves the VM.

    * ``bastion-cut-off``: only the JIT deny rule stops the Bastion. During a grant that covers the
      Bastion's subnet it can connect.
    * ``bastion-bypass``: a standing rule lets the Bastion in at any time, without JIT.

    Args:
        nsgs: The rules of the interface's and the subnet's NSG.
        private_ip: The interface's address, which the Bastion connects to.
        ports: The port rules of the VM in its JIT policy. UDP is ignored: a Bastion uses TCP.
        bastion_prefixes: Prefixes of AzureBastionSubnet in the VM's VNet or a peered one; they are
            part of the tag ``VirtualNetwork``.
        vnet_prefixes: As for ``nsg_effect.evaluate``.
        groups: Keys of the application security groups of the interface; None if not known.

    Raises:
        ValueError: *private_ip* is no address, or one of the prefixes no prefix.

    Source:
        Learn, "Working with NSG access and Azure Bastion": a Bastion reaches the VM from its
        subnet, on the private address.
    """
    address = ip_address(private_ip)
    bastions = [ip_network(text, strict=False) for text in bastion_prefixes]
    prefixes = (*vnet_prefixes, *map(str, bastions))
    checks = [
        _PortCheck(nsgs, address, port, prefixes, groups).drop_others()
        for port in ports
        if port.protocol.upper() != "UDP"
    ]
    return tuple(
        warning
        for check in checks
        for bastion in bastions
        if bastion.version == address.version
        for warning in check.check_bastion(bastion)
    )


@dataclass(frozen=True, slots=True)
class _PortCheck:
    """A check of one port of a JIT policy: do the NSGs of one interface protect it?"""

    nsgs: Sequence[Rules]
    address: IPv4Address | IPv6Address
    port: PortRule
    vnet: tuple[str, ...]
    groups: frozenset[str] | None

    def drop_others(self) -> _PortCheck:
        """
        Return the check without the rules that are not in force and are for another VM or port.

        The evaluation counts each of them as a doubt. A warning about it would be wrong advice: it
        may be another VM's deny rule.
        """
        return replace(self, nsgs=_drop_rules(self.nsgs, self._is_elsewhere))

    def _is_elsewhere(self, rule: SecurityRule) -> bool:
        return not rule.in_force and not may_concern(rule, self._whole_flow(), self.vnet)

    def find_bypasses(self) -> Iterator[MachineWarning]:
        """Yield a warning if the deny rule is missing, or if rules let traffic in before it."""
        if not self._is_protected():
            yield self._warn("deny-missing", _MISSING)
            return
        seen = list(
            split_flow(_drop_rules(self.nsgs, _is_temporary), self._whole_flow(), self.vnet)
        )
        early = {
            rule
            for views in seen
            if all(map(_may_pass, views))
            for rule in self._rules_before_deny(views)
        }
        if early:
            idle = not any(self._is_deny(view.decider) for views in seen for view in views)
            code = "deny-shadowed" if idle else "jit-bypassed"
            yield self._warn(
                code, f"let in before the JIT deny rule by {_name_rules(early)}; {_MOVE}"
            )

    def check_bastion(self, bastion: Prefix) -> Iterator[MachineWarning]:
        """Yield a warning if JIT stops *bastion*, or if *bastion* can bypass JIT."""
        if not self._is_protected():
            return
        standing = _drop_rules(self.nsgs, _is_temporary)
        if isinstance(self._verdict(self.nsgs, bastion), Blocked):
            if isinstance(self._verdict(_drop_rules(self.nsgs, self._is_deny), bastion), Allowed):
                yield self._warn("bastion-cut-off", _CUT_OFF.format(bastion))
        elif isinstance(self._verdict(standing, bastion), Allowed):
            early = self._find_deciders(standing, bastion)
            what = f"the Bastion {bastion} gets in without a grant by {_name_rules(early)}; {_MOVE}"
            yield self._warn("bastion-bypass", what)

    def _find_deciders(self, nsgs: Sequence[Rules], bastion: Prefix) -> set[SecurityRule]:
        """Return the rules that let *bastion* in, in the NSGs that have the deny rule."""
        seen = split_flow(nsgs, self._bastion_flow(bastion), self.vnet)
        return {rule for views in seen for rule in self._rules_before_deny(views)}

    def _verdict(self, nsgs: Sequence[Rules], bastion: Prefix) -> object:
        return evaluate_path(nsgs, self._bastion_flow(bastion), self.vnet, public=False)

    def _bastion_flow(self, bastion: Prefix) -> Flow:
        """Return the packets of *bastion* to the port."""
        return replace(self._whole_flow(), source=bastion, protocol="TCP")

    def _whole_flow(self) -> Flow:
        """Return all packets that may arrive at the port."""
        return Flow(
            source=_ANYWHERE[self.address.version],
            destination=self.address,
            port=self.port.number,
            protocol=self.port.protocol,
            groups=self.groups,
        )

    def _is_protected(self) -> bool:
        return any(map(self._has_deny_rule, self.nsgs))

    def _has_deny_rule(self, rules: Rules) -> bool:
        return any(map(self._is_deny, rules))

    def _is_deny(self, rule: SecurityRule | None) -> bool:
        """Return True if *rule* is Defender's deny rule for the port."""
        return rule is not None and _is_jit_deny(rule, self.address, self.port.number)

    def _rules_before_deny(self, views: Sequence[Part]) -> Iterator[SecurityRule]:
        """Yield the rules that may let a part in, in the NSGs that have the deny rule."""
        for rules, view in zip(self.nsgs, views, strict=True):
            if self._has_deny_rule(rules):
                before = takewhile(lambda rule: not self._is_deny(rule), _list_involved_rules(view))
                yield from filter(_may_allow, before)

    def _warn(self, code: str, detail: str) -> MachineWarning:
        return MachineWarning(code=code, detail=f"port {self.port.number}: {detail}")


def _is_jit_deny(rule: SecurityRule, address: IPv4Address | IPv6Address, port: int) -> bool:
    """Return True if *rule* is Defender's deny rule and its last write did not fail."""
    name = parse_jit_name(rule.name)
    return (
        name is not None
        and name.kind is JitKind.DENY
        and rule.access is Access.DENY
        and rule.state.lower() != "failed"
        and rule.direction is Direction.INBOUND
        and any(port in ports for ports in rule.destination_ports)
        and ip_network(address) in {read_prefix(text) for text in rule.destinations}
    )


def _is_temporary(rule: SecurityRule) -> bool:
    """Return True if *rule* exists only during a grant."""
    return is_jit_allow_name(rule.name) or parse_companion_name(rule.name) is not None


def _drop_rules(nsgs: Sequence[Rules], unwanted: Predicate) -> list[Rules]:
    return [[rule for rule in rules if not unwanted(rule)] for rules in nsgs]


def _list_involved_rules(view: Part) -> tuple[SecurityRule, ...]:
    return view.doubts + ((view.decider,) if view.decider else ())


def _name_rules(rules: Iterable[SecurityRule]) -> str:
    """Return the names of *rules*, the smallest priority number first."""
    ordered = sorted(rules, key=lambda rule: (rule.priority, rule.name))
    return ", ".join(f"{rule.name} (priority {rule.priority})" for rule in ordered)


def _may_allow(rule: SecurityRule) -> bool:
    """Return True if *rule* may let packets in; Defender's deny rules never do."""
    if rule.access is Access.DENY and parse_jit_name(rule.name) is not None:
        return False
    return rule.access is not Access.DENY or not rule.in_force


def _may_pass(view: Part) -> bool:
    """Return True if the NSG may let the part pass."""
    return view.decider is None or any(map(_may_allow, _list_involved_rules(view)))
