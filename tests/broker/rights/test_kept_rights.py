"""Rights that were read a short time ago: three calls of Azure at first, then none."""

from datetime import timedelta

import pytest

from jit.broker.rights.kept_rights import MOST_PEOPLE, KeptRights
from jit.broker.rights.reading_pace import MOST_READINGS, Purpose, ReadingPace
from jit.broker.rights.rights_reader import RightsReader
from jit.domain.errors import CannotTell
from tests.builders.authorization import PERSON, STRANGER, a_deny
from tests.builders.values import MINUTE, NOW, OTHER_SUBSCRIPTION, SUBSCRIPTION, VM_ID
from tests.fakes.authorization import FakeAuthorization

FIVE = 5 * MINUTE


@pytest.fixture
def arm():
    return FakeAuthorization()


@pytest.fixture
def kept(arm):
    return KeptRights(RightsReader(lambda: arm, ReadingPace()))


def find(kept, person=PERSON, *, subscription=SUBSCRIPTION, now=NOW, oldest=FIVE):
    return kept.find(person, subscription, since=now - oldest, now=now)


def count(arm, act):
    """How many lists are read."""
    before = len(arm.paths)
    act()
    return len(arm.paths) - before


def test_a_person_costs_three_lists_then_none(arm, kept):
    """In any letter case of the object id. Another person costs one more."""
    assert count(arm, lambda: find(kept)) == 3
    assert count(arm, lambda: find(kept, PERSON.upper(), now=NOW + 4 * MINUTE)) == 0
    assert count(arm, lambda: find(kept, STRANGER)) == 1
    assert count(arm, lambda: find(kept, subscription=OTHER_SUBSCRIPTION)) == 3
    assert count(arm, lambda: find(kept, now=NOW + FIVE)) == 3


def test_rights_are_as_old_as_their_older_reading(kept):
    find(kept, STRANGER, now=NOW - MINUTE)

    assert find(kept).read_at == NOW - MINUTE


def test_each_caller_says_how_old_they_may_be(arm, kept):
    """Before access opens, another age counts than at acceptance."""
    find(kept)
    later = NOW + 2 * MINUTE

    assert count(arm, lambda: find(kept, now=later, oldest=MINUTE)) == 3
    assert find(kept, now=later).read_at == later


def test_the_rights_are_those_of_the_person_and_the_subscription(arm, kept):
    arm.people[STRANGER] = []
    arm.denials = [a_deny()]

    assert find(kept).rights.find_at(VM_ID).denied
    assert not find(kept, STRANGER).rights.find_at(VM_ID).granted


def test_a_kept_reading_is_known_beforehand(kept):
    def has(person, now=NOW):
        return kept.has_assignments(person, SUBSCRIPTION, since=now - MINUTE, now=now)

    find(kept)

    assert has(PERSON)
    assert not has(STRANGER)
    assert not has(PERSON, NOW + timedelta(minutes=2))


def test_a_failure_of_a_person_is_known_until_a_reading_succeeds(arm, kept):
    """In any letter case; also after the rest."""
    arm.people[PERSON] = [{"properties": None}]
    with pytest.raises(CannotTell):
        find(kept)

    assert kept.has_failed(PERSON.upper(), SUBSCRIPTION)
    assert not kept.has_failed(STRANGER, SUBSCRIPTION)
    assert not kept.has_failed(PERSON, OTHER_SUBSCRIPTION)
    del arm.people[PERSON]
    find(kept, now=NOW + 10 * MINUTE)
    assert not kept.has_failed(PERSON, SUBSCRIPTION)


def test_many_people_are_kept_and_no_more(arm, kept):
    """Memory is bounded."""

    def person(number):
        return f"a11ce000-0000-4000-8000-{number:012d}"

    for number in range(MOST_PEOPLE + 1):
        find(kept, person(number + 1), now=NOW + number * timedelta(seconds=0.25))
    end = NOW + MOST_PEOPLE * timedelta(seconds=0.25)

    assert count(arm, lambda: find(kept, person(MOST_PEOPLE + 1), now=end)) == 0
    assert count(arm, lambda: find(kept, person(1), now=end)) == 1


def test_beyond_the_pace_nobody_can_tell(arm, kept):
    """And Azure is not asked. People with kept rights are not concerned."""
    for number in range(MOST_READINGS - 1):
        find(kept, f"a11ce000-0000-4000-8000-{number + 1:012d}")
    before = len(arm.paths)

    with pytest.raises(CannotTell):
        find(kept, STRANGER)
    assert find(kept, "a11ce000-0000-4000-8000-000000000007")
    assert len(arm.paths) == before


def test_readings_for_lists_leave_some_for_openings(kept):
    """The reading of the rules counts, too."""

    def read_list(number):
        person = f"a11ce000-0000-4000-8000-{number:012d}"
        since = NOW - FIVE
        return kept.find(person, SUBSCRIPTION, since=since, now=NOW, purpose=Purpose.LIST)

    for number in range(1, MOST_READINGS // 2):
        read_list(number)
    with pytest.raises(CannotTell):
        read_list(MOST_READINGS)

    assert find(kept, STRANGER)
