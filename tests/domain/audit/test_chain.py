"""The audit chain: hashes, verification, and changes that break it."""

import json
from dataclasses import replace
from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jit.domain.audit.chain import Head, append, digest, head_of, verify, write_canonical_json
from tests.sizes import examples

START = Head(chain="5c0ffee0-0000-4000-8000-000000000001")
WHEN = "2026-11-22T12:00:00.000000Z"

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
events = st.dictionaries(st.text(), values, max_size=4)


def chained(*happened):
    """The records of these events."""
    records, head = [], START
    for event in happened:
        records.append(append(head, event, recorded_at=WHEN))
        head = head_of(records[-1])
    return records


def three():
    return chained({"what": "a"}, {"what": "b"}, {"what": "c"})


@settings(max_examples=examples(40, 1000))
@given(st.lists(events, max_size=5))
def test_a_chain_as_it_was_written_is_whole(happened):
    """No event breaks it."""
    records = chained(*happened)
    end = head_of(records[-1]) if records else START

    assert verify(records, start=START, end=end) is None


def test_a_hash_can_be_checked_with_the_documentation_alone():
    """The law as anybody else would write it down, in other words than the broker's."""
    (record,) = chained({"what": "é\n", "actor": None, "facts": {"b": 1, "a": [True]}})
    text = (
        '{"chain":"5c0ffee0-0000-4000-8000-000000000001",'
        '"event":{"actor":null,"facts":{"a":[true],"b":1},"what":"\\u00e9\\n"},'
        f'"previous":"{"0" * 64}","recordedAt":"{WHEN}","sequence":1}}'
    )

    assert record.hash == sha256(text.encode("ascii")).hexdigest()


@given(values)
def test_the_canonical_form_is_ascii_and_says_the_same(value):
    """The hashed text can be read back; a justification may have any characters."""
    text = write_canonical_json(value)

    assert text.isascii()
    assert json.loads(text) == value


def test_a_number_that_json_lacks_is_refused():
    """Not every reader would write it in the same way."""
    with pytest.raises(ValueError, match="JSON"):
        write_canonical_json(float("nan"))


@pytest.mark.parametrize(
    "change",
    [
        {"event": {"what": "x"}},
        {"recorded_at": "2026-11-22T12:00:01.000000Z"},
        {"previous": "f" * 64},
        {"sequence": 7},
        {"chain": "5c0ffee0-0000-4000-8000-000000000002"},
        {"hash": "f" * 64},
    ],
)
def test_a_record_that_was_altered_is_found(change):
    """Each member counts."""
    first, second, third = three()

    assert verify([first, replace(second, **change), third], start=START) == 2


def test_a_record_that_was_altered_and_sealed_again_breaks_the_next_one():
    """A forger must rewrite all later records, up to the anchored head."""
    first, second, third = three()
    forged = replace(second, event={"what": "x"})
    forged = replace(forged, hash=digest(forged))

    assert verify([first, forged, third], start=START) == third.sequence


@pytest.mark.parametrize("left_out", [1, 2])
def test_a_record_that_is_missing_is_found(left_out):
    """Sequences have no gap."""
    kept = [record for record in three() if record.sequence != left_out]

    assert verify(kept, start=START) == left_out


def test_records_that_changed_places_are_found():
    """The order is part of the hash."""
    first, second, third = three()

    assert verify([first, third, second], start=START) == second.sequence


def test_a_chain_that_was_cut_is_found_by_its_anchored_head():
    """Without the head that was kept elsewhere, nobody could tell."""
    first, second, third = three()

    assert verify([first], start=START, end=head_of(third)) == second.sequence


def test_a_chain_that_was_rewritten_as_a_whole_is_found_by_its_anchored_head():
    """Every hash fits, and still it is not the chain that was anchored."""
    anchored = head_of(three()[-1])
    rewritten = chained({"what": "a"}, {"what": "x"}, {"what": "c"}, {"what": "d"})

    assert verify(rewritten, start=START, end=anchored) == anchored.sequence


def test_a_chain_that_grew_since_its_head_was_anchored_is_whole():
    """The anchor proves that the records were there."""
    anchored = head_of(three()[1])

    assert verify(three(), start=START, end=anchored) is None


def test_a_part_of_a_chain_is_verified_from_a_kept_head():
    """An auditor need not read everything again."""
    first, second, third = three()

    assert verify([second, third], start=head_of(first)) is None


def test_an_empty_chain_is_whole():
    """Nothing happened yet."""
    assert verify([], start=START, end=START) is None
