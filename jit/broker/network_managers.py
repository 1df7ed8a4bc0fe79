"""
The security admin rules of Virtual Network Managers: when Azure is asked for them.

A comparison asks for a third of the networks that hold a VM with just-in-time access, those that
were read longest ago, and for none that was read in the last quarter of an hour. The worker asks
for the network of a VM to which a path is about to be called open. Each reading is kept in a row.
If a reading of the last quarter of an hour denies a path, the worker does not ask again for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from jit.domain.model.admin_reading import AdminReading
from jit.domain.model.machine import Support, VirtualMachine
from jit.domain.network_manager.security_admin_rules import (
    NO_MANAGER,
    NOTHING_KNOWN,
    KnownAdminRules,
)
from jit.domain.values import arm_ids
from jit.storage.networks.admin_rule_rows import AdminRuleRows

READ_EVERY = timedelta(minutes=15)
"""How often comparisons, or passes that wait, read the rules of one network, at most."""

_RUNS = 3  # comparisons in that time, five minutes apart


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkManagers:
    """
    Knows the security admin rules of networks.

    Attributes:
        in_use: False if the operator says that no Virtual Network Manager is in use: then nothing
            is read, from Azure or from the table.
    """

    rows: AdminRuleRows
    in_use: bool = True

    def list_known(self, subscription: str) -> KnownAdminRules:
        """Return the rules of all networks of a subscription, as last read."""
        if not self.in_use:
            return NO_MANAGER
        return NOTHING_KNOWN.add(self.rows.list_readings(subscription), fresh=False)

    def find_known(self, machines: Iterable[VirtualMachine], *, now: datetime) -> KnownAdminRules:
        """Return the rules of the networks of *machines*, as last read."""
        if not self.in_use:
            return NO_MANAGER
        readings = self.rows.find_readings(_list_networks(machines))
        return NOTHING_KNOWN.add(readings, fresh=False, recent_from=now - READ_EVERY)

    def keep(self, readings: Sequence[AdminReading]) -> None:
        """Store *readings* for the next looks."""
        self.rows.keep(readings)

    def read_due(
        self,
        subscription: str,
        machines: Iterable[VirtualMachine],
        read: Callable[[Sequence[str]], Sequence[AdminReading]],
        *,
        now: datetime,
    ) -> KnownAdminRules:
        """
        Read the rules of the networks of *machines* that are due, for a comparison.

        Args:
            subscription: Lower-case id.
            machines: All VMs of the subscription. Networks without a VM with just-in-time access
                are not read, and their rows are removed.
            read: Asks Azure for the rules of some networks.
            now: Aware, UTC.

        Returns:
            The rules of all networks, as last read.
        """
        if not self.in_use:
            return NO_MANAGER
        networks = _list_networks(vm for vm in machines if vm.support is Support.CONFIGURED)
        old = {arm_ids.key(each.network_id): each for each in self.rows.list_readings(subscription)}
        readings = read(_choose_due(networks, old, now))
        self.rows.keep(readings)
        if old.keys() - set(map(arm_ids.key, networks)):
            self.rows.forget_others(subscription, networks)
        return NOTHING_KNOWN.add(old.values(), fresh=False).add(readings, fresh=False)


def _choose_due(
    networks: Sequence[str], old: Mapping[str, AdminReading], now: datetime
) -> list[str]:
    """Return the ids of the networks to read now: a third of all at most, the oldest first."""
    times = {each: _find_time(each, old) for each in networks}
    due = [each for each in networks if times[each] <= now - READ_EVERY]
    return sorted(due, key=times.__getitem__)[: -(-len(networks) // _RUNS)]


def _find_time(network_id: str, old: Mapping[str, AdminReading]) -> datetime:
    """Return the time when the rules of a network were last read."""
    found = old.get(arm_ids.key(network_id))
    return found.read_at if found is not None else _NEVER


_NEVER = datetime.min.replace(tzinfo=UTC)


def _list_networks(machines: Iterable[VirtualMachine]) -> list[str]:
    """Return the ids of the virtual networks of *machines*, each once."""
    ids = (vm.network_id for vm in machines)
    return list({arm_ids.key(each): each for each in ids if each}.values())
