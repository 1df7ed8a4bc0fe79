"""Stored columns of a person."""

from jit.domain.model.people import Kind, Person
from jit.storage.people.person_columns import CALLER, PERSON, REQUESTER

SNOW = Person(
    id="5",
    name="Ticketing system",
    display_name="Snow",
    kind=Kind.APPLICATION,
    roles=frozenset({"Jit.System"}),
    groups=frozenset({"6"}),
)


def test_neither_roles_nor_groups_are_stored():
    """They are those of a token: tomorrow they may be others."""
    assert PERSON.write(SNOW) == {"id": "5", "name": "Ticketing system"}
    assert REQUESTER.write(SNOW) == {"id": "5", "name": "Ticketing system", "display": "Snow"}
    assert CALLER.write(SNOW) == {"id": "5", "name": "Ticketing system", "kind": "application"}


def test_a_caller_is_read_as_it_was_written():
    """Its kind is shown beside the requester for ever."""
    read = CALLER.read(CALLER.write(SNOW))

    assert read == Person(id="5", name="Ticketing system", kind=Kind.APPLICATION)
