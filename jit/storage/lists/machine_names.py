"""The column of a request's row by which lists find the requests of a machine."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from jit.domain.values import arm_ids
from jit.storage.table import Row

MACHINES = "Machines"
HALF = 10
"""Characters of base32: 50 bits of the hash of an id, then 50 bits of a name's."""


def name_machines(row: Row, vm_ids: Iterable[str]) -> Row:
    """Return the row of a request with its machines, each once."""
    words = {
        arm_ids.row_hash(each)[:HALF] + arm_ids.row_hash(each.rsplit("/", 1)[-1])[:HALF]: None
        for each in vm_ids
    }
    return replace(row, values={**row.values, MACHINES: " ".join(words)})


def list_machine_hashes(row: Row) -> list[str]:
    """Return how the hashes of a request's machines begin; none if its row does not tell."""
    return [word[:HALF] for word in str(row.values.get(MACHINES, "")).split()]


def count_machines(row: Row) -> int | None:
    """Return the number of machines of a request; None if its row does not tell."""
    names = row.values.get(MACHINES)
    return None if names is None else len(str(names).split())
