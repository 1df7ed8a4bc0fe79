"""What the owner of a VM should know about the NSGs that are meant to hold its JIT ports shut."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from itertools import takewhile

from jit.domain.azure.companion_rule import parse_companion_name
from jit.domain.azure.defender_rules import JitKind, is_jit_allow_name, parse_jit_name
from jit.domain.azure.nsg_effect import Allowed, Blocked, Flow, Part, evaluate_path, split_flow
from jit.domain.azure.nsg_rules import Access, Direction, SecurityRule
from jit.domain.model.machine import MachineWarning, PortRule
from jit.domain.values.prefixes import Prefix, read_prefix

Rules = Sequence[SecurityRule]
Predicate = Callable[[SecurityRule], bool]

_MISSING = (
    "no NSG has the deny rule of the JIT policy; configure JIT for the VM again, and see that no "
    "other tool removes the rule"
)
_MOVE = "remove that rule, or move it behind the deny rule"
_CUT_OFF = (
    "the JIT deny rule stops the Bastion {}; whoever comes by it needs access for that prefix as "
    "the source"
)
_ANYWHERE = {4: ip_network("0.0.0.0/0"), 6: ip_network("::/0")}


def jit_warnings(
    nsgs: Sequence[Rules],
    *,
    private_ip: str,
    ports: Iterable[PortRule],
    vnet_prefixes: Iterable[str],
) -> tuple[MachineWarning, ...]:
    """
    Return what weakens the JIT deny rules of one interface, one warning a port at most.

    * ``deny-missing``: no NSG of the interface has the deny rule that Defender writes.
    * ``jit-bypassed``: a standing rule lets some traffic in before the deny rule.
    * ``deny-shadowed``: the same, and nothing at all is left for the deny rule to decide.

    Allow rules of grants and the broker's companions are not standing rules. A rule of which it
    cannot be told whom it lets in (a service tag, an unreadable rule) counts as letting in.

    Args:
        nsgs: The rules of the interface's and the subnet's NSG; none gives no warning.
        private_ip: The interface's address.
        ports: What the JIT policy says about the VM.
        vnet_prefixes: As for ``nsg.evaluate``.

    Raises:
        ValueError: *private_ip* is no address, or one of *vnet_prefixes* no prefix.

    Source:
        Learn, "Understand just-in-time VM access": existing rules for a port take priority over
        the deny rule.
    """
    address = ip_address(private_ip)
    prefixes = tuple(vnet_prefixes)
    guards = [_Guard(nsgs, address, port, prefixes) for port in ports] if nsgs else []
    return tuple(warning for guard in guards for warning in guard.warnings())


def bastion_warnings(
    nsgs: Sequence[Rules],
    *,
    private_ip: str,
    ports: Iterable[PortRule],
    bastion_prefixes: Iterable[str],
    vnet_prefixes: Iterable[str],
) -> tuple[MachineWarning, ...]:
    """
    Return how the JIT deny rules and a Bastion that serves the VM get in each other's way.

    * ``bastion-cut-off``: the JIT deny, and nothing else, stops the Bastion. A grant that covers
      its subnet ends that, for as long as it lasts.
    * ``bastion-bypass``: a standing rule lets the Bastion in at any time, past JIT.

    Args:
        nsgs: The rules of the interface's and the subnet's NSG.
        private_ip: The interface's address, which the Bastion connects to.
        ports: What the JIT policy says about the VM. UDP is left out: a Bastion speaks TCP.
        bastion_prefixes: Of AzureBastionSubnet, in the VM's VNet or a peered one; therefore part
            of the tag ``VirtualNetwork``.
        vnet_prefixes: As for ``nsg.evaluate``.

    Raises:
        ValueError: *private_ip* is no address, or one of the prefixes no prefix.

    Source:
        Learn, "Working with NSG access and Azure Bastion": a Bastion reaches the VM from its
        subnet, on the private address.
    """
    address = ip_address(private_ip)
    bastions = [ip_network(text, strict=False) for text in bastion_prefixes]
    prefixes = (*vnet_prefixes, *map(str, bastions))
    return tuple(
        warning
        for port in ports
        for bastion in bastions
        if port.protocol.upper() != "UDP" and bastion.version == address.version
        for warning in _Guard(nsgs, address, port, prefixes).against(bastion)
    )


@dataclass(frozen=True, slots=True)
class _Guard:
    """The NSGs of one interface, as they guard one port of a JIT policy."""

    nsgs: Sequence[Rules]
    address: IPv4Address | IPv6Address
    port: PortRule
    vnet: tuple[str, ...]

    def warnings(self) -> Iterator[MachineWarning]:
        """Yield what lets traffic in past the deny rule, if anything does."""
        if not self._guarded():
            yield self._warn("deny-missing", _MISSING)
            return
        seen = list(split_flow(_without(self.nsgs, _is_temporary), self._flow(), self.vnet))
        early = {
            rule
            for views in seen
            if all(map(_may_pass, views))
            for rule in self._before_deny(views)
        }
        if early:
            idle = not any(self._is_deny(view.decider) for views in seen for view in views)
            code = "deny-shadowed" if idle else "jit-bypassed"
            yield self._warn(code, f"let in before the JIT deny rule by {_listed(early)}; {_MOVE}")

    def against(self, bastion: Prefix) -> Iterator[MachineWarning]:
        """Yield how *bastion* fares, if JIT has to do with it."""
        if not self._guarded():
            return
        standing = _without(self.nsgs, _is_temporary)
        if isinstance(self._verdict(self.nsgs, bastion), Blocked):
            if isinstance(self._verdict(_without(self.nsgs, self._is_deny), bastion), Allowed):
                yield self._warn("bastion-cut-off", _CUT_OFF.format(bastion))
        elif isinstance(self._verdict(standing, bastion), Allowed):
            early = self._deciders(standing, bastion)
            what = f"the Bastion {bastion} gets in without a grant by {_listed(early)}; {_MOVE}"
            yield self._warn("bastion-bypass", what)

    def _deciders(self, nsgs: Sequence[Rules], bastion: Prefix) -> set[SecurityRule]:
        """Return the rules that let *bastion* in, of those NSGs that have the deny rule."""
        seen = split_flow(nsgs, self._from(bastion), self.vnet)
        return {rule for views in seen for rule in self._before_deny(views)}

    def _verdict(self, nsgs: Sequence[Rules], bastion: Prefix) -> object:
        return evaluate_path(nsgs, self._from(bastion), self.vnet, public=False)

    def _from(self, bastion: Prefix) -> Flow:
        """Return what *bastion* sends to the port."""
        return Flow(source=bastion, destination=self.address, port=self.port.number, protocol="TCP")

    def _flow(self) -> Flow:
        """Return everything that might come in to the port."""
        return Flow(
            source=_ANYWHERE[self.address.version],
            destination=self.address,
            port=self.port.number,
            protocol=self.port.protocol,
        )

    def _guarded(self) -> bool:
        return any(map(self._has_deny, self.nsgs))

    def _has_deny(self, rules: Rules) -> bool:
        return any(map(self._is_deny, rules))

    def _is_deny(self, rule: SecurityRule | None) -> bool:
        """Tell whether *rule* is Defender's deny rule for the port."""
        return rule is not None and _is_jit_deny(rule, self.address, self.port.number)

    def _before_deny(self, views: Sequence[Part]) -> Iterator[SecurityRule]:
        """Yield the rules that may let a part in, of those NSGs that have the deny rule."""
        for rules, view in zip(self.nsgs, views, strict=True):
            if self._has_deny(rules):
                before = takewhile(lambda rule: not self._is_deny(rule), _involved(view))
                yield from filter(_may_allow, before)

    def _warn(self, code: str, detail: str) -> MachineWarning:
        return MachineWarning(code=code, detail=f"port {self.port.number}: {detail}")


def _is_jit_deny(rule: SecurityRule, address: IPv4Address | IPv6Address, port: int) -> bool:
    """Tell whether *rule* is Defender's; one just being written counts, a failed one does not."""
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
    """Tell whether *rule* comes and goes with a grant."""
    return is_jit_allow_name(rule.name) or parse_companion_name(rule.name) is not None


def _without(nsgs: Sequence[Rules], unwanted: Predicate) -> list[Rules]:
    return [[rule for rule in rules if not unwanted(rule)] for rules in nsgs]


def _involved(view: Part) -> tuple[SecurityRule, ...]:
    return view.doubts + ((view.decider,) if view.decider else ())


def _listed(rules: Iterable[SecurityRule]) -> str:
    """Return the names of *rules*, the first to decide first."""
    ordered = sorted(rules, key=lambda rule: (rule.priority, rule.name))
    return ", ".join(f"{rule.name} (priority {rule.priority})" for rule in ordered)


def _may_allow(rule: SecurityRule) -> bool:
    return rule.access is not Access.DENY or not rule.in_force


def _may_pass(view: Part) -> bool:
    """Tell whether some reading of an NSG lets the part through."""
    return view.decider is None or any(map(_may_allow, _involved(view)))
