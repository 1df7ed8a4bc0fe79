"""Requests whose grants are all closed move to history, a bounded number at a time."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from jit import messages
from jit.broker.policy_worker.archive import MOST_MOVED
from jit.domain.errors import Defect, StateConflict, Unavailable, Unknown
from jit.domain.grants import lifetime
from jit.domain.model.grant import CloseReason, Status
from jit.storage.keys import write_stamp
from jit.storage.request_rows import read_grants, write_tombstone_row
from jit.storage.table import Op, Verb
from tests.broker.inprocess import DAVE, THERE, farm, policy_of, wish
from tests.builders.grants import a_grant_of, a_request, changed
from tests.fakes.calls import Crash


def cancelled(broker, number):
    """Many scheduled requests of one policy, revoked before anything was asked of Azure."""
    start = (broker.now + timedelta(hours=1)).isoformat()
    for index in range(number):
        body = wish(farm(1), startTime=start, justification=f"CHG{index:07d}")
        broker.revoke(broker.ask(body))
    broker.queues.lose()


def test_history_moves_in_bounded_batches(broker):
    """The claim's lease of a minute outlasts a pass, however many requests ended together."""
    cancelled(broker, MOST_MOVED + 5)
    broker.advance(timedelta(hours=2))

    broker.work(farm(1))

    assert len(broker.state.rows("r|")) == 5


def test_the_next_pass_moves_the_rest(broker):
    """A message brings the worker back; nothing stays behind."""
    cancelled(broker, MOST_MOVED + 5)
    broker.advance(timedelta(hours=2))

    broker.live(2)

    assert broker.state.rows("r|") == ()
    assert broker.requests.list_grants(policy_of(farm(1)).split("/")[2], "g") == ()


def test_a_request_for_several_vms_is_moved_by_one_pass(broker):
    """Its rows become tombstones together: no row is read again under an old version."""
    request_id = broker.ask(wish((farm(1), farm(2), farm(3))))
    broker.live(2)
    broker.revoke(request_id)

    broker.live(2)

    assert len(broker.state.rows("t|")) == 3
    assert broker.state.rows("p|")[0].values["Attempts"] == 0


def test_a_closed_row_is_postponed_as_a_whole(broker):
    """While another grant of the request is open, the row must not stay due for ever."""
    machines = [
        {"id": farm(1), "ports": [{"number": 22}, {"number": 3389}]},
        {"id": farm(2), "ports": [{"number": 22}]},
    ]
    broker.accept(wish(farm(1), virtualMachines=machines))
    policy_id = policy_of(farm(1))
    held = next(
        each for each in broker.requests.list_policy_grants(policy_id).rows if len(each.grants) > 1
    )
    first, second = (lifetime.close(g, CloseReason.REVOKED, broker.now) for g in held.grants)
    first = replace(first, next_check_at=broker.now + timedelta(hours=1))
    broker.requests.save([(held, (first, second))], [])

    broker.work(farm(1))

    (row,) = (
        each for each in broker.requests.list_policy_grants(policy_id).rows if len(each.grants) > 1
    )
    assert all(grant.next_check_at > broker.now for grant in row.grants)


def dies_before_history(broker):
    """Let the process die when it is about to move a request to history."""

    def die(name: str, _: int) -> None:
        if name == "history.write":
            raise Crash

    broker.calls.before = die
    with pytest.raises(Crash):
        broker.live(5)
    broker.calls.before = lambda *_: None
    broker.queues.lose()


def test_initiates_of_a_request_that_a_dead_pass_left_are_still_ours(broker):
    """Defender goes on listing its request: to a newcomer that is no stranger's."""
    first = broker.ask(wish(farm(1)))
    broker.live(2)
    broker.revoke(first)
    dies_before_history(broker)
    closed = broker.status(first)

    second = broker.ask(wish(farm(1), source=THERE), DAVE)
    broker.live(3)

    assert closed == "closed"
    assert broker.status(second) == "open"


def test_an_existing_tombstone_gets_the_new_ids(broker):
    """Rules of both versions stay known for leftovers, and the row of grants is gone."""
    request_id = broker.ask(wish(farm(1)))
    broker.live(2)
    (held,) = broker.requests.list_policy_grants(policy_of(farm(1))).rows
    (grant,) = held.grants
    older = changed(grant, rules=("/an/older/rule",), initiates=("older",), private_ips=())
    stone = write_tombstone_row(held.row, [older], until=broker.now)
    broker.state.write([Op(Verb.INSERT, stone)])

    broker.requests.write_tombstones([held], now=broker.now)

    (row,) = broker.state.rows("t|")
    (buried,) = read_grants(row)
    assert buried.footprint.rules == ("/an/older/rule", *grant.footprint.rules)
    assert buried.initiate.ids == ("older", *grant.initiate.ids)
    assert buried.footprint.private_ips == grant.footprint.private_ips
    assert row.values["Until"] > write_stamp(broker.now)
    assert broker.requests.list_policy_grants(policy_of(farm(1))).rows == ()
    assert buried.request_id == request_id


def test_rows_that_somebody_changed_become_no_tombstones(broker):
    """A grant that changed since it was read is decided again."""
    broker.ask(wish(farm(1)))
    (held,) = broker.requests.list_policy_grants(policy_of(farm(1))).rows
    broker.requests.save([(held, held.grants)], [])

    with pytest.raises(StateConflict):
        broker.requests.write_tombstones([held], now=broker.now)

    assert broker.state.rows("t|") == ()


def finished_between_two_reads(broker, queries):
    """Let another instance move closed requests to history, before the last of *queries*."""
    begun = broker.calls.count("state.query")

    def overtake(_name: str, _: int) -> None:
        if broker.calls.count("state.query") == begun + queries:
            broker.calls.before = lambda *_: None
            broker.live(5)

    broker.calls.before = overtake


def closed_by_a_pass_that_died(broker):
    """Return a request for two VMs that is closed and not moved to history yet."""
    request_id = broker.ask(wish((farm(1), farm(2))))
    broker.live(2)
    broker.revoke(request_id)
    dies_before_history(broker)
    return request_id


def test_a_request_that_moves_while_it_is_read_is_read_from_history(broker):
    """A caller that polls at that moment sees all of its grants."""
    request_id = closed_by_a_pass_that_died(broker)

    finished_between_two_reads(broker, 1)
    whole = broker.whole(request_id)

    assert (whole.request.id, len(whole.grants)) == (request_id, 2)
    assert whole.row is None


def test_a_request_that_moves_while_it_is_listed_is_listed_whole(broker):
    """It comes with its month instead, once."""
    request_id = closed_by_a_pass_that_died(broker)

    finished_between_two_reads(broker, 3)  # its subscription is the second of two
    page, _ = broker.list_requests()

    assert [(whole.request.id, len(whole.grants)) for whole in page] == [(request_id, 2)]


# ---- requests that cannot be moved ---------------------------------------------------------------


def history_fails(broker, error):
    """Let every write to history fail, as often as it is tried; return the tries."""
    tries = []

    def strike(name: str, _: int) -> None:
        if name == "history.write":
            tries.append(broker.now)
            raise error

    broker.calls.before = strike
    return tries


def told(caplog, name):
    """Return the ids of the requests that an event was about."""
    events = [json.loads(record.getMessage()) for record in caplog.records]
    return [event["request_id"] for event in events if event["event"] == name]


every_failure = pytest.mark.parametrize(
    "error",
    [Defect("too large"), Unavailable("away"), StateConflict("changed"), KeyError("createdAt")],
    ids=lambda error: type(error).__name__,
)


def stuck(broker, error):
    """A request that was revoked while history answers with an error; its id."""
    request_id = broker.ask(wish(farm(1)))
    broker.live(2)
    history_fails(broker, error)
    broker.revoke(request_id)
    return request_id


@every_failure
def test_a_request_that_cannot_be_moved_keeps_no_path_open(broker, error):
    """One request that is stuck is one request that is stuck: others open, and close in time."""
    stuck(broker, error)
    broker.live(2)

    second = broker.ask(wish(farm(2), source=THERE), DAVE)
    broker.live(3)
    opened = broker.status(second)
    broker.live(65)

    assert opened == "open"
    assert broker.status(second) == "closed"
    assert not broker.reachable(farm(2), 22, THERE)


@every_failure
def test_a_request_that_could_not_be_moved_is_moved_later(broker, error):
    """It waits in its place, and nothing of it is lost."""
    first = stuck(broker, error)
    broker.live(20)
    broker.calls.before = lambda *_: None

    broker.live(11)

    assert [row.key.split("|")[0] for row in broker.history.rows()] == [first, first]
    assert broker.state.rows("r|") == broker.state.rows("g|") == ()
    assert len(broker.state.rows("t|")) == 1


def test_a_request_that_cannot_be_moved_is_tried_seldom(broker, caplog):
    """Six times an hour, although the policy has other work meanwhile."""
    first = broker.ask(wish(farm(1)))
    broker.live(2)
    broker.revoke(first)
    tries = history_fails(broker, Defect("too large"))
    broker.live(2)
    broker.ask(wish(farm(2), source=THERE), DAVE)

    broker.live(58)

    assert 5 <= len(tries) <= 7
    assert told(caplog, "finishing.failed") == [first] * len(tries)


def test_an_outage_of_history_costs_one_try_a_pass(broker, caplog):
    """Not one for each request that waits: the lease must outlast the time-outs."""
    cancelled(broker, 5)
    broker.advance(timedelta(hours=2))
    tries = history_fails(broker, Unavailable("away"))

    with pytest.raises(Unavailable):
        broker.work(farm(1))

    assert len(tries) == len(told(caplog, "finishing.postponed")) == 1
    assert broker.state.rows("p|")[0].values["NotBefore"] > write_stamp(broker.now)


def test_a_pass_that_lost_its_claim_ends_there(broker):
    """The new holder of the lease moves the request."""
    cancelled(broker, 4)
    broker.advance(timedelta(hours=2))
    tries = []

    def take_over(name: str, _: int) -> None:
        if name == "history.write":
            tries.append(name)
            (row,) = broker.state.rows("p|")
            another = replace(row, values={**row.values, "Owner": "another"})
            broker.state.write([Op(Verb.REPLACE, another)])
            raise StateConflict("another one was quicker")

    broker.calls.before = take_over
    with pytest.raises(StateConflict):
        broker.work(farm(1))

    assert len(tries) == 2  # all together, then the first one alone


# ---- several together ----------------------------------------------------------------------------


def moves(broker):
    """Return the calls of storage in which a pass moves four requests: its last ones."""
    cancelled(broker, 4)
    broker.advance(timedelta(hours=2))
    return broker


def is_whole(broker):
    """Return True if each of four requests is in history, and nothing of it is live."""
    requests = {row.key.split("|")[0] for row in broker.history.rows()}
    left = [row.key for prefix in ("r|", "g|") for row in broker.state.rows(prefix)]
    places = [row for row in broker.state.rows("q|") if row.key.count("|") > 1]
    return (len(requests), left, places, len(broker.state.rows("t|"))) == (4, [], [], 4)


def test_requests_that_end_together_move_in_one_transaction_of_each_table(broker):
    """Alone, each of them costs nine calls."""
    moves(broker)
    begun = broker.calls.count("history.write"), len(broker.state.transactions)

    broker.work(farm(1))

    written = [keys for keys in broker.state.transactions[begun[1] :] if keys[0].startswith("r|")]
    assert broker.calls.count("history.write") == begun[0] + 1
    assert len(written) == 1
    assert is_whole(broker)


@pytest.mark.parametrize("late", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("table", ["history.write", "state.write"])
def test_a_pass_that_dies_while_it_moves_several_leaves_nothing_behind(broker, table, late):
    """The next pass finds them in history, and moves each of them alone."""
    moves(broker)

    def die(name: str, _: int) -> None:
        if name == table and (table == "history.write" or broker.history.rows()):
            raise Crash

    setattr(broker.calls, "after" if late else "before", die)
    with pytest.raises(Crash):
        broker.work(farm(1))
    broker.calls.before = broker.calls.after = lambda *_: None
    broker.advance(timedelta(minutes=3))

    broker.live(3)

    assert is_whole(broker)


def test_a_request_that_somebody_writes_meanwhile_keeps_no_other_from_moving(broker):
    """The request that somebody wrote moves alone."""
    moves(broker)

    def touch(name: str, _: int) -> None:
        if name == "history.write":
            broker.calls.before = lambda *_: None
            row = broker.state.rows("g|")[0]
            broker.state.write([Op(Verb.REPLACE, row)])

    broker.calls.before = touch

    broker.work(farm(1))
    broker.live(12)

    assert is_whole(broker)


def test_a_request_with_grants_under_another_policy_moves_alone(broker):
    """The rows of the other policy were not read by this pass."""
    cancelled(broker, 2)
    start = (broker.now + timedelta(hours=1)).isoformat()
    both = broker.ask(wish((farm(1), farm(11)), startTime=start, justification="CHG0000009"))
    broker.revoke(both)
    broker.advance(timedelta(hours=2))

    broker.live(12)

    assert broker.whole(both).row is None
    assert len(broker.whole(both).grants) == 2
    assert broker.state.rows("g|") == ()


# ---- several together, and storage fails ---------------------------------------------------------


def due(broker, number):
    """Let so many requests wait to be moved, by the next pass."""
    cancelled(broker, number)
    broker.advance(timedelta(hours=2))


def closed(broker, number, machines=1, **over):
    """Store a closed request for *machines* VMs that waits to be moved."""
    request = a_request(broker.now, policy_of(farm(1)), number=number)
    over = {"status": Status.CLOSED, "close_reason": CloseReason.EXPIRED, **over}
    vms = [farm(1).replace("farm01", f"many{n:03d}") for n in range(machines)]
    grants = [a_grant_of(request, vm, index=n) for n, vm in enumerate(vms)]
    broker.requests.insert(request, [replace(grant, **over) for grant in grants], [])


def test_places_come_free_while_history_does_not_answer(broker):
    """A person may ask for other access although history is away."""
    due(broker, 4)

    def away(name, _):
        if name == "history.write":
            raise Unavailable("away")

    broker.calls.before = away
    broker.live(10)

    assert [row.key for row in broker.state.rows("q|") if row.key.count("|") > 1] == []


def test_a_lost_answer_of_history_keeps_no_revocation_waiting(broker):
    """It is resolved by reading; the pass does not fail, and the policy does not rest."""
    open_one = broker.ask(wish(farm(2), source=THERE), DAVE)
    broker.live(5)
    cancelled(broker, 3)

    def lose(name, _):
        if name == "history.write":
            broker.calls.after = lambda *_: None
            broker.revoke(open_one, DAVE)
            broker.deliver()
            raise Unknown("lost")

    broker.calls.after = lose
    broker.queues.send(messages.POLICY, messages.policy(policy_of(farm(1))))
    broker.deliver()
    broker.live(10 / 60)

    assert not broker.reachable(farm(2), 22, THERE)


def test_requests_that_moved_before_storage_failed_are_told(broker, caplog):
    """Each that moved is told, and moved once."""
    caplog.set_level("INFO")
    for number in range(30):
        closed(broker, number, machines=4)
    struck: list[str] = []

    def strike(name, _):
        if name == "state.write" and not struck and 0 < len(broker.state.rows("r|")) < 30:
            struck.append(name)  # after the first of several transactions
            raise Unavailable("away")

    broker.calls.before = strike
    with pytest.raises(Unavailable):
        broker.work(farm(1))
    broker.live(20)

    events = [json.loads(record.getMessage())["event"] for record in caplog.records]
    assert broker.state.rows("r|") == ()
    assert events.count("request.finished") == 30


def test_large_requests_that_end_together_cost_no_read_for_each_vm(broker):
    """The lease of a minute must outlast the writes."""
    for number in range(30):
        closed(broker, number, machines=90)
    before = broker.calls.count()

    broker.work(farm(1))

    assert broker.calls.count() - before < 400
    assert broker.state.rows("r|") == ()


def test_a_request_that_cannot_be_ordered_keeps_no_other_from_opening(broker):
    """One request that is stuck is one request that is stuck."""
    closed(broker, 1)
    closed(broker, 2, id="forged")
    second = broker.ask(wish(farm(2), source=THERE), DAVE)

    broker.live(5)

    assert broker.status(second) == "open"
