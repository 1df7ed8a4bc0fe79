"""A subscription that the settings no longer name: no path opens there, and each one still ends."""

from datetime import timedelta

import pytest

from jit.domain.errors import AccessDenied, PermissionLost
from jit.domain.model.grant import CloseReason, Status
from jit.observer.reads import Reader
from jit.observer.subscription import Observer
from tests.broker.inprocess import BOB, OLGA, THERE, farm, wish
from tests.broker.reconciling import FARM_POLICY, NSG_FARM, Reconciling, told
from tests.local.azure.sim import DEVELOPMENT, PRODUCTION

LONG_AFTER = 120  # minutes: an hour of access, and the time that an unreadable grant is given


class WithoutRights:
    """An Azure whose broker has lost its role in some subscriptions."""

    def __init__(self, arm):
        self._arm = arm
        self.lost: tuple[str, ...] = ()

    def get(self, resource_id, api_version):
        self._check(resource_id)
        return self._arm.get(resource_id, api_version)

    def list(self, path, api_version, chosen=""):
        self._check(path)
        return self._arm.list(path, api_version, chosen)

    def _check(self, path):
        if any(name in path for name in self.lost):
            raise PermissionLost("no", code="AuthorizationFailed", azure_status=403)


@pytest.fixture
def azure(broker):
    return WithoutRights(broker.azure.arm)


@pytest.fixture
def it(broker, azure):
    """A broker whose settings name both subscriptions."""
    reader = Reader(azure, lambda: broker.azure.network)
    last_known = broker.inventory.list_machines
    broker.observer = Observer(azure, lambda: broker.azure.policies, reader, last_known=last_known)
    broker.name(PRODUCTION, DEVELOPMENT)
    return Reconciling(broker)


def drop(it):
    """Start the broker anew with settings that name PRODUCTION alone."""
    it.broker.name(PRODUCTION)
    return Reconciling(it.broker)


def live(it, minutes):
    """Let time pass; the timers and the workers run."""
    for _ in range(minutes):
        it.due_work.tick(now=it.broker.now)
        it.broker.live(1, ticks=False)
    it.due_work.enqueue_comparisons()


def rows(it):
    """The subscriptions that have a row."""
    return [item.subscription for item in it.broker.subscription_rows.read().subscriptions]


# ---- paths end -----------------------------------------------------------------------------------


def test_a_grant_in_a_dropped_subscription_closes_at_its_end(it):
    """The row of the subscription says where to look."""
    request_id = it.opened()
    it = drop(it)

    live(it, LONG_AFTER)

    assert it.broker.status(request_id) == "closed"
    assert it.broker.grant(request_id).close_reason is CloseReason.EXPIRED
    assert not it.broker.reachable(farm(1))


def test_a_grant_that_the_broker_may_not_see_any_more_still_ends(it, azure):
    """The tables know of it; no right in Azure is needed for time to pass."""
    request_id = it.opened()
    azure.lost = (DEVELOPMENT,)
    it = drop(it)

    live(it, LONG_AFTER)

    assert not it.broker.grant(request_id).wants_path


def test_a_revocation_in_a_dropped_subscription_closes_the_path(it):
    """Closing needs no setting."""
    request_id = it.opened()
    it = drop(it)

    it.broker.revoke(request_id)
    it.broker.live(5)

    assert it.broker.status(request_id) == "closed"


def test_a_dropped_subscription_is_compared_while_it_has_grants(it):
    """After the named one."""
    it.opened()
    it = drop(it)

    it.due_work.enqueue_comparisons()

    assert it.reconcile_messages() == [PRODUCTION, DEVELOPMENT]


def test_each_comparison_of_a_dropped_subscription_is_one_alert(it, caplog):
    """An operator must hear of paths that are still open there."""
    it.opened()
    it = drop(it)

    it.run()
    it.run()

    alerts = told(caplog, "subscription.dropped")
    assert [alert["subscription"] for alert in alerts] == [DEVELOPMENT, DEVELOPMENT]


def test_a_dropped_subscription_that_may_not_be_read_is_one_more_alert(it, azure, caplog):
    """Somebody took the role away while a path was open."""
    it.opened()
    azure.lost = (DEVELOPMENT,)
    it = drop(it)

    it.run()

    assert len(told(caplog, "subscription.dropped")) == 1
    assert len(told(caplog, "permission.lost")) == 1


def test_a_comparison_of_a_dropped_subscription_wakes_the_due_policies(it, azure):
    """Their worker looks for itself."""
    it.opened()
    it.broker.queues.lose()
    it.broker.advance(timedelta(hours=2))
    azure.lost = (DEVELOPMENT,)
    it = drop(it)

    it.run()

    assert it.policy_messages() == [FARM_POLICY]


def test_a_leftover_in_a_dropped_subscription_is_removed(it):
    """A rule of a closed grant comes back while another grant is open."""
    it.closed(farm(2))
    it.opened()
    it = drop(it)
    name = it.leave(destinationAddressPrefix=it.address(farm(2)))

    it.run()
    it.broker.live(1)

    assert name not in it.broker.sim.rules(NSG_FARM)


def test_a_plan_says_that_a_dropped_subscription_cannot_be_read(it, azure):
    """An empty plan would be a lie."""
    it.opened()
    azure.lost = (DEVELOPMENT,)
    it = drop(it)

    items = it.reconciler.make_dry_run(now=it.broker.now)

    assert [item.resource for item in items] == [f"/subscriptions/{DEVELOPMENT}"]


def test_requests_of_a_dropped_subscription_are_listed(it, azure):
    """An operator finds there the grants to close by hand."""
    request_id = it.opened()
    azure.lost = (DEVELOPMENT,)
    it = drop(it)

    found, _ = it.broker.list_requests(OLGA)

    assert [whole.request.id for whole in found] == [request_id]


# ---- no path opens -------------------------------------------------------------------------------


def test_a_request_in_a_dropped_subscription_is_denied(it):
    """The inventory still holds its machines."""
    it.opened()
    it = drop(it)

    with pytest.raises(AccessDenied):
        it.broker.accept(wish(farm(2)))


def test_a_grant_that_waits_in_a_dropped_subscription_is_denied(it):
    """It was accepted before."""
    whole = it.broker.accept(wish(farm(1)))
    it = drop(it)

    live(it, 3)

    assert it.broker.grant(whole.request.id).close_reason is CloseReason.DENIED
    assert it.broker.initiates() == []


def test_a_wiped_path_in_a_dropped_subscription_is_not_opened_again(it):
    """Its grant fails, as if Azure took no more requests."""
    request_id = it.opened()
    it = drop(it)
    it.wipe()
    it.run()

    live(it, 30)

    assert it.broker.grant(request_id).close_reason is CloseReason.FAILED
    assert len(it.broker.initiates()) == 1


def test_an_initiate_that_azure_refused_for_now_is_not_sent_again(it):
    """The settings changed between the two."""
    busy = {"match": {"path": "/initiate"}, "times": 1, "answer": {"status": 429}}
    it.broker.sim.faults(busy)
    request_id = it.broker.ask(wish(farm(1)))
    it.broker.deliver()
    assert it.broker.grant(request_id).status is Status.OPENING
    it = drop(it)

    live(it, 60)

    assert it.broker.answers() == [429]
    assert it.broker.status(request_id) == "closed"


def test_an_extension_in_a_dropped_subscription_is_denied(it):
    """It would open a path for longer."""
    request_id = it.opened()
    it = drop(it)

    with pytest.raises(AccessDenied):
        it.broker.extend(request_id, timedelta(hours=2))


def test_the_last_of_two_users_of_a_port_keeps_no_path_that_is_not_theirs(it):
    """The shared path would be asked for again; here it ends for both."""
    first = it.opened(duration="PT10M")
    it.broker.ask(wish(farm(1), source=THERE), BOB)
    it.broker.live(2)
    it = drop(it)

    live(it, 40)

    assert it.broker.status(first) == "closed"
    assert not it.broker.reachable(farm(1))


# ---- rows ----------------------------------------------------------------------------------------


def test_a_tick_asks_nothing_of_azure(it, azure):
    """The settings and the rows name the subscriptions."""
    it.broker.accept(wish(farm(1)))
    azure.lost = (DEVELOPMENT,)
    it = drop(it)
    before = it.broker.calls.count("arm")

    it.due_work.tick(now=it.broker.now)

    assert it.policy_messages() == [FARM_POLICY]
    assert it.broker.calls.count("arm") == before


def test_the_row_of_a_subscription_is_written_before_its_first_grant(it):
    """A process that dies between the two leaves no grant that the timers cannot find."""
    state, seen = it.broker.state, []
    it.broker.calls.before = lambda *_: seen.append((len(state.rows("s|")), len(state.rows("g|"))))

    it.broker.accept(wish(farm(1)))

    assert len(state.rows("g|")) == 1
    assert (0, 1) not in seen
    assert rows(it) == [DEVELOPMENT]


def test_a_tick_costs_two_queries_a_subscription_and_three_more(it):
    """Due grants, waiting audit rows; and bars. The number of grants and history do not matter."""
    it.closed()
    it.run(PRODUCTION)
    before = it.broker.calls.count("state.query")

    it.due_work.tick(now=it.broker.now)

    assert it.broker.calls.count("state.query") - before == 3 + 2 * 2


def test_a_dropped_subscription_without_grants_is_no_alert(it, caplog):
    """The operator gave it up, and no path is left."""
    it.closed(minutes=90)
    live(it, LONG_AFTER)
    it = drop(it)

    it.run()

    assert it.due_work.list_subscriptions() == (PRODUCTION,)
    assert told(caplog, "subscription.dropped") == []


def test_the_alerts_end_with_the_last_grant(it, caplog):
    """Then the row goes as well, an hour later."""
    it.opened()
    it = drop(it)
    live(it, LONG_AFTER)
    it.run()
    it.run(PRODUCTION)
    caplog.clear()

    it.broker.advance(timedelta(hours=1))
    it.run()
    it.run(PRODUCTION)

    assert told(caplog, "subscription.dropped") == []
    assert rows(it) == [PRODUCTION]


def test_the_row_of_a_subscription_that_was_just_dropped_stays(it):
    """Another process may still accept a request under the older settings."""
    it.run()
    it = drop(it)

    it.run(PRODUCTION)

    assert rows(it) == [PRODUCTION, DEVELOPMENT]


def test_a_request_accepted_under_older_settings_is_found_although_nothing_was_compared(it, azure):
    """The role was taken away long before the setting, as people do."""
    it.run()
    azure.lost = (DEVELOPMENT,)
    it.broker.advance(timedelta(hours=3))
    older, submission = it.broker.acceptance, it.broker.submission(wish(farm(1)))
    it = drop(it)
    it.run(PRODUCTION)

    stored = older.accept(submission, now=it.broker.now)
    live(it, 60)

    assert it.broker.status(stored.request.id) == "closed"


def test_the_row_of_a_named_subscription_stays(it):
    """However long it has no grants."""
    it.closed()
    live(it, LONG_AFTER)
    it.run()
    it.broker.advance(timedelta(days=30))

    it.run(PRODUCTION)

    assert rows(it) == [PRODUCTION, DEVELOPMENT]


def test_a_subscription_without_row_and_name_is_not_looked_after(it):
    """It never had a grant."""
    it = drop(it)

    it.due_work.tick(now=it.broker.now)

    assert it.due_work.list_subscriptions() == (PRODUCTION,)
    assert it.policy_messages() == []
