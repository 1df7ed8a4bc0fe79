"""Barred people: one of several is enough, and the reason is secret."""

import pytest

from jit.domain.decision.barred_people import find_barred
from jit.domain.decision.verdict import FindingKind
from jit.domain.model.bar import Bars
from jit.domain.model.people import Person
from tests.builders.bars import BARRED_ID, a_bar
from tests.builders.values import NOW

ALICE, BOB = Person(id=BARRED_ID.upper(), name="Alice"), Person(id="b0b", name="Bob")
BARS = Bars((a_bar(),))


@pytest.mark.parametrize("people", [(ALICE,), (ALICE, BOB), (BOB, ALICE)])
def test_one_barred_person_is_enough(people):
    """The person who asks, or the person who is asked for, in any letter case of the id."""
    (found,) = find_barred(people, BARS, NOW)

    assert (found.kind, found.violation.pointer) == (FindingKind.BARRED, "#")
    assert found.violation.code == "barred"


def test_other_people_are_not_barred():
    assert find_barred((BOB,), BARS, NOW) == ()


def test_the_reason_is_secret():
    """It may be about an inquiry."""
    (found,) = find_barred((ALICE,), BARS, NOW)

    assert a_bar().wanted.reason not in found.violation.detail
