"""
The grants, VMs and requests around each rule of a subscription: the evidence for ``removal``.

An index. It finds the possible owners and users of a rule; ``removal.judge`` decides.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from datetime import datetime

from jit.domain.azure.defender_requests import DefenderRequest
from jit.domain.grants import removal, superseded, widened
from jit.domain.grants.lifetime import find_leftover_start, has_asked_azure
from jit.domain.grants.removal import Evidence, Judgement
from jit.domain.model.grant import Grant
from jit.domain.model.machine import VirtualMachine, VmPort
from jit.domain.model.named_sources import fill_sources
from jit.domain.paths import rules
from jit.domain.paths.companion_owners import list_owners
from jit.domain.paths.machine_view import MachineView
from jit.domain.reconcile.observation import FoundRule, Observation
from jit.domain.values import arm_ids
from jit.domain.values.prefixes import Prefix

_ANYWHERE = ""
"""The key of a holder that stands for every NSG and firewall."""


class RuleOwners:
    """Grants by the rules and places that are theirs, and other people's requests there."""

    def __init__(
        self,
        observed: Observation,
        grants: Iterable[Grant],
        tombstones: Iterable[Grant],
        *,
        now: datetime,
    ) -> None:
        """
        Index *grants*, which are live, and *tombstones*, which are closed; *now* is aware, UTC.

        A grant in both was closed between the two reads: the tombstone is newer.
        """
        self.now = now
        known = {grant.id: grant for grant in (*grants, *tombstones)}
        self.grants = {grant.id: grant for grant in fill_sources(list(known.values()))}
        self._views = observed.machines
        self._machines = _group_by_place(observed.machines)
        self._recorded: dict[str, list[Grant]] = {}
        self._placed: dict[tuple[str, str], list[Grant]] = {}
        self._by_port: dict[VmPort, list[Grant]] = {}
        self._accompanied: dict[str, list[Grant]] = {}
        for grant in self.grants.values():
            for owner in list_owners(grant):
                self._accompanied.setdefault(owner, []).append(grant)
            if has_asked_azure(grant) or self.wants_path(grant):
                self._enter(grant)
        self._asked: dict[VmPort, frozenset[Prefix]] = {
            port: frozenset(
                source for grant in here if has_asked_azure(grant) for source in grant.sources
            )
            for port, here in self._by_port.items()
        }
        self._known = {id_ for grant in self.grants.values() for id_ in grant.initiate.ids}
        self._foreign = _group_foreign_by_vm(observed.entries, self._known, now)
        self._requests = _group_by_port(observed.entries)

    def _enter(self, grant: Grant) -> None:
        for rule in grant.rule_keys:
            self._recorded.setdefault(rule, []).append(grant)
        for holder in {_ANYWHERE, *self._holders(grant)}:
            for address in self.list_addresses(grant):
                self._placed.setdefault((holder, address), []).append(grant)
        self._by_port.setdefault(grant.vm_port, []).append(grant)

    def _holders(self, grant: Grant) -> set[str]:
        """Return the keys of NSGs and firewalls that may hold a rule of *grant*."""
        view = self._views.get(grant.vm_key)
        left = (*grant.footprint.rules, *grant.footprint.companions)
        ids = [*map(_holder_of, left), grant.firewall_id or ""]
        ids += _holders_of(view.vm) if view is not None else []
        return {arm_ids.key(item) for item in ids if item}

    def may_stand_in(self, grant: Grant, holder_id: str) -> bool:
        """Return True if that NSG or firewall may hold a rule of *grant*."""
        return arm_ids.key(holder_id) in self._holders(grant)

    def list_addresses(self, grant: Grant) -> tuple[str, ...]:
        """Return the private addresses of a grant's VM, now and when its rules were seen."""
        view = self._views.get(grant.vm_key)
        now_there = rules.list_addresses(view.vm) if view is not None else ()
        return tuple(dict.fromkeys((*now_there, *grant.footprint.private_ips)))

    def list_asked(self, grant: Grant) -> frozenset[Prefix]:
        """Return every source that is asked for on a grant's VM port, as a step sees it."""
        here = self._by_port.get(grant.vm_port, ())
        asking = (each for each in here if each.may_have_path)
        foreign = (
            entry
            for entry in self._foreign.get(grant.vm_key, ())
            if entry.port == grant.port and entry.is_in_force(self.now)
        )
        return widened.list_asked_sources(asking, foreign)

    # ---- time ------------------------------------------------------------------------------------

    def wants_path(self, grant: Grant) -> bool:
        """Return True if *grant* should have a path now."""
        return removal.wants_path_now(grant, self.now)

    def is_over(self, grant: Grant) -> bool:
        """Return True if the rules of *grant* are leftovers by now."""
        since = find_leftover_start(grant)
        return since is not None and since <= self.now

    def is_in_doubt(self, grant: Grant) -> bool:
        """Return True if the lists may lack something of a grant's VM: its requests, too."""
        view = self._views.get(grant.vm_key)
        return view is not None and view.vm.is_in_doubt

    def find_replacement(self, grant: Grant) -> str:
        """Return the reason if somebody else ended its request in Defender, else nothing."""
        found = superseded.find_replacement(
            grant,
            self._requests.get(grant.vm_port, ()),
            is_foreign=lambda entry: entry.initiate_id not in self._known,
            now=self.now,
        )
        return found[1] if found is not None else ""

    # ---- owners and users ------------------------------------------------------------------------

    def judge(self, rule: FoundRule) -> Judgement:
        """Return the owners and the users of *rule*."""
        on_port = self._find_on_port(rule, arm_ids.key(rule.path.holder_id))
        evidence = Evidence(
            recorded_by=self.find_recorders(rule),
            on_port=on_port,
            users=(*on_port, *self._find_distant_users(rule)),
            asked=self._asked,
            foreign=self._foreign_requests(rule),
        )
        return removal.judge(rule.path, evidence, now=self.now)

    def list_accompanied(self, owner: str) -> list[Grant]:
        """Return the grants that the companions of *owner* are for, by the name alone."""
        return self._accompanied.get(owner, [])

    def find_recorders(self, rule: FoundRule) -> list[Grant]:
        """Return the grants that recorded *rule*; a NAT rule must still lead where they lead."""
        return [
            grant
            for grant in self._recorded.get(arm_ids.key(rule.path.id), [])
            if removal.is_recorded(rule.path, grant, self.list_addresses(grant))
        ]

    def _find_on_port(self, rule: FoundRule, holder: str) -> list[Grant]:
        """Return the grants on the VM ports that *rule* leads to, if it stands in *holder*."""
        found = {
            grant.id: grant
            for address in sorted(rule.addresses)
            for grant in self._placed.get((holder, address), ())
            if rule.leads_to(grant.port)
        }
        return list(found.values())

    def _find_distant_users(self, rule: FoundRule) -> list[Grant]:
        """
        Return the grants for an address of *rule*, if its holder guards no VM with that address.

        Any of them may need the rule: an NSG can be taken off, and put back on.
        """
        holder = arm_ids.key(rule.path.holder_id)
        known = any((holder, address) in self._machines for address in rule.addresses)
        return [] if known else self._find_on_port(rule, _ANYWHERE)

    def _foreign_requests(self, rule: FoundRule) -> list[DefenderRequest]:
        """Return other people's requests that count, for the VM ports that *rule* leads to."""
        return [
            entry
            for key in self._vms(rule)
            for entry in self._foreign.get(key, ())
            if rule.leads_to(entry.port)
        ]

    def _vms(self, rule: FoundRule) -> list[str]:
        """
        Return the keys of the VMs that *rule* leads to, or led to when it was recorded.

        If its holder guards no VM with that address, any VM with it may be meant.
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
        recorders = self._recorded.get(arm_ids.key(rule.path.id), [])
        grants = (*recorders, *self._find_on_port(rule, holder))
        return list(dict.fromkeys((*found, *(grant.vm_key for grant in grants))))

    def list_vm_keys(self, rule: FoundRule) -> list[str]:
        """Return the keys of the VMs that *rule* leads to, or may lead to."""
        return self._vms(rule)

    def list_foreign_requests(self, vm_key: str) -> list[DefenderRequest]:
        """Return other people's requests for a VM that still count, as in ``removal``."""
        return self._foreign.get(vm_key, [])

    def policy_of(self, rule: FoundRule) -> str | None:
        """Return the JIT policy of a VM that *rule* leads to; None if there is none."""
        views = (self._views.get(key) for key in self._vms(rule))
        policies = (view.vm.policy_id for view in views if view is not None)
        return next(filter(None, policies), None)

    # ---- widened ---------------------------------------------------------------------------------

    def is_widened(self, rule: FoundRule, grant: Grant) -> bool:
        """Return True if *rule*, recorded by *grant*, now opens more than was ever asked for."""
        home = rule.leads_to(grant.port) and rule.addresses <= set(self.list_addresses(grant))
        path = replace(rule.path, exact=rule.path.exact and home)
        asked = (each for each in self._by_port.get(grant.vm_port, ()) if has_asked_azure(each))
        foreign = (e for e in self._foreign.get(grant.vm_key, ()) if e.port == grant.port)
        return widened.is_wider(path, widened.list_asked_sources(asked, foreign))


def _group_by_place(
    views: Mapping[str, MachineView],
) -> dict[tuple[str, str], list[VirtualMachine]]:
    """
    Return VMs by NSG or firewall, with private address: addresses repeat between networks.

    Under ``_ANYWHERE`` stand all VMs with an address.
    """
    places: dict[tuple[str, str], list[VirtualMachine]] = {}
    for view in views.values():
        for holder in {_ANYWHERE, *(arm_ids.key(item) for item in _holders_of(view.vm))}:
            for address in rules.list_addresses(view.vm):
                places.setdefault((holder, address), []).append(view.vm)
    return places


def _holders_of(vm: VirtualMachine) -> list[str]:
    nsgs = [nsg_id for nic in vm.interfaces for nsg_id in nic.nsg_ids]
    return [*nsgs, *filter(None, (vm.firewall_id,))]


def _holder_of(rule_id: str) -> str:
    """Return the NSG or firewall in the id of a rule."""
    key = arm_ids.key(rule_id)
    return key.split("/securityrules/", 1)[0].split("/natrulecollections/", 1)[0]


def _group_by_port(
    entries: Iterable[DefenderRequest],
) -> dict[VmPort, list[DefenderRequest]]:
    """Return Defender's requests by VM port, oldest first; they may have been read twice."""
    found: dict[VmPort, list[DefenderRequest]] = {}
    for entry in sorted(dict.fromkeys(entries), key=lambda entry: entry.started_at):
        found.setdefault(VmPort.of(entry.vm_id, entry.port), []).append(entry)
    return found


def _group_foreign_by_vm(
    entries: Iterable[DefenderRequest], known: Collection[str], now: datetime
) -> dict[str, list[DefenderRequest]]:
    """Return other people's requests that still count, by the key of their VM."""
    found: dict[str, list[DefenderRequest]] = {}
    for entry in removal.find_foreign_requests(entries, known, now=now):
        found.setdefault(arm_ids.key(entry.vm_id), []).append(entry)
    return found
