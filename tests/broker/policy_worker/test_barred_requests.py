"""Requests of barred people: each pass that would open something asks anew."""

from dataclasses import replace
from datetime import timedelta

import pytest

from jit.broker.asked_bars import AskedBars
from jit.broker.policy_worker.barred_requests import BarredRequests
from jit.broker.policy_worker.pass_state import Pass
from jit.domain.audit.event import Event
from jit.domain.errors import Unavailable
from jit.domain.grants.policy_view import PolicyView
from jit.domain.model.bar import Bar, WantedBar
from jit.domain.model.grant import CloseReason
from jit.storage.documents import FORMAT
from jit.storage.request_store import RequestStore
from jit.storage.table import Op, Verb
from tests.broker.inprocess import ALICE, BOB, OLGA, THERE, farm, wish
from tests.local.azure.sim import APP01, DB01, NSG_WEB, WEB01

HOUR = timedelta(hours=1)


def bar_elsewhere(broker, **changes):
    """Bar Alice by another process: this one keeps its bars of the last minute."""
    wanted = WantedBar(reason="left the company", **changes)
    bar = Bar(person_id=ALICE.id, wanted=wanted, by=OLGA, at=broker.now)
    event = Event(at=broker.now, what="person.barred", actor=OLGA.id, request_id="")
    broker.stores.bars.write(None, bar, event)


def end_of(broker, request_id):
    """Return the reason and the codes with which the only grant of a request was closed."""
    grant = broker.grant(request_id)
    return grant.close_reason, [each.code for each in grant.denials]


DENIED = (CloseReason.DENIED, ["barred"])


def test_a_bar_after_acceptance_keeps_the_request_closed(broker):
    """It was accepted by bars of a minute ago; at its opening the bars are read anew."""
    broker.preview(wish(farm(1)))
    bar_elsewhere(broker)
    request_id = broker.ask(wish(farm(1)))

    broker.live(5)

    assert (broker.status(request_id), end_of(broker, request_id)) == ("closed", DENIED)
    assert "barred" in broker.grant(request_id).note
    assert broker.initiates() == []


def test_other_people_open_beside_a_barred_person(broker):
    """On the same VM port, in the same pass."""
    own = broker.ask(wish(farm(1)))
    bar_elsewhere(broker)
    theirs = broker.ask(wish(farm(1), source=THERE), BOB)

    broker.live(5)

    assert [broker.status(each) for each in (own, theirs)] == ["closed", "open"]
    assert not broker.reachable(farm(1))


@pytest.mark.parametrize(("lasts", "status"), [(2 * HOUR, "closed"), (HOUR / 2, "open")])
def test_a_bar_counts_at_the_start_and_not_before(broker, lasts, status):
    """It may have ended by then."""
    start = (broker.now + HOUR).isoformat()
    request_id = broker.ask(wish(farm(1), startTime=start))
    bar_elsewhere(broker, until=broker.now + lasts)

    broker.live(30)
    assert broker.status(request_id) == "scheduled"
    broker.live(35)
    assert broker.status(request_id) == status


def test_a_bar_while_azure_opens_a_path_closes_it_again(broker):
    """It was not open yet."""
    request_id = broker.ask(wish(farm(1)))
    broker.work(farm(1))
    bar_elsewhere(broker)

    broker.live(20)

    assert (broker.status(request_id), end_of(broker, request_id)) == ("closed", DENIED)
    assert not broker.reachable(farm(1))


def test_a_path_that_is_open_stays_open(broker):
    """An operator who wants it shut says so."""
    request_id = broker.ask(wish(farm(1)))
    broker.live(5)
    bar_elsewhere(broker)

    broker.live(5)

    assert broker.status(request_id) == "open"


def lose_bars(broker, monkeypatch):
    """Let bars be unreadable from now on."""

    def fail():
        raise Unavailable("storage did not answer")

    monkeypatch.setattr(broker.stores.bars, "read", fail)


def test_without_bars_nothing_opens_and_closing_goes_on(broker, monkeypatch):
    """An accepted request waits until they can be read again."""
    ending = broker.ask(wish(farm(1), duration="PT10M"))
    broker.live(5)
    waiting = broker.ask(wish(farm(1), source=THERE), BOB)
    lose_bars(broker, monkeypatch)
    broker.live(15)

    assert broker.status(ending) == "closed"
    assert (broker.status(waiting), len(broker.initiates())) == ("pending", 1)
    assert "barred" in broker.grant(waiting).note

    monkeypatch.undo()
    broker.live(5)
    assert broker.status(waiting) == "open"


def test_an_extension_is_asked_for_while_somebody_else_waits_for_bars(broker, monkeypatch):
    """On another VM of the same JIT policy; the extension was accepted by bars that were read."""
    extended = broker.ask(wish(DB01, duration="PT20M"))
    broker.live(10)
    waiting = broker.ask(wish(APP01, port=3389), BOB)
    broker.extend(extended, HOUR)
    lose_bars(broker, monkeypatch)

    broker.live(30)

    assert (broker.status(extended), broker.reachable(DB01)) == ("open", True)
    assert broker.grant(waiting).opened_at is None


def test_a_path_that_opens_is_not_asked_for_again_without_bars(broker, monkeypatch):
    """Its answer was lost; nobody knows if its person was barred meanwhile."""
    request_id = broker.ask(wish(farm(1)))
    broker.sim.faults({"match": {"method": "POST"}, "times": 1, "answer": {"status": 503}})
    broker.work(farm(1))
    sent = len(broker.initiates())
    lose_bars(broker, monkeypatch)

    broker.live(10)

    assert (broker.status(request_id), len(broker.initiates())) == ("opening", sent)
    assert not broker.reachable(farm(1))
    monkeypatch.undo()
    broker.live(8)
    assert broker.status(request_id) == "open"


def test_a_path_that_azure_opens_while_bars_cannot_be_read_is_not_open(broker, monkeypatch):
    """The person was barred after the initiate: its rules are removed when that is known."""
    request_id = broker.ask(wish(farm(1)))
    broker.work(farm(1))
    bar_elsewhere(broker)
    lose_bars(broker, monkeypatch)
    broker.live(6)
    assert (broker.status(request_id), broker.grant(request_id).opened_at) == ("opening", None)

    monkeypatch.undo()
    broker.live(15)

    assert (broker.status(request_id), end_of(broker, request_id)) == ("closed", DENIED)
    assert not broker.reachable(farm(1))


def test_a_path_that_opens_while_bars_cannot_be_read_is_open_afterwards(broker, monkeypatch):
    """Nobody barred its person."""
    request_id = broker.ask(wish(farm(1)))
    broker.work(farm(1))
    lose_bars(broker, monkeypatch)
    broker.live(6)
    monkeypatch.undo()
    broker.live(2)

    assert broker.status(request_id) == "open"


def test_a_path_whose_person_cannot_be_read_is_not_open(broker):
    """A newer version wrote the request while Azure opened the path, and the person is barred."""
    request_id = broker.ask(wish(farm(1)))
    broker.work(farm(1))
    (row,) = broker.state.rows("r|")
    (etag,) = broker.state.write([Op(Verb.REPLACE, replace(row, values={**row.values, FORMAT: 9}))])
    bar_elsewhere(broker)
    broker.live(5)

    broker.state.write([Op(Verb.REPLACE, replace(row, etag=etag))])
    broker.live(15)

    assert end_of(broker, request_id) == DENIED
    assert not broker.reachable(farm(1))


def test_behind_a_firewall_no_companion_is_written_while_bars_cannot_be_read(broker, monkeypatch):
    """Azure put off the first call that would have written it."""
    put = {"method": "PUT", "path": "jit-broker-"}
    busy = {"status": 429, "code": "RetryableErrorDueToAnotherOperation"}
    broker.sim.faults({"match": put, "times": 1, "answer": busy})
    request_id = broker.ask(wish(WEB01, 3389))
    broker.deliver()
    bar_elsewhere(broker)
    lose_bars(broker, monkeypatch)

    broker.live(9)

    written = [name for name in broker.sim.rules(NSG_WEB) if name.startswith("jit-broker-")]
    assert (broker.status(request_id), written) == ("opening", [])
    assert not broker.reachable(WEB01, 3389)


def test_a_pass_reads_the_person_of_a_request_once(broker, monkeypatch):
    """However often it looks while it decides."""
    request_id = broker.ask(wish(farm(1)))
    policy_id = broker_policy(broker)
    lease = broker.locks.claim(policy_id)
    rows = broker.requests.list_policy_grants(policy_id).rows
    state = Pass(policy_id=policy_id, now=broker.now, lease=lease, rows=rows, tombstones=())
    read: list[str] = []
    find = RequestStore.find_requests

    def count(store, ids):
        read.extend(ids)
        return find(store, ids)

    monkeypatch.setattr(RequestStore, "find_requests", count)
    broker.bar(ALICE)
    asked = BarredRequests(AskedBars(broker.stores.bars), broker.requests)
    view = PolicyView(found=True, requests=(), machines={})
    views = [asked.ask(state.grants, view, state) for _ in range(3)]

    assert [each.barred for each in views] == [{request_id}] * 3
    assert read == [request_id]


def test_a_request_whose_person_cannot_be_read_waits(broker):
    """A newer version wrote it. As long as nobody is barred, it does not matter whose it is."""
    request_id = broker.ask(wish(farm(1)))
    (row,) = broker.state.rows("r|")
    (etag,) = broker.state.write([Op(Verb.REPLACE, replace(row, values={**row.values, FORMAT: 9}))])
    broker.bar(BOB)

    broker.work(farm(1))

    (found,) = broker.requests.list_policy_grants(broker_policy(broker)).rows
    assert (found.grants[0].status.value, broker.initiates()) == ("pending", [])
    broker.state.write([Op(Verb.REPLACE, replace(row, etag=etag))])
    broker.live(5)
    assert broker.status(request_id) == "open"


def broker_policy(broker):
    (row,) = broker.state.rows("g|")
    return str(row.values["Policy"])


def test_a_pass_that_opens_nothing_reads_no_bars(broker, monkeypatch):
    """Most passes only look."""
    request_id = broker.ask(wish(farm(1)))
    broker.live(5)
    lose_bars(broker, monkeypatch)

    broker.live(5)

    assert broker.status(request_id) == "open"
