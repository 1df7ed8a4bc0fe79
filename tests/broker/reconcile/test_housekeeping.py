"""Housekeeping: audit chains, rows of dropped subscriptions, old keys."""

from datetime import timedelta

import pytest

from jit.broker.reconcile.due_work import DueWork
from jit.domain.audit import chain
from jit.domain.errors import AccessDenied, Unavailable
from jit.storage import keys
from jit.storage.table import Op, Row, Verb
from tests.broker.inprocess import DAVE, farm, wish
from tests.broker.reconciling import Reconciling
from tests.local.azure.sim import DEVELOPMENT, PRODUCTION, WEB01


def test_the_trail_is_one_unbroken_chain(it):
    """Every run appends the events since the last one."""
    it.opened()
    it.run()
    it.broker.live(70)
    it.run()

    records = list(it.drainer.list_records(DEVELOPMENT))
    end = it.drainer.find_head(DEVELOPMENT)
    assert chain.verify(records, start=chain.Head(chain=DEVELOPMENT), end=end) is None
    assert [record.event["what"] for record in records] == [
        "request.accepted",
        "grant.opening_began",
        "grant.opened",
        "grant.closing_began",
        "grant.closed",
    ]


def refused(it, *numbers):
    """Ask for VMs of subscriptions that a caller made up; return the requests' ids."""
    ids = []
    for number in numbers:
        made_up = f"99999999-0000-4000-8000-{number:012d}"
        with pytest.raises(AccessDenied) as caught:
            it.broker.accept(wish(farm(1).replace(DEVELOPMENT, made_up)), DAVE)
        ids.append(caught.value.request_id)
    return ids


def test_denials_about_other_subscriptions_stand_in_the_chain_of_the_first_named_one(it):
    """The id that the caller was given is found in the trail."""
    ids = refused(it, 1, 2)

    it.run(PRODUCTION)

    records = list(it.drainer.list_records(PRODUCTION))
    end = it.drainer.find_head(PRODUCTION)
    assert chain.verify(records, start=chain.Head(chain=PRODUCTION), end=end) is None
    assert [record.event["requestId"] for record in records] == ids


def test_no_caller_makes_a_chain_or_an_outbox_of_its_own(it):
    """However many subscriptions are made up."""
    refused(it, *range(9))

    outboxes = {row.partition for row in it.broker.state.rows("a|")}
    it.run(PRODUCTION)

    assert outboxes == {PRODUCTION}
    assert it.broker.state.rows("a|") == ()
    assert {row.partition for row in it.audit.rows("h")} == {PRODUCTION}


def test_a_denial_where_the_broker_looks_stands_in_the_chain_of_its_subscription(it):
    """Before the first comparison too: the denial was checked against Azure."""
    with pytest.raises(AccessDenied):
        it.broker.accept(wish(farm(1), 443))

    it.run()

    (record,) = it.drainer.list_records(DEVELOPMENT)
    assert record.event["what"] == "request.denied"


def test_the_outbox_of_a_dropped_subscription_still_reaches_its_chain(it, broker):
    """The trail is complete though no comparison stands for it: without a call about it."""
    with pytest.raises(AccessDenied):
        broker.accept(wish(farm(1), 443))
    broker.name(PRODUCTION)
    after = Reconciling(broker)
    broker.sim.control("DELETE", "log")

    after.run(PRODUCTION)

    (record,) = after.drainer.list_records(DEVELOPMENT)
    assert record.event["what"] == "request.denied"
    assert [e for e in broker.sim.control("GET", "log") if DEVELOPMENT in e["path"]] == []


def test_keys_of_callers_that_have_run_out_are_swept(it):
    """Those without a header last ten minutes, the others a week."""
    it.broker.accept(wish(farm(1)))
    it.broker.accept(wish(farm(2)), DAVE, key="kept")
    it.broker.advance(timedelta(minutes=11))

    it.run(DEVELOPMENT)

    assert len(it.broker.state.rows("i|")) == 1


def test_keys_of_callers_are_swept_with_their_own_subscription(it):
    """Each comparison does its part."""
    it.broker.accept(wish(farm(1)))
    it.broker.advance(timedelta(minutes=11))

    it.run(PRODUCTION)

    assert len(it.broker.state.rows("i|")) == 1


def test_keys_of_an_older_version_are_swept_with_the_first_subscription(it):
    """They belong to none."""
    row = Row(partition=DAVE.id, key="k", values={"BodyHash": "h", "RequestId": "r", "Until": "1"})
    it.broker.keys.write([Op(Verb.INSERT, row)])

    left = []
    for subscription in (DEVELOPMENT, PRODUCTION):
        it.run(subscription)
        left.append(len(it.broker.keys.rows()))

    assert left == [1, 0]


def test_the_row_of_a_dropped_subscription_stays_until_its_last_key_has_run_out(it, broker):
    """By this row alone the keys are found; until then the subscription may be named again."""
    request_id = broker.ask(wish(farm(1)), key="k")
    broker.revoke(request_id)
    broker.live(5)
    broker.name(PRODUCTION)
    after = Reconciling(broker)

    left = []
    for passed in (timedelta(hours=2), timedelta(hours=2), timedelta(days=7)):
        broker.advance(passed)
        after.run(PRODUCTION)
        named = DEVELOPMENT in {
            row.subscription for row in broker.subscription_rows.read().subscriptions
        }
        left.append((named, len(broker.state.rows("i|"))))

    assert left == [(True, 1), (True, 1), (False, 0)]


def test_a_chain_grows_and_keys_are_swept_although_the_dropped_subscriptions_cannot_be_listed(
    it, broker, monkeypatch
):
    broker.accept(wish(WEB01, 3389))
    broker.advance(timedelta(minutes=11))

    def fail(_self):
        raise Unavailable("no")

    monkeypatch.setattr(DueWork, "list_dropped", fail)

    with pytest.raises(Unavailable):
        it.reconciler.housekeeping.tidy(PRODUCTION, now=broker.now)

    assert [record.event["what"] for record in it.drainer.list_records(PRODUCTION)]
    assert broker.state.rows("i|") == ()


def test_the_chain_of_bars_grows_with_the_comparison_of_the_first_subscription(it):
    """They are of no subscription."""
    it.broker.bar(DAVE)

    it.run(DEVELOPMENT)
    assert list(it.drainer.list_records(keys.PEOPLE)) == []
    it.run(PRODUCTION)

    (record,) = it.drainer.list_records(keys.PEOPLE)
    assert record.event["what"] == "person.barred"


def test_each_row_that_a_caller_makes_has_an_end(it, broker):
    """A request, a look at it, a denial: a fortnight later only history and its chain remember."""
    request_id = it.closed()
    broker.poll(request_id)
    with pytest.raises(AccessDenied):
        broker.accept(wish(farm(1), 443))
    kinds = ("c|", "p|", "r|", "g|", "i|", "x|", "a|", "d|")
    assert any(broker.state.rows(prefix) for prefix in kinds)

    broker.advance(timedelta(days=14))
    it.run()
    for _ in range(32):
        for subscription in (PRODUCTION, DEVELOPMENT):
            it.reconciler.housekeeping.tidy(subscription, now=broker.now)
        broker.advance(timedelta(minutes=5))

    assert [row.key for prefix in (*kinds, "l|", "t|") for row in broker.state.rows(prefix)] == []
