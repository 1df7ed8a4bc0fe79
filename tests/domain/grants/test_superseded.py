"""Grants whose request in Defender was replaced or revoked by somebody else."""

import pytest

from jit.domain.model.grant import CloseReason, Status
from tests.builders.defender import an_entry
from tests.builders.grants import an_open, an_opening
from tests.builders.machines import a_view
from tests.builders.nsgs import an_allow, an_nsg
from tests.builders.values import HOUR, MINE, MINUTE, NEXT, NOW
from tests.domain.steps import OURS, SECOND, STRANGER, a_world, alone, stepped


def test_a_grant_that_a_stranger_superseded_closes_as_superseded():
    """And is never asked for again: that would cut the stranger."""
    world = a_world(
        a_view(an_nsg(an_allow("192.0.2.1"))),
        an_entry(active=False, reason="NewerRequestInitiated"),
        an_entry("192.0.2.1", initiate_id=STRANGER, started_at=NOW + MINUTE),
    )

    done = stepped(an_open(), world=world, now=NOW + HOUR)

    (grant,) = done.grants
    assert (grant.status, grant.close_reason) == (Status.CLOSED, CloseReason.SUPERSEDED)
    assert done.asks == ()
    assert grant.note == "somebody else's newer request for this port replaced it in Defender"


def test_a_grant_that_somebody_unseen_superseded_closes_as_superseded():
    """Defender says that a newer request came, and it is not ours."""
    world = a_world(OURS, an_entry(active=False, reason="NewerRequestInitiated"))

    done = stepped(an_open(), world=world, now=NOW + HOUR)

    assert done.grants[0].close_reason is CloseReason.SUPERSEDED
    assert done.asks == ()


def test_a_grant_whose_own_newer_initiate_is_not_listed_yet_waits():
    """It superseded itself; the list is late."""
    grant = an_opening(initiates=(MINE, NEXT))
    world = a_world(a_view(), an_entry(active=False, reason="NewerRequestInitiated"))

    done = stepped(grant, world=world, now=NOW + SECOND)

    assert (done.grants[0].status, done.asks) == (Status.OPENING, ())


def test_a_strangers_older_request_supersedes_nothing():
    """Ours came later."""
    world = a_world(
        a_view(),
        an_entry("192.0.2.1", initiate_id=STRANGER, active=False, started_at=NOW - HOUR),
        an_entry(active=False, reason="Expired"),
    )

    done = stepped(an_open(), world=world, now=NOW + HOUR)

    assert len(done.asks) == 1


@pytest.mark.parametrize(
    ("entry", "status"),
    [
        (an_entry("192.0.2.1", initiate_id=STRANGER, started_at=NOW + SECOND), Status.CLOSED),
        (an_entry("192.0.2.1", initiate_id=STRANGER, started_at=NOW - SECOND), Status.OPENING),
        (an_entry(initiate_id=STRANGER, started_at=NOW + SECOND), Status.OPENING),
    ],
)
def test_a_grant_with_nothing_of_its_own_yields_to_a_strangers_newer_request(entry, status):
    """Unless it comes from the same place: then it joins."""
    grant = an_opening(initiates=(), initiated_at=None, answered=False)

    after = alone(grant, a_world(a_view(), entry), now=NOW + MINUTE)

    assert after.status is status


def test_the_newest_of_several_strangers_counts():
    """It was joined before another came from elsewhere."""
    grant = an_opening(initiates=(), initiated_at=None, answered=False)
    world = a_world(
        a_view(),
        an_entry(initiate_id=STRANGER, active=False, started_at=NOW + SECOND),
        an_entry("192.0.2.1", initiate_id=STRANGER, started_at=NOW + MINUTE),
    )

    after = alone(grant, world, now=NOW + 2 * MINUTE)

    assert after.close_reason is CloseReason.SUPERSEDED


def test_a_stranger_who_has_come_and_gone_is_no_reason_to_close():
    """Our own initiate was lost meanwhile; nobody is in the way now."""
    grant = an_opening(initiates=(), initiated_at=None, answered=False)
    gone = an_entry(
        "192.0.2.1", initiate_id=STRANGER, started_at=NOW + SECOND, ends_at=NOW + 5 * MINUTE
    )

    done = stepped(grant, world=a_world(a_view(), gone), now=NOW + 6 * MINUTE)

    assert len(done.asks) == 1


def test_a_grant_without_its_admission_on_record_yields_to_nobody():
    """It lets nobody push it out by a request of unknown age."""
    grant = an_opening(initiates=(), initiated_at=None, answered=False, admitted_at=None)
    world = a_world(a_view(), an_entry("192.0.2.1", initiate_id=STRANGER))

    done = stepped(grant, world=world)

    assert (done.grants[0].status, done.asks) == (Status.OPENING, ())


@pytest.mark.parametrize("reason", ["UserRequested", "", "SomethingNew"])
def test_a_grant_that_was_revoked_in_azure_closes_as_revoked(reason):
    """Somebody ended it there; it is not put back."""
    world = a_world(a_view(), an_entry(active=False, reason=reason))

    done = stepped(an_open(), world=world, now=NOW + HOUR)

    (grant,) = done.grants
    assert (grant.close_reason, done.asks) == (CloseReason.REVOKED, ())
