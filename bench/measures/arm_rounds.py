"""
Rounds: the longest chain of calls in which each call could have waited for the answer before it.

The simulator notes when a call arrives and holds every answer back for the same latency. A call
that arrived earlier than another's arrival plus that latency cannot have known its answer; a call
that arrived later is counted as if it had needed it, so that the chain is never shorter than the
true one. Calls that concern one JIT policy lie in its resource group; calls of no resource group
count for every policy.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta

from bench.measures.simulator_log import Call

_GROUP = "resourcegroups"


def find_chain(calls: Iterable[Call], latency: timedelta) -> list[Call]:
    """Return the longest chain of *calls*: each arrived *latency* or more after the one before."""
    chain: list[Call] = []
    for call in sorted(calls, key=lambda item: item.at):
        if not chain or call.at >= chain[-1].at + latency:
            chain.append(call)
    return chain


def find_longest_chain(calls: Sequence[Call], latency: timedelta) -> list[Call]:
    """Return the longest of the chains of all resource groups."""
    groups = {find_group(call) for call in calls} or {""}
    shared = [call for call in calls if find_group(call) == ""]
    chains = [
        find_chain([*shared, *(call for call in calls if find_group(call) == name)], latency)
        for name in sorted(groups)
        if name or groups == {""}
    ]
    return max(chains, key=len)


def find_group(call: Call) -> str:
    """Return the resource group that a call concerns, lower-case; empty if none."""
    parts = call.path.lower().split("/")
    return parts[parts.index(_GROUP) + 1] if _GROUP in parts[:-1] else ""
