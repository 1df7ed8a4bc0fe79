"""Queries of callers: own requests or all of them, complete lists, virtual machines."""

from dataclasses import replace
from datetime import timedelta
from functools import partial
from types import SimpleNamespace

import pytest

from jit.api import render
from jit.broker.requests import queries
from jit.broker.requests.filters import BEGINNING, Place
from jit.domain.errors import InvalidRequest, NotFound, Unavailable
from jit.domain.limits import Limits
from jit.domain.model.request import Ticket
from jit.domain.requests.access_body import read_access_request
from jit.domain.requests.submission import Submission
from tests.broker.inprocess import (
    ALICE,
    AUDRA,
    BOB,
    DAVE,
    HERE,
    NEXT_LOOK,
    OLGA,
    THERE,
    farm,
    policy_of,
    wish,
)
from tests.builders.crowds import insert_rows
from tests.fakes.calls import Crash
from tests.local.azure.sim import DB01, DEVELOPMENT, PRODUCTION, WEB01

MONTH = timedelta(days=30)
DOWN = {"status": 503, "code": "ServerUnavailable"}


def _page(broker, caller=OLGA, token=None, **query):
    """The ids of a page, and how to go on; ``since`` stands for ``from``."""
    named = {name.replace("since", "from"): value for name, value in query.items()}
    found, more = broker.list_requests(caller, token, **named)
    return [whole.request.id for whole in found], more


def _ids(broker, caller=OLGA, **query):
    return _page(broker, caller, **query)[0]


# ---- one request ---------------------------------------------------------------------------------


@pytest.mark.parametrize("caller", [ALICE, BOB, OLGA, AUDRA], ids=lambda who: who.name)
def test_a_request_is_seen_by_its_requester_and_by_the_roles_that_see_all(broker, caller):
    """Approvers, operators and auditors see every request."""
    request_id = broker.ask(wish(farm(1)))

    assert broker.queries.find_request(request_id, caller).request.id == request_id


def test_another_requesters_request_looks_as_if_there_were_none(broker):
    """The answer does not say that it exists."""
    request_id = broker.ask(wish(farm(1)))

    with pytest.raises(NotFound) as hidden:
        broker.queries.find_request(request_id, DAVE)
    with pytest.raises(NotFound) as missing:
        broker.queries.find_request("l" + request_id[1:][::-1], DAVE)

    assert type(hidden.value) is type(missing.value)


def test_a_finished_request_is_still_found_by_its_id(broker):
    """Live first, then history: a point read either way."""
    request_id = broker.ask(wish(farm(1)))
    broker.live(70)

    assert broker.queries.find_request(request_id, ALICE).status == "closed"


# ---- shapes --------------------------------------------------------------------------------------


def test_a_fresh_request_has_the_contracts_members(broker):
    """Nothing is promised before it is known: no end, no connection."""
    doc = render.render_request(broker.accept(wish(farm(1))))

    assert set(doc) >= {"id", "status", "requester", "justification", "createdAt", "startsAt"}
    assert (doc["status"], doc["expiresAt"]) == ("pending", None)
    assert doc["requester"] == {"id": ALICE.id, "name": "Alice Ashdown"}
    assert doc["decision"] == {"allowed": True, "rule": "jit-policy", "errors": []}


def test_a_fresh_grant_has_the_contracts_members(broker):
    """Its sources are prefixes; its address is not known yet."""
    (grant,) = render.render_request(broker.accept(wish(DB01, 3389)))["grants"]

    shown = {name: grant[name] for name in ("port", "protocol", "sources", "status")}
    assert shown == {
        "port": 3389,
        "protocol": "TCP",
        "sources": [f"{HERE}/32"],
        "status": "pending",
    }
    missing = ("expiresAt", "handoverAt", "closeReason", "connection")
    assert {grant[name] for name in missing} == {None}


def test_an_open_grant_has_its_connection(broker):
    """Address, port, and the command to type."""
    request_id = broker.ask(wish(WEB01, 3389))

    broker.live(6)

    (grant,) = render.render_request(broker.whole(request_id))["grants"]
    assert grant["connection"] == {
        "via": "firewall",
        "address": "52.137.62.53",
        "port": 13389,
        "command": "mstsc /v:52.137.62.53:13389",
    }


@pytest.mark.parametrize(
    ("vm", "port", "command"),
    [
        (DB01, 22, "ssh -p 22 user@20.71.10.11"),
        (DB01, 3389, "mstsc /v:20.71.10.11:3389"),
        (DB01, 5985, "20.71.10.11:5985"),
    ],
)
def test_the_command_fits_the_port(broker, vm, port, command):
    """RDP and SSH have one; anything else is host and port."""
    request_id = broker.ask(wish(vm, port))

    broker.live(1)

    (grant,) = render.render_request(broker.whole(request_id))["grants"]
    assert grant["connection"]["command"] == command


def test_a_closed_grant_shows_no_connection(broker):
    """There is nothing to connect to any more."""
    request_id = broker.ask(wish(farm(1)))

    broker.live(70)

    (grant,) = render.render_request(broker.whole(request_id))["grants"]
    assert (grant["connection"], grant["closeReason"]) == (None, "expired")


def test_a_ticket_is_shown_as_the_caller_named_it(broker):
    """System and number, if the request has one."""
    ticket = {"system": "servicenow", "id": "CHG0030001"}

    assert render.render_request(broker.accept(wish(farm(1), ticket=ticket)))["ticket"] == ticket


# ---- lists ---------------------------------------------------------------------------------------


def test_a_requester_lists_the_own_requests(broker):
    """Others' are left out."""
    mine = broker.ask(wish(farm(1)), ALICE)
    broker.ask(wish(farm(2)), DAVE)

    assert _ids(broker, ALICE) == [mine]


@pytest.mark.parametrize("caller", [BOB, OLGA, AUDRA], ids=lambda who: who.name)
def test_the_roles_that_see_all_list_all_requests(broker, caller):
    """In both subscriptions."""
    asked = {broker.ask(wish(farm(1)), ALICE), broker.ask(wish(DB01), DAVE)}

    assert set(_ids(broker, caller)) == asked


def test_live_and_finished_requests_are_one_list(broker):
    """Finished requests are listed after live ones."""
    finished = broker.ask(wish(farm(1)))
    broker.live(70)
    live = broker.ask(wish(farm(2)))

    assert _ids(broker) == [live, finished]


def test_a_list_is_narrowed_by_status(broker):
    """Only requests that have it now."""
    opened = broker.ask(wish(farm(1)))
    broker.live(1)
    broker.ask(wish(farm(2)))

    assert _ids(broker, status="open") == [opened]


@pytest.mark.parametrize("name", ["farm01", "FARM01", farm(1), farm(1).upper()])
def test_a_list_is_narrowed_by_vm_as_id_or_name(broker, name):
    """In any case, as Azure does."""
    wanted = broker.ask(wish(farm(1)))
    broker.ask(wish(farm(2)))

    assert _ids(broker, vm=name) == [wanted]


@pytest.mark.parametrize("spell", [str.lower, str.upper])
def test_a_list_is_narrowed_by_requester(broker, spell):
    """By their object id."""
    broker.ask(wish(farm(1)), ALICE)
    wanted = broker.ask(wish(farm(2)), DAVE)

    assert _ids(broker, requester=spell(DAVE.id)) == [wanted]


@pytest.mark.parametrize("parameter", ["requester", "person"])
@pytest.mark.parametrize("text", [DAVE.id, "dave@example.com", "DAVE DIJKSTRA"])
def test_a_list_is_narrowed_by_a_person(broker, parameter, text):
    """By object id, e-mail or name."""
    dave = replace(DAVE, name="dave@example.com", display_name="Dave Dijkstra")
    broker.ask(wish(farm(1)), ALICE)
    wanted = broker.ask(wish(farm(2)), dave)

    assert _ids(broker, **{parameter: text}) == [wanted]


def test_a_finished_request_is_found_by_the_name_of_its_person(broker):
    """History keeps the names."""
    dave = replace(DAVE, name="dave@example.com", display_name="Dave Dijkstra")
    wanted = broker.ask(wish(farm(1)), dave)
    broker.live(90)

    assert broker.history.rows() != ()
    assert _ids(broker, person="dave dijkstra") == [wanted]


def test_requester_and_person_must_both_fit(broker):
    """Two filters narrow a list."""
    broker.ask(wish(farm(1)), ALICE)

    assert _ids(broker, requester=ALICE.id, person=DAVE.id) == []


def test_a_list_is_narrowed_by_ticket(broker):
    """By the number in the ticketing system."""
    wanted = broker.ask(wish(farm(1), ticket={"system": "jira", "id": "OPS-1"}))
    broker.ask(wish(farm(2), ticket={"system": "jira", "id": "OPS-2"}))

    assert broker.whole(wanted).request.ticket == Ticket(system="jira", id="OPS-1")
    assert _ids(broker, ticket="OPS-1") == [wanted]


def test_a_list_is_narrowed_by_time(broker):
    """From and to are instants of creation."""
    broker.ask(wish(farm(1)))
    broker.live(70)
    since = broker.now.isoformat()
    wanted = broker.ask(wish(farm(2)))
    broker.live(70)
    until = broker.now.isoformat()
    broker.live(1)
    broker.ask(wish(farm(3)))

    assert _ids(broker, since=since, to=until) == [wanted]


def test_a_list_covers_the_last_thirty_days_unless_a_beginning_is_named(broker):
    """A caller who names a beginning gets older ones."""
    old = broker.ask(wish(farm(1)))
    broker.live(70, ticks=True)
    since = (broker.now - timedelta(days=1)).isoformat()
    broker.advance(timedelta(days=31))

    assert _ids(broker) == []
    assert _ids(broker, since=since) == [old]


def test_an_open_request_is_listed_at_any_age(broker):
    """Only history has a default span: an operator may let a start lie thirty days ahead."""
    start = broker.now + timedelta(days=30, minutes=-1)
    body, limits = wish(farm(1), startTime=start.isoformat()), Limits(start_horizon=MONTH)
    draft = read_access_request(body, now=broker.now, limits=limits)
    submission = Submission(draft=draft, body=body, key=None, caller=ALICE)
    request_id = broker.acceptance.accept(submission, now=broker.now).request.id
    broker.advance(timedelta(days=30, minutes=-2))
    broker.live(20)
    since = (broker.now - timedelta(days=30)).isoformat()

    assert _ids(broker, status="open") == [request_id]
    assert _ids(broker, since=since) == []


def test_a_list_up_to_the_far_future_misses_nothing(broker):
    """A bound that lies ahead is no bound."""
    request_id = broker.ask(wish(farm(1)))
    broker.live(70)

    assert _ids(broker, to="9000-01-01T00:00:00Z") == [request_id]


def test_a_list_of_more_than_a_page_goes_on_where_it_ended(broker):
    """Page after page, each request once."""
    asked = [broker.accept(wish(farm(1), justification=f"for {n:05}")) for n in range(105)]

    first, token = _page(broker)
    second, end = _page(broker, token=token)

    assert (len(first), len(second), end) == (100, 5, None)
    assert set(first + second) == {whole.request.id for whole in asked}


def test_a_list_goes_on_through_history(broker):
    """A page may end among finished requests."""
    asked = [broker.ask(wish(farm(1), justification=f"for {n:05}")) for n in range(102)]
    for request_id in asked:
        broker.revoke(request_id)
    broker.live(1)

    first, token = _page(broker)
    second, end = _page(broker, token=token)

    assert broker.state.rows("r|") == ()
    assert (set(first + second), end) == (set(asked), None)


def test_a_move_to_history_that_stopped_half_way_is_listed_once(broker):
    """It is in both places for a moment."""
    request_id = broker.ask(wish(farm(1)))
    broker.revoke(request_id)

    def die(name: str, _: int) -> None:
        if name == "history.write":
            raise Crash

    broker.calls.after = die
    with pytest.raises(Crash):
        broker.deliver()
    broker.calls.after = lambda *_: None

    assert broker.state.rows("r|") != ()
    assert broker.history.rows() != ()
    assert _ids(broker) == [request_id]


# ---- virtual machines ----------------------------------------------------------------------------


def _machines(broker, caller=ALICE, subscription=PRODUCTION):
    found, _ = broker.queries.list_machines(subscription, caller, now=broker.now)
    return {vm.name: render.render_machine(vm, access, broker.now) for vm, access in found}


def test_every_vm_says_whether_the_broker_can_serve_it(broker):
    """Configured, not configured, or unsupported with a reason."""
    found = _machines(broker)

    assert {name: doc["status"] for name, doc in found.items()} == {
        "app01": "Configured",
        "db01": "Configured",
        "hub01": "Unsupported",
        "new01": "NotConfigured",
        "web01": "Configured",
    }
    assert "firewall policy" in found["hub01"]["reasons"][0]


def test_a_vm_says_which_way_it_is_reached(broker):
    """Through the firewall if there is one."""
    found = _machines(broker)

    ways = {name: found[name]["via"] for name in ("web01", "db01", "app01")}
    assert ways == {"web01": "firewall", "db01": "public-ip", "app01": "public-ip"}


def test_a_vm_shows_the_ports_of_its_policy(broker):
    """The ports, the sources and the longest duration."""
    ports = _machines(broker)["db01"]["ports"]

    assert {
        "number": 3389,
        "protocol": "TCP",
        "allowedSources": ["203.0.113.0/24"],
        "maxDuration": "PT2H",
    } in ports


def test_a_vm_shows_its_open_grants_to_people_who_may_see_them(broker):
    """The requester and the operator see the person; another requester that somebody is in."""
    broker.ask(wish(DB01))
    broker.live(1)

    (mine,), (seen,), (hidden,) = (
        _machines(broker, caller)["db01"]["grants"] for caller in (ALICE, OLGA, DAVE)
    )

    assert mine == seen
    assert (mine["requester"]["name"], mine["sources"]) == (ALICE.name, [f"{HERE}/32"])
    assert (hidden["id"], hidden["status"], hidden["expiresAt"]) == (
        seen["id"],
        "open",
        seen["expiresAt"],
    )
    names = ("requester", "sources", "connection", "note", "closedBy", "closeReasonText")
    assert [hidden[name] for name in names] == [None] * 6


def test_a_start_that_lies_ahead_is_hidden_from_another_requester(broker):
    """Nobody is in; when somebody will be is their own affair."""
    start = (broker.now + timedelta(hours=3)).isoformat()
    broker.ask(wish(DB01, startTime=start))

    shown = [len(_machines(broker, caller)["db01"]["grants"]) for caller in (ALICE, OLGA, DAVE)]

    assert shown == [1, 1, 0]


def test_a_vm_shows_the_grants_of_several_people_to_an_operator(broker):
    """The people with access now."""
    broker.ask(wish(DB01), ALICE)
    broker.ask(wish(DB01, source=THERE), DAVE)
    broker.live(2)

    grants = _machines(broker, OLGA)["db01"]["grants"]

    assert sorted(grant["sources"] for grant in grants) == [[f"{HERE}/32"], [f"{THERE}/32"]]


def test_a_finished_grant_is_not_shown_with_its_vm(broker):
    """Only who is in, or on the way in or out."""
    broker.ask(wish(DB01))
    broker.live(70)

    assert _machines(broker)["db01"]["grants"] == []


def test_the_vms_of_all_subscriptions_are_listed_unless_one_is_named(broker_of_fifty):
    """Both of the landscape: five VMs, and fifty."""
    everything, _ = broker_of_fifty.queries.list_machines(None, ALICE, now=broker_of_fifty.now)

    assert len(everything) == 55
    assert len(_machines(broker_of_fifty, subscription=DEVELOPMENT)) == 50


@pytest.mark.parametrize(
    ("name", "found"), [("db01", ["db01"]), ("DB01", ["db01"]), ("db", []), ("", [])]
)
def test_machines_are_narrowed_by_their_name(broker, name, found):
    """In any letter case, as Azure does."""
    listed, _ = broker.queries.list_machines(None, ALICE, now=broker.now, name=name)

    assert [vm.name for vm, _ in listed] == found


def test_machines_come_in_pages(broker_of_fifty, monkeypatch):
    """Each once; a page also ends when its storage calls are used up."""
    monkeypatch.setattr(queries, "_MACHINES", 20)
    list_page = partial(broker_of_fifty.queries.list_machines, None, ALICE, now=broker_of_fifty.now)
    _machines(broker_of_fifty, subscription=DEVELOPMENT)  # the inventory is read from Azure first
    first, place = list_page(begin=BEGINNING)
    second, place = list_page(begin=place)
    third, end = list_page(begin=place)

    assert ([len(page) for page in (first, second, third)], end) == ([20, 20, 15], None)
    assert len({vm.id for page in (first, second, third) for vm, _ in page}) == 55


def test_a_new_system_is_listed_in_the_same_pages(broker_of_fifty, monkeypatch):
    """The first page reads Azure, and the next ones the inventory."""
    monkeypatch.setattr(queries, "_MACHINES", 20)
    list_page = partial(
        broker_of_fifty.queries.list_machines, DEVELOPMENT, ALICE, now=broker_of_fifty.now
    )
    first, place = list_page()
    second, place = list_page(begin=place)
    third, end = list_page(begin=place)

    names = [vm.name for vm, _ in (*first, *second, *third)]
    assert (len(names), len(set(names)), end) == (50, 50, None)


def test_a_page_of_machines_ends_before_its_storage_calls_do(broker):
    """Four calls a subscription: the fourth of them begins the next page."""
    empty = [f"5c0ffee0-0000-4000-8000-00000000aaa{n}" for n in range(4)]
    copies = [
        replace(row, partition=each) for each in empty for row in _list_inventory_rows(broker)
    ]
    insert_rows(broker.state, copies)
    many = replace(broker.queries, named=tuple(empty))
    before = broker.calls.count("state.")

    found, place = many.list_machines(None, ALICE, now=broker.now)

    assert broker.calls.count("state.") - before == 12
    assert (len(found), place) == (15, Place((0, empty[3]), ""))


def _list_inventory_rows(broker):
    _machines(broker)
    return [row for row in broker.state.rows("v|") if row.partition == PRODUCTION]


def test_a_subscription_that_is_not_looked_after_is_refused(broker):
    """An empty list would say that it has no VMs."""
    with pytest.raises(InvalidRequest) as caught:
        _machines(broker, subscription="5c0ffee0-0000-4000-8000-00000000dead")

    assert [each.code for each in caught.value.violations] == ["not-watched"]


def test_known_vms_are_listed_while_azure_is_down(broker):
    """The inventory answers."""
    _machines(broker)
    broker.sim.faults({"match": {"path": "/"}, "times": None, "answer": DOWN})

    assert len(_machines(broker)) == 5


def test_a_new_system_without_azure_says_so(broker):
    """No inventory yet, and nothing to read it from: 503, not an empty list."""
    broker.sim.faults({"match": {"path": "/"}, "times": None, "answer": DOWN})

    with pytest.raises(Unavailable):
        _machines(broker)


def test_a_subscription_without_vms_is_not_read_again_at_each_list(broker):
    """Before its first comparison one look in 30 seconds serves all; after it none is made."""
    looks: list[int] = []

    def read_machines(*_, **__):
        looks.append(1)
        return ()

    broker.observer = SimpleNamespace(read_machines=read_machines)

    found = [_machines(broker) for _ in range(3)]
    broker.advance(NEXT_LOOK)
    found.append(_machines(broker))
    before = list(looks)
    broker.subscription_rows.note_comparison(PRODUCTION, None, broker.now)
    broker.advance(NEXT_LOOK)
    found.append(_machines(broker))

    assert found == [{}] * 5
    assert (len(before), len(looks)) == (2, 2)


def test_a_policy_of_another_name_serves_as_well(broker):
    """``default`` is a habit of the portal, not a law."""
    policy = broker.sim.get(policy_of(DB01))
    other = policy_of(DB01).removesuffix("default") + "night-shift"
    renamed = {other: policy, policy_of(DB01): None}
    broker.sim.control("PUT", "state", {"resources": renamed})

    request_id = broker.ask(wish(DB01))
    broker.live(1)

    assert broker.status(request_id) == "open"
    assert broker.grant(request_id).policy_id == other
