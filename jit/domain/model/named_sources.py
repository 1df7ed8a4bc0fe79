"""
The sources that an initiate named: a short list in each grant, or the digest of a long one.

An initiate names the sources of all people who share its VM port. If the row of each grant held all
of them, a thousand people would have a million sources in a thousand rows. Each row holds the
sources of its own grant, and the ids of the initiates that carried it. So the list of an initiate
is known from its grants, and its digest tells if it is the list of another one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import lru_cache
from hashlib import sha256

from jit.domain.model.grant import Grant
from jit.domain.values.prefix_index import drop_covered
from jit.domain.values.prefixes import Prefix

FEW = 16
"""A list with no more sources stands in the row of each grant."""


@lru_cache(maxsize=64)  # each grant of a VM port asks about the same set
def mark_sources(sources: frozenset[Prefix]) -> str:
    """Return the digest of *sources*: 32 digits; empty for a short list, which needs none."""
    if len(sources) <= FEW:
        return ""
    return sha256("\n".join(sorted(map(str, sources))).encode()).hexdigest()[:32]


def sort_sources(sources: Iterable[Prefix]) -> tuple[Prefix, ...]:
    """Return *sources* in the order in which an initiate names them."""
    return tuple(sorted(sources, key=str))


def fill_sources(grants: Sequence[Grant], others: Iterable[Grant] = ()) -> list[Grant]:
    """
    Return *grants*, each with the list that its newest initiate named, if its row has the digest.

    Args:
        grants: As read from their rows.
        others: More grants that may have been carried, for example closed ones.
    """
    wanted = {each.initiate.newest: set[Prefix]() for each in grants if _is_unfilled(each)}
    if not wanted:
        return list(grants)
    for grant in (*grants, *others):
        for initiate_id in wanted.keys() & set(grant.initiate.ids):
            wanted[initiate_id].update(grant.sources)
    named = {id_: sort_sources(drop_covered(found)) for id_, found in wanted.items()}
    return [
        replace(each, initiate=replace(each.initiate, sources=named[each.initiate.newest]))
        if _is_unfilled(each)
        else each
        for each in grants
    ]


def _is_unfilled(grant: Grant) -> bool:
    return bool(grant.initiate.sources_mark) and not grant.initiate.sources


def drop_marked(grant: Grant) -> Grant:
    """Return *grant* as its row holds it: without a list that has a digest."""
    asked = grant.initiate
    if not (asked.sources_mark and asked.sources):
        return grant
    return replace(grant, initiate=replace(asked, sources=()))
