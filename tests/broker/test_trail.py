"""The trail of calls that change no row: whose chain, and before the answer."""

import json

import pytest

from jit.domain.audit.refusal import Refusal
from jit.domain.errors import Unavailable
from tests.broker.inprocess import ALICE, OLGA
from tests.local.azure.sim import DEVELOPMENT, PRODUCTION

UNNAMED = "99999999-0000-4000-8000-000000000001"
REFUSAL = Refusal(what="request.denied", caller=ALICE, request_id="r", wish={}, why="no")


def events(broker):
    """Return chain and document of each record that waits."""
    rows = broker.state.rows("a|")
    return [(row.partition, json.loads(str(row.values["Doc"]))) for row in rows]


@pytest.mark.parametrize(
    ("subscription", "chain"),
    [(DEVELOPMENT, DEVELOPMENT), (PRODUCTION, PRODUCTION), (UNNAMED, PRODUCTION)],
)
def test_a_refusal_stands_in_the_chain_of_its_subscription_or_of_the_first(
    broker, subscription, chain
):
    """A caller can make up a subscription; nobody would drain its outbox."""
    broker.use_cases.trail.record_refusal(subscription, REFUSAL, now=broker.now)

    assert [where for where, _ in events(broker)] == [chain]


@pytest.mark.parametrize("dry_run", [True, False])
def test_a_comparison_that_a_person_asked_for_is_in_the_chain_of_each_subscription(broker, dry_run):
    """Its plan tells of other people's access."""
    broker.use_cases.trail.record_comparison(
        OLGA, [PRODUCTION, DEVELOPMENT], dry_run=dry_run, now=broker.now
    )

    found = dict(events(broker))
    assert sorted(found) == sorted([PRODUCTION, DEVELOPMENT])
    assert {event["what"] for event in found.values()} == {"reconcile.requested"}
    assert {event["texts"]["actorName"]["text"] for event in found.values()} == {OLGA.name}
    assert found[DEVELOPMENT]["facts"] == {"subscription": DEVELOPMENT, "dryRun": dry_run}


def test_without_storage_a_refusal_is_not_answered(broker):
    """503: an answer without a record would leave no trace."""

    def fail(name, _):
        if name == "state.write":
            raise Unavailable("no")

    broker.calls.before = fail

    with pytest.raises(Unavailable):
        broker.use_cases.trail.record_refusal(DEVELOPMENT, REFUSAL, now=broker.now)
