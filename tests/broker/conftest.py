"""Fixtures: a broker in this process, with its own storage and its own Azure."""

import pytest

from tests.broker.inprocess import InProcess
from tests.broker.reconciling import Reconciling
from tests.local.azure.sim import ROLE


@pytest.fixture
def broker() -> InProcess:
    """A broker that has just been installed: empty tables, an untouched landscape."""
    return InProcess()


@pytest.fixture
def broker_of_fifty() -> InProcess:
    """A new broker; its subscription *Development* has all fifty VMs."""
    return InProcess(ROLE)


@pytest.fixture
def it(broker):
    """A broker with its comparison, and the changes of others."""
    return Reconciling(broker)
