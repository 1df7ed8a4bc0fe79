"""Observations of the simulated Azure: their calls, and the parts that may stay unknown."""

import pytest

from jit.domain.errors import Unavailable
from jit.domain.values import arm_ids
from tests.builders.values import NOW
from tests.fakes.azure import SimulatedAzure
from tests.local.azure.sim import (
    DB,
    DEVELOPMENT,
    NSG_DB,
    NSG_WEB,
    PRODUCTION,
    Sim,
    machine,
    network,
    policy,
)

DB01 = machine("db01", DB)
DOWN = {"status": 503}
NSG_GONE = network("networkSecurityGroups", "nsg-gone", DB)


@pytest.fixture
def azure():
    """The simulated Azure, untouched."""
    return SimulatedAzure(Sim())


@pytest.fixture
def observer(azure):
    """An observer of it."""
    return azure.observer()


def db01(observer):
    """The VM as the inventory knows it, by key."""
    found = observer.read_machines(PRODUCTION, now=NOW)
    return {arm_ids.key(vm.id): vm for vm in found if arm_ids.key(vm.id) == arm_ids.key(DB01)}


def test_all_readable_subscriptions_are_found_with_one_call(azure, observer):
    """The ids are in lower case."""
    assert set(observer.list_readable()) >= {PRODUCTION, DEVELOPMENT}
    assert azure.calls.names == ["arm.list"]


def test_a_snapshot_costs_seven_calls_and_advice_three_more(azure, observer):
    """For any number of VMs."""
    snapshot = observer.read_snapshot(PRODUCTION)

    assert len(azure.calls.names) == 7
    assert (snapshot.bastions, snapshot.plan) == (None, None)

    observer.read_advice_snapshot(PRODUCTION)

    assert len(azure.calls.names) == 7 + 10


def test_a_list_that_fails_fails_the_snapshot(azure, observer):
    """A snapshot without it would be wrong."""
    azure.sim.faults({"match": {"path": "networkInterfaces"}, "times": None, "answer": DOWN})

    with pytest.raises(Unavailable):
        observer.read_snapshot(PRODUCTION)


@pytest.mark.parametrize(
    ("path", "missing"),
    [("bastionHosts", "bastions"), ("routeTables", "route_tables"), ("pricings", "plan")],
)
def test_advice_that_cannot_be_read_stays_unknown(azure, observer, path, missing):
    """The comparison goes on without it."""
    azure.sim.faults({"match": {"path": path}, "times": None, "answer": DOWN})

    snapshot = observer.read_advice_snapshot(PRODUCTION)

    assert getattr(snapshot, missing) is None
    assert snapshot.machines


def test_a_policy_is_observed_with_the_nsgs_of_its_vms(observer):
    """A VM to decide about is built from fresh reads."""
    predicted = db01(observer)

    view = observer.observe_policy(policy(DB), predicted, deciding=frozenset(predicted), now=NOW)

    assert (view.found, view.unreadable) == (True, {})
    assert [(seen.vm.interfaces, seen.vm.ports) for seen in view.machines.values()] == [
        (vm.interfaces, vm.ports) for vm in predicted.values()
    ]
    assert arm_ids.key(NSG_DB) in view.machines[arm_ids.key(DB01)].nsgs


def test_a_policy_that_does_not_exist_is_not_found(observer):
    """It has no requests."""
    view = observer.observe_policy(policy(DB, "none"), {}, deciding=frozenset(), now=NOW)

    assert (view.found, view.requests) == (False, ())


def test_a_second_reading_leaves_out_unreadable_resources(azure, observer):
    """The broker must not change it. One answer of 404 does not say that an NSG is gone."""
    azure.sim.faults({"match": {"path": "nsg-db"}, "times": None, "answer": DOWN})

    found = observer.read_again([NSG_DB, NSG_GONE, NSG_WEB], [policy(DB)])

    assert list(found.nsgs) == [arm_ids.key(NSG_WEB)]
    assert (found.firewalls, found.entries) == ({}, ())
