"""The stored request that a call asks for again."""

from datetime import timedelta
from typing import Any

import pytest

from jit.broker.requests.acceptance.repetitions import Repetition, Repetitions
from jit.domain.errors import Conflict
from jit.storage.callers.key_rows import KEPT, RepeatableCall
from tests.broker.inprocess import ALICE, InProcess, farm, wish
from tests.local.azure.sim import DEVELOPMENT


def a_call(body: Any, key: str | None = "k") -> RepeatableCall:
    return RepeatableCall(caller=ALICE.id, subscription=DEVELOPMENT, key=key, body=body)


def find(broker: InProcess, call: RepeatableCall) -> Any:
    return Repetitions(broker.requests, broker.idempotency).find(call, broker.now)


def test_a_first_call_repeats_nothing_and_replaces_nothing(broker):
    assert find(broker, a_call(wish(farm(1)))) == Repetition()


def test_a_repetition_names_the_request_and_replaces_nothing(broker):
    stored = broker.accept(wish(farm(1)), key="k")

    found = find(broker, a_call(wish(farm(1))))

    assert (found.request.request.id, found.over) == (stored.request.id, None)


def test_a_key_that_has_run_out_is_replaced_whatever_its_body(broker):
    """It is a new key."""
    broker.accept(wish(farm(1)), key="k")
    broker.advance(KEPT + timedelta(seconds=1))

    found = find(broker, a_call(wish(farm(2))))

    assert (found.request, found.over.key) == (None, broker.state.rows("i|")[0].key)


def test_another_body_under_a_key_that_counts_is_a_conflict(broker):
    broker.accept(wish(farm(1)), key="k")

    with pytest.raises(Conflict):
        find(broker, a_call(wish(farm(2))))


def test_a_closed_request_answers_for_its_key_and_not_for_its_body(broker):
    """A person who gave access back may ask again at once; a key never opens twice."""
    ids = [broker.ask(wish(farm(1)), key=key) for key in ("k", None)]
    for each in ids:
        broker.revoke(each)

    keyed, keyless = (find(broker, a_call(wish(farm(1)), key)) for key in ("k", None))

    assert keyed.request.request.id == ids[0]
    assert (keyless.request, keyless.over is None) == (None, False)
