"""Pages of the access that people have now: complete, bounded, and silent about others."""

import base64
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import cast

import pytest

from jit.api.continuation import write_token
from jit.api.list_query import read_access_list
from jit.api.query import TOKEN
from jit.api.render import render_access
from jit.broker.requests.filters import Place
from jit.broker.requests.pages import access_pages
from jit.broker.requests.pages.access_pages import AccessPages
from jit.broker.requests.pages.inventory_pages import InventoryPages
from jit.broker.shared_looks import SharedLooks
from jit.domain.errors import InvalidRequest
from jit.domain.model.machine import Origin, OtherAccess
from jit.domain.model.people import Kind, Person, Role
from jit.domain.values import arm_ids
from jit.storage.documents import FORMAT
from jit.storage.table import Op, Verb
from tests.broker.inprocess import (
    ALICE,
    AUDRA,
    BOB,
    DAVE,
    ELSEWHERE,
    HERE,
    OLGA,
    farm,
    wish,
)
from tests.broker.reconciling import Reconciling
from tests.builders.crowds import (
    MINE,
    OPERATOR,
    OTHER,
    SUBSCRIPTION,
    a_vm_of,
    a_whole_request,
    insert_rows,
    list_live_rows,
    list_strangers,
)
from tests.builders.machines import a_vm
from tests.builders.stores import stores_over
from tests.fakes.calls import Calls
from tests.fakes.clock import FakeClock
from tests.fakes.tables import FakeTable
from tests.local.azure.sim import DB01, DEVELOPMENT, PRODUCTION, WEB01

SECOND = timedelta(seconds=1)
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
MOST_CALLS = 12
PETRA = "9e74a000-0000-4000-8000-000000000008"
SNOW = Person(id="50000000-0000-4000-8000-000000000007", name="Ticketing system")
NOWHERE = "5c0ffee0-0000-4000-8000-00000000dead"


def walk(list_access, caller, now, query):
    """Yield the entries of each page in turn, and the token behind it."""
    params = dict(query)
    while True:
        filters, begin = read_access_list(params, caller)
        found, end = list_access(filters, caller, now=now, begin=begin)
        token = write_token(end, params, caller)
        yield found, token
        if token is None:
            return
        params[TOKEN] = token


def access(broker, caller=OLGA, **query):
    """Return all access that *caller* is shown, as the contract shows it."""
    pages = walk(broker.queries.list_access, caller, broker.now, query)
    return [render_access(each) for found, _ in pages for each in found]


def people(broker, caller=OLGA, **query):
    """Return the names of the people who are in."""
    return [each["person"]["name"] for each in access(broker, caller, **query)]


def spoil(broker, prefix):
    """Make the rows with *prefix* ones that only a newer version reads."""
    for row in broker.state.rows(prefix):
        broker.state.write([Op(Verb.REPLACE, replace(row, values={**row.values, FORMAT: 99}))])


@pytest.fixture
def opened(broker):
    """The id of Alice's request, whose path is open."""
    request_id = broker.ask(wish(WEB01, 3389))
    broker.live(6)
    return request_id


# ---- by grants -----------------------------------------------------------------------------------


def test_an_open_grant_is_listed_with_its_person_its_path_and_its_times(broker, opened):
    """The whole entry of the contract."""
    (found,) = access(broker)

    grant = broker.grant(opened)
    times = {name: found.pop(name) for name in ("openedAt", "expiresAt", "observedAt")}
    found["virtualMachineId"] = arm_ids.key(found["virtualMachineId"])
    assert found == {
        "person": {"id": ALICE.id, "name": "Alice Ashdown"},
        "caller": {"id": ALICE.id, "name": "Alice Ashdown", "kind": "person"},
        "requestId": opened,
        "grantId": grant.id,
        "virtualMachineId": arm_ids.key(WEB01),
        "port": 3389,
        "sources": [f"{HERE}/32"],
        "via": "firewall",
        "status": "open",
        "breakGlass": False,
        "origin": "broker",
    }
    moments = {name: datetime.fromisoformat(text) for name, text in times.items()}
    assert (moments["openedAt"], moments["expiresAt"]) == (grant.opened_at, grant.expires_at)
    assert moments["observedAt"] >= grant.opened_at


def test_access_is_listed_from_the_call_of_azure_until_it_is_observed_gone(broker):
    """A path may be open while its grant is ``opening`` or ``closing``; before and after, none."""
    told = []
    request_id = broker.ask(wish(WEB01, 3389))
    for minutes in (1, 5):
        told.append([each["status"] for each in access(broker)])
        broker.live(minutes)
    told.append([each["status"] for each in access(broker)])
    broker.revoke(request_id)
    told.append([each["status"] for each in access(broker)])
    broker.live(30)
    told.append(access(broker))

    assert told == [[], ["opening"], ["open"], ["closing"], []]


def test_a_start_that_lies_ahead_is_no_access_now(broker):
    """It opens nothing yet."""
    broker.ask(wish(farm(1), startTime=(broker.now + timedelta(hours=1)).isoformat()))
    broker.live(2)

    assert access(broker) == []


def test_a_comparison_brings_the_time_of_a_later_look(broker, opened):
    """As in the request itself."""
    broker.live(10)
    Reconciling(broker).run(PRODUCTION)

    (found,) = access(broker)

    assert found["observedAt"] == broker.now.isoformat().replace("+00:00", "Z")


def test_a_grant_by_the_subnet_of_a_bastion_alone_goes_by_the_bastion(broker):
    """The word that its connection has."""
    body = wish(DB01, 5985, via="bastion")
    del body["sources"]
    broker.ask(body)
    broker.live(2)

    assert [each["via"] for each in access(broker)] == ["bastion"]


# ---- callers -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("caller", "seen"),
    [
        (ALICE, ["Alice Ashdown"]),
        (DAVE, ["Dave Dijkstra"]),
        (BOB, ["Alice Ashdown", "Dave Dijkstra"]),
        (OLGA, ["Alice Ashdown", "Dave Dijkstra"]),
        (AUDRA, ["Alice Ashdown", "Dave Dijkstra"]),
    ],
    ids=lambda each: getattr(each, "name", None),
)
def test_a_requester_sees_the_own_access_and_the_other_roles_all(broker, caller, seen):
    """Bob is an approver."""
    broker.ask(wish(farm(1)), ALICE)
    broker.ask(wish(farm(2)), DAVE)
    broker.live(2)

    assert sorted(people(broker, caller)) == seen


def test_a_caller_sees_the_access_that_it_asked_for_in_the_name_of_others(broker):
    """The person who gets in stands beside it; another person does not see it."""
    system = replace(SNOW, roles=frozenset({Role.SYSTEM}), kind=Kind.APPLICATION)
    broker.ask(wish(farm(1), onBehalfOf=ALICE.id), system)
    broker.live(2)

    (found,) = access(broker, replace(system, roles=frozenset({Role.REQUESTER, Role.SYSTEM})))

    assert (found["person"]["id"], found["caller"]) == (
        ALICE.id,
        {"id": SNOW.id, "name": "Ticketing system", "kind": "application"},
    )
    assert (len(access(broker, ALICE)), access(broker, DAVE)) == (1, [])


# ---- without a grant -----------------------------------------------------------------------------


def test_a_portal_user_is_listed_before_the_first_comparison(broker):
    """A new system reads Azure: an empty list would say that nobody is in."""
    broker.occupy(farm(4), 22, ELSEWHERE)

    (found,) = access(broker)

    assert (found["origin"], found["requestId"], found["grantId"]) == ("portal", None, None)
    assert (arm_ids.key(found["virtualMachineId"]), found["port"]) == (arm_ids.key(farm(4)), 22)
    assert found["sources"] == [ELSEWHERE]
    assert (found["caller"], found["openedAt"], found["status"]) == (None, None, None)
    assert found["expiresAt"] == (broker.now + timedelta(hours=1)).isoformat().replace(
        "+00:00", "Z"
    )
    assert found["observedAt"] is not None


def test_a_rule_of_nobody_is_listed_by_the_comparison_that_saw_it(it):
    """It has no person and no end, and lets somebody in."""
    it.leave()
    it.run()

    (found,) = access(it.broker)

    assert (found["origin"], found["person"], found["expiresAt"]) == ("orphan", None, None)
    assert arm_ids.key(found["virtualMachineId"]) == arm_ids.key(farm(1))
    assert found["sources"] == [HERE]
    assert (found["via"], found["breakGlass"]) == ("public-ip", False)
    assert found["observedAt"] == it.broker.now.isoformat().replace("+00:00", "Z")


def test_a_requester_sees_no_access_without_a_grant(it):
    """It is not the own; the list of machines says that somebody is in."""
    it.broker.occupy(farm(4), 22, ELSEWHERE)
    it.leave()
    it.run()

    assert access(it.broker, ALICE) == []
    assert len(access(it.broker, AUDRA)) == 2


def test_ended_requests_of_the_portal_are_left_out(it):
    """The inventory has them until the next comparison."""
    it.broker.occupy(farm(4), 22, ELSEWHERE)
    it.run()
    it.broker.advance(timedelta(hours=2))

    assert access(it.broker) == []


@pytest.mark.parametrize(
    ("requestor", "person"),
    [
        (PETRA, {"id": PETRA, "name": None}),
        ("petra@example.com", {"id": None, "name": "petra@example.com"}),
        (None, None),
    ],
)
def test_a_person_of_the_portal_is_named_as_defender_names_them(requestor, person):
    """By object id, by e-mail address, or not at all; a search finds the same text."""
    shelf = Shelf()
    ends_at = NOON + timedelta(hours=1)
    shelf.put_machines(1, [replace(an_orphan(22), requestor=requestor, until=ends_at)])

    ((found,),) = shelf.walk(OPERATOR)
    searched = [shelf.walk(OPERATOR, person=text) for text in (str(requestor), "alice")]

    assert render_access(found)["person"] == person
    assert searched == [[[found]] if requestor else [[]], [[]]]


# ---- filters -------------------------------------------------------------------------------------


@pytest.fixture
def crowded(it):
    """A broker with access of Alice, of Dave, and of a portal user."""
    it.broker.ask(wish((farm(1), farm(2))), ALICE)
    it.broker.ask(wish(DB01), DAVE)
    it.broker.occupy(farm(2), 3389, ELSEWHERE)
    it.broker.live(2)
    for subscription in (PRODUCTION, DEVELOPMENT):
        it.run(subscription)
    return it.broker


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({}, [("db01", 22), ("farm01", 22), ("farm02", 22), ("farm02", 3389)]),
        ({"vm": farm(2)}, [("farm02", 22), ("farm02", 3389)]),
        ({"vm": farm(2).upper().replace("/SUBSCRIPTIONS", "/subscriptions")}, None),
        ({"vm": "FARM02"}, [("farm02", 22), ("farm02", 3389)]),
        ({"vm": "farm0"}, []),
        ({"vm": farm(3)}, []),
        ({"person": ALICE.id.upper()}, [("farm01", 22), ("farm02", 22)]),
        ({"person": "alice ashdown"}, [("farm01", 22), ("farm02", 22)]),
        ({"person": "PETRA@contoso.example"}, [("farm02", 3389)]),
        ({"person": "nobody"}, []),
        ({"person": "dave dijkstra", "vm": farm(1)}, []),
        ({"subscription": PRODUCTION.upper()}, [("db01", 22)]),
        ({"subscription": DEVELOPMENT, "person": DAVE.id}, []),
        ({"subscription": PRODUCTION, "vm": farm(1)}, []),
    ],
)
def test_access_is_narrowed_by_vm_person_and_subscription(crowded, query, found):
    """In any letter case; several filters must all fit."""
    shown = [
        (each["virtualMachineId"].rsplit("/", 1)[-1], each["port"])
        for each in access(crowded, **query)
    ]

    assert sorted(shown) == (found if found is not None else [("farm02", 22), ("farm02", 3389)])


@pytest.mark.parametrize(
    "query",
    [
        {"subscription": NOWHERE},
        {"subscription": ""},
        {"vm": farm(1).replace(DEVELOPMENT, NOWHERE)},
    ],
)
@pytest.mark.parametrize("caller", [ALICE, OLGA], ids=lambda each: each.name)
def test_a_subscription_that_is_not_looked_after_is_refused(broker, query, caller):
    """An empty list would say that nobody is in there."""
    with pytest.raises(InvalidRequest) as caught:
        access(broker, caller, **query)

    assert [(each.pointer, each.code) for each in caught.value.violations] == [
        (f"#/{next(iter(query))}", "not-watched")
    ]


def test_access_in_a_dropped_subscription_is_listed_until_it_is_closed(crowded):
    """The settings do not name it any more, and people are still in."""
    crowded.name(PRODUCTION)

    assert len(access(crowded, subscription=DEVELOPMENT)) == 3
    assert len(access(crowded)) == 4


# ---- rows that cannot be read --------------------------------------------------------------------


def test_a_grant_whose_request_cannot_be_read_is_listed_without_its_person(broker, opened):
    """Somebody is in: no search for a person hides it from those who may see all."""
    (whole,) = access(broker)
    spoil(broker, "r|")

    listed, searched = access(broker), access(broker, person=DAVE.id)

    assert listed == searched == [{**whole, "person": None, "caller": None, "unreadable": True}]


def test_grants_that_cannot_be_read_are_an_entry_of_their_person(broker, opened):
    """Nobody knows the port, and if it is open."""
    spoil(broker, "g|")

    (found,) = access(broker, vm="web01", person=ALICE.id)

    told = {name: value for name, value in found.items() if value is not None}
    assert arm_ids.key(told.pop("virtualMachineId")) == arm_ids.key(WEB01)
    assert told == {
        "person": {"id": ALICE.id, "name": "Alice Ashdown"},
        "caller": {"id": ALICE.id, "name": "Alice Ashdown", "kind": "person"},
        "requestId": opened,
        "breakGlass": False,
        "origin": "broker",
        "unreadable": True,
    }
    assert access(broker, vm="db01") == access(broker, person=DAVE.id) == []


def test_a_requester_is_not_told_of_rows_that_cannot_be_read(broker, opened):
    """Nobody can tell whose they are."""
    spoil(broker, "r|")

    assert access(broker, ALICE) == access(broker, DAVE) == []


# ---- pages ---------------------------------------------------------------------------------------


class NoLooks:
    """Looks at Azure that nobody should need."""

    def renew(self, subscription, *, now):
        raise AssertionError(f"{subscription} was read from Azure at {now}")


class Shelf:
    """The list over tables in memory; it keeps the cost of each page, and the tokens."""

    def __init__(self, *others: str) -> None:
        self.calls = Calls()
        clock = FakeClock(NOON)
        self.state = FakeTable(clock, calls=self.calls, name="state")
        stores = stores_over(self.state, FakeTable(clock, name="history"))
        self.inventory = stores.inventory
        names, looks = (SUBSCRIPTION, *others), cast(SharedLooks, NoLooks())
        for each in names:
            stores.subscriptions.note_comparison(each, None, NOON)
        self.pages = AccessPages(
            lists=stores.lists,
            subscriptions=stores.subscriptions,
            machines=InventoryPages(
                inventory=stores.inventory,
                subscriptions=stores.subscriptions,
                looks=looks,
                reserve=0,
            ),
            named=names,
        )
        self.costs: list[int] = []
        self.tokens: list[str] = []

    def put(self, *wholes):
        insert_rows(self.state, (row for whole in wholes for row in list_live_rows(whole)))

    def put_machines(self, count, others=()):
        machines = [
            a_vm(a_vm_of(number).rsplit("/", 1)[-1], id=a_vm_of(number), others=tuple(others))
            for number in range(count)
        ]
        self.inventory.write_machines(SUBSCRIPTION, machines, complete=True)

    def page(self, filters, caller, *, now, begin):
        before = self.calls.count()
        found, end = self.pages.list_page(filters, caller, now=now, begin=begin)
        self.costs.append(self.calls.count() - before)
        return found, end

    def walk(self, caller, **query):
        """Return the entries of each page."""
        found = list(walk(self.page, caller, NOON, query))
        self.tokens = [token for _, token in found if token is not None]
        return [entries for entries, _ in found]

    def tell(self):
        """Return all that the tokens say, as texts."""
        texts = (base64.urlsafe_b64decode(token + "==") for token in self.tokens)
        return {str(value) for text in texts for value in json.loads(text)}


def a_crowd(count, person=OTHER, *, number=0, vms=1):
    """Return open requests of one person, seven seconds apart."""
    return [
        a_whole_request(NOON - 7 * SECOND * (count - n), person, number=number + n, vms=vms)
        for n in range(count)
    ]


def an_orphan(port):
    return OtherAccess(port=port, sources=("*",), until=None, requestor=None, origin=Origin.ORPHAN)


def list_grants(pages):
    return [each.grant_id for page in pages for each in page]


def test_all_access_is_on_one_page_each_and_each_page_costs_twelve_calls_at_most():
    """Hundreds of grants and of machines with access of others."""
    shelf = Shelf()
    crowd = a_crowd(250, vms=2)
    shelf.put(*crowd)
    shelf.put_machines(1200, [an_orphan(22)])

    pages = shelf.walk(OPERATOR)

    entries = [each for page in pages for each in page]
    grants = [each.grant_id for each in entries if each.origin == "broker"]
    machines = [each.vm_id for each in entries if each.origin == "orphan"]
    assert sorted(grants) == sorted(grant.id for whole in crowd for grant in whole.grants)
    assert (len(machines), len(set(machines))) == (1200, 1200)
    assert max(shelf.costs) <= MOST_CALLS
    assert max(map(len, pages)) <= 1000 + 1


def test_a_page_ends_behind_the_row_of_grants_or_the_machine_that_fills_it(monkeypatch):
    """Nothing of it is missed, and nothing comes twice."""
    monkeypatch.setattr(access_pages, "_ENTRIES", 4)
    shelf = Shelf()
    crowd = a_crowd(5, vms=3)
    shelf.put(*crowd)
    shelf.put_machines(3, [an_orphan(80), an_orphan(443)])

    pages = shelf.walk(OPERATOR)

    assert [len(page) for page in pages] == [4, 4, 4, 5, 4, 0]
    assert sorted(list_grants(pages)[:15]) == sorted(
        grant.id for whole in crowd for grant in whole.grants
    )
    assert len({(each.vm_id, each.port) for page in pages for each in page}) == 7 + 6


def test_a_small_list_of_all_costs_five_calls():
    """The rows of subscriptions, requests, grants, machines, and the row of a comparison."""
    shelf = Shelf()
    shelf.put(*a_crowd(20))

    (found,) = shelf.walk(OPERATOR)

    assert (len(found), shelf.costs) == (20, [5])


def test_many_subscriptions_take_several_pages():
    """The calls of a page suffice for a few."""
    shelf = Shelf(*(f"5c0ffee0-0000-4000-8000-00000000aaa{n}" for n in range(10)))
    shelf.put(*a_crowd(3))

    pages = shelf.walk(OPERATOR)

    assert len(list_grants(pages)) == 3
    assert len(pages) > 1
    assert max(shelf.costs) <= MOST_CALLS


def test_ten_thousand_requests_of_others_cost_a_requester_twelve_calls_a_page_and_no_id():
    """The own access is found among them, and the tokens say nothing about the others."""
    shelf = Shelf()
    insert_rows(shelf.state, list_strangers(10_000, end=NOON, every=7 * SECOND))
    mine = a_crowd(3, MINE, number=20_000)
    shelf.put(*mine)

    pages = shelf.walk(MINE)

    own = {whole.request.id for whole in mine}
    ids = {row.key.split("|")[1] for row in shelf.state.rows("r|")}
    assert list_grants(pages) == [whole.grants[0].id for whole in mine]
    assert max(shelf.costs) <= MOST_CALLS
    assert shelf.tell() & ids <= own


def test_one_machine_is_read_alone_if_its_id_is_named():
    """Not the inventory of thousands."""
    shelf = Shelf()
    shelf.put_machines(1200, [an_orphan(22)])

    (found,) = shelf.walk(OPERATOR, vm=a_vm_of(7))

    assert [each.vm_id for each in found] == [a_vm_of(7)]
    assert shelf.costs == [4]


# ---- tokens --------------------------------------------------------------------------------------


def test_a_token_is_for_one_list_of_one_caller():
    """Neither another person nor other filters may go on with it."""
    place = Place((1, SUBSCRIPTION), "")
    token = write_token(place, {"vm": "web01"}, OPERATOR) or ""

    assert read_access_list({"vm": "web01", TOKEN: token}, OPERATOR)[1] == place
    for params, caller in (({"vm": "web01"}, OTHER), ({"vm": "web02"}, OPERATOR)):
        with pytest.raises(InvalidRequest):
            read_access_list({**params, TOKEN: token}, caller)


@pytest.mark.parametrize("section", [0, 1, 2, 3])
def test_a_forged_token_shows_a_requester_nothing_of_others(section):
    """It chooses only the place where the list begins."""
    shelf = Shelf()
    shelf.put(*a_crowd(3))
    shelf.put_machines(3, [an_orphan(22)])
    forged = write_token(Place((section, SUBSCRIPTION), ""), {}, MINE) or ""
    filters, begin = read_access_list({TOKEN: forged}, MINE)

    assert shelf.pages.list_page(filters, MINE, now=NOON, begin=begin) == ([], None)
