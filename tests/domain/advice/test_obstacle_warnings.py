"""Warnings about obstacles, for the owner of a VM."""

from ipaddress import ip_network

import pytest

from jit.domain.advice.obstacle_warnings import find_obstacle_warnings
from jit.domain.model.machine import Obstacle

SOURCES = tuple(ip_network(f"198.51.{number}.0/24") for number in range(5))


@pytest.mark.parametrize(
    ("sources", "who"),
    [
        ((), "anybody"),
        (SOURCES[:1], "198.51.0.0/24"),
        (SOURCES, "198.51.0.0/24, 198.51.1.0/24 and 3 more"),
    ],
)
def test_a_warning_says_what_stops_which_sources(sources, who):
    """And what to do: the detail of the obstacle."""
    obstacle = Obstacle(port=22, code="nsg-rule-blocks", detail="a rule; ask", sources=sources)

    (warning,) = find_obstacle_warnings([obstacle])

    assert warning.code == "nsg-rule-blocks"
    assert warning.detail == f"port 22: no grant can let {who} in: a rule; ask"
