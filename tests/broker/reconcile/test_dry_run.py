"""The dry run that an operator asks for."""

import pytest

from jit.broker.reconcile.dry_run import DryRuns
from jit.domain.errors import Conflict, Unavailable
from tests.broker.inprocess import NEXT_LOOK
from tests.broker.reconciling import Reconciling
from tests.broker.test_hot_loops import calls


@pytest.fixture
def dry_runs(it):
    """Dry runs of one instance; another instance has the same tables."""
    return DryRuns(it.reconciler, it.broker.use_cases.pace)


def make(it, dry_runs):
    """The plan, or the class of the error."""
    try:
        return dry_runs.make(now=it.broker.now)
    except (Conflict, Unavailable) as error:
        return type(error)


def test_a_second_dry_run_within_30_seconds_is_409_and_calls_nothing(it, dry_runs):
    """At all instances together: an operator cannot use up the quota of reads either."""
    plan = dry_runs.make(now=it.broker.now)
    before = calls(it)

    assert make(it, dry_runs) is Conflict
    assert calls(it) == before
    it.broker.advance(NEXT_LOOK)
    assert make(it, dry_runs) == plan


def test_dry_runs_put_off_no_comparison(it, dry_runs):
    """They have a row of their own: leftovers are removed while one runs."""
    first = it.broker.subscriptions[0]

    def compare(name, _):
        if name == "arm.list":
            it.broker.calls.before = lambda *_: None
            it.run(first)

    it.broker.calls.before = compare
    dry_runs.make(now=it.broker.now)

    assert it.due_work.rows.get(first).compared_at == it.broker.now


def test_a_dry_run_that_storage_fails_holds_up_the_next_one_for_30_seconds(it, dry_runs):
    """It may have read Azure."""

    def fail(name, _):
        if name == "state.query":
            raise Unavailable("no")

    it.broker.calls.before = fail
    assert make(it, dry_runs) is Unavailable
    it.broker.calls.before = lambda *_: None

    assert make(it, dry_runs) is Conflict
    it.broker.advance(NEXT_LOOK)
    assert make(it, dry_runs) == ()


def test_a_dry_run_runs_while_another_broker_looks_for_a_denial(broker, dry_runs):
    """Requesters cannot keep operators out."""
    broker.use_cases.looks.renew(broker.subscriptions[0], now=broker.now)

    assert make(Reconciling(broker), dry_runs) == ()
