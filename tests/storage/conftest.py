"""Fixtures: a broker in this process, with its own storage and its own Azure."""

import pytest

from tests.broker.inprocess import InProcess


@pytest.fixture
def broker() -> InProcess:
    """A broker that has just been installed: empty tables, an untouched landscape."""
    return InProcess()
