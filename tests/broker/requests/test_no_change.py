"""The reason that a change of a request changes nothing, and the next step of its caller."""

from datetime import timedelta

import pytest

from jit.broker.requests.no_change import explain_not_open, explain_revoked
from jit.domain.model.grant import CloseReason, Status
from tests.broker.inprocess import ALICE, OLGA
from tests.builders.grants import a_grant
from tests.builders.values import MINUTE, NOW

CLOSING = {
    "status": Status.CLOSING,
    "closing_at": NOW,
    "close_reason": CloseReason.REVOKED,
    "next_check_at": NOW,
}
UNSEEN = (
    "cannot be observed since 2026-11-22T18:01:00Z: from 2026-11-22T19:01:00Z on, an operator can"
    " end it unseen by a revocation with a reason"
)


def test_an_operator_learns_from_when_on_a_grant_may_end_unseen():
    """The hour counts from the first look that could not tell, and not from the closing."""
    seen, unseen = a_grant(**CLOSING), a_grant("g2", port=3389, **CLOSING, unclear_at=NOW + MINUTE)

    words = explain_revoked([seen, unseen], OLGA)

    assert words.count("is closing since 2026-11-22T18:00:00Z") == 2
    assert words.count("cannot be observed") == 1
    assert words.endswith(UNSEEN)


@pytest.mark.parametrize(
    ("caller", "fields"),
    [
        (ALICE, {"unclear_at": NOW + MINUTE}),
        (OLGA, {}),
        (OLGA, {"status": Status.CLOSED, "closed_at": NOW, "unclear_at": NOW + MINUTE}),
    ],
)
def test_only_an_operator_hears_of_an_end_without_an_observation(caller, fields):
    """A requester cannot do it, and a path that is observed or closed needs none."""
    words = explain_revoked([a_grant(**CLOSING | fields)], caller)

    assert "revoked" in words
    assert "observed" not in words


@pytest.mark.parametrize(
    ("status", "own", "words"),
    [
        (Status.PENDING, None, "the request is pending; only an open one can be extended:"),
        (Status.PENDING, None, "extend it once it is open"),
        (Status.CLOSING, None, "ask for access anew"),
        (Status.CLOSING, "r2", "your own request r2 has the same port"),
    ],
)
def test_a_caller_who_cannot_extend_learns_the_next_step(status, own, words):
    """A request of the caller's own for the same port is the better way."""
    grant = a_grant(status=status, latest_end=NOW + timedelta(hours=9))

    assert words in explain_not_open([grant], own, NOW)
