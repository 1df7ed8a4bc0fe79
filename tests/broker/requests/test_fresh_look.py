"""A fresh look at open paths for a caller who asks."""

import copy
from dataclasses import replace
from datetime import timedelta

import pytest

from jit import messages
from jit.broker.look_pace import ALL_PATHS, LOOK_PAUSE
from jit.broker.requests import fresh_look
from jit.domain.errors import Unavailable
from jit.domain.values import arm_ids
from jit.storage.documents import NOTED
from jit.storage.table import Op, Verb
from tests.broker.inprocess import ALICE, DAVE, HERE, THERE, farm, policy_of, wish
from tests.broker.reconciling import NSG_FARM, Reconciling, told
from tests.broker.test_edges import a_new_nsg, guarded_by, nic_of

MINUTE = timedelta(minutes=1)


@pytest.fixture
def opened(broker):
    """An open path that was last looked at two minutes ago."""
    request_id = broker.ask(wish(farm(1)))
    broker.live(2)
    broker.advance(2 * MINUTE)
    return request_id


def asked(broker):
    """The requests of the messages that want a look."""
    sent = broker.queues.waiting(messages.POLICY)
    return [look for each in sent if (look := messages.read_look(each.text.encode()))]


def test_a_path_that_somebody_broke_is_told_to_the_caller_who_asks_again(broker, opened):
    """Long before the next comparison. The first answer has the look, with its time."""
    Reconciling(broker).wipe(NSG_FARM)

    first = broker.poll(opened)
    broker.deliver()
    second = broker.poll(opened)

    assert (first.status, second.status) == ("open", "opening")
    assert second.grants[0].observed_at == broker.now
    assert first.grants[0].observed_at <= broker.now - 2 * MINUTE


def looked(broker, request_id):
    """The grant after somebody asked, and a worker looked."""
    broker.poll(request_id)
    broker.deliver()
    return broker.grant(request_id)


def test_another_nsg_is_told_to_the_caller_who_asks_again(broker, opened):
    """The inventory names the NSG that guarded the VM before; the look reads which one does."""
    it = Reconciling(broker)
    guarded_by(it, farm(1), a_new_nsg(it, "nsg-new"))

    grant = looked(broker, opened)

    assert (grant.status, grant.observed_at) == ("opening", broker.now)
    assert not broker.reachable(farm(1))


def test_a_public_address_that_was_taken_off_is_told_to_the_caller_who_asks_again(broker, opened):
    """Else the connection in the answer leads nowhere."""
    it = Reconciling(broker)
    nic = copy.deepcopy(nic_of(it, farm(1)))
    del nic["properties"]["ipConfigurations"][0]["properties"]["publicIPAddress"]
    it.edit(**{nic["id"]: nic})

    grant = looked(broker, opened)

    assert (grant.status, grant.observed_at) == ("opening", broker.now)
    assert grant.note == "the VM's interface has no public address any more"


def test_a_look_that_could_not_read_the_interface_is_no_look(broker, opened):
    """The path stays as it was last seen, with the time of that look."""
    seen = broker.grant(opened).observed_at
    down = {"status": 503, "code": "ServerUnavailable"}
    match = {"method": "GET", "path": "networkInterfaces"}
    broker.sim.faults({"match": match, "times": None, "answer": down})

    grant = looked(broker, opened)

    assert (grant.status, grant.observed_at) == ("open", seen)


def test_an_ask_calls_azure_never(broker, opened):
    """Two calls of storage and one of the queue."""
    broker.live(5, ticks=False)
    before = list(broker.calls.names)

    broker.fresh_looks.ask(broker.queries.find_request(opened, ALICE), now=broker.now)

    new = broker.calls.names[len(before) :]
    assert [name for name in new if not name.startswith(("state.", "history."))] == ["queues.send"]
    assert new[-3:] == ["state.get", "state.write", "queues.send"]


def test_many_callers_get_one_look_a_minute(broker, opened):
    """Of all instances together: the row says who asked last."""
    for _ in range(3):
        broker.poll(opened)
    for seconds in (30, 29, 1):
        broker.advance(timedelta(seconds=seconds))
        broker.poll(opened)

    assert asked(broker) == [opened, opened]


@pytest.fixture
def others(broker, opened):
    """Three more open paths under the same policy, of another person."""
    found = [broker.ask(wish(farm(n), source=THERE), DAVE) for n in (2, 3, 4)]
    broker.live(2)
    broker.advance(2 * MINUTE)
    return found


def delays(broker):
    """How long the messages on the queue have still to wait."""
    return [each.visible_at - broker.now for each in broker.queues.waiting(messages.POLICY)]


def test_the_next_look_at_a_policy_serves_everybody_who_asked_meanwhile(broker, opened, others):
    """The first is looked at now. However many the others are, they wait half a minute at most."""
    asked_at = broker.now
    for each in (*others, opened):
        broker.poll(each, DAVE if each != opened else ALICE)
        broker.deliver()
    wait = delays(broker)
    broker.live(0.6, ticks=False)

    seen = [broker.grant(each).observed_at for each in (*others, opened)]
    assert wait == [LOOK_PAUSE]
    assert seen == [asked_at, *[asked_at + LOOK_PAUSE] * 3]


def test_a_policy_is_looked_at_once_in_half_a_minute_however_many_ask(broker, opened, others):
    """Four people who poll each second cause as many looks as one."""
    before = broker.calls.count("policies.get")
    for _ in range(60):
        for each in (*others, opened):
            broker.poll(each, DAVE if each != opened else ALICE)
            broker.deliver()
        broker.live(1 / 60, ticks=False)

    assert broker.calls.count("policies.get") - before == 2


def test_a_row_that_is_full_of_wishes_pushes_nobody_out(broker, opened, others, monkeypatch):
    """One more wish is for all open paths of the policy."""
    monkeypatch.setattr(fresh_look, "MOST_ASKED", 2)
    broker.poll(others[0], DAVE)
    broker.deliver()
    asked_at = broker.now
    for each in others[1:]:
        broker.poll(each, DAVE)
    broker.poll(opened)
    broker.poll(opened)
    broker.live(0.6, ticks=False)

    seen = {broker.grant(each).observed_at for each in (*others[1:], opened)}
    assert seen == {asked_at + LOOK_PAUSE}


def test_wishes_that_cannot_be_read_leave_the_request_of_the_message(broker, opened, others):
    """A newer version wrote the row; the look for the first caller is made."""
    broker.poll(others[0], DAVE)
    (row,) = broker.state.rows("l|")
    broker.state.write([Op(Verb.REPLACE, replace(row, values={**row.values, "Format": 99}))])

    broker.deliver()

    assert broker.grant(others[0]).observed_at == broker.now


def test_a_clock_that_was_wrong_stops_no_look(broker, opened):
    """A message hours ahead is none that serves anybody."""
    row = broker.stores.control.read_looks(policy_of(farm(1)))
    broker.stores.control.put(replace(row, message_at=broker.now + 60 * MINUTE))

    broker.poll(opened)

    assert delays(broker) == [timedelta(0)]


def test_a_path_that_was_looked_at_a_moment_ago_needs_no_look(broker):
    """The answer is as good as new."""
    request_id = broker.ask(wish(farm(1)))
    broker.live(1)

    broker.poll(request_id)

    assert (broker.status(request_id), asked(broker)) == ("open", [])


@pytest.mark.parametrize("minutes", [0, 70], ids=["not open yet", "closed"])
def test_a_path_that_is_not_open_needs_no_look(broker, minutes):
    """Its worker looks anyway, or nobody can get in."""
    request_id = broker.ask(wish(farm(1)))
    broker.live(minutes)

    broker.poll(request_id)

    assert asked(broker) == []


@pytest.mark.parametrize("name", ["queues.send", "state.write"])
def test_a_queue_or_table_that_fails_keeps_no_answer_back(broker, opened, caplog, name):
    """It is an event; the next comparison looks in any case."""

    def fail(called, _):
        if called == name:
            raise Unavailable("no")

    broker.calls.before = fail

    assert broker.poll(opened).status == "open"
    assert [line["error"] for line in told(caplog, "look.not_asked")] == ["Unavailable"]


def test_two_calls_at_once_send_one_message(broker, opened):
    """The second one finds that the row has changed."""
    stored = broker.queries.find_request(opened, ALICE)
    broker.fresh_looks.ask(stored, now=broker.now)  # the row is there
    broker.advance(2 * MINUTE)

    def overtake(called, _):
        if called == "state.get":
            broker.calls.after = lambda *_: None
            broker.fresh_looks.ask(stored, now=broker.now)

    broker.calls.after = overtake
    broker.fresh_looks.ask(stored, now=broker.now)

    assert asked(broker) == [opened, opened]


def test_the_row_forgets_what_was_asked_a_minute_ago(broker, opened, monkeypatch):
    """It never outgrows a property, however many ask."""
    monkeypatch.setattr(fresh_look, "MOST_ASKED", 2)
    stored = broker.queries.find_request(opened, ALICE)
    others = [replace(stored, request=replace(stored.request, id=f"r{n}")) for n in range(5)]

    for each in others:
        broker.fresh_looks.ask(each, now=broker.now)
    broker.advance(MINUTE)
    broker.fresh_looks.ask(stored, now=broker.now)

    assert asked(broker) == ["r0", "r1", opened]
    (row,) = broker.state.rows("l|")
    assert len(row.values["Asked"].split()) == 1


def test_an_ask_disturbs_no_pass(broker, opened):
    """It writes a row of its own: a pass that runs stores its outcome."""
    broker.revoke(opened)

    def ask(called, _):
        if called == "state.write":
            broker.calls.before = lambda *_: None
            broker.advance(MINUTE)
            broker.fresh_looks.ask(stored, now=broker.now)

    stored = broker.queries.find_request(opened, ALICE)
    broker.calls.before = ask
    broker.live(5)

    assert broker.status(opened) == "closed"
    assert not broker.reachable(farm(1), 22, HERE)


def test_all_wishes_of_a_minute_fit_one_property(broker):
    """Also the one that stands for all paths, which comes last."""
    names = [*(arm_ids.row_hash(str(n)) for n in range(fresh_look.MOST_ASKED)), ALL_PATHS]

    assert list(NOTED.read(NOTED.write(dict.fromkeys(names, broker.now)))) == names
