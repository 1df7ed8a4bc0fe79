"""VMs that are read completely, because a path to them is about to be called open."""

from datetime import timedelta
from types import SimpleNamespace

from jit.broker.policy_worker import complete_looks, worker
from jit.domain.errors import Unavailable
from jit.domain.grants.step import run_step
from tests.broker.inprocess import CAROL, DAVE, HERE, THERE, farm, wish
from tests.local.azure.sim import WEB01


def passes_while_opening(broker, monkeypatch):
    """Count the decisions of the pass that calls two paths open; return them with the statuses."""
    ids = [broker.ask(wish(farm(1), source=source)) for source in (HERE, "203.0.113.99")]
    broker.work(farm(1))
    broker.advance(timedelta(seconds=30))
    decided = []

    def count(*args, **named):
        decided.append(1)
        return run_step(*args, **named)

    monkeypatch.setattr(worker, "run_step", count)
    broker.work(farm(1))
    return len(decided), {broker.status(request_id) for request_id in ids}


def test_a_path_that_opens_is_decided_about_once(broker, monkeypatch):
    """The complete look comes before the decision: a crowd would be decided about twice."""
    assert passes_while_opening(broker, monkeypatch) == (1, {"open"})


def test_the_decision_itself_asks_for_a_complete_look_that_was_not_foreseen(broker, monkeypatch):
    """Nothing is called open before its VM was read completely."""
    monkeypatch.setattr(complete_looks, "_is_observed_open", lambda *_: False)

    assert passes_while_opening(broker, monkeypatch) == (2, {"open"})


def test_a_path_that_cannot_be_observed_is_left_to_the_decision(broker, monkeypatch):
    """The decision fails as well, for this VM alone, and reports it."""

    def fail(*_):
        raise ValueError("odd")

    monkeypatch.setattr(complete_looks, "bastion_paths", SimpleNamespace(observe_path=fail))

    assert passes_while_opening(broker, monkeypatch) == (2, {"open"})


def behind_a_borrowed_path(broker):
    """Dave waits for minutes on a path that others opened; Carol is open on the same VM port."""
    broker.ask(wish(WEB01, 3389, duration="PT30M"))
    other = broker.ask(wish(WEB01, 3389, source=THERE, duration="PT3H"), CAROL)
    broker.live(12)
    broker.ask(wish(WEB01, 3389, source=HERE, duration="PT3H"), DAVE)
    broker.live(0.4)
    return other


def test_no_end_depends_on_a_look_that_only_an_opening_needs(broker):
    """The first look of each pass succeeds, and is enough to close."""
    other = behind_a_borrowed_path(broker)
    looks = []

    def throttle(name, _):
        if name == "policies.get":
            if broker.now in looks:
                raise Unavailable("throttled")
            looks.append(broker.now)

    broker.calls.before = throttle
    asked = len(broker.answers())
    broker.revoke(other, CAROL)
    broker.live(3)

    assert len(broker.answers()) > asked


def test_a_borrowed_path_costs_no_complete_look_in_each_pass(broker):
    """Nothing can be called open while it is borrowed: 56 calls of Azure were enough."""
    broker.ask(wish(WEB01, 3389, duration="PT30M"))
    broker.live(8)
    begun = len(broker.calls.names)
    second = broker.ask(wish(WEB01, 3389, duration="PT3H"), DAVE)
    broker.live(6.75)

    names = broker.calls.names[begun:]
    azure = [name for name in names if name.startswith(("arm.", "network.", "policies."))]
    assert broker.status(second) == "open"
    assert len(azure) <= 60
