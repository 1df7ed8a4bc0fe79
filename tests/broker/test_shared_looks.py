"""Fresh looks at a subscription, shared by all callers who need one."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from jit.broker.shared_looks import SharedLooks
from jit.domain.errors import AccessDenied, Unavailable
from jit.storage import inventory_store
from tests.broker.inprocess import ALICE, DAVE, NEXT_LOOK, InProcess, farm, wish
from tests.local.azure.sim import DEVELOPMENT, PRODUCTION

DOWN = {"match": {"path": "/"}, "times": None, "answer": {"status": 503}}
CALLERS = 20
LISTS = 9  # of one look at a subscription; the tenth call is a get


def denied(broker, caller=ALICE, port=443):
    """Ask for a port that no policy allows; return the class of the answer."""
    with pytest.raises((AccessDenied, Unavailable)) as caught:
        broker.accept(wish(farm(1), port), caller)
    return type(caught.value)


def lists(broker):
    """How many lists of Azure were read so far."""
    return broker.calls.count("arm.list")


def another_host(broker):
    """Another process over the same tables and the same Azure."""
    host = InProcess()
    host.stores, host.sim, host.azure = broker.stores, broker.sim, broker.azure
    host.calls, host.observer = broker.calls, broker.observer
    host.keys, host.idempotency = broker.keys, broker.idempotency
    host.name(*broker.subscriptions)
    return host


def test_denials_of_all_callers_and_hosts_make_one_look_in_30_seconds(broker):
    """The inventory has its result; a person who repeats a denial costs Azure nothing."""
    hosts = [broker, another_host(broker)]

    found = {
        denied(each, who, port)
        for port in (441, 442, 443)
        for each in hosts
        for who in (ALICE, DAVE)
    }

    assert (found, lists(broker)) == ({AccessDenied}, LISTS)
    broker.advance(NEXT_LOOK)
    assert (denied(broker), denied(hosts[1]), lists(broker)) == (*2 * [AccessDenied], 2 * LISTS)


def test_an_accepted_request_never_waits_for_the_pace(broker):
    """Only a denial needs a look."""
    denied(broker)
    broker.sim.faults(DOWN)
    before = lists(broker)

    assert broker.accept(wish(farm(1))).status == "pending"
    assert lists(broker) == before


def test_within_the_pause_the_inventory_of_the_last_look_decides(broker):
    """A look of one person serves another one: here its result allows hers."""
    broker.use_cases.looks.renew(DEVELOPMENT, now=broker.now)
    before = lists(broker)

    assert denied(another_host(broker), DAVE) is AccessDenied
    assert lists(broker) == before


def test_a_look_that_fails_denies_nothing_and_is_not_repeated_for_30_seconds(broker):
    """503: while Azure is down, nobody knows; and nobody chooses how often the broker tries."""
    broker.use_cases.looks.renew(DEVELOPMENT, now=broker.now)
    broker.advance(NEXT_LOOK)
    broker.sim.faults(DOWN)
    denied(broker)
    before = broker.calls.count("arm.")

    found = [denied(broker), denied(another_host(broker), DAVE)]

    assert (found, broker.calls.count("arm.")) == ([Unavailable, Unavailable], before)
    broker.sim.control("DELETE", "faults")
    broker.advance(NEXT_LOOK)
    assert denied(broker) is AccessDenied


def test_a_vm_too_large_for_the_inventory_is_decided_on_by_the_look_alone(broker, monkeypatch):
    """The instance that looked knows it until the next look may begin."""
    monkeypatch.setattr(inventory_store, "is_too_large", lambda row: "farm01" in str(row.values))

    first, second = broker.accept(wish(farm(1))), broker.accept(wish(farm(1), 3389), DAVE)

    assert (first.status, second.status, lists(broker)) == ("pending", "pending", LISTS)
    broker.advance(NEXT_LOOK)
    assert broker.use_cases.looks.find_left_out(DEVELOPMENT, now=broker.now) == {}


def test_each_subscription_has_its_own_pace(broker):
    """Denials about one keep no look at another one back."""
    looks = broker.use_cases.looks

    found = [looks.renew(each, now=broker.now) for each in (DEVELOPMENT, PRODUCTION)]

    assert found == [broker.now, broker.now]
    assert looks.renew(DEVELOPMENT, now=broker.now) is None


def test_nobody_waits_longer_than_five_seconds_for_the_look_of_another_call(broker):
    """503: while Azure hangs, the denials of one caller must not hold the threads of HTTP."""
    begun, others, seconds = threading.Event(), threading.Event(), [0.0]

    def hold(name, _):
        if name == "arm.list" and not begun.is_set():
            begun.set()
            others.wait(5)

    broker.calls.before = hold
    cases = broker.use_cases
    looks = SharedLooks(
        broker.stores.inventory, cases.pace, cases.around.observer, lambda: seconds[0]
    )
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(looks.renew, DEVELOPMENT, now=broker.now)
        begun.wait(5)
        seconds[0] = 5.0
        with pytest.raises(Unavailable, match="longer than expected"):
            looks.renew(DEVELOPMENT, now=broker.now)
        is_running = not first.done()
        others.set()

        assert is_running
        assert first.result(timeout=5) == broker.now


def test_callers_of_one_host_at_the_same_time_share_one_look(broker):
    """They wait for it, and get its result."""
    begun, others = threading.Event(), threading.Event()

    def hold(name, _):
        if name == "arm.list" and not begun.is_set():
            begun.set()
            others.wait(5)

    broker.calls.before = hold
    renew = broker.use_cases.looks.renew
    with ThreadPoolExecutor(CALLERS) as pool:
        first = pool.submit(renew, DEVELOPMENT, now=broker.now)
        begun.wait(5)
        rest = [pool.submit(renew, DEVELOPMENT, now=broker.now) for _ in range(CALLERS - 1)]
        others.set()
        found = {each.result(timeout=5) for each in (first, *rest)}

    assert found <= {broker.now, None}  # None: it came when the look was done
    assert lists(broker) == LISTS
