"""The lists of Azure that tell the rights of people."""

import json
import logging
from datetime import timedelta

import pytest

from jit.broker.rights.reading_pace import ReadingPace
from jit.broker.rights.rights_reader import RightsReader
from jit.domain.authorization.needed_actions import ALL
from jit.domain.authorization.permission_json import MOST_ITEMS
from jit.domain.errors import CannotTell, Defect, PermissionLost, Refused, Throttled, Unavailable
from tests.builders.authorization import OWNER, PERSON, STRANGER, a_deny, an_assignment
from tests.builders.values import NOW, SUBSCRIPTION
from tests.fakes.authorization import FakeAuthorization

PREFIX = f"/subscriptions/{SUBSCRIPTION}/providers/Microsoft.Authorization"


class FailingArm(FakeAuthorization):
    """Raises its error at each list."""

    def __init__(self, error):
        super().__init__()
        self.error = error

    def list(self, path, api_version, chosen=""):
        super().list(path, api_version, chosen)
        raise self.error


def a_reader(arm):
    return RightsReader(lambda: arm, ReadingPace())


def test_rules_are_two_lists_and_a_person_is_one():
    """The filter of a person includes the groups of the person."""
    arm = FakeAuthorization()
    arm.denials = [a_deny()]
    reader = a_reader(arm)

    rules = reader.read_rules(SUBSCRIPTION, NOW)
    own = reader.read_assignments(SUBSCRIPTION, PERSON.upper(), NOW)

    assert rules.roles[OWNER].granted == ALL
    assert (len(rules.denials), [each.role for each in own]) == (1, [OWNER])
    assert arm.paths == [
        (f"{PREFIX}/roleDefinitions", "atScopeAndBelow()"),
        (f"{PREFIX}/denyAssignments", ""),
        (f"{PREFIX}/roleAssignments", f"assignedTo('{PERSON}')"),
    ]


@pytest.mark.parametrize("oid", ["", "alice", f"{PERSON}') or assignedTo('{STRANGER}", "0" * 36])
def test_no_text_of_a_caller_gets_into_a_filter(oid):
    """An id of another form is not asked about at all."""
    arm = FakeAuthorization()

    with pytest.raises(CannotTell):
        a_reader(arm).read_assignments(SUBSCRIPTION, oid, NOW)
    assert arm.paths == []


@pytest.mark.parametrize(
    ("error", "wait"),
    [
        (Throttled("slow down", retry_after_seconds=17), 17),
        (PermissionLost("no"), 60),
        (Defect("x"), 60),
    ],
)
def test_a_failure_of_azure_is_not_known(error, wait):
    """Of both lists, asked at once. The next reading waits as long; nobody asks Azure meanwhile."""
    arm = FailingArm(error)
    reader = a_reader(arm)

    for later in (0, wait - 1):
        with pytest.raises(CannotTell) as found:
            reader.read_rules(SUBSCRIPTION, NOW + timedelta(seconds=later))
        assert found.value.retry_after_seconds == wait - later
    assert len(arm.paths) == 2


@pytest.mark.parametrize(
    ("error", "wait"),
    [(Unavailable("500", retry_after_seconds=17), 17), (Refused("no such principal"), 60)],
)
def test_a_failure_of_a_persons_list_lets_that_person_rest_alone(error, wait):
    arm = FailingArm(error)
    reader = a_reader(arm)

    def ask(person, later):
        with pytest.raises(CannotTell):
            reader.read_assignments(SUBSCRIPTION, person, NOW + timedelta(seconds=later))
        return len(arm.paths)

    assert [ask(PERSON, 0), ask(PERSON, wait - 1), ask(PERSON.upper(), wait - 1)] == [1, 1, 1]
    assert [ask(STRANGER, 0), ask(PERSON, wait)] == [2, 3]


@pytest.mark.parametrize("error", [Throttled("slow down"), PermissionLost("no")])
def test_a_failure_that_concerns_everybody_lets_the_subscription_rest(error):
    """Also if the list of one person tells it."""
    arm = FailingArm(error)
    reader = a_reader(arm)

    for person in (PERSON, STRANGER):
        with pytest.raises(CannotTell):
            reader.read_assignments(SUBSCRIPTION, person, NOW)
    assert len(arm.paths) == 1


def test_a_permission_that_is_lost_is_an_alert(caplog):
    """Waiting does not repair it. The log names no person."""
    with caplog.at_level(logging.INFO), pytest.raises(CannotTell):
        a_reader(FailingArm(PermissionLost("no", code="AuthorizationFailed"))).read_assignments(
            SUBSCRIPTION, PERSON, NOW
        )

    (record,) = caplog.records
    event = json.loads(record.getMessage())
    assert (record.levelno, event["event"], event["code"]) == (
        logging.ERROR,
        "rights.refused",
        "AuthorizationFailed",
    )
    assert PERSON not in record.getMessage()


def test_an_answer_about_somebody_else_is_not_known_and_stops_nobody_else(caplog):
    """Azure answers: the subscription need not rest."""
    arm = FakeAuthorization()
    arm.people[PERSON] = [an_assignment(principal=STRANGER)]
    reader = a_reader(arm)

    with pytest.raises(CannotTell):
        reader.read_assignments(SUBSCRIPTION, PERSON, NOW)
    assert "rights.refused" in caplog.text
    assert reader.read_assignments(SUBSCRIPTION, STRANGER, NOW)


def test_a_list_that_cannot_be_understood_is_not_read_again_for_half_a_minute():
    """Neither the one of a person, nor the rules."""
    arm = FakeAuthorization()
    arm.people[PERSON] = [{"properties": None}]
    arm.denials = [a_deny()] * (MOST_ITEMS + 1)
    reader = a_reader(arm)

    def ask(seconds):
        now = NOW + timedelta(seconds=seconds)
        with pytest.raises(CannotTell):
            reader.read_assignments(SUBSCRIPTION, PERSON, now)
        with pytest.raises(CannotTell):
            reader.read_rules(SUBSCRIPTION, now)
        return len(arm.paths)

    assert [ask(0), ask(29), ask(30)] == [3, 3, 6]


def test_a_list_that_is_understood_again_counts_at_once_after_the_rest():
    arm = FakeAuthorization()
    arm.people[PERSON] = [{"properties": None}]
    reader = a_reader(arm)
    with pytest.raises(CannotTell):
        reader.read_assignments(SUBSCRIPTION, PERSON, NOW)
    del arm.people[PERSON]

    assert reader.read_assignments(SUBSCRIPTION, PERSON, NOW + timedelta(seconds=30))
