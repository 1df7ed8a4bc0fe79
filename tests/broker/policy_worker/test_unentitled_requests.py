"""Requests of people without rights in Azure: each pass that would open something asks."""

from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace

import pytest

from jit.broker.locks import LEASE
from jit.broker.policy_worker.unentitled_requests import MOST_PEOPLE
from jit.domain.errors import AccessDenied, Unavailable
from jit.domain.model.grant import CloseReason
from jit.domain.model.people import Person, Role
from jit.settings import RequesterRbac
from tests.broker.inprocess import ALICE, BOB, CAROL, DAVE, THERE, farm, policy_of, wish
from tests.broker.policy_worker.test_pass_state import begin_pass
from tests.builders.values import MINUTE
from tests.local.azure.sim import WEB01

SECOND = timedelta(seconds=1)
DENIED = (CloseReason.DENIED, {"rbac-missing-action"})


def end_of(broker, request_id):
    """The reason and the codes with which the only grant of a request was closed."""
    grant = broker.grant(request_id)
    return grant.close_reason, {each.code for each in grant.denials}


def lose_lists(broker, monkeypatch):
    """Let Azure not tell anybody's rights from now on."""

    def fail(path, api_version, chosen=""):
        raise Unavailable("no answer")

    monkeypatch.setattr(broker.authorization, "list", fail)


def count_lists(broker, act):
    """How many lists are read."""
    before = broker.calls.count("rights.")
    act()
    return broker.calls.count("rights.") - before


def test_a_role_that_is_lost_after_acceptance_keeps_the_request_closed(broker):
    """It was accepted by rights of five minutes ago; at its opening they are read anew."""
    broker.preview(wish(farm(1)))
    broker.authorization.people[ALICE.id] = []
    request_id = broker.ask(wish(farm(1)))

    broker.live(5)

    assert (broker.status(request_id), end_of(broker, request_id)) == ("closed", DENIED)
    assert "lacks the action" in broker.grant(request_id).note
    assert broker.initiates() == []


def test_rights_that_were_read_before_the_acceptance_do_not_count(broker):
    """At the same instant either: nobody knows which of both came first."""
    request_id = broker.ask(wish(farm(1)))
    broker.authorization.people[ALICE.id] = []

    broker.work(farm(1))

    assert end_of(broker, request_id) == DENIED


def test_other_people_open_beside_a_person_without_rights(broker):
    """On the same VM port, in the same pass."""
    own = broker.ask(wish(farm(1)))
    theirs = broker.ask(wish(farm(1), source=THERE), BOB)
    broker.authorization.people[ALICE.id] = []

    broker.live(5)

    assert [broker.status(each) for each in (own, theirs)] == ["closed", "open"]
    assert not broker.reachable(farm(1))


def test_a_scheduled_request_is_asked_about_at_its_start(broker):
    start = (broker.now + timedelta(hours=1)).isoformat()
    request_id = broker.ask(wish(farm(1), startTime=start))
    broker.authorization.people[ALICE.id] = []

    broker.live(30)
    assert broker.status(request_id) == "scheduled"
    broker.live(35)
    assert end_of(broker, request_id) == DENIED


def test_an_open_path_stays_open_without_rights(broker):
    """Its end comes with time: a lost role ends nothing."""
    request_id = broker.ask(wish(farm(1)))
    broker.live(5)
    broker.authorization.people[ALICE.id] = []

    broker.live(20)

    assert broker.status(request_id) == "open"


def test_without_an_answer_nothing_opens_and_closing_goes_on(broker, monkeypatch):
    """An accepted request waits until the rights can be read."""
    ending = broker.ask(wish(farm(1), duration="PT10M"))
    broker.live(5)
    waiting = broker.ask(wish(farm(1), source=THERE), BOB)
    lose_lists(broker, monkeypatch)
    broker.live(15)

    assert broker.status(ending) == "closed"
    assert (broker.status(waiting), len(broker.initiates())) == ("pending", 1)
    assert "roles in Azure" in broker.grant(waiting).note

    monkeypatch.undo()
    broker.live(5)
    assert broker.status(waiting) == "open"


def test_without_an_answer_a_request_fails_at_its_deadline(broker, monkeypatch):
    """It waits no longer than any request that cannot open."""
    request_id = broker.ask(wish(farm(1)))
    lose_lists(broker, monkeypatch)

    broker.live(90)

    assert (broker.status(request_id), broker.initiates()) == ("closed", [])
    assert broker.grant(request_id).close_reason is CloseReason.FAILED


def test_an_initiate_whose_answer_was_lost_is_repeated_with_rights_only(broker):
    """Azure has not taken the path yet, so it is not open."""
    request_id = broker.ask(wish(farm(1)))
    broker.sim.faults({"match": {"method": "POST"}, "times": 1, "answer": {"status": 503}})
    broker.work(farm(1))
    sent = len(broker.initiates())
    broker.authorization.people[ALICE.id] = []

    broker.live(20)

    assert (len(broker.initiates()), end_of(broker, request_id)) == (sent, DENIED)
    assert not broker.reachable(farm(1))


def test_a_path_that_azure_has_taken_is_asked_about_no_more(broker):
    """It was decided at the moment of opening; only its arrival is awaited."""
    request_id = broker.ask(wish(farm(1)))
    broker.work(farm(1))
    broker.authorization.people[ALICE.id] = []

    assert count_lists(broker, lambda: broker.live(5)) == 0
    assert broker.status(request_id) == "open"


def test_a_pass_reads_three_lists_for_one_person(broker):
    """However many VMs the person asks for under this JIT policy, and however often it looks."""
    broker.ask(wish((farm(1), farm(2), farm(3))))

    assert count_lists(broker, lambda: broker.work(farm(1))) == 3


def read_for_another_policy(broker, seconds):
    """Let a pass read rights, and so many seconds pass before that of another policy."""
    broker.ask(wish(farm(1)))
    broker.ask(wish(farm(11)))
    broker.advance(SECOND)
    broker.work(farm(1))
    broker.advance(seconds * SECOND)


def test_passes_within_a_minute_share_their_readings(broker):
    """For requests that were accepted before the first of them."""
    read_for_another_policy(broker, 30)

    assert policy_of(farm(1)) != policy_of(farm(11))
    assert count_lists(broker, lambda: broker.work(farm(11))) == 0


def test_a_reading_that_is_a_minute_old_is_made_anew(broker):
    read_for_another_policy(broker, 60)

    assert count_lists(broker, lambda: broker.work(farm(11))) == 3


def a_person(number):
    return Person(
        id=f"c40d0000-0000-4000-8000-{number + 1:012d}",
        name=f"person{number}",
        roles=frozenset({Role.REQUESTER}),
    )


def test_a_pass_reads_the_roles_of_twenty_people(broker):
    """The others wait for the next pass, with a note; the first who asked come first."""
    people = [a_person(number) for number in range(MOST_PEOPLE + 5)]
    asked = [broker.ask(wish(farm(1)), person) for person in people]
    broker.advance(SECOND)

    assert count_lists(broker, lambda: broker.work(farm(1))) == MOST_PEOPLE + 2
    waiting = [each for each in asked if broker.status(each) == "pending"]
    assert len(waiting) == 5
    assert {broker.grant(each).note for each in waiting} == {
        "the roles of other people in Azure are read first"
    }

    broker.live(3)
    assert {broker.status(each) for each in asked} == {"open"}


def test_a_pass_begins_no_reading_after_fifteen_seconds(broker, monkeypatch):
    """Azure answers slowly, and the pass must end before its lease."""
    seconds = [0.0]
    known = broker.authorization.list

    def answer_slowly(path, api_version, chosen=""):
        seconds[0] += 5
        return known(path, api_version, chosen)

    monkeypatch.setattr(broker.authorization, "list", answer_slowly)
    slow = replace(broker.worker.unentitled, clock=lambda: seconds[0])
    broker.worker = replace(broker.worker, unentitled=slow)
    asked = [broker.ask(wish(farm(1)), a_person(number)) for number in range(3)]
    broker.advance(SECOND)
    seconds[0] = 0.0

    assert count_lists(broker, lambda: broker.work(farm(1))) == 3
    assert sorted(map(broker.status, asked)) == ["opening", "pending", "pending"]


def test_a_refused_grant_closes_although_others_wait(broker, monkeypatch):
    """One person's list cannot be read, another person has no rights, a third one has them."""
    waits, refused, opens = (
        broker.ask(wish(farm(1)), person) for person in map(a_person, range(3))
    )
    broker.authorization.people[a_person(0).id] = [{"properties": None}]
    broker.authorization.people[a_person(1).id] = []

    broker.live(3)

    assert [broker.status(each) for each in (waits, refused, opens)] == [
        "pending",
        "closed",
        "open",
    ]


@pytest.mark.parametrize("mode", [RequesterRbac.REPORT, RequesterRbac.OFF])
def test_rights_that_do_not_decide_are_not_read_at_opening(broker, mode):
    broker.name(*broker.subscriptions, requester_rbac=mode)
    broker.authorization.people[ALICE.id] = []
    request_id = broker.ask(wish(farm(1)))

    assert count_lists(broker, lambda: broker.live(5)) == 0
    assert broker.status(request_id) == "open"


def test_a_pass_that_opens_nothing_reads_no_rights(broker):
    """Most passes only look."""
    broker.ask(wish(farm(1)))
    broker.live(5)

    assert count_lists(broker, lambda: broker.live(10)) == 0


def test_a_path_that_never_came_is_not_opened_later_without_rights(broker):
    """Azure took the initiate and wrote no rule; twelve minutes later another person asks."""
    own = broker.ask(wish(farm(1)))
    broker.sim.faults({"match": {"method": "POST"}, "times": 1, "neverRule": True})
    broker.work(farm(1))
    broker.authorization.people[ALICE.id] = []
    broker.live(12)
    assert broker.grant(own).opened_at is None
    assert not broker.reachable(farm(1))

    broker.ask(wish(farm(1), source=THERE), BOB)
    broker.live(5)

    assert not broker.reachable(farm(1))
    assert broker.status(own) == "closed"


def test_a_removal_does_not_wait_for_readings_of_rights(broker, monkeypatch):
    """A grant that opens on the same VM needs them; the one that ends needs none."""
    ending = broker.ask(wish(farm(1)))
    broker.live(5)
    broker.ask(wish(farm(1), source=THERE), BOB)
    broker.sim.faults({"match": {"method": "POST"}, "times": 1, "answer": {"status": 503}})
    broker.work(farm(1))
    broker.advance(MINUTE)
    broker.revoke(ending)

    def count_removals():
        return sum(each["method"] == "DELETE" for each in broker.sim.control("GET", "log"))

    before, read_first = count_removals(), []
    known = broker.authorization.list

    def watch(path, api_version, chosen=""):
        read_first.append(count_removals() == before)
        return known(path, api_version, chosen)

    monkeypatch.setattr(broker.authorization, "list", watch)
    broker.work(farm(1))

    assert count_removals() > before
    assert not any(read_first)


def test_readings_of_one_pass_end_before_its_lease(broker, monkeypatch):
    """A list of Azure may take thirty seconds before the client gives up."""
    seconds = [0.0]
    known = broker.authorization.list

    def read_slowly(path, api_version, chosen=""):
        seconds[0] += 29
        return known(path, api_version, chosen)

    broker.ask(wish(farm(1)))
    monkeypatch.setattr(broker.authorization, "list", read_slowly)
    slow = replace(broker.worker.unentitled, clock=lambda: seconds[0])
    broker.worker = replace(broker.worker, unentitled=slow)
    seconds[0] = 0.0
    broker.advance(SECOND)
    broker.work(farm(1))

    assert seconds[0] < LEASE.total_seconds()


def test_a_policy_denial_needs_no_rights(broker, monkeypatch):
    """It is denied although nobody can tell the rights of the person."""

    def fail(path, api_version, chosen=""):
        raise Unavailable("no answer")

    monkeypatch.setattr(broker.authorization, "list", fail)
    with pytest.raises(AccessDenied):
        broker.accept(wish(farm(1), 4711))


def test_an_end_on_a_port_waits_for_nobodys_rights(broker):
    """Azure took the initiate of the other person, whose rights cannot be read any more."""
    broker.ask(wish(WEB01, 3389, duration="PT30M"))
    ending = broker.ask(wish(WEB01, 3389, source=THERE, duration="PT3H"), CAROL)
    broker.live(12)
    broker.ask(wish(WEB01, 3389, duration="PT3H"), DAVE)
    broker.live(0.4)
    broker.authorization.people[DAVE.id] = [{"properties": None}]

    broker.revoke(ending, CAROL)
    broker.live(5)

    assert not broker.reachable(WEB01, 3389, THERE)


def test_a_path_that_never_came_is_not_opened_when_another_one_is_mended(broker):
    """The initiate that mends an open path has the sources of all grants on the VM port."""
    theirs = broker.ask(wish(farm(1), source=THERE), BOB)
    broker.live(5)
    broker.sim.faults({"match": {"method": "POST"}, "times": 1, "neverRule": True})
    own = broker.ask(wish(farm(1)))
    broker.work(farm(1))
    broker.authorization.people[ALICE.id] = []

    broker.live(25)

    assert not broker.reachable(farm(1))
    assert broker.grant(own).opened_at is None
    assert broker.status(theirs) == "open"


@pytest.mark.parametrize("closes", [False, True])
def test_an_initiate_of_others_asks_for_the_rights_behind_its_sources(broker, closes):
    """Azure took the initiate of a grant that is not open. An end on the port waits for none."""
    request_id = broker.ask(wish(farm(1)))
    broker.work(farm(1))
    broker.authorization.people[ALICE.id] = []
    broker.advance(2 * MINUTE)
    state = begin_pass(broker, policy_of(farm(1)))
    state.readings.may_begin = not closes
    grant = broker.grant(request_id)
    view = broker.worker.look.observe(state.grants, state)
    ask = SimpleNamespace(vm_port=grant.vm_port)

    sure = broker.worker.unentitled.ask_again([ask], state.grants, view, state)

    assert set(broker.worker.unentitled.ask(state.grants, view, state).refused) == set()
    assert set(sure.refused) == (set() if closes else {grant.id})
