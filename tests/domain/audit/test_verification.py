"""Verification of an export: every change is found, with its place and its kind."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jit.domain.audit import chain
from jit.domain.audit.chain import Head
from jit.domain.audit.verification import (
    BEGINNING,
    Anchor,
    BreakKind,
    parse_anchor,
    verify_lines,
)
from tests.builders.exports import (
    ALICE,
    a_trail,
    an_erasure,
    an_event,
    erase,
    make_records,
    write_lines,
)
from tests.sizes import examples, sample

TRAIL = a_trail(6)
LINES = write_lines(TRAIL)
HEAD = Anchor(TRAIL[-1].sequence, TRAIL[-1].hash)


def anchor_of(record):
    return Anchor(record.sequence, record.hash)


def find(lines, **places):
    """Return kind and sequence of the first break; None if there is none."""
    broken = verify_lines(lines, **places).broken
    return (broken.kind, broken.sequence) if broken else None


def seal_again(record, **changes):
    """Return a forged record whose hash fits."""
    forged = replace(record, **changes)
    return replace(forged, hash=chain.digest(forged))


def test_an_export_as_it_was_written_is_whole():
    verdict = verify_lines(LINES, known=HEAD)

    assert (verdict.broken, verdict.head, verdict.records) == (None, HEAD, len(LINES))
    assert (verdict.chain, verdict.erased) == (TRAIL[0].chain, 0)


def test_an_export_without_a_line_is_an_empty_chain():
    assert verify_lines([]).head == BEGINNING
    assert find([], known=BEGINNING) is None


def test_records_of_the_version_before_are_verified_in_the_same_way():
    """Their texts are inside the hashed bytes, and their events have no ``texts``."""
    old = an_event(1) | {"actorName": "Alice", "facts": {"justification": "patch"}}
    records = make_records([old, an_event(2, reason="why")])

    assert find(write_lines(records), known=anchor_of(records[-1])) is None


@pytest.mark.scaled
def test_every_edit_of_one_byte_is_found():
    """Each byte of the export, in a sample of them; with the head that is kept elsewhere."""
    export = b"".join(LINES)
    for place in sample(range(len(export)), 7):
        for byte in sample(range(256), 51, first=place):
            if byte == export[place]:
                continue
            edited = export[:place] + bytes([byte]) + export[place + 1 :]
            lines = edited.splitlines(keepends=True) if byte == 10 else split(edited)
            assert find(lines, known=HEAD) is not None, (place, byte)


def split(export):
    """Return the lines as a file yields them: a newline ends one, and nothing else does."""
    return [line + b"\n" for line in export.split(b"\n")[:-1]] + [
        line for line in export.split(b"\n")[-1:] if line
    ]


@given(st.binary(max_size=3), st.integers(0, len(b"".join(LINES)) - 1), st.integers(0, 3))
@settings(max_examples=examples(100, 5000))
def test_every_other_edit_of_a_few_bytes_is_found(new, place, length):
    """Bytes put in, taken out, or exchanged."""
    export = b"".join(LINES)
    edited = export[:place] + new + export[place + length :]

    assert (find(split(edited), known=HEAD) is None) == (edited == export)


@pytest.mark.parametrize("left_out", range(5))
def test_a_record_that_is_left_out_is_a_deletion(left_out):
    lines = [line for number, line in enumerate(LINES) if number != left_out]

    assert find(lines) == (BreakKind.DELETION, left_out + 1)


@pytest.mark.parametrize("length", range(6))
def test_a_cut_tail_is_found_by_the_known_head(length):
    """Without it nobody can tell."""
    assert find(LINES[:length]) is None
    assert find(LINES[:length], known=HEAD) == (BreakKind.CUT_TAIL, length + 1)


@given(st.permutations(range(len(LINES))))
def test_records_in_another_order_are_a_reordering(order):
    lines = [LINES[number] for number in order]
    moved = [number for place, number in enumerate(order) if place != number]

    expected = (BreakKind.REORDERING, min(moved) + 1) if moved else None
    assert find(lines, known=HEAD) == expected


@given(st.integers(0, 5), st.integers(0, 6))
def test_a_record_that_stands_there_twice_is_an_insertion(number, place):
    """Behind its place; before it, it is out of order."""
    lines = [*LINES[:place], LINES[number], *LINES[place:]]

    kind, _ = find(lines, known=HEAD)
    assert kind is (BreakKind.INSERTION if place >= number else BreakKind.REORDERING)


@pytest.mark.parametrize("place", range(1, 5))
def test_a_forged_record_between_two_is_an_insertion(place):
    """It follows the one before; the true one has the same sequence."""
    before = TRAIL[place - 1]
    head = Head(chain=before.chain, sequence=before.sequence, hash=before.hash)
    forged = chain.append(head, an_event(9), recorded_at=before.recorded_at)

    lines = [*LINES[:place], *write_lines([forged]), *LINES[place:]]
    assert find(lines, known=HEAD) == (BreakKind.INSERTION, place + 1)


def test_a_record_that_follows_no_other_is_an_insertion():
    forged = seal_again(TRAIL[2], previous="f" * 64)

    lines = [*LINES[:2], *write_lines([forged]), *LINES[2:]]
    assert find(lines) == (BreakKind.INSERTION, 3)


def test_a_record_of_another_chain_is_an_insertion():
    other = make_records([an_event(number) for number in range(1, 4)], name="people")

    assert find([*LINES[:2], write_lines(other)[2], *LINES[2:]]) == (BreakKind.INSERTION, 3)


@pytest.mark.parametrize("number", range(5))
def test_a_record_that_was_sealed_again_is_an_edit(number):
    """Its hash fits, and the next record names another one."""
    forged = seal_again(TRAIL[number], event={**TRAIL[number].event, "what": "x.done"})

    lines = [*LINES[:number], *write_lines([forged]), *LINES[number + 1 :]]
    assert find(lines) == (BreakKind.EDIT, number + 1)


def test_a_chain_that_was_written_anew_is_found_by_the_known_head():
    forged = make_records([an_event(number) for number in range(1, 9)])

    assert find(write_lines(forged)) is None
    assert find(write_lines(forged), known=HEAD) == (BreakKind.EDIT, HEAD.sequence)


def test_a_part_of_a_chain_is_verified_from_a_kept_place():
    start = anchor_of(TRAIL[1])

    assert find(LINES[2:], start=start, known=HEAD) is None
    assert find(LINES[2:]) == (BreakKind.DELETION, 1)
    assert find(LINES[2:], start=Anchor(2, "f" * 64)) == (BreakKind.EDIT, 3)


def test_a_chain_that_grew_since_its_head_was_kept_is_whole():
    assert find(LINES, known=anchor_of(TRAIL[2])) is None


# ---- erased texts --------------------------------------------------------------------------------


def an_erased_trail(*, erased, person=ALICE):
    """Six records, the fourth is an erasure; the texts of *erased* are gone."""
    told = [an_event(number, reason="why") for number in (1, 2, 3, 5, 6)]
    records = make_records([*told[:3], an_erasure(4, person), *told[3:]])
    return [erase(each) if each.sequence in erased else each for each in records]


def test_texts_that_were_erased_on_record_break_nothing():
    verdict = verify_lines(write_lines(an_erased_trail(erased={1, 2, 3})))

    assert (verdict.broken, verdict.erased) == (None, 3)


@pytest.mark.parametrize("sequence", [5, 6])
def test_texts_of_a_later_act_are_not_covered_by_an_erasure(sequence):
    """The person acted again, and nobody asked to erase that."""
    lines = write_lines(an_erased_trail(erased={1, sequence}))

    assert find(lines) == (BreakKind.ERASURE, sequence)


def test_texts_that_are_gone_without_a_record_are_found():
    """An erasure of another person explains nothing."""
    lines = write_lines(an_erased_trail(erased={2}, person="somebody"))

    assert find(lines) == (BreakKind.ERASURE, 2)


def test_an_erased_text_cannot_be_replaced_by_another_one():
    """The salted hash stays in the record."""
    records = an_erased_trail(erased={2})
    other = replace(records[1], erased=False, texts={"reason": {"salt": "00" * 16, "text": "x"}})

    lines = write_lines([records[0], other, *records[2:]])
    assert find(lines) == (BreakKind.EDIT, 2)


# ---- heads ---------------------------------------------------------------------------------------


def test_a_head_is_read_as_the_header_has_it():
    assert parse_anchor(f"12:{'a' * 64}") == Anchor(12, "a" * 64)


@pytest.mark.parametrize("text", ["", "12", f"-1:{'a' * 64}", f"1:{'A' * 64}", f"01:{'a' * 64}"])
def test_a_head_that_is_malformed_is_refused(text):
    with pytest.raises(ValueError, match="head"):
        parse_anchor(text)
