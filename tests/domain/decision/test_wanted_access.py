"""The access that a decision is about."""

from __future__ import annotations

from dataclasses import replace

from jit.domain.decision.wanted_access import WantedAccess, list_sources
from tests.builders.bodies import a_draft


def test_a_faulty_source_keeps_its_place_and_is_not_listed():
    """The pointer of a later finding names the entry of the caller's body."""
    draft = a_draft(sources=["203.0.113.7", "198.51.100.0/24"])
    first, second = draft.sources

    assert list(list_sources(draft)) == [("#/sources/0", first), ("#/sources/1", second)]
    assert list(list_sources(replace(draft, sources=(None, second)))) == [("#/sources/1", second)]


def test_a_rule_takes_a_faulty_body_as_well_as_a_whole_request():
    draft = a_draft(duration="never")
    whole = a_draft().request
    assert whole is not None
    either: list[WantedAccess] = [draft, whole]

    assert [access.duration is None for access in either] == [True, False]
    assert [len(access.machines) for access in either] == [1, 1]
