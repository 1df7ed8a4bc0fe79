"""The access to a VM that no grant gives, and the ports that it occupies."""

from dataclasses import replace
from datetime import UTC, datetime

from jit.domain.model.machine import MOST_SOURCES, Occupation, Origin, OtherAccess
from jit.domain.model.occupied_ports import list_occupied, list_others
from tests.builders.machines import a_vm
from tests.builders.values import HOUR, NOW

PETRA = Occupation(port=22, sources=("198.51.100.9",), ends_at=NOW + HOUR, requestor="petra")
ORPHAN = OtherAccess(
    port=22, sources=("198.51.100.8",), until=None, requestor=None, origin=Origin.ORPHAN
)
STRANGER = replace(ORPHAN, until=NOW + 2 * HOUR, origin=Origin.PORTAL)


def test_portal_users_and_orphans_are_others():
    """By port; each with its origin and, if it is known, its person."""
    vm = a_vm(occupations=(PETRA,), others=(ORPHAN, replace(ORPHAN, port=21)))

    found = [(o.port, o.origin, o.requestor, o.until) for o in list_others(vm, now=NOW)]

    assert found == [
        (21, "orphan", None, None),
        (22, "orphan", None, None),
        (22, "portal", "petra", NOW + HOUR),
    ]


def test_access_that_has_ended_since_is_left_out():
    """A rule without an end stays until a comparison finds it gone."""
    vm = a_vm(occupations=(PETRA,), others=(STRANGER, ORPHAN))

    assert list_others(vm, now=NOW + 2 * HOUR) == [ORPHAN]
    assert list_occupied(vm, now=NOW + 2 * HOUR) == {}


def test_a_port_is_occupied_until_the_last_request_ends():
    """A rule that no request accounts for occupies no port: it holds nobody back."""
    vm = a_vm(occupations=(PETRA,), others=(STRANGER, replace(ORPHAN, port=3389)))

    assert list_occupied(vm, now=NOW) == {22: NOW + 2 * HOUR}


def test_a_rule_that_outlives_its_request_occupies_no_port():
    """It lets somebody in, so it is told; but nobody is refused for it."""
    left = replace(STRANGER, until=None)
    vm = a_vm(occupations=(replace(PETRA, port=3389),), others=(left,))

    assert left in list_others(vm, now=NOW)
    assert list_occupied(vm, now=NOW) == {3389: NOW + HOUR}


def test_a_request_with_another_brokers_id_and_no_readable_end_occupies_its_port():
    """It is in force for as long as Defender lists it."""
    never = replace(STRANGER, until=datetime.max.replace(tzinfo=UTC))
    vm = a_vm(occupations=(), others=(never,))

    assert list_occupied(vm, now=NOW) == {22: None}
    assert [other.until for other in list_others(vm, now=NOW)] == [None]


def test_an_end_that_is_not_known_is_none():
    """Defender's text could not be read, so the request never ends."""
    never = datetime.max.replace(tzinfo=UTC)
    vm = a_vm(occupations=(PETRA, replace(PETRA, ends_at=never)))

    assert list_occupied(vm, now=NOW) == {22: None}
    assert [other.until for other in list_others(vm, now=NOW)] == [NOW + HOUR, None]


def test_a_long_list_of_sources_is_cut():
    """The page shows the people, and not four thousand prefixes."""
    vm = a_vm(occupations=(replace(PETRA, sources=tuple(map(str, range(4000)))),))

    (other,) = list_others(vm, now=NOW)

    assert len(other.sources) == MOST_SOURCES


def test_a_machine_that_was_never_compared_shows_the_requests_in_defender():
    """Only a comparison knows rules without a grant."""
    assert len(list_others(a_vm(occupations=(PETRA,), others=None), now=NOW)) == 1
