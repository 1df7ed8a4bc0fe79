"""
Whose rule it is: the rules of just-in-time access, and the grants that they may belong to.

A rule is a grant's if the grant recorded its resource id at first sight, or if it is what Defender
writes for that VM port and nothing but sources that were asked for there. Names of NAT rules may
be used again by Defender (assumed), so a recorded one must also lead where the grant leads.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from jit.domain.azure.defender_requests import DefenderRequest
from jit.domain.azure.defender_rules import matches_within
from jit.domain.azure.firewall import NatRule
from jit.domain.azure.nsg_rules import PortRange
from jit.domain.grants.lifetime import leftover_from, was_asked
from jit.domain.grants.timing import FOREIGN_GRACE
from jit.domain.model.grant import Grant
from jit.domain.model.machine import VirtualMachine
from jit.domain.paths import rules
from jit.domain.paths.machine_view import MachineView
from jit.domain.reconcile.observation import FoundRule, Observation
from jit.domain.values import arm_ids
from jit.domain.values.prefixes import Prefix, network

_ANYWHERE = ""
"""The holder of what may stand anywhere."""


class RuleOwners:
    """Grants by the rules and places that are theirs, and what others were allowed there."""

    def __init__(
        self,
        observed: Observation,
        grants: Iterable[Grant],
        tombstones: Iterable[Grant],
        *,
        now: datetime,
    ) -> None:
        """
        Index *grants*, live ones, and *tombstones*, closed ones; *now* is aware, UTC.

        One that stands in both was closed between the two reads: the tombstone is newer.
        """
        self.now = now
        self.grants = {grant.id: grant for grant in (*grants, *tombstones)}
        self._views = observed.machines
        self._machines = _by_place(observed.machines)
        self._recorded: dict[str, list[Grant]] = {}
        self._placed: dict[tuple[str, str], list[Grant]] = {}
        self._asked: dict[tuple[str, int], set[Prefix]] = {}
        for grant in filter(was_asked, self.grants.values()):
            self._enter(grant)
        self._others = _others(observed.entries, self.grants.values(), now)

    def _enter(self, grant: Grant) -> None:
        for rule_id in grant.rules:
            self._recorded.setdefault(arm_ids.key(rule_id), []).append(grant)
        for holder in {_ANYWHERE, *self._holders(grant)}:
            for address in self.addresses(grant):
                self._placed.setdefault((holder, address), []).append(grant)
        port = (arm_ids.key(grant.vm_id), grant.port)
        self._asked.setdefault(port, set()).update(grant.sources)

    def _holders(self, grant: Grant) -> set[str]:
        """Return the keys of NSGs and firewalls that may hold a rule of *grant*."""
        view = self._views.get(arm_ids.key(grant.vm_id))
        ids = [*map(_holder_of, grant.rules), *map(_holder_of, grant.companions)]
        ids += [grant.firewall_id or ""]
        ids += _holders_of(view.vm) if view is not None else []
        return {arm_ids.key(item) for item in ids if item}

    def may_stand_in(self, grant: Grant, holder_id: str) -> bool:
        """Tell whether that NSG or firewall may hold a rule of *grant*."""
        return arm_ids.key(holder_id) in self._holders(grant)

    def addresses(self, grant: Grant) -> tuple[str, ...]:
        """Return the private addresses of a grant's VM, now and when its rules were seen."""
        view = self._views.get(arm_ids.key(grant.vm_id))
        now_there = rules.addresses(view.vm) if view is not None else ()
        return tuple(dict.fromkeys((*now_there, *grant.private_ips)))

    # ---- time ----------------------------------------------------------------------------------

    def wanting(self, grant: Grant) -> bool:
        """Tell whether *grant* should have a path now."""
        return grant.wants_path and (grant.expires_at is None or grant.expires_at > self.now)

    def over(self, grant: Grant) -> bool:
        """Tell whether what is left of *grant* is a leftover by now."""
        gone_by = leftover_from(grant)
        return gone_by is not None and gone_by <= self.now

    # ---- whose ---------------------------------------------------------------------------------

    def recorders(self, rule: FoundRule) -> list[Grant]:
        """Return the grants that recorded *rule* as theirs."""
        return self._recorded.get(arm_ids.key(rule.path.id), [])

    def sharers(self, rule: FoundRule) -> list[Grant]:
        """Return the grants on the VM ports that *rule* leads to."""
        return self._on_port(rule, arm_ids.key(rule.path.holder_id))

    def needers(self, rule: FoundRule) -> list[Grant]:
        """
        Return the grants that should have a path now and may get it by *rule*.

        Where its holder guards no VM with that address, any grant for the address may need it.
        """
        holder = arm_ids.key(rule.path.holder_id)
        known = any((holder, address) in self._machines for address in rule.addresses)
        near = (*self.sharers(rule), *([] if known else self._on_port(rule, _ANYWHERE)))
        found = {grant.id: grant for grant in near if self.wanting(grant) and touches(rule, grant)}
        return list(found.values())

    def _on_port(self, rule: FoundRule, holder: str) -> list[Grant]:
        found = {
            grant.id: grant
            for address in sorted(rule.addresses)
            for grant in self._placed.get((holder, address), ())
            if rule.leads_to(grant.port)
        }
        return list(found.values())

    def owners(self, rule: FoundRule) -> list[Grant]:
        """Return the grants that *rule* is proved to belong to."""
        recorded = [
            grant
            for grant in self.recorders(rule)
            if not isinstance(rule.raw, NatRule) or self._leads_home(rule, grant)
        ]
        known = {grant.id for grant in recorded}
        exact = [
            grant
            for grant in self.sharers(rule)
            if grant.id not in known and self._matches(rule, grant)
        ]
        return [*recorded, *exact]

    def _leads_home(self, rule: FoundRule, grant: Grant) -> bool:
        return (
            rule.leads_to(grant.port)
            and not rule.addresses.isdisjoint(self.addresses(grant))
            and touches(rule, grant)
        )

    def _matches(self, rule: FoundRule, grant: Grant) -> bool:
        """Whether it is just what Defender writes for the grants of that VM port."""
        asked = self.asked(grant)
        return touches(rule, grant) and any(
            matches_within(rule.raw, private_ip=address, port=grant.port, sources=asked)
            for address in self.addresses(grant)
        )

    def asked(self, grant: Grant) -> frozenset[Prefix]:
        """Return every source that was asked for on the VM port of *grant*."""
        return frozenset(self._asked.get((arm_ids.key(grant.vm_id), grant.port), ()))

    def strangers(self, rule: FoundRule) -> list[DefenderRequest]:
        """Return others' requests in force that *rule* may stand for, wherever it leads."""
        return [
            entry
            for key in self._vms(rule)
            for entry in self._others.get(key, ())
            if rule.leads_to(entry.port) and _meet(entry.sources, rule.path.sources)
        ]

    def _vms(self, rule: FoundRule) -> list[str]:
        """
        Return the keys of the VMs that *rule* leads to, or led to when it was recorded.

        Where its holder guards no VM with that address, any VM with it may be meant.
        """
        holder = arm_ids.key(rule.path.holder_id)
        found: list[str] = []
        for address in sorted(rule.addresses):
            here = (
                self._machines.get((holder, address))
                or self._machines.get((_ANYWHERE, address))
                or []
            )
            found += [arm_ids.key(vm.id) for vm in here]
        grants = (*self.recorders(rule), *self.sharers(rule))
        return list(dict.fromkeys((*found, *(arm_ids.key(grant.vm_id) for grant in grants))))

    def policy_of(self, rule: FoundRule) -> str | None:
        """Return the JIT policy of a VM that *rule* leads to; None where there is none."""
        views = (self._views.get(key) for key in self._vms(rule))
        policies = (view.vm.policy_id for view in views if view is not None)
        return next(filter(None, policies), None)

    def widened(self, rule: FoundRule, grant: Grant) -> bool:
        """Tell whether *rule*, recorded by *grant*, now opens more than was ever asked for."""
        if isinstance(rule.raw, NatRule):
            return self._leads_home(rule, grant) and (
                bool(rule.raw.ip_groups) or not self._within_asked(rule, grant)
            )
        return (
            bool(rule.raw.faults)
            or rule.raw.ports != (PortRange(grant.port, grant.port),)
            or not rule.addresses <= set(self.addresses(grant))
            or not self._within_asked(rule, grant)
        )

    def _within_asked(self, rule: FoundRule, grant: Grant) -> bool:
        theirs = (
            text
            for entry in self._others.get(arm_ids.key(grant.vm_id), ())
            if entry.port == grant.port
            for text in entry.sources
        )
        allowed = [*self.asked(grant), *rules.readable(theirs)]
        return all(_inside(text, allowed) for text in rule.path.sources)


def touches(rule: FoundRule, grant: Grant) -> bool:
    """Tell whether *rule* lets in any address of the grant's sources."""
    return bool(rules.letting_in((rule.path,), grant.sources))


def covered(rule: FoundRule, grants: Iterable[Grant]) -> bool:
    """Tell whether each source of *rule* is one that *grants* are entitled to."""
    allowed = [source for grant in grants for source in grant.sources]
    return all(_inside(text, allowed) for text in rule.path.sources)


def _inside(text: str, allowed: Iterable[Prefix]) -> bool:
    prefix = network(text)
    return prefix is not None and any(
        isinstance(prefix, type(other)) and prefix.subnet_of(other)  # type: ignore[arg-type] # same version
        for other in allowed
    )


def _meet(texts: tuple[str, ...], others: tuple[str, ...]) -> bool:
    """Tell whether both may mean one address; what cannot be read may mean any."""
    if not texts or not others:
        return True
    left, right = rules.readable(texts), rules.readable(others)
    if len(left) < len(texts) or len(right) < len(others):
        return True
    return any(a.overlaps(b) for a in left for b in right if a.version == b.version)


def _by_place(views: Mapping[str, MachineView]) -> dict[tuple[str, str], list[VirtualMachine]]:
    """
    Return VMs by NSG or firewall, with private address: addresses repeat between networks.

    Under ``_ANYWHERE`` stand all VMs with an address.
    """
    places: dict[tuple[str, str], list[VirtualMachine]] = {}
    for view in views.values():
        for holder in {_ANYWHERE, *(arm_ids.key(item) for item in _holders_of(view.vm))}:
            for address in rules.addresses(view.vm):
                places.setdefault((holder, address), []).append(view.vm)
    return places


def _holders_of(vm: VirtualMachine) -> list[str]:
    nsgs = [nsg_id for nic in vm.interfaces for nsg_id in nic.nsg_ids]
    return [*nsgs, *filter(None, (vm.firewall_id,))]


def _holder_of(rule_id: str) -> str:
    """Return the NSG or firewall in the id of a rule."""
    key = arm_ids.key(rule_id)
    return key.split("/securityrules/", 1)[0].split("/natrulecollections/", 1)[0]


def _others(
    entries: Iterable[DefenderRequest], grants: Iterable[Grant], now: datetime
) -> dict[str, list[DefenderRequest]]:
    """Return the requests of others that count, by VM."""
    known = {initiate for grant in grants for initiate in grant.initiates}
    found: dict[str, list[DefenderRequest]] = {}
    for entry in entries:
        if entry.initiate_id not in known and _counts(entry, now):
            found.setdefault(arm_ids.key(entry.vm_id), []).append(entry)
    return found


def _counts(entry: DefenderRequest, now: datetime) -> bool:
    """Whether *entry* is in force, or ended so lately that Azure may still be tidying up."""
    recent = entry.active or entry.reason == "Expired"
    return recent and (entry.in_force(now) or now - entry.ends_at < FOREIGN_GRACE)
