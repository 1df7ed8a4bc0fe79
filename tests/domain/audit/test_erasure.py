"""Erasure of texts: its record, and the events that it covers."""

from datetime import UTC, datetime, timedelta

import pytest

from jit.domain.audit.erasure import ErasureOrder, WantedErasure, build_erasure_event
from jit.domain.model.people import Person
from tests.builders.exports import ALICE, OLGA, an_event

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
ORDER = ErasureOrder(person_id=ALICE, at=NOON + timedelta(seconds=5))


@pytest.mark.parametrize("number", [1, 5])
def test_an_order_covers_acts_of_the_person_up_to_its_time(number):
    assert ORDER.covers(an_event(number))


@pytest.mark.parametrize(
    "event",
    [an_event(6), an_event(1, actor=OLGA), an_event(1) | {"at": "x"}, {}],
    ids=["later", "another actor", "no time", "nothing"],
)
def test_an_order_covers_nothing_else(event):
    """A reason that an operator wrote about the person is a text of the operator."""
    assert not ORDER.covers(event)


def test_the_record_has_the_operator_the_person_and_the_reason():
    wanted = WantedErasure(person_id=ALICE, reason="asked for it")

    event = build_erasure_event(wanted, Person(id=OLGA, name="olga"), now=NOON)

    assert (event.what, event.actor, event.facts) == ("audit.erased", OLGA, {"person": ALICE})
    assert event.list_texts() == {"actorName": "olga", "reason": "asked for it"}
