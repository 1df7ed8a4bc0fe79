"""The inventory: virtual machines as Azure last showed them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from jit import telemetry
from jit.domain.model.machine import VirtualMachine
from jit.domain.values import arm_ids
from jit.storage import keys
from jit.storage.documents import read_text
from jit.storage.lists.query_budget import QueryBudget
from jit.storage.machine_rows import (
    MACHINE_KIND,
    VM_ID,
    is_too_large,
    parse_machine,
    write_machine_row,
)
from jit.storage.table import PAGE, Op, Row, Table, Verb, Where, read_all, write_replaceable

_NAMED = 5

_KEPT = timedelta(minutes=1)
"""So long a VM is kept in memory. A decision by it is taken again before anything opens."""

_MOST_KEPT = 1000  # VMs, some KB each


class InventoryStore:
    """Virtual machines in ``JitState``, in the partition of their subscription."""

    def __init__(self, state: Table) -> None:
        """Keep machines in *state*."""
        self._state = state
        self._kept: dict[str, tuple[datetime, VirtualMachine]] = {}

    def find_machine(self, vm_id: str) -> VirtualMachine | None:
        """Return a VM; None if it was never seen, or if this version cannot read its row."""
        row = self._state.get(arm_ids.subscription(vm_id), keys.machine_key(vm_id))
        rows = [row] if row is not None else []
        return next(MACHINE_KIND.read_all(rows, parse_machine), None)

    def find_kept_machine(self, vm_id: str, *, now: datetime) -> VirtualMachine | None:
        """
        Return a VM as this process read it less than a minute ago, or as it is stored.

        Only a decision that is taken again on fresh data may rest on it.
        """
        key = arm_ids.key(vm_id)
        read_at, vm = self._kept.get(key, (now - _KEPT, None))
        if vm is not None and read_at <= now < read_at + _KEPT:
            return vm
        found = self.find_machine(vm_id)
        if found is not None:
            self._keep(key, found, now)
        return found

    def _keep(self, key: str, vm: VirtualMachine, now: datetime) -> None:
        if len(self._kept) >= _MOST_KEPT:
            self._kept = {}
        self._kept[key] = (now, vm)

    def list_machines(self, partition: str) -> tuple[VirtualMachine, ...]:
        """Return the whole inventory of a subscription."""
        return tuple(MACHINE_KIND.read_all(self._rows(partition), parse_machine))

    def read_page(
        self, partition: str, *, after: str, most: int, budget: QueryBudget, reserve: int
    ) -> tuple[tuple[VirtualMachine, ...], str | None]:
        """
        Return the next machines of the inventory, in the order of their row keys.

        Args:
            partition: The subscription.
            after: The hash in the row key behind which they begin; empty at the beginning.
            most: How many, at most.
            budget: At least one query is made.
            reserve: Storage calls that are left for the caller if there are more machines.

        Returns:
            The machines, and the hash behind which the next ones begin; None at the end.
        """
        first, last = keys.key_range(keys.MACHINES)
        begin = f"{first}{after}!" if after else first  # "!" is below each character of a hash
        where = Where(partition=partition, first=begin, last=last)
        rows: list[Row] = []
        token: str | None = None
        while True:
            page = budget.query(self._state, where, token, limit=min(PAGE, most - len(rows)))
            rows += page.rows
            token = page.token
            is_full = len(rows) == most or budget.left <= reserve
            if token is None or (rows and is_full):
                break
        found = tuple(MACHINE_KIND.read_all(rows, parse_machine))
        return found, None if token is None else rows[-1].key.removeprefix(first)

    def _rows(self, partition: str) -> Iterable[Row]:
        first, last = keys.key_range(keys.MACHINES)
        return read_all(self._state, Where(partition=partition, first=first, last=last))

    def write_machines(
        self, partition: str, found: Iterable[VirtualMachine], *, complete: bool
    ) -> list[str]:
        """
        Bring the inventory up to date; *complete* deletes the VMs that were not found.

        Return the ids of the VMs that are too large to be kept.

        Another instance that writes the same row at the same time has read Azure at the same time:
        its row is as good as ours. A VM that no row can hold is left out, with an alert. A use case
        that needs it reads Azure, and the other VMs do not wait for it. Warnings that could not be
        judged stay as they were, and so does other people's access.
        """
        old = {row.key: row for row in self._rows(partition)}
        ops: list[Op] = []
        left_out: list[str] = []
        for vm in found:
            before = old.pop(keys.machine_key(vm.id), None)
            known = _keep_advice(vm, before)
            row = write_machine_row(known, partition, etag=before.etag if before else "")
            if is_too_large(row):
                left_out.append(vm.id)
            ops += _update(row, before)
        if complete:
            ops += [Op(Verb.DELETE, row) for row in old.values()]
        left_out += [str(row.values[VM_ID]) for row in write_replaceable(self._state, ops)]
        self._kept = {}
        if left_out:
            _alert_left_out(partition, left_out)
        return left_out


def _keep_advice(vm: VirtualMachine, before: Row | None) -> VirtualMachine:
    """Return *vm* with the parts of its old row that this reading could not judge."""
    rows = [before] if before is not None and (vm.unsettled or vm.others is None) else []
    last = next(MACHINE_KIND.read_all(rows, parse_machine), None)
    if last is None:
        return vm
    others = last.others if vm.others is None else vm.others
    return replace(vm.keep_warnings(last), others=others)


def _update(row: Row, before: Row | None) -> list[Op]:
    """Return the operations for a VM's row; a row that is too large deletes the old one."""
    if is_too_large(row):
        return [Op(Verb.DELETE, before)] if before is not None else []
    if before is None:
        return [Op(Verb.INSERT, row)]
    return [] if read_text(before) == read_text(row) else [Op(Verb.REPLACE, row)]


def _alert_left_out(partition: str, vm_ids: list[str]) -> None:
    telemetry.alert(
        "machines.not_kept", subscription=partition, count=len(vm_ids), examples=vm_ids[:_NAMED]
    )
