"""
A look at Azure for one pass: everything that the grants of a policy depend on.

The inventory says where to look. Only the look itself counts: a VM that is remembered but was not
read decides nothing new.
"""

from __future__ import annotations

import json
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from jit.broker.locks import Locks
from jit.broker.network_managers import NetworkManagers
from jit.broker.policy_worker.pass_state import Pass
from jit.domain.grants import lifetime
from jit.domain.grants.policy_view import PolicyView
from jit.domain.inventory.deleted_machine import rebuild_machine
from jit.domain.limits import Limits
from jit.domain.model.bastion import Bastion
from jit.domain.model.grant import Grant, Status
from jit.domain.model.machine import VirtualMachine
from jit.domain.paths.rules import list_holders
from jit.domain.values import arm_ids
from jit.observer.earlier_looks import EarlierLooks
from jit.observer.reads import kind_of
from jit.observer.subscription import Observer
from jit.storage.inventory_store import InventoryStore
from jit.storage.machine_rows import build_document

_NEVER = datetime.max.replace(tzinfo=UTC)

Machines = Mapping[str, VirtualMachine]
"""By the key of the VM's id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """Looks at Azure for passes, and keeps in the inventory where a path leads."""

    inventory: InventoryStore
    observer: Observer
    locks: Locks
    managers: NetworkManagers
    limits: Limits

    def observe(
        self, grants: Sequence[Grant], state: Pass, *, complete: frozenset[str] = frozenset()
    ) -> PolicyView:
        """
        Look at everything that *grants* depend on.

        Args:
            grants: Live grants of the policy.
            state: The pass.
            complete: Keys of VMs to which a path may become open: their interfaces, networks and
                security admin rules are read too. For VMs that a decision is about, or that
                somebody wants looked at, interfaces and networks are read in any case.

        Raises:
            Unavailable: The policy could not be read.
            Refused: The same, for good.
        """
        known = self._find_machines(grants, state)
        deleted = _rebuild_deleted(grants, known)
        deciding = frozenset(g.vm_key for g in grants if _is_to_read(g, state)) | complete
        return self._observe_machines(known, deleted, deciding & known.keys(), complete, state)

    def may_open(self, state: Pass) -> bool:
        """Return False in a subscription that the settings no longer name: it only closes."""
        return self.limits.allows_subscription(arm_ids.subscription(state.policy_id))

    def _find_machines(self, grants: Iterable[Grant], state: Pass) -> Machines:
        """Return the VMs of the inventory; if it lacks one, read all of its subscription."""
        ids = {arm_ids.key(grant.vm_id): grant.vm_id for grant in grants}
        found = {key: self.inventory.find_machine(vm_id) for key, vm_id in ids.items()}
        if None in found.values():
            partition = arm_ids.subscription(state.policy_id)
            fresh = self.observer.read_machines(partition, now=state.now)
            self.inventory.write_machines(partition, fresh, complete=True)
            found |= {arm_ids.key(vm.id): vm for vm in fresh if arm_ids.key(vm.id) in ids}
        return {key: vm for key, vm in found.items() if vm is not None}

    def _observe_machines(
        self,
        known: Machines,
        deleted: Machines,
        deciding: frozenset[str],
        complete: frozenset[str],
        state: Pass,
    ) -> PolicyView:
        """Observe *known* and *deleted* VMs; no path on a deleted VM becomes open."""
        predicted = {**known, **deleted}
        recorded = _find_recorded(state.grants, predicted)
        view = self.observer.observe_policy(
            state.policy_id,
            _name_bastions(predicted, state),
            deciding=deciding,
            now=state.now,
            confirming=complete,
            earlier=EarlierLooks(
                missed=state.missed,
                recorded=recorded,
                admin=self.managers.find_known(known.values(), now=state.now),
            ),
        )
        state.note_missing(view)
        self.managers.keep(view.admin_readings)
        self._update_inventory(view, known, deciding, state)
        view = self._add_turns(view, predicted, recorded, state)
        return replace(
            view,
            unreadable={**view.unreadable, **dict.fromkeys(deleted, "the VM was not found")},
            read_completely=complete,
            known_initiates=state.initiate_ids,
            asks_from=state.waits_until if self.may_open(state) else _NEVER,
        )

    def _add_turns(
        self,
        view: PolicyView,
        machines: Machines,
        recorded: Mapping[str, frozenset[str]],
        state: Pass,
    ) -> PolicyView:
        """Return *view* with the firewalls on which this policy may take, or has, the turn."""
        firewalls = {vm.firewall_id for vm in machines.values() if vm.firewall_id}
        former = (holder for holders in recorded.values() for holder in holders)
        firewalls.update(each for each in former if kind_of(each) == "firewalls")
        turns = {
            arm_ids.key(each): self.locks.firewalls.check(each, state.policy_id, state.now)
            for each in firewalls
        }
        return replace(
            view,
            free_firewalls=frozenset(key for key, turn in turns.items() if turn.may_close),
            closing_first=frozenset(key for key, turn in turns.items() if turn.closing_waits),
            opened_later=state.closed_first.union(
                key for key, turn in turns.items() if not turn.may_open
            ),
            waited_for=frozenset(key for key, turn in turns.items() if turn.waits),
        )

    def _update_inventory(
        self, view: PolicyView, known: Machines, deciding: Iterable[str], state: Pass
    ) -> None:
        """Keep the VMs that a decision depended on: later passes look where their paths lead."""
        read = {key: view.machines[key].vm for key in deciding if key not in view.unreadable}
        fresh = [_keep_advice(vm, known[key]) for key, vm in read.items()]
        changed = [vm for vm in fresh if not _has_same_path(vm, known[arm_ids.key(vm.id)])]
        if changed:
            partition = arm_ids.subscription(state.policy_id)
            self.inventory.write_machines(partition, changed, complete=False)


def _keep_advice(vm: VirtualMachine, last: VirtualMachine) -> VirtualMachine:
    """Return *vm* with what only comparisons find: its warnings, obstacles and Bastions."""
    return replace(vm, warnings=last.warnings, obstacles=last.obstacles, bastions=last.bastions)


def _name_bastions(machines: Machines, state: Pass) -> Machines:
    """Return *machines* with the Bastions of the grants to decide about: only these are read."""
    found: dict[str, list[Bastion]] = {}
    for grant in state.grants:
        if grant.bastion is not None and _is_undecided(grant, state.now):
            found.setdefault(grant.vm_key, []).append(grant.bastion)
    return {key: replace(vm, bastions=tuple(found.get(key, ()))) for key, vm in machines.items()}


def _find_recorded(grants: Iterable[Grant], machines: Machines) -> dict[str, frozenset[str]]:
    """Return the holders of rules of closing grants that their VMs, as known, do not name."""
    found: dict[str, frozenset[str]] = {}
    for grant in grants:
        vm = machines.get(grant.vm_key)
        if vm is not None and grant.status is Status.CLOSING:
            named = frozenset(map(arm_ids.key, list_holders(vm)))
            found[grant.vm_key] = found.get(grant.vm_key, frozenset()) | grant.holder_keys - named
    return {key: ids for key, ids in found.items() if ids}


def build_blind_view(grants: Iterable[Grant], reason: str) -> PolicyView:
    """Return the view of a policy about which nothing is known, for *reason*."""
    unreadable = {arm_ids.key(grant.vm_id): reason for grant in grants}
    return PolicyView(found=True, requests=(), machines={}, unreadable=unreadable)


def _rebuild_deleted(grants: Iterable[Grant], known: Container[str]) -> Machines:
    """Return the VMs that no longer exist, as their grants recorded them."""
    groups: dict[str, list[Grant]] = {}
    for grant in grants:
        groups.setdefault(arm_ids.key(grant.vm_id), []).append(grant)
    return {key: rebuild_machine(group) for key, group in groups.items() if key not in known}


def _is_to_read(grant: Grant, state: Pass) -> bool:
    """
    Return True if the VM of *grant* is read anew, with its interfaces and networks.

    A look that somebody asks for would else tell a path of the inventory's as seen just now.
    """
    return state.is_asked_for(grant) or _is_undecided(grant, state.now)


def _is_undecided(grant: Grant, now: datetime) -> bool:
    """Return True if a decision is due; a grant that starts later must delay no other grant."""
    return lifetime.advance_by_clock(grant, now=now).status is Status.PENDING


def _has_same_path(one: VirtualMachine, other: VirtualMachine) -> bool:
    """Return True if the path to both is the same, except for the spelling of ids."""
    documents = [build_document(replace(vm, occupations=(), others=None)) for vm in (one, other)]
    texts = [arm_ids.key(json.dumps(document, ensure_ascii=False)) for document in documents]
    return texts[0] == texts[1]
