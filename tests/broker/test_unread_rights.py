"""A person whose roles cannot be read keeps nobody else waiting."""

from datetime import timedelta

import pytest

from jit.broker.policy_worker.unentitled_requests import MOST_PEOPLE
from jit.broker.rights.reading_pace import MOST_READINGS
from jit.domain.errors import CannotTell, Refused, Unavailable
from jit.domain.model.people import Person, Role
from tests.broker.inprocess import ALICE, BOB, CAROL, THERE, farm, wish
from tests.local.azure.sim import DEVELOPMENT

SECOND = timedelta(seconds=1)
UNREADABLE = [{"properties": None}]
ERRORS = [Refused("no such principal", azure_status=400), Unavailable("500")]


def a_person(number):
    oid = f"c40d0000-0000-4000-8000-{number + 1:012d}"
    return Person(id=oid, name=f"person{number}", roles=frozenset({Role.REQUESTER}))


def fail_for(broker, monkeypatch, oid, error):
    """Let the list of one person alone fail."""
    known = broker.authorization.list

    def answer(path, api_version, chosen=""):
        if oid in chosen:
            raise error
        return known(path, api_version, chosen)

    monkeypatch.setattr(broker.authorization, "list", answer)


@pytest.mark.parametrize("error", ERRORS)
def test_a_person_whose_list_fails_keeps_nobody_else_waiting(broker, monkeypatch, error):
    broker.ask(wish(farm(1)))
    broker.advance(SECOND)
    theirs = broker.ask(wish(farm(2), source=THERE), BOB)
    fail_for(broker, monkeypatch, ALICE.id, error)

    broker.live(50)

    assert broker.status(theirs) == "open"


@pytest.mark.parametrize("error", ERRORS)
def test_a_person_whose_list_fails_stops_nobody_elses_acceptance(broker, monkeypatch, error):
    fail_for(broker, monkeypatch, ALICE.id, error)
    with pytest.raises(CannotTell):
        broker.accept(wish(farm(1)))

    assert broker.accept(wish(farm(2)), BOB)


def test_a_wrong_id_of_a_ticketing_system_stops_nobody(broker, monkeypatch):
    ghost = "dead0000-0000-4000-8000-000000000001"
    fail_for(broker, monkeypatch, ghost, ERRORS[0])
    system = Person(id=CAROL.id, name="desk", roles=frozenset({Role.SYSTEM}))
    with pytest.raises(CannotTell):
        broker.preview(wish(farm(1), onBehalfOf=ghost), system)

    assert broker.accept(wish(farm(2)), BOB)


def test_one_callers_lists_do_not_use_up_the_pace_of_all(broker):
    """Roles of this person cannot be understood: they are read once in half a minute."""
    broker.authorization.people[ALICE.id] = UNREADABLE
    for _ in range(MOST_READINGS):
        broker.queries.list_machines(DEVELOPMENT, ALICE, now=broker.now)

    assert broker.accept(wish(farm(2)), BOB)


def test_people_whose_lists_cannot_be_understood_starve_nobody(broker):
    """As many as one pass reads; they asked first, and come last in the next pass."""
    for person in map(a_person, range(MOST_PEOPLE)):
        broker.ask(wish(farm(1)), person)
        broker.authorization.people[person.id] = UNREADABLE
    broker.advance(SECOND)
    last = broker.ask(wish(farm(1), source=THERE), BOB)

    broker.live(50)

    assert broker.status(last) == "open"


def test_lists_of_vms_leave_readings_for_openings(broker):
    waiting = broker.ask(wish(farm(2)), BOB)
    broker.advance(SECOND)
    for number in range(MOST_READINGS):
        broker.queries.list_machines(DEVELOPMENT, a_person(number), now=broker.now)

    broker.work(farm(2))

    assert broker.status(waiting) == "opening"
