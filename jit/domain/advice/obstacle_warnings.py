"""Warnings about obstacles without another warning: the reasons that stop grants on a VM."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from jit.domain.model.machine import MachineWarning, Obstacle
from jit.domain.obstacles.nsg_obstacles import NSG_RULE_BLOCKS
from jit.domain.obstacles.route_obstacles import FORCED_TUNNELLING
from jit.domain.values.listing import list_few

NSG_CODES = frozenset({NSG_RULE_BLOCKS})
ROUTE_CODES = frozenset({FORCED_TUNNELLING})
"""The codes of the warnings that depend on the NSGs, and on the route tables."""

_NAMED = 3


def find_obstacle_warnings(obstacles: Iterable[Obstacle]) -> Iterator[MachineWarning]:
    """Yield a warning with the code of each of *obstacles*, and the sources that it stops."""
    for each in obstacles:
        named = list_few((str(source) for source in each.sources), most=_NAMED)
        who = named if each.sources else "anybody"
        detail = f"port {each.port}: no grant can let {who} in: {each.detail}"
        yield MachineWarning(code=each.code, detail=detail)
