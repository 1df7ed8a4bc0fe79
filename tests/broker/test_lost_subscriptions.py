"""A subscription that Azure lists no more, where none was named: what is open there still ends."""

from contextlib import suppress
from datetime import timedelta

import pytest

from jit.domain.errors import PermissionLost, Refused, Unavailable
from jit.observer.subscription import Observer
from jit.storage import keys
from jit.storage.table import Op, Verb
from tests.broker.inprocess import OLGA, farm, wish
from tests.broker.reconciling import FARM_POLICY, Reconciling, told
from tests.local.azure.sim import DEVELOPMENT, PRODUCTION

LONG_AFTER = 120  # minutes: an hour of access, and what a grant that cannot be seen is given


class Forgetful:
    """An Azure that lists some subscriptions no more, and lets nobody look into them."""

    def __init__(self, arm):
        self._arm = arm
        self.lost: tuple[str, ...] = ()

    def get(self, resource_id, api_version):
        self._check(resource_id)
        return self._arm.get(resource_id, api_version)

    def list(self, path, api_version):
        self._check(path)
        items = self._arm.list(path, api_version)
        return [item for item in items if item.get("subscriptionId") not in self.lost]

    def _check(self, path):
        if any(name in path for name in self.lost):
            raise PermissionLost("no", code="AuthorizationFailed", azure_status=403)


@pytest.fixture
def azure(broker):
    return Forgetful(broker.azure.arm)


@pytest.fixture
def it(broker, azure):
    """A broker to which no subscription was named."""
    policies, network = (lambda: broker.azure.policies), (lambda: broker.azure.network)
    broker.observer = Observer(azure, policies, network)
    broker.worker, broker.views = broker.use_cases.worker(), broker.use_cases.views()
    return Reconciling(broker)


def live(it, minutes):
    """Let time pass with the timers alone."""
    for _ in range(minutes):
        it.reconciler.tick(now=it.broker.now)
        it.broker.live(1, ticks=False)
    it.reconciler.enqueue_all()


def test_a_grant_in_a_subscription_that_azure_lists_no_more_still_closes_at_its_end(it, azure):
    """The tables know of it; no list of Azure is needed for time to pass."""
    request_id = it.opened()
    azure.lost = (DEVELOPMENT,)

    live(it, LONG_AFTER)

    assert not it.broker.grant(request_id).wants_path


def test_a_subscription_that_azure_lists_no_more_is_compared_while_it_has_grants(it, azure):
    """The other one first: the order of Azure's list."""
    it.opened()
    azure.lost = (DEVELOPMENT,)

    it.reconciler.enqueue_all()

    assert it.reconcile_messages() == [PRODUCTION, DEVELOPMENT]


def test_a_subscription_that_azure_lists_no_more_is_one_alert_a_comparison(it, azure, caplog):
    """Somebody took a role away while a path was open."""
    it.opened()
    azure.lost = (DEVELOPMENT,)

    it.run()

    alerts = told(caplog, "subscription.vanished")
    assert [alert["subscription"] for alert in alerts] == [DEVELOPMENT]
    assert len(told(caplog, "permission.lost")) == 1


def test_a_comparison_of_a_vanished_subscription_wakes_what_is_due(it, azure):
    """Its worker looks for itself."""
    it.opened()
    it.broker.queues.lose()
    it.broker.advance(timedelta(hours=2))
    azure.lost = (DEVELOPMENT,)

    it.run()

    assert it.policy_messages() == [FARM_POLICY]


def test_a_tick_asks_nothing_of_azure(it, azure):
    """What is due stands in the tables, and where to look too."""
    it.broker.accept(wish(farm(1)))
    azure.lost = (DEVELOPMENT,)
    before = it.broker.calls.count("arm")

    it.reconciler.tick(now=it.broker.now)

    assert it.policy_messages() == [FARM_POLICY]
    assert it.broker.calls.count("arm") == before


def _forgotten(it):
    """Take the rows of known subscriptions away: an older version wrote none."""
    rows = [row for row in it.broker.state.rows("s|") if row.partition == keys.SUBSCRIPTIONS]
    it.broker.state.write([Op(Verb.DELETE, row) for row in rows])


def test_what_an_older_version_accepted_is_ticked_before_the_first_comparison(it):
    """Its message was lost on the way: nothing accepted is."""
    it.broker.accept(wish(farm(1)))
    _forgotten(it)

    it.reconciler.tick(now=it.broker.now)

    assert it.policy_messages() == [FARM_POLICY]


def test_a_comparison_that_fails_makes_its_subscription_known_all_the_same(it, azure):
    """What is due there is due, whether or not Azure answers."""
    it.broker.accept(wish(farm(1)))
    _forgotten(it)
    it.broker.sim.control(
        "PUT", "state", {"deniedActions": ["Microsoft.Compute/virtualMachines/read"]}
    )
    with suppress(Refused, Unavailable):
        it.run()

    assert it.broker.subscriptions.list() == (DEVELOPMENT,)


def test_a_tick_costs_a_query_a_subscription_and_one_more(it):
    """Whatever there is of grants and history."""
    it.closed()
    it.run(PRODUCTION)
    before = it.broker.calls.count("state.query")

    it.reconciler.tick(now=it.broker.now)

    assert it.broker.calls.count("state.query") - before == 1 + 2


def test_a_vanished_subscription_without_grants_is_no_alert(it, azure, caplog):
    """It was given up: that is nobody's business any more."""
    it.closed(minutes=90)
    live(it, LONG_AFTER)
    azure.lost = (DEVELOPMENT,)

    it.run()

    assert it.reconciler.subscriptions() == (PRODUCTION,)
    assert told(caplog, "subscription.vanished") == []


def test_a_plan_says_that_a_vanished_subscription_cannot_be_read(it, azure):
    """An empty plan would be a lie."""
    it.opened()
    azure.lost = (DEVELOPMENT,)

    items = it.reconciler.dry_run(now=it.broker.now)

    assert [item.resource for item in items] == [f"/subscriptions/{DEVELOPMENT}"]


def test_requests_of_a_vanished_subscription_are_listed(it, azure):
    """An operator finds there what to close by hand."""
    request_id = it.opened()
    azure.lost = (DEVELOPMENT,)

    found, _ = it.broker.views.page({}, OLGA, now=it.broker.now)

    assert [whole.request.id for whole in found] == [request_id]


def test_a_subscription_that_the_operator_left_out_is_not_looked_after(it, broker):
    """The named ones are all there are: drop one when nothing is live."""
    it.opened()
    broker.observer = broker.azure.observer(PRODUCTION)
    after = Reconciling(broker)
    broker.queues.lose()
    broker.advance(timedelta(hours=2))

    after.reconciler.tick(now=broker.now)

    assert after.reconciler.subscriptions() == (PRODUCTION,)
    assert after.policy_messages() == []
