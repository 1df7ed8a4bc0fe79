"""Fixtures: a configurator of JIT policies with everything around it."""

import pytest

from tests.broker.configuring import Site


@pytest.fixture
def site():
    """A site whose landscape nobody has touched."""
    return Site()
