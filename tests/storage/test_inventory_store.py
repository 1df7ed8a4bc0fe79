"""The inventory: every VM that a table can hold is kept, and none keeps the others out."""

import json
import logging
from dataclasses import replace
from datetime import timedelta

import pytest

from jit.domain.model.machine import (
    MachineWarning,
    Origin,
    OtherAccess,
    PortRule,
    Support,
    VirtualMachine,
)
from jit.storage.inventory_store import InventoryStore
from jit.storage.keys import machine_key
from jit.storage.machine_rows import MACHINE
from jit.storage.table import Op, Row, Verb
from tests.fakes.calls import Calls
from tests.fakes.clock import FakeClock
from tests.fakes.tables import FakeTable

HERE = "5c0ffee0-0000-4000-8000-000000000002"
PREFIXES = 3_000
FULL = 20_000  # prefixes with which a VM just fits
TOO_MANY = 40_000
SEVERAL = 12


@pytest.fixture
def calls():
    return Calls()


@pytest.fixture
def table(calls):
    return FakeTable(FakeClock(), calls=calls)


@pytest.fixture
def store(table):
    return InventoryStore(table)


def a_vm(name, prefixes=1, *, vm_id="", **changes):
    rule = PortRule(
        number=22,
        protocol="TCP",
        allowed_sources=tuple(f"10.{n // 250}.{n % 250}.0/24" for n in range(prefixes)),
        max_duration=timedelta(hours=3),
    )
    fields = {
        "name": name,
        "location": "westeurope",
        "support": Support.CONFIGURED,
        "ports": (rule,),
    } | changes
    return VirtualMachine(id=vm_id or f"/subscriptions/{HERE}/virtualMachines/{name}", **fields)


def kept(store):
    return sorted(vm.name for vm in store.list_machines(HERE))


def left_out(caplog):
    lines = [json.loads(record.getMessage()) for record in caplog.records if record.name == "jit"]
    return [(line["count"], line["examples"]) for line in lines]


def test_other_peoples_access_stays_as_it_was_if_a_reading_cannot_tell(store):
    """Only a comparison knows which rules belong to grants; an empty list is knowledge."""
    orphan = OtherAccess(port=22, sources=(), until=None, requestor=None, origin=Origin.ORPHAN)
    found = []
    for others in ((orphan,), None, (), None):
        vm = a_vm("web01", others=others)
        store.write_machines(HERE, [vm], complete=True)
        found.append(store.find_machine(vm.id).others)

    assert found == [(orphan,), (orphan,), (), ()]


@pytest.mark.parametrize("prefixes", [0, 1, PREFIXES, FULL])
def test_a_vm_whose_policy_names_any_number_of_prefixes_is_kept_whole(store, prefixes):
    """A property takes 64 KiB; the document stands in parts."""
    vm = a_vm("wide", prefixes)

    store.write_machines(HERE, [vm], complete=True)

    assert store.find_machine(vm.id) == vm


def test_a_row_that_was_written_in_one_piece_is_read(store, table):
    """As an older version wrote it."""
    vm = a_vm("old")
    text = json.dumps(MACHINE.write(vm), sort_keys=True)
    row = Row(partition=HERE, key=machine_key(vm.id), values={"Vm": vm.id, "Doc": text})
    table.write([Op(Verb.INSERT, row)])

    assert store.find_machine(vm.id) == vm


def test_warnings_that_could_not_be_judged_stay_as_they_were(store):
    """An NSG was being updated; the others are those of the new look."""
    kept, old, new = (MachineWarning(code=code, detail=code) for code in ("kept", "old", "new"))
    before = replace(a_vm("web"), warnings=(old, kept))
    store.write_machines(HERE, [before], complete=True)

    now = replace(a_vm("web"), warnings=(new,), unsettled=frozenset({"kept", "never"}))
    store.write_machines(HERE, [now], complete=True)

    assert store.find_machine(before.id) == replace(before, warnings=(new, kept))


def test_a_new_vm_has_no_earlier_warnings_to_keep(store):
    """Nothing is known about it yet."""
    vm = replace(a_vm("web"), unsettled=frozenset({"kept"}))

    store.write_machines(HERE, [vm], complete=True)

    assert store.find_machine(vm.id) == a_vm("web")


def test_a_vm_that_shrinks_leaves_no_part_behind(store):
    """The parts are those of one document."""
    store.write_machines(HERE, [a_vm("web", PREFIXES)], complete=True)

    store.write_machines(HERE, [a_vm("web")], complete=True)

    assert store.find_machine(a_vm("web").id) == a_vm("web")


def test_a_large_vm_that_did_not_change_is_not_written_again(store, calls):
    """All its parts are compared."""
    store.write_machines(HERE, [a_vm("web", PREFIXES)], complete=True)
    before = calls.count("table.write")

    store.write_machines(HERE, [a_vm("web", PREFIXES)], complete=True)

    assert calls.count("table.write") == before


def test_many_large_vms_are_kept(store):
    """A transaction takes 4 MiB, for any number of rows."""
    large = [a_vm(f"vm{number:02d}", FULL) for number in range(SEVERAL)]

    store.write_machines(HERE, large, complete=True)

    assert kept(store) == [vm.name for vm in large]


@pytest.mark.parametrize("complete", [True, False])
def test_a_vm_that_no_row_can_hold_keeps_no_other_out(store, caplog, complete):
    """An alert names it, and its old row decides nothing any more."""
    store.write_machines(HERE, [a_vm("huge"), a_vm("web")], complete=True)
    huge = a_vm("huge", TOO_MANY)

    store.write_machines(HERE, [huge, a_vm("web"), a_vm("new")], complete=complete)

    assert kept(store) == ["new", "web"]
    assert left_out(caplog) == [(1, [huge.id])]


def test_a_vm_whose_row_the_table_refuses_keeps_no_other_out(store, caplog):
    """The reason does not matter."""
    odd = a_vm("odd", vm_id=f"/subscriptions/{HERE}/{'x' * 40_000}")

    store.write_machines(HERE, [a_vm("web"), odd, a_vm("new")], complete=True)

    assert kept(store) == ["new", "web"]
    assert left_out(caplog) == [(1, [odd.id])]


def test_nothing_of_a_vm_is_cut_to_make_it_fit(store, caplog):
    """A VM without its warnings would look as if it had none."""
    caplog.set_level(logging.INFO, logger="jit")
    warnings = tuple(MachineWarning(code="jit-bypassed", detail="x" * 200) for _ in range(3_000))
    vm = a_vm("loud", warnings=warnings)

    store.write_machines(HERE, [vm, a_vm("web")], complete=True)

    assert kept(store) == ["web"]
    assert left_out(caplog) == [(1, [vm.id])]
    assert [record.levelno for record in caplog.records] == [logging.ERROR]


def test_a_vm_in_a_newer_format_keeps_no_other_out(store, table, caplog):
    """The VM counts as never seen; a process that needs it reads Azure."""
    store.write_machines(HERE, [a_vm("newer"), a_vm("web")], complete=True)
    row = table.get(HERE, machine_key(a_vm("newer").id))
    table.write([Op(Verb.REPLACE, replace(row, values={**row.values, "Format": 99}))])

    found = (store.find_machine(a_vm("newer").id), kept(store))

    assert found == (None, ["web"])
    events = [json.loads(record.getMessage()) for record in caplog.records]
    assert [(each["event"], each["key"]) for each in events] == [("row.unreadable", row.key)] * 2


# ---- kept in memory ------------------------------------------------------------------------------


def test_a_vm_is_read_once_a_minute(store, calls):
    """Another process may have written it meanwhile."""
    vm, clock = a_vm("web"), FakeClock()
    store.write_machines(HERE, [vm], complete=True)
    before = calls.count("table.get")

    reads = []
    for passed in (0, 59, 60):
        found = store.find_kept_machine(vm.id, now=clock.now + timedelta(seconds=passed))
        reads.append(calls.count("table.get") - before)
        assert found == vm

    assert reads == [1, 1, 2]


def test_a_vm_that_this_process_writes_is_read_anew(store):
    """It knows better at once."""
    now = FakeClock().now
    store.write_machines(HERE, [a_vm("web")], complete=True)
    store.find_kept_machine(a_vm("web").id, now=now)
    store.write_machines(HERE, [a_vm("web", PREFIXES)], complete=True)

    assert store.find_kept_machine(a_vm("web").id, now=now) == a_vm("web", PREFIXES)


def test_a_vm_that_nobody_knows_is_asked_for_each_time(store, calls):
    """It may come at any time."""
    now = FakeClock().now
    for _ in range(2):
        assert store.find_kept_machine(a_vm("web").id, now=now) is None

    assert calls.count("table.get") == 2


def test_the_number_of_kept_vms_is_bounded(store, monkeypatch):
    """A process lives for weeks."""
    now = FakeClock().now
    monkeypatch.setattr("jit.storage.inventory_store._MOST_KEPT", 2)
    vms = [a_vm(f"vm{number}") for number in range(5)]
    store.write_machines(HERE, vms, complete=True)

    for vm in vms:
        store.find_kept_machine(vm.id, now=now)
        assert len(store._kept) <= 2
