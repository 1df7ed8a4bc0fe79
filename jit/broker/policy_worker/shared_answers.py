"""
The answer to an initiate, stored once for all grants of a VM port.

An initiate carries every grant of its VM port, and Azure answers for all of them at once. If each
row held the answer, a pass over a crowd would write each of its rows twice. So the row of one
grant holds it, and the others are read together with that one. If it is lost, Azure is asked
once more, as if its answer had been lost.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from jit.domain.model.grant import Grant
from jit.domain.model.machine import VmPort

_Asked = tuple[VmPort, str | None, datetime | None]


def drop_shared_answers(before: Iterable[Grant], after: Mapping[str, Grant]) -> dict[str, Grant]:
    """
    Return the grants of *after* to store: of those that were only answered, one for each VM port.

    Args:
        before: Grants that an initiate carried.
        after: The same after Azure's answer, by their ids.
    """
    told = set[_Asked]()
    kept = dict[str, Grant]()
    for grant in before:
        answered, asked = after[grant.id], _name(grant)
        if _is_only_answered(grant, answered):
            if asked in told:
                continue
            told.add(asked)
        kept[grant.id] = answered
    return kept


def _is_only_answered(before: Grant, after: Grant) -> bool:
    if not _is_unanswered(before) or not after.initiate.answered or after.note != before.note:
        return False
    return _name(after) == _name(before)


def fill_answers(grants: Sequence[Grant], others: Iterable[Grant] = ()) -> list[Grant]:
    """
    Return *grants*, each with the answer that another row holds.

    Args:
        grants: As read from their rows.
        others: More grants that may have been carried, for example closed ones.
    """
    if not any(map(_is_unanswered, grants)):
        return list(grants)
    told = {_name(grant) for grant in (*grants, *others) if grant.initiate.answered}
    return [
        replace(grant, initiate=replace(grant.initiate, answered=True))
        if _is_unanswered(grant) and _name(grant) in told
        else grant
        for grant in grants
    ]


def _is_unanswered(grant: Grant) -> bool:
    """Return True if the row of *grant* holds no answer; each row holds its own refusal."""
    asked = grant.initiate
    return bool(asked.ids) and not asked.answered and asked.refused_at is None


def _name(grant: Grant) -> _Asked:
    """Return the VM port of *grant*, its newest initiate, and when that was stored."""
    return (grant.vm_port, grant.initiate.newest, grant.initiate.at)
