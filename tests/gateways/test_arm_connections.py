"""Connections to Azure Resource Manager."""

import pytest

from jit.gateways.arm_connections import KEPT, build_connections


@pytest.mark.parametrize("url", ["https://management.azure.com", "http://127.0.0.1:7072"])
def test_every_parallel_read_finds_a_connection_that_is_kept(url):
    """Two comparisons at once read fourteen lists."""
    adapter = build_connections().session.get_adapter(url)

    assert (adapter._pool_maxsize, adapter.max_retries.total) == (KEPT, False)


def test_nothing_waits_for_ever():
    """Neither for a connection nor for an answer."""
    config = build_connections().connection_config

    assert (config.timeout, config.read_timeout) == (5, 30)
