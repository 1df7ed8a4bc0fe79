"""Chains: their heads, and an export that proves itself."""

from dataclasses import replace

import pytest

from jit.broker.auditing import chains
from jit.broker.auditing.chains import MOST_LINES
from jit.domain.audit.verification import Anchor, BreakKind, verify_lines
from jit.storage.lists.query_budget import PAGE_QUERIES
from jit.storage.table import Op, Verb
from tests.builders.exports import an_event
from tests.builders.trails import ELSEWHERE, HERE, NOON, StoredTrail


@pytest.fixture
def trail():
    return StoredTrail()


def export(trail, name=HERE, after=0):
    """Return all lines of an export, its last head, and the number of its parts."""
    lines: list[bytes] = []
    place: int | None = after
    parts = 0
    while place is not None:
        part = trail.chains.export(name, place)
        lines += [line.encode("ascii") for line in part.lines]
        place, parts = part.after, parts + 1
    return lines, part.head, parts


def change_row(trail, number, **values):
    row = trail.audit.rows("c|")[number]
    trail.audit.write([Op(Verb.REPLACE, replace(row, values={**row.values, **values}))])


def test_a_whole_export_is_verified_against_its_head(trail):
    trail.store([an_event(number, reason=f"why {number}") for number in range(1, 40)])

    lines, head, _ = export(trail)

    verdict = verify_lines(lines, known=Anchor(head.sequence, head.hash))
    assert (verdict.broken, verdict.records, verdict.chain) == (None, 39, HERE)


@pytest.mark.parametrize("scanned", [1000, 3])
def test_the_parts_of_an_export_follow_each_other(trail, monkeypatch, scanned):
    """However few lines a part has, and however early the service stops."""
    monkeypatch.setattr(chains, "MOST_LINES", 7)
    trail = StoredTrail(scanned=scanned)
    trail.store_many(40)

    lines, _, parts = export(trail)

    assert verify_lines(lines).head.sequence == 40
    assert parts > 5


def test_a_part_ends_before_it_is_too_large(trail, monkeypatch):
    monkeypatch.setattr(chains, "MOST_CHARACTERS", 3000)
    trail.store_many(40)

    part = trail.chains.export(HERE, 0)

    assert sum(map(len, part.lines)) < 4000
    assert verify_lines(export(trail)[0]).head.sequence == 40


@pytest.mark.scaled
def test_a_part_costs_a_bounded_number_of_calls(trail):
    """Five thousand records, and one more that the next part has."""
    trail.store_many(MOST_LINES + 1)
    before = trail.calls.count()

    part = trail.chains.export(HERE, 0)

    assert (len(part.lines), part.after) == (MOST_LINES, MOST_LINES)
    assert trail.calls.count() - before <= PAGE_QUERIES


def test_an_export_of_a_chain_whose_tail_was_cut_ends(trail):
    """The head says that more should be there; the verification says so too."""
    trail.store_many(5)
    trail.audit.write([Op(Verb.DELETE, trail.audit.rows("c|")[-1])])

    lines, head, _ = export(trail)

    broken = verify_lines(lines, known=Anchor(head.sequence, head.hash)).broken
    assert broken is not None
    assert (len(lines), broken.kind, broken.sequence) == (4, BreakKind.CUT_TAIL, 5)


def test_a_record_that_was_changed_in_the_table_is_found_in_the_export(trail):
    trail.store_many(5)
    change_row(trail, 2, Doc='{"what":"x.done"}')

    broken = verify_lines(export(trail)[0]).broken

    assert broken is not None
    assert (broken.kind, broken.sequence) == (BreakKind.EDIT, 3)


def test_an_export_goes_on_after_a_record(trail):
    records = trail.store_many(9)

    lines, _, _ = export(trail, after=6)

    assert verify_lines(lines, start=Anchor(6, records[5].hash)).records == 3


@pytest.mark.parametrize("after", [0, 3, 10**11])
def test_there_is_nothing_after_the_end_of_a_chain(trail, after):
    trail.store_many(3, name=ELSEWHERE)

    assert export(trail, HERE, after)[0] == []
    assert export(trail, ELSEWHERE, max(after, 3))[0] == []


def test_each_chain_with_records_shows_its_head(trail):
    """Those of the named subscriptions, of dropped ones with grants, and of people."""
    trail.chains.subscriptions.ensure("dropped", NOON)
    records = {name: trail.store_many(2, name=name) for name in (HERE, "dropped", "people")}

    heads = trail.chains.list_heads()

    assert trail.chains.list_names() == [HERE, ELSEWHERE, "dropped", "people"]
    assert [(each.head.chain, each.head.hash, each.broken_at) for each in heads] == [
        (name, records[name][-1].hash, None) for name in (HERE, "dropped", "people")
    ]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda trail: trail.audit.write([Op(Verb.DELETE, trail.audit.rows("c|")[-1])]),
        lambda trail: change_row(trail, 2, Hash="f" * 64),
        lambda trail: change_row(trail, 2, Doc='{"what":"x.done"}'),
    ],
    ids=["gone", "another hash", "another event"],
)
def test_a_head_that_is_not_that_of_the_last_record_is_broken(trail, spoil):
    trail.store_many(3)

    spoil(trail)

    assert [each.broken_at for each in trail.chains.list_heads()] == [3]
