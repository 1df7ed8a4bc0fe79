"""Fixtures: a broker that reconciles."""

import logging

import pytest

from tests.broker.reconciling import Reconciling


@pytest.fixture
def it(broker):
    """A broker that reports orphans and leaves them."""
    return Reconciling(broker)


@pytest.fixture
def strict(broker):
    """The same, but the operator has switched the removal of orphans on."""
    return Reconciling(broker, remove_orphans=True)


@pytest.fixture(autouse=True)
def _events(caplog):
    caplog.set_level(logging.INFO, logger="jit")
