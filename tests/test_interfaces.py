"""Interfaces: each adapter and each fake has exactly the calls of its Protocol."""

import inspect

import pytest

from jit import interfaces
from jit.gateways.arm import ThinArm
from jit.gateways.defender import DefenderPolicies
from jit.gateways.network import AzureNetwork
from jit.gateways.queue_storage import StorageQueues
from jit.gateways.table_storage import StorageTable
from jit.storage.table import Table
from tests.fakes.clock import FakeClock
from tests.fakes.queues import FakeQueues
from tests.fakes.tables import FakeTable

IMPLEMENTATIONS = [
    (interfaces.Queues, StorageQueues),
    (interfaces.Queues, FakeQueues),
    (interfaces.JitPolicies, DefenderPolicies),
    (interfaces.Network, AzureNetwork),
    (interfaces.Arm, ThinArm),
    (interfaces.Clock, FakeClock),
    (Table, StorageTable),
    (Table, FakeTable),
]


def methods(protocol):
    """Return the calls of a Protocol: its public methods, and being called."""
    return [
        name
        for name, value in vars(protocol).items()
        if inspect.isfunction(value) and (name == "__call__" or not name.startswith("_"))
    ]


def parameters(kind, method):
    """Return the names and kinds of the parameters of a method."""
    found = inspect.signature(getattr(kind, method)).parameters.values()
    return [(each.name, each.kind) for each in found]


@pytest.mark.parametrize(
    ("protocol", "kind"), IMPLEMENTATIONS, ids=lambda each: getattr(each, "__name__", "")
)
def test_an_implementation_takes_the_parameters_of_its_protocol(protocol, kind):
    """A call by keyword works on the fake and on the adapter alike."""
    calls = methods(protocol)

    assert calls
    assert {name: parameters(kind, name) for name in calls} == {
        name: parameters(protocol, name) for name in calls
    }
