"""The limits of the person who asks: by sum, also if many calls come at once."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from threading import Barrier

import pytest

from jit.domain.errors import CannotTell, InvalidRequest, LimitReached, TooLarge, Unavailable
from jit.storage import keys, request_store
from jit.storage.documents import FORMAT
from jit.storage.table import Op, Row, Verb
from tests.broker.inprocess import ALICE, DAVE, ELSEWHERE, HERE, THERE, farm, wish
from tests.fakes.calls import Crash
from tests.local.azure.sim import DEVELOPMENT, PRODUCTION

NEVER = {"match": {"method": "POST", "path": "initiate"}, "neverRule": True, "times": 100}


@pytest.fixture
def limited(broker):
    """A broker with small numbers."""

    def limit(**numbers):
        broker.person_limits = numbers
        broker.name(PRODUCTION, DEVELOPMENT)
        return broker

    return limit


def refuse(broker, body, caller=ALICE, **options):
    with pytest.raises(LimitReached) as caught:
        broker.accept(body, caller, **options)
    return [each.code for each in caught.value.violations], caught.value


def test_a_person_has_so_many_live_requests_and_another_person_as_many(limited):
    """A request that ended gives its place back."""
    broker = limited(live_requests=2)
    first = broker.ask(wish(farm(1)))
    broker.ask(wish(farm(2)))

    codes, error = refuse(broker, wish(farm(3)))
    broker.ask(wish(farm(3)), DAVE)
    broker.revoke(first)
    broker.live(1)

    assert (codes, error.status) == (["limit-live-requests"], 429)
    assert error.retry_after_seconds > 0
    assert error.request_id is not None
    assert broker.accept(wish(farm(3))).status == "pending"


def test_a_repetition_is_answered_though_its_person_has_reached_the_limit(limited):
    """It asks for nothing more."""
    broker = limited(live_requests=1, requests_per_day=1, live_on_one_port=1)
    first = broker.ask(wish(farm(1)), key="k")

    assert broker.accept(wish(farm(1)), key="k").request.id == first
    assert broker.preview(wish(farm(2))).errors[0].code == "limit-live-requests"


def test_a_person_makes_so_many_requests_a_day(limited):
    """Also if each is given back at once."""
    broker = limited(requests_per_day=2)
    for _ in range(2):
        broker.revoke(broker.ask(wish(farm(1))))
        broker.live(1)

    codes, error = refuse(broker, wish(farm(1)))
    broker.advance(timedelta(seconds=error.retry_after_seconds))

    assert codes == ["limit-requests-per-day"]
    assert broker.accept(wish(farm(1))).status == "pending"


def test_a_person_has_so_many_live_grants_on_one_port(limited):
    """Other ports, and other people, do not count."""
    broker = limited(live_on_one_port=2)
    for source in (HERE, THERE):
        broker.ask(wish(farm(1), source=source))
    broker.ask(wish(farm(1), source=HERE), DAVE)

    codes, _ = refuse(broker, wish(farm(1), source=ELSEWHERE))

    assert codes == ["limit-live-on-port"]
    assert broker.accept(wish(farm(2), source=ELSEWHERE)).status == "pending"
    assert broker.accept(wish(farm(1), source=THERE), DAVE).status == "pending"


def test_the_live_sources_of_a_person_on_one_port_are_judged_by_sum(limited):
    """Two requests open a port to no more addresses than one."""
    broker = limited()
    broker.ask(wish(farm(1), source="203.0.112.0/24"))

    with pytest.raises(InvalidRequest) as caught:
        broker.accept(wish(farm(1), source="203.0.114.0/24"))

    assert [each.code for each in caught.value.violations] == ["sources-too-many-addresses"]
    assert broker.accept(wish(farm(1), source="203.0.112.7")).status == "pending"
    assert broker.accept(wish(farm(1), source="203.0.114.0/24"), DAVE).status == "pending"


def test_all_machines_of_a_request_count_each_on_its_own_port(limited):
    """One full port of three refuses the request, and only that port is named."""
    broker = limited(live_on_one_port=1)
    broker.ask(wish((farm(1), farm(2))))

    codes, error = refuse(broker, wish((farm(3), farm(2))))

    assert codes == ["limit-live-on-port"]
    assert error.violations[0].pointer.startswith("#/virtualMachines/1/")
    assert refuse(broker, wish((farm(2), farm(1))))[0] == ["limit-live-on-port"] * 2


def test_a_dry_run_shows_the_same_limit_and_counts_nothing(limited):
    """The dry run and the call give the same reasons."""
    broker = limited(live_requests=1)
    for _ in range(3):
        assert broker.preview(wish(farm(1))).allowed
    broker.ask(wish(farm(1)))

    shown = broker.preview(wish(farm(2)))
    codes, error = refuse(broker, wish(farm(2)))

    assert [each.code for each in shown.errors] == codes == ["limit-live-requests"]
    assert shown.errors == error.violations
    assert len(broker.state.rows("q|")) == 2


def test_the_limit_comes_before_the_policy(limited):
    """The first error is the one that decides the answer."""
    broker = limited(live_requests=1)
    broker.ask(wish(farm(1)))

    codes, error = refuse(broker, wish(farm(2), port=443))

    assert (codes, error.status) == (["limit-live-requests", "port-not-in-policy"], 429)


# ---- several calls at once, several hosts --------------------------------------------------------


def let_come_first(broker, act):
    """Have *act* done once, just before the next transaction of this process."""
    waiting = [act]

    def before(name, _number):
        if name == "state.write" and waiting:
            waiting.pop()()

    broker.calls.before = before


@pytest.mark.parametrize("limit", ["live_requests", "live_on_one_port", "requests_per_day"])
def test_only_one_of_two_hosts_at_once_gets_the_last_place(limited, limit):
    """The row of the person is written under its ETag, in the transaction of the request."""
    broker = limited(**{limit: 1})
    broker.preview(wish(farm(1)))
    other = broker.use_cases.acceptance(broker.idempotency)
    let_come_first(
        broker, lambda: other.accept(broker.submission(wish(farm(1)), key="b"), now=broker.now)
    )

    refuse(broker, wish(farm(1)), key="a")

    assert len(broker.state.rows("r|")) == 1


def test_only_one_of_two_hosts_at_once_opens_the_last_addresses(limited):
    """Otherwise two halves of a second open a port to twice as many addresses."""
    broker = limited()
    broker.preview(wish(farm(1)))
    other, wide = broker.use_cases.acceptance(broker.idempotency), "203.0.112.0/24"
    let_come_first(
        broker,
        lambda: other.accept(broker.submission(wish(farm(1), source=wide)), now=broker.now),
    )

    with pytest.raises(InvalidRequest) as caught:
        broker.accept(wish(farm(1), source="203.0.114.0/24"))

    assert [each.code for each in caught.value.violations] == ["sources-too-many-addresses"]


def test_requests_at_the_same_moment_are_all_answered_and_never_exceed_the_limit(limited):
    """Sixteen calls of one person, on two hosts: nobody waits in vain."""
    broker = limited(live_requests=10)
    broker.preview(wish(farm(1)))
    hosts = [broker.acceptance, broker.use_cases.acceptance(broker.idempotency)]
    together = Barrier(16)

    def post(number):
        submission = broker.submission(wish(farm(1 + number % 10)), key=f"k{number}")
        together.wait()
        try:
            return hosts[number % 2].accept(submission, now=broker.now).request.id
        except (LimitReached, Unavailable) as error:
            return error.retry_after_seconds

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(post, range(16)))

    stored = {row.key.removeprefix("r|") for row in broker.state.rows("r|")}
    assert {each for each in answers if isinstance(each, str)} == stored
    assert all(each for each in answers)
    assert 0 < len(stored) <= 10


def test_a_person_whose_row_keeps_changing_has_to_come_again(limited):
    """Five further attempts, then 503: nothing was stored."""
    broker = limited(live_on_one_port=20)
    broker.accept(wish(farm(3)))
    other = broker.use_cases.acceptance(broker.idempotency)
    numbers = iter(range(100))
    busy: list[int] = []

    def before(name, _number):
        if name == "state.write" and not busy:
            busy.append(1)
            body = wish(farm(2), source=f"203.0.113.{next(numbers) + 10}")
            other.accept(broker.submission(body), now=broker.now)
            busy.clear()

    broker.calls.before = before

    with pytest.raises(Unavailable) as caught:
        broker.accept(wish(farm(1)))

    assert caught.value.retry_after_seconds > 0
    assert next(numbers) == 6
    assert len(broker.state.rows("r|")) == 7


# ---- rows that cannot be counted -----------------------------------------------------------------


def test_requests_that_cannot_be_counted_are_not_none(limited):
    """A row of a newer version: 503 for its person, and the others go on."""
    broker = limited(live_requests=1)
    broker.ask(wish(farm(1)))
    (row, *_) = broker.state.rows("q|")
    broker.state.write([Op(Verb.REPLACE, replace(row, values={**row.values, FORMAT: 99}))])

    for act in (broker.accept, broker.preview):
        with pytest.raises(CannotTell):
            act(wish(farm(2)))
    assert broker.accept(wish(farm(2)), DAVE).status == "pending"


def test_grants_that_cannot_be_counted_are_not_none(limited):
    """They may be live grants of the person on this very port."""
    broker = limited(live_on_one_port=1)
    broker.ask(wish(farm(1)))
    (row,) = broker.state.rows("g|")
    broker.state.write([Op(Verb.REPLACE, replace(row, values={**row.values, FORMAT: 99}))])

    for act in (broker.accept, broker.preview):
        with pytest.raises(CannotTell):
            act(wish(farm(1), duration="PT1H"))
    assert broker.accept(wish(farm(2))).status == "pending"
    assert broker.accept(wish(farm(1)), DAVE).status == "pending"


@pytest.mark.parametrize("kind", ["q|", "g|"])
def test_a_repetition_needs_no_count(limited, kind):
    """A caller whose first answer was lost learns the request, although a row cannot be read."""
    broker = limited(live_requests=5)
    asked = broker.ask(wish(farm(1)), key="k")
    broker.ask(wish(farm(1)), DAVE)
    for row in broker.state.rows(kind):
        if kind == "q|" or asked not in f"{row.key} {row.values}":
            newer = replace(row, values={**row.values, FORMAT: 99})
            broker.state.write([Op(Verb.REPLACE, newer)])

    assert broker.accept(wish(farm(1)), key="k").request.id == asked


def test_a_storage_that_does_not_answer_lets_nobody_through(limited):
    """No number is not 0."""
    broker = limited()
    broker.preview(wish(farm(1)))

    def before(name, _number):
        if name == "state.query":
            raise Unavailable("down")

    broker.calls.before = before

    for act in (broker.accept, broker.preview):
        with pytest.raises(Unavailable):
            act(wish(farm(1)))


# ---- places are freed ----------------------------------------------------------------------------


def places(broker):
    return [row.key.rpartition("|")[2] for row in broker.state.rows("q|") if row.key.count("|") > 1]


def test_a_request_that_ends_frees_its_place(limited):
    broker = limited(live_requests=1)
    request_id = broker.ask(wish(farm(1)))
    before = places(broker)
    broker.live(75)

    assert (before, places(broker)) == ([request_id], [])
    assert broker.accept(wish(farm(1))).status == "pending"


def test_a_request_that_never_opens_frees_its_place(limited):
    """It fails an hour after its start."""
    broker = limited(live_requests=1)
    broker.sim.control("POST", "faults", {"faults": [NEVER]})
    broker.ask(wish(farm(1)))
    broker.live(75)

    assert places(broker) == []


def test_a_request_that_is_denied_at_opening_frees_its_place(limited):
    """Its person was barred after it was accepted."""
    broker = limited(live_requests=1)
    broker.accept(wish(farm(1)))
    broker.bar(ALICE)
    broker.live(2)

    assert places(broker) == []


def test_a_booking_that_is_revoked_frees_its_place(limited):
    broker = limited(live_requests=1)
    start = (broker.now + timedelta(days=2)).isoformat()
    request_id = broker.ask(wish(farm(1), startTime=start))
    before = places(broker)
    broker.revoke(request_id)
    broker.live(2)

    assert (before, places(broker)) == ([request_id], [])


def test_a_request_that_is_not_stored_has_no_place(limited, monkeypatch):
    broker = limited(live_requests=1)
    monkeypatch.setattr(request_store, "is_one_transaction", lambda ops: len(ops) <= 7)

    with pytest.raises(TooLarge):
        broker.accept(wish((farm(1), farm(2))))

    assert broker.state.rows("q|") == ()
    assert broker.accept(wish(farm(1))).status == "pending"


def test_a_closed_request_that_history_refuses_frees_its_place(limited, caplog):
    """It stays among the live ones as closed. That must lock nobody out."""
    broker = limited(live_requests=1)
    request_id = broker.ask(wish(farm(1)))
    broker.calls.before = refuse_history
    broker.revoke(request_id)
    broker.live(2)

    assert "finishing" in caplog.text
    assert broker.whole(request_id).row is not None
    assert places(broker) == []


def refuse_history(name, _number):
    if name == "history.write":
        raise LookupError("too large")


def test_a_pass_that_dies_after_freeing_a_place_is_done_again(limited):
    """A place that is gone is free."""
    broker = limited(live_requests=1)
    request_id = broker.ask(wish(farm(1)))
    broker.revoke(request_id)
    dead: list[str] = []

    def before(name, _number):
        if name == "history.write" and not dead:
            dead.append(name)
            raise Crash

    broker.calls.before = before
    with pytest.raises(Crash):
        broker.live(2)
    broker.live(5)

    assert places(broker) == []
    assert broker.whole(request_id).row is None


def test_a_place_that_its_request_left_behind_locks_nobody_out(limited):
    """A version before moved the request to history: the requests themselves count."""
    broker = limited(live_requests=1)
    left = Row(
        partition=DEVELOPMENT,
        key=keys.own_request_key(ALICE.id, "gone"),
        values={"Person": ALICE.id},
    )
    broker.state.write([Op(Verb.INSERT, left)])

    request_id = broker.accept(wish(farm(1))).request.id

    assert places(broker) == [request_id]


def test_a_request_of_a_version_before_is_archived_without_a_place(limited):
    """It has none. It does not count, and ends as ever."""
    broker = limited(live_requests=1)
    request_id = broker.ask(wish(farm(1)))
    broker.state.write([Op(Verb.DELETE, row) for row in broker.state.rows("q|")])

    broker.revoke(request_id)
    broker.live(1)

    assert broker.whole(request_id).row is None
    assert broker.status(request_id) == "closed"
