"""Requests that a ticketing system makes for a person, who has the access."""

import json
from datetime import timedelta

import pytest

from jit.api.render import render_request
from jit.domain.errors import AccessDenied, Forbidden, InvalidRequest, LimitReached, NotFound
from jit.domain.model.people import Kind, Person, Role
from tests.broker.inprocess import ALICE, AUDRA, BOB, DAVE, HERE, OLGA, THERE, farm, wish
from tests.local.azure.sim import DEVELOPMENT, PRODUCTION

SNOW = Person(
    id="50000000-0000-4000-8000-000000000007",
    name="Ticketing system",
    roles=frozenset({Role.SYSTEM}),
    kind=Kind.APPLICATION,
)
OTHER = Person(
    id="50000000-0000-4000-8000-000000000008",
    name="Another system",
    roles=frozenset({Role.SYSTEM}),
    kind=Kind.APPLICATION,
)
MINUTE = timedelta(minutes=1)


def for_alice(vm, **changes):
    return wish(vm, onBehalfOf=ALICE.id.upper(), **changes)


def events(broker, what):
    docs = [json.loads(str(row.values["Doc"])) for row in broker.state.rows("a|")]
    return [doc for doc in docs if doc["what"] == what]


def codes(caught):
    return [each.code for each in caught.value.violations]


def find_codes(broker, body, *, dry_run):
    """Return the reasons for which Alice does not get what *body* wants."""
    if dry_run:
        return [each.code for each in broker.preview(body, ALICE).errors]
    with pytest.raises(Forbidden) as caught:
        broker.accept(body, ALICE)
    return codes(caught)


def ids_of(broker, caller, **query):
    found, _ = broker.list_requests(caller, **query)
    return [stored.request.id for stored in found]


@pytest.fixture
def asked(broker):
    """The system's request for Alice, which is live."""
    return broker.ask(for_alice(farm(1)), SNOW)


# ---- requester and caller ------------------------------------------------------------------------


def test_the_person_named_is_the_requester_and_the_system_the_caller(broker, asked):
    """The name of the person is not known: the object id stands for it."""
    doc = render_request(broker.whole(asked))

    assert doc["requester"] == {"id": ALICE.id, "name": ALICE.id}
    assert doc["caller"] == {"id": SNOW.id, "name": "Ticketing system", "kind": "application"}


@pytest.mark.parametrize("kind", list(Kind))
def test_a_caller_without_on_behalf_of_is_the_requester_too(broker, kind):
    """The kind is that of the token."""
    caller = Person(id=DAVE.id, name="Dave", roles=DAVE.roles, kind=kind)

    doc = render_request(broker.accept(wish(farm(1)), caller))

    assert doc["requester"] == {"id": DAVE.id, "name": "Dave"}
    assert doc["caller"] == {"id": DAVE.id, "name": "Dave", "kind": kind.value}


@pytest.mark.parametrize("caller", [ALICE, SNOW, OLGA, AUDRA, BOB], ids=lambda each: each.name)
def test_requester_caller_and_roles_that_see_all_see_the_request(broker, asked, caller):
    """By its id, and in their lists; Bob is an approver."""
    assert broker.poll(asked, caller).request.id == asked
    assert ids_of(broker, caller) == [asked]


@pytest.mark.parametrize("caller", [DAVE, OTHER], ids=lambda each: each.name)
def test_other_callers_see_no_request(broker, asked, caller):
    """Also no other system."""
    with pytest.raises(NotFound):
        broker.poll(asked, caller)

    assert ids_of(broker, caller) == []


@pytest.mark.parametrize("caller", [ALICE, SNOW], ids=lambda each: each.name)
def test_requester_and_caller_see_it_in_history(broker, asked, caller):
    """With its grants, which are rows of their own there."""
    broker.revoke(asked)
    broker.live(30)

    (found,), _ = broker.list_requests(caller)

    assert (found.request.id, found.row) == (asked, None)
    assert [grant.status for grant in found.grants] == ["closed"]
    assert found.request.asked_by.id == SNOW.id


def test_a_search_for_a_person_finds_the_person_who_has_the_access(broker, asked):
    """The caller is not the person."""
    assert ids_of(broker, AUDRA, person=ALICE.id) == [asked]
    assert ids_of(broker, AUDRA, person=SNOW.id) == []


# ---- records -------------------------------------------------------------------------------------


def test_the_trail_has_the_person_and_the_caller(broker, asked):
    """The caller stands in the facts, and the name beside them: it can be erased."""
    (event,) = events(broker, "request.accepted")

    assert (event["actor"], event["requestId"]) == (ALICE.id, asked)
    assert event["facts"]["caller"] == {"id": SNOW.id, "kind": "application"}
    assert event["texts"]["callerName"]["text"] == "Ticketing system"


def test_defender_gets_the_person_who_has_the_access(broker, asked):
    """Its justification is read by people in the portal."""
    broker.live(1)

    (body,) = broker.initiates()
    assert f"{ALICE.id}: CHG0030001 monthly patch" in body["justification"]
    assert broker.reachable(farm(1), 22, HERE)


def test_dry_runs_for_several_people_are_one_record_that_names_none_of_them(broker):
    """It tells what the system learned; a system can make up any number of people."""
    broker.occupy(farm(1), 22, "198.51.100.99/32")
    broker.live(5)

    for named in (ALICE, BOB):
        broker.preview(wish(farm(1), onBehalfOf=named.id), SNOW)

    (event,) = events(broker, "request.previewed")
    assert (event["actor"], "onBehalfOf" in event["facts"]) == (SNOW.id, False)


# ---- changes -------------------------------------------------------------------------------------


@pytest.mark.parametrize("caller", [ALICE, SNOW, OLGA], ids=lambda each: each.name)
def test_requester_caller_and_operators_revoke_it(broker, asked, caller):
    """The ticket may be closed before the time is over."""
    broker.live(1)

    done = broker.revoke(asked, caller)

    assert (done.changed, done.stored.grants[0].closed_by.id) == (True, caller.id)


def test_another_system_cannot_revoke_it(broker, asked):
    """It looks as if there were none."""
    with pytest.raises(NotFound):
        broker.revoke(asked, OTHER)


def test_only_its_requester_extends_it(broker, asked):
    """The caller may ask again."""
    broker.live(1)

    with pytest.raises(Forbidden):
        broker.extend(asked, 90 * MINUTE, SNOW)
    assert broker.extend(asked, 90 * MINUTE, ALICE).changed


@pytest.mark.parametrize("barred", [ALICE, SNOW], ids=lambda each: each.name)
def test_nobody_extends_a_request_of_a_barred_person_or_caller(broker, asked, barred):
    """The path stays until its end, and no longer."""
    broker.live(1)
    end = broker.grant(asked).expires_at
    broker.bar(barred)

    with pytest.raises(AccessDenied) as caught:
        broker.extend(asked, 90 * MINUTE, ALICE)

    assert codes(caught) == ["barred"]
    assert broker.grant(asked).expires_at == end


def test_a_request_is_extended_once_the_bar_of_its_caller_is_lifted(broker, asked):
    """The bars of now decide."""
    broker.live(1)
    broker.bar(SNOW)
    broker.bar_changes.lift(SNOW.id, OLGA, broker.now)

    assert broker.extend(asked, 90 * MINUTE, ALICE).changed


# ---- roles ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "caller"),
    [
        (wish(farm(1), onBehalfOf=BOB.id), ALICE),
        (wish(farm(1)), SNOW),
        (wish(farm(1), onBehalfOf=SNOW.id), SNOW),
    ],
)
def test_a_request_without_its_role_is_denied_recorded_and_not_stored(broker, body, caller):
    """Azure is not asked, and a dry run gets the same reason."""
    before = broker.calls.count("arm")

    with pytest.raises(Forbidden) as caught:
        broker.accept(body, caller)

    assert codes(caught) == ["on-behalf-role"]
    assert broker.state.rows("r|") == ()
    assert broker.calls.count("arm") == before
    (event,) = events(broker, "request.denied")
    assert (event["actor"], event["requestId"]) == (caller.id, caught.value.request_id)
    assert event["facts"].get("onBehalfOf") == body.get("onBehalfOf")
    assert [each.code for each in broker.preview(body, caller).errors] == ["on-behalf-role"]


# ---- keys and limits -----------------------------------------------------------------------------


def test_a_repetition_is_known_by_its_caller(broker, asked):
    """Two people in one body each are two requests; the same body twice is one."""
    again = broker.accept(for_alice(farm(1)), SNOW)
    other = broker.accept(wish(farm(1), source=THERE, onBehalfOf=BOB.id), SNOW)

    assert again.request.id == asked
    assert other.request.requester.id == BOB.id


def test_the_live_limits_count_for_the_person_named(broker):
    """However many systems ask, and with the own requests of the person."""
    broker.person_limits = {"live_requests": 2}
    broker.name(PRODUCTION, DEVELOPMENT)
    broker.ask(wish(farm(1)), ALICE)
    broker.ask(for_alice(farm(2)), SNOW)

    with pytest.raises(LimitReached) as caught:
        broker.accept(for_alice(farm(3)), OTHER)
    with pytest.raises(LimitReached):
        broker.accept(wish(farm(3)), ALICE)

    assert codes(caught) == ["limit-live-requests"]
    assert broker.accept(wish(farm(3), onBehalfOf=DAVE.id), SNOW).status == "pending"


def test_the_sum_of_addresses_on_a_port_counts_for_each_person_that_a_system_names(broker):
    """So a system that makes up people has no limit of addresses but the JIT policy."""
    broker.person_limits = {}
    broker.name(PRODUCTION, DEVELOPMENT)
    broker.accept(wish(farm(1), source="198.51.0.0/24", onBehalfOf=ALICE.id), SNOW)

    other = broker.accept(wish(farm(1), source="198.51.1.0/24", onBehalfOf=BOB.id), SNOW)
    with pytest.raises(InvalidRequest):
        broker.accept(wish(farm(1), source="198.51.2.0/24", onBehalfOf=ALICE.id), SNOW)

    assert other.status == "pending"


def test_a_request_that_ended_gives_its_place_back_to_the_person(broker, asked):
    """The place is kept under the person, and not under the caller."""
    broker.person_limits = {"live_requests": 1}
    broker.name(PRODUCTION, DEVELOPMENT)
    broker.revoke(asked, SNOW)
    broker.live(30)

    assert broker.accept(wish(farm(3)), ALICE).status == "pending"


def test_no_request_on_behalf_counts_for_the_day(broker):
    """Else a system could use up the day of a person."""
    broker.person_limits = {"requests_per_day": 1}
    broker.name(PRODUCTION, DEVELOPMENT)
    for number in (1, 2):
        broker.ask(for_alice(farm(number)), SNOW)

    assert broker.accept(wish(farm(3)), ALICE).status == "pending"
    assert broker.accept(for_alice(farm(4)), SNOW).status == "pending"
    with pytest.raises(LimitReached) as caught:
        broker.accept(wish(farm(5)), ALICE)
    assert codes(caught) == ["limit-requests-per-day"]


# ---- bars ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("barred", [ALICE, SNOW], ids=lambda each: each.name)
def test_a_bar_on_the_person_or_on_the_caller_denies_the_request(broker, barred):
    """A system whose secret was stolen asks for nobody any more."""
    broker.bar(barred)

    with pytest.raises(AccessDenied) as caught:
        broker.accept(for_alice(farm(1)), SNOW)

    assert codes(caught) == ["barred"]


@pytest.mark.parametrize("dry_run", [True, False], ids=["dry run", "request"])
def test_a_caller_who_may_not_ask_for_others_does_not_learn_who_is_barred(broker, dry_run):
    """Bars are for operators and auditors."""
    broker.bar(BOB)
    body = wish(farm(1), onBehalfOf=BOB.id)

    if_barred = find_codes(broker, body, dry_run=dry_run)

    assert if_barred == find_codes(broker, wish(farm(1), onBehalfOf=DAVE.id), dry_run=dry_run)
    assert if_barred == ["on-behalf-role"]


def test_a_barred_caller_without_the_role_learns_of_the_own_bar(broker):
    """And of no other one."""
    broker.bar(ALICE)

    decision = broker.preview(wish(farm(1), onBehalfOf=BOB.id), ALICE)

    assert [each.code for each in decision.errors] == ["barred", "on-behalf-role"]


@pytest.mark.parametrize("barred", [ALICE, SNOW], ids=lambda each: each.name)
def test_a_bar_after_acceptance_keeps_the_request_closed(broker, asked, barred):
    """Each pass that would open something asks for both."""
    broker.bar(barred)

    broker.live(5)

    assert (broker.status(asked), broker.grant(asked).close_reason) == ("closed", "denied")
    assert broker.initiates() == []


@pytest.mark.parametrize("barred", [ALICE, SNOW], ids=lambda each: each.name)
def test_a_bar_that_revokes_ends_the_requests_of_the_caller_too(broker, asked, barred):
    """And no request of others."""
    own = broker.ask(wish(farm(2)), DAVE)
    broker.live(1)

    done = broker.bar(barred, revoke=True)
    broker.live(30)

    assert (done.bar.revoked, broker.status(asked), broker.status(own)) == (1, "closed", "open")
