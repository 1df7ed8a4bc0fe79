"""What one step of a JIT policy sees: Azure as it was just read, and the present."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from jit.domain.azure.defender_requests import DefenderRequest
from jit.domain.limits import Limits
from jit.domain.model.grant import Grant
from jit.domain.model.machine import Via
from jit.domain.paths.machine_view import MachineView
from jit.domain.values import arm_ids

VmPort = tuple[str, int]
"""Key of a VM, and a port."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyView:
    """
    What was just read from Azure about one JIT policy.

    Attributes:
        found: False when Azure says that the policy does not exist.
        entries: Defender's requests of the policy, oldest first.
        machines: By VM key; a VM of which nothing is known is missing.
        unreadable: Why a VM was not read in whole: nothing new is decided about there, even where
            *machines* tells what is known of it, and no path is called open.
        whole: Keys of the VMs of which all was to be read: interfaces and networks too.
        known: Initiate ids that this broker stored: on live grants and on tombstones.
        turns: Keys of the firewalls that this step may have changed.
        asks_from: Azure wanted us to ask for nothing before; closing does not wait for it.
    """

    found: bool
    entries: tuple[DefenderRequest, ...]
    machines: Mapping[str, MachineView]
    unreadable: Mapping[str, str] = field(default_factory=dict)
    whole: frozenset[str] = frozenset()
    known: frozenset[str] = frozenset()
    turns: frozenset[str] = frozenset()
    asks_from: datetime | None = None


RuleUsers = Mapping[str, frozenset[VmPort]]
"""Keys of the rules that open paths rest on, each with its VM ports."""


def rests_of(grants: Iterable[Grant]) -> dict[str, frozenset[VmPort]]:
    """Return which VM ports rest on each recorded rule, by the rule's key."""
    found: dict[str, frozenset[VmPort]] = {}
    for grant in grants:
        if grant.wants_path:
            door = frozenset({(arm_ids.key(grant.vm_id), grant.port)})
            for rule in map(arm_ids.key, grant.rules):
                found[rule] = found.get(rule, frozenset()) | door
    return found


def rests_elsewhere(rule_id: str, grant: Grant, rests: RuleUsers) -> bool:
    """
    Tell whether a rule is another VM port's, and was not recorded for that of *grant*.

    One NSG may guard two networks whose addresses overlap: the same rule fits both VMs.
    """
    key = arm_ids.key(rule_id)
    door = (arm_ids.key(grant.vm_id), grant.port)
    return bool(rests.get(key, frozenset()) - {door}) and key not in map(arm_ids.key, grant.rules)


@dataclass(frozen=True, slots=True, kw_only=True)
class StepContext:
    """
    One step's present.

    Attributes:
        now: Aware, UTC.
        initiate_id: Fresh id for the initiate that this step may ask for.
        limits: The broker's own limits, for deciding again.
        rests: What the grants of the policy rest on.
    """

    world: PolicyView
    now: datetime
    initiate_id: str
    limits: Limits
    rests: RuleUsers = field(default_factory=dict)

    def foreign(self, entry: DefenderRequest) -> bool:
        """Tell whether *entry* is of no initiate that we stored."""
        return entry.initiate_id is None or entry.initiate_id not in self.world.known

    def current(self, seen: Sequence[DefenderRequest]) -> DefenderRequest | None:
        """Return the request that a VM port's path stands on, ours or a stranger's."""
        return next((entry for entry in reversed(seen) if entry.in_force(self.now)), None)

    def held_until(self, seen: Sequence[DefenderRequest]) -> datetime | None:
        """Return when the stranger's request ends that a VM port's path stands on, if it does."""
        current = self.current(seen)
        return current.ends_at if current is not None and self.foreign(current) else None

    def strangers(self, seen: Sequence[DefenderRequest]) -> list[DefenderRequest]:
        """Return others' requests in force."""
        return [entry for entry in seen if entry.in_force(self.now) and self.foreign(entry)]

    def may_change(self, grant: Grant, view: MachineView) -> bool:
        """Tell whether what *grant* needs may be asked for now: a firewall takes turns."""
        if grant.via is not Via.FIREWALL:
            return True
        ready = view.firewall is not None and view.firewall.settled
        return ready and arm_ids.key(grant.firewall_id or "") in self.world.turns

    @property
    def waits_until(self) -> datetime | None:
        """Until when nothing may be asked for; None if it may."""
        until = self.world.asks_from
        return until if until is not None and until > self.now else None
