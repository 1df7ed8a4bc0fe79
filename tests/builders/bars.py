"""Builders of bars."""

from jit.domain.model.bar import Bar, WantedBar
from jit.domain.model.people import Person
from tests.builders.values import NOW

BARRED_ID = "a11ce000-0000-4000-8000-000000000001"
OPERATOR = Person(id="01ca0000-0000-4000-8000-000000000005", name="Olga")


def a_bar(person_id=BARRED_ID, *, until=None, revoke=False, **changes):
    """A bar for ever, unless it is said."""
    wanted = WantedBar(reason="left the company", until=until, revoke=revoke)
    return Bar(**{"person_id": person_id, "wanted": wanted, "by": OPERATOR, "at": NOW, **changes})
