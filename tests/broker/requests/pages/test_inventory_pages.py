"""Pages of the inventory: what is known, or one look at Azure before the first comparison."""

from datetime import UTC, datetime
from typing import cast

import pytest

from jit.broker.requests.pages.inventory_pages import InventoryPages
from jit.broker.shared_looks import SharedLooks
from jit.storage.lists.query_budget import QueryBudget
from tests.builders.crowds import SUBSCRIPTION, a_vm_of
from tests.builders.machines import a_vm
from tests.builders.stores import stores_over
from tests.fakes.clock import FakeClock
from tests.fakes.tables import FakeTable

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
VMS = [a_vm(f"web{n}", id=a_vm_of(n)) for n in range(3)]


class Looks:
    """Looks at Azure, which fill the inventory."""

    def __init__(self, inventory):
        self.inventory = inventory
        self.count = 0

    def renew(self, subscription, *, now):
        self.count += 1
        self.inventory.write_machines(subscription, VMS, complete=True)
        return now


@pytest.fixture
def stores():
    clock = FakeClock(NOON)
    return stores_over(FakeTable(clock), FakeTable(clock))


@pytest.fixture
def looks(stores):
    return Looks(stores.inventory)


@pytest.fixture
def pages(stores, looks):
    return InventoryPages(
        inventory=stores.inventory,
        subscriptions=stores.subscriptions,
        looks=cast(SharedLooks, looks),
        reserve=1,
    )


def read(pages, *, after="", most=1000, calls=12):
    found, looked_at, reached = pages.read(SUBSCRIPTION, NOON, after, most, QueryBudget(calls))
    return sorted(vm.name for vm in found), looked_at, reached


def test_an_inventory_that_was_never_filled_is_read_from_azure(pages, looks):
    """Once; the time of the look is told."""
    first = read(pages)
    second = read(pages)

    assert first == (["web0", "web1", "web2"], NOON, None)
    assert second == (["web0", "web1", "web2"], None, None)
    assert looks.count == 1


def test_a_page_without_calls_for_a_look_leaves_it_to_the_next_one(pages, looks):
    """The subscription is not taken for empty."""
    assert read(pages, calls=3) == ([], None, "")
    assert looks.count == 0


def test_after_a_comparison_an_empty_inventory_is_the_answer(pages, looks, stores):
    """The subscription has no machines."""
    stores.subscriptions.note_comparison(SUBSCRIPTION, None, NOON)

    assert read(pages) == ([], None, None)
    assert looks.count == 0


def test_machines_go_on_behind_the_place_of_a_page(pages, stores):
    """Each once."""
    stores.inventory.write_machines(SUBSCRIPTION, VMS, complete=True)

    first, _, place = read(pages, most=2)
    second, _, end = read(pages, after=place)

    assert (len(first), sorted([*first, *second]), end) == (2, ["web0", "web1", "web2"], None)


def test_one_machine_is_found_by_its_id_in_one_call(pages, stores):
    """In any letter case; None if the inventory lacks it."""
    stores.inventory.write_machines(SUBSCRIPTION, VMS[:1], complete=True)
    budget = QueryBudget()

    found = [pages.find(vm, budget) for vm in (a_vm_of(0).upper().replace("/S", "/s"), a_vm_of(1))]

    assert [vm and vm.name for vm in found] == ["web0", None]
    assert budget.left == 10
