"""Judgements: by the VM in memory, the stored one, Azure; only the last one may deny."""

from dataclasses import replace

import pytest

from jit.broker.requests.acceptance.judgement import Judge
from jit.domain.limits import LIMITS
from jit.domain.model.absence import Absence
from jit.domain.values import arm_ids
from jit.storage.inventory_store import InventoryStore
from tests.broker.inprocess import farm, wish
from tests.local.azure.sim import DEVELOPMENT


@pytest.fixture
def judge(broker):
    """A judge who knows the VMs, and has none in memory."""
    found = broker.observer.read_machines(DEVELOPMENT, now=broker.now)
    broker.inventory.write_machines(DEVELOPMENT, found, complete=True)
    return Judge(broker.inventory, broker.use_cases.looks, broker.use_cases.asked_bars, LIMITS)


def read(broker, body):
    return broker.submission(body)


def test_what_the_inventory_allows_is_final_and_costs_no_call_of_azure(broker, judge):
    before = broker.calls.count("arm")

    judgement = judge.judge(read(broker, wish(farm(1))), broker.now)

    assert (judgement.findings, judgement.is_final, len(judgement.machines)) == ((), True, 1)
    assert broker.calls.count("arm") == before


def test_a_denial_of_the_inventory_is_not_final(broker, judge):
    draft = read(broker, wish(farm(1), 443))
    before = broker.calls.count("arm")

    kept = judge.judge_kept(draft, broker.now)
    asked = broker.calls.count("arm") - before
    anew = judge.judge(draft, broker.now)

    assert (kept.is_final, asked) == (False, 0)
    assert anew.findings == kept.findings
    assert broker.calls.count("arm") > before


def test_a_vm_in_memory_denies_nothing_that_the_stored_one_allows(broker, judge):
    """Another process has written the inventory since."""
    draft = read(broker, wish(farm(1), 5986))
    denied = judge.judge_kept(draft, broker.now).findings
    known = broker.inventory.find_machine(farm(1))
    ports = (*known.ports, replace(known.ports[0], number=5986))
    other = InventoryStore(broker.state)
    other.write_machines(DEVELOPMENT, [replace(known, ports=ports)], complete=False)

    assert denied != ()
    assert judge.judge_kept(draft, broker.now).findings == ()


def test_a_vm_that_azure_no_longer_lists_is_not_known(broker, judge):
    known = broker.inventory.find_machine(farm(1))
    absence = Absence(key=arm_ids.key(known.id), since=broker.now)
    unlisted = replace(known, absences=(absence,))
    broker.inventory.write_machines(DEVELOPMENT, [unlisted], complete=False)

    judgement = judge.judge_kept(read(broker, wish(farm(1))), broker.now)

    assert [each.violation.code for each in judgement.findings] == ["vm-not-found"]
