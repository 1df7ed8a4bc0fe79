"""The view of one step of a JIT policy: Azure as it was just read, and the present."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from ipaddress import ip_address, ip_network

from jit.domain.azure.defender_requests import DefenderRequest
from jit.domain.errors import Violation
from jit.domain.limits import Limits
from jit.domain.model.admin_reading import AdminReading
from jit.domain.model.grant import Grant
from jit.domain.model.machine import Via, VirtualMachine, VmPort
from jit.domain.model.policy_entry import PolicyEntry
from jit.domain.paths.machine_view import MachineView
from jit.domain.paths.rules import PathRule
from jit.domain.values import arm_ids

UNPROVED = "it could not be read if this person's roles in Azure allow this access"
OTHERS_FIRST = "the roles of other people in Azure are read first"
"""Notes of grants whose person may lack a right in Azure, for people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyView:
    """
    One JIT policy and its VMs, as just read from Azure.

    Attributes:
        found: False if Azure says that the policy does not exist.
        requests: Defender's requests of the policy, oldest first.
        entries: VM key -> the policy's entry for the VM; a VM without one is missing. None if
            nobody can tell: the policy was not read, its list of VMs cannot be read, or it was not
            found for the first time.
        doubted: Keys of the VMs without an entry that may have one: no access to them ends by that.
        machines: By VM key. A VM about which nothing is known is missing.
        unreadable: VM key -> why the VM could not be read completely, or is in doubt. New grants on
            it wait, and no path on it becomes ``open``, even if *machines* has a part of it.
        read_completely: Keys of the VMs that were to be read with interfaces, networks and
            security admin rules. Only to them a path may become ``open``.
        missing: Keys of the NSGs and firewalls, and of the policy, for which Azure answered 404,
            and names of the entries that the policy lacks.
        known_initiates: Initiate ids that this broker stored, on live grants and on tombstones.
        free_firewalls: Keys of the firewalls that this step may have changed.
        closing_first: Keys of those in which a rule is to be removed before anything is opened.
        opened_later: Keys of those in which somebody else comes first who waits to open something.
        waited_for: Keys of those in whose line this policy stands.
        asks_from: Azure wants to be asked for nothing before. Closing does not wait for it.
        admin_readings: The security admin rules that were read for this view.
        neighbours: Grants of other VMs, also of other policies, whose path may rest on a rule that
            this step would remove, or by which a grant that it closes still comes in. They are read
            only if there is such a rule.
        barred: Ids of requests whose person is barred: a grant that was not open never opens.
        unasked: Ids of requests for which it could not be read if their person is barred.
        refused: Id of a grant that was not open -> why Azure RBAC does not give it to its person.
        unproved: Id of a grant -> `UNPROVED` or `OTHERS_FIRST`: nobody knows if RBAC gives it.
    """

    found: bool
    requests: tuple[DefenderRequest, ...]
    machines: Mapping[str, MachineView]
    entries: Mapping[str, PolicyEntry] | None = None
    doubted: frozenset[str] = frozenset()
    unreadable: Mapping[str, str] = field(default_factory=dict)
    read_completely: frozenset[str] = frozenset()
    missing: frozenset[str] = frozenset()
    known_initiates: frozenset[str] = frozenset()
    free_firewalls: frozenset[str] = frozenset()
    closing_first: frozenset[str] = frozenset()
    opened_later: frozenset[str] = frozenset()
    waited_for: frozenset[str] = frozenset()
    asks_from: datetime | None = None
    admin_readings: tuple[AdminReading, ...] = ()
    neighbours: tuple[Grant, ...] = ()
    barred: frozenset[str] = frozenset()
    unasked: frozenset[str] = frozenset()
    refused: Mapping[str, tuple[Violation, ...]] = field(default_factory=dict)
    unproved: Mapping[str, str] = field(default_factory=dict)


RuleUsers = Mapping[str, Mapping[VmPort, Sequence[Grant]]]
"""Key of a rule -> VM port -> the grants there with an open path that rests on the rule."""


def name_entry(policy_id: str, vm_key: str) -> str:
    """Return a name for the entry of a VM in a JIT policy, among ids of resources."""
    return f"{arm_ids.key(policy_id)}/virtualmachines{vm_key}"


def find_rule_users(grants: Iterable[Grant]) -> RuleUsers:
    """Return the grants that rest on each recorded rule, by the rule's key and by VM port."""
    found: dict[str, dict[VmPort, list[Grant]]] = {}
    for grant in grants:
        if grant.wants_path:
            for rule in grant.rule_keys:
                found.setdefault(rule, {}).setdefault(grant.vm_port, []).append(grant)
    return found


def find_sharers(rule_id: str, port: VmPort, users: RuleUsers) -> list[Grant]:
    """
    Return the grants of other VM ports that rest on a rule.

    One NSG may guard two networks whose addresses overlap: the same rule fits both VMs.
    """
    there = users.get(arm_ids.key(rule_id), {})
    return [user for each, found in there.items() if each != port for user in found]


def is_used_elsewhere(rule_id: str, grant: Grant, users: RuleUsers) -> bool:
    """Return True if another VM port rests on a rule that *grant* did not record."""
    shared = find_sharers(rule_id, grant.vm_port, users)
    return bool(shared) and arm_ids.key(rule_id) not in grant.rule_keys


def has_unreadable_value(vm: VirtualMachine) -> bool:
    """Return True if Azure gives *vm* an address or a prefix that is none."""
    try:
        for prefix in vm.vnet_prefixes:
            ip_network(prefix, strict=False)
        for prefix in vm.firewall_sources:
            ip_network(prefix)
        for nic in vm.interfaces:
            if nic.private_ip:  # a NIC that is being changed may name none for a moment
                ip_address(nic.private_ip)
    except ValueError:
        return True
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class StepContext:
    """
    One step's present.

    Attributes:
        now: Aware, UTC.
        initiate_id: Fresh id for the initiate that this step may ask for.
        limits: The broker's own limits, for deciding again.
        rule_users: The grants that rest on each recorded rule.
    """

    policy: PolicyView
    now: datetime
    initiate_id: str
    limits: Limits
    rule_users: RuleUsers = field(default_factory=dict)

    def is_foreign(self, entry: DefenderRequest) -> bool:
        """Return True if *entry* does not come from an initiate that we stored."""
        return entry.initiate_id is None or entry.initiate_id not in self.policy.known_initiates

    def find_current(self, requests: Sequence[DefenderRequest]) -> DefenderRequest | None:
        """Return the request that a VM port's path stands on, ours or a stranger's."""
        return next((entry for entry in reversed(requests) if entry.is_in_force(self.now)), None)

    def find_foreign_end(self, requests: Sequence[DefenderRequest]) -> datetime | None:
        """Return the end of the stranger's request that a VM port's path stands on, if any."""
        current = self.find_current(requests)
        return current.ends_at if current is not None and self.is_foreign(current) else None

    def list_foreign_requests(self, requests: Sequence[DefenderRequest]) -> list[DefenderRequest]:
        """Return other people's requests in force."""
        return [
            entry for entry in requests if entry.is_in_force(self.now) and self.is_foreign(entry)
        ]

    def may_change(self, grant: Grant, view: MachineView) -> bool:
        """Return True if the path of *grant* may be changed now: a firewall takes turns."""
        if grant.via is not Via.FIREWALL:
            return True
        ready = view.firewall is not None and view.firewall.settled
        taken = self.policy.closing_first | self.policy.opened_later
        return ready and grant.firewall_key in self.policy.free_firewalls - taken

    def must_close_first(self, grant: Grant) -> bool:
        """Return True if a rule of others is to be removed from the firewall of *grant* first."""
        return grant.firewall_key in self.policy.closing_first

    def may_remove(self, rule: PathRule) -> bool:
        """Return True unless *rule* stands in a firewall that this step may not change."""
        return rule.collection is None or arm_ids.key(rule.holder_id) in self.policy.free_firewalls

    @property
    def waits_until(self) -> datetime | None:
        """Until when nothing may be asked for; None if it may."""
        until = self.policy.asks_from
        return until if until is not None and until > self.now else None
