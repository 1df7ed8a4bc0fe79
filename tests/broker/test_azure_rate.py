"""No call of Azure at a rate that a caller chooses: each route, many callers, many requests."""

from datetime import timedelta

import pytest

from jit import wiring
from jit.broker.auditing.chains import Chains
from jit.broker.auditing.record_pages import RecordPages
from jit.broker.call_counts import CallCounts
from jit.broker.health import HealthCheck
from jit.domain.limits import Limits
from jit.storage.trail.chain_reads import ChainReads
from tests.broker.inprocess import ALICE, farm, wish
from tests.fakes.tables import FakeTable
from tests.local.azure.sim import DEVELOPMENT
from tests.triggers.app_functions import FUNCTIONS, PERSON, ROUTES, SETTINGS, call, make_request

CALLERS, EACH = 10, 10
GETS = [name for name in ROUTES if "GET" in FUNCTIONS[name].trigger.fields["methods"]]

PROBED = {"get_health": 1, "get_status": 1}
"""Routes that ask Azure: once in ten seconds, for everybody."""


def count_calls(broker):
    """How often Azure was asked for anything."""
    return sum(broker.calls.count(name) for name in ("arm.", "policies.", "network."))


@pytest.fixture
def app(broker, monkeypatch):
    """The functions of the app over a broker with an open path."""
    health = HealthCheck(
        lambda: broker.subscription_rows, broker.observer.list_readable, broker.subscriptions
    )
    chains = Chains(
        reads=ChainReads(FakeTable(lambda: broker.now)),
        subscriptions=broker.subscription_rows,
        named=broker.subscriptions,
    )
    found = {
        "chains": chains,
        "record_pages": RecordPages(chains),
        "settings": SETTINGS,
        "health": health,
        "queries": broker.queries,
        "fresh_looks": broker.fresh_looks,
        "bar_changes": broker.bar_changes,
        "call_counts": CallCounts(Limits(reads_per_minute=CALLERS * EACH)),
    }
    for name, part in found.items():
        monkeypatch.setattr(wiring, name, lambda part=part: part)
    monkeypatch.setattr(wiring, "clock", lambda: broker.now)
    broker.queries.list_machines(None, ALICE, now=broker.now)
    return broker


@pytest.mark.parametrize("name", GETS)
def test_a_hundred_calls_of_ten_people_cost_azure_no_more_than_one(app, name):
    """Lists and reads use the inventory; the look at an open path is a message for a worker."""
    request_id = app.ask(wish(farm(1)))
    app.live(2)
    app.advance(timedelta(minutes=2))
    before = count_calls(app)

    params = {"id": request_id, "slug": "conflict", "oid": PERSON, "chain": DEVELOPMENT}
    statuses = {
        call(name, make_request(name, route_params=params)).status_code
        for _ in range(CALLERS * EACH)
    }

    assert len(statuses) == 1
    assert count_calls(app) - before == PROBED.get(name, 0)


MOST_CALLS = 60


@pytest.mark.parametrize("a_second", [1, 4])
def test_new_requests_cost_azure_the_same_however_many_come(broker, a_second):
    """They are gathered: one pass decides about all that wait, and the passes have a pace."""
    broker.use_cases.looks.renew(DEVELOPMENT, now=broker.now)
    before = count_calls(broker)

    for number in range(20 * a_second):
        broker.ask(wish(farm(1), justification=f"reason number {number}"))
        broker.live(1 / 60 / a_second, ticks=False)

    assert count_calls(broker) - before <= MOST_CALLS


def test_a_request_that_is_withdrawn_at_once_costs_azure_nothing(broker):
    """No worker has begun: it is closed in the table alone."""
    broker.use_cases.looks.renew(DEVELOPMENT, now=broker.now)
    before = count_calls(broker)

    for number in range(30):
        broker.revoke(broker.ask(wish(farm(1), justification=f"reason number {number}")))
        broker.live(1 / 60, ticks=False)

    assert count_calls(broker) == before
