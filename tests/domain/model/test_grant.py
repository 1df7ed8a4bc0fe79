"""The state table, and the status of a request while its grants differ."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jit.domain.errors import IllegalTransition, Violation
from jit.domain.model.grant import (
    ADVANCE,
    CloseReason,
    Status,
    is_settled,
    list_denials,
    status_of,
)
from tests.builders.bastions import by_bastion
from tests.builders.grants import a_grant
from tests.builders.values import HOME

S = Status
EDGES = {
    (S.SCHEDULED, S.PENDING),
    (S.SCHEDULED, S.OPENING),
    (S.SCHEDULED, S.CLOSED),
    (S.AWAITING_APPROVAL, S.SCHEDULED),
    (S.AWAITING_APPROVAL, S.PENDING),
    (S.AWAITING_APPROVAL, S.CLOSED),
    (S.PENDING, S.OPENING),
    (S.PENDING, S.CLOSED),
    (S.OPENING, S.OPEN),
    (S.OPENING, S.CLOSING),
    (S.OPENING, S.CLOSED),
    (S.OPEN, S.OPENING),
    (S.OPEN, S.CLOSING),
    (S.OPEN, S.CLOSED),
    (S.CLOSING, S.CLOSED),
}
REFUSED = [(a, b) for a in Status for b in Status if a is not b and (a, b) not in EDGES]
grant_lists = st.lists(st.sampled_from(Status), max_size=6).map(
    lambda statuses: tuple(a_grant(f"g{n}", status=each) for n, each in enumerate(statuses))
)


@pytest.mark.parametrize(("before", "after"), sorted(EDGES))
def test_a_grant_advances_along_the_edges_of_the_state_table(before, after):
    """These edges and no others."""
    grant = a_grant(status=before)

    assert grant.advance(after) == replace(grant, status=after)


@pytest.mark.parametrize(("before", "after"), REFUSED)
def test_every_other_edge_is_a_defect(before, after):
    """A closed grant never opens again; nothing skips the observation of being open."""
    grant = a_grant(status=before)

    with pytest.raises(IllegalTransition, match=f"{before} -> {after}"):
        grant.advance(after)


@pytest.mark.parametrize("status", Status)
def test_staying_in_a_status_is_no_transition(status):
    """A late or doubled message finds the grant there already."""
    grant = a_grant(status=status)

    assert grant.advance(status) == grant


def test_only_opening_and_open_grants_want_a_path():
    """A waiting grant must not be let in yet, a closing one not any more."""
    wanting = {status for status in Status if a_grant(status=status).wants_path}

    assert wanting == {Status.OPENING, Status.OPEN}


def test_every_grant_except_a_closed_one_is_live():
    """A closing grant may still have rules."""
    live = {status for status in Status if a_grant(status=status).live}

    assert live == set(Status) - {Status.CLOSED}


@given(grant_lists)
def test_a_requests_status_is_the_least_advanced_of_its_live_grants(grants):
    """A request is open when the last of its grants is."""
    status = status_of(grants)

    assert status in {grant.status for grant in grants if grant.live} | {Status.CLOSED}
    assert all(ADVANCE.index(status) <= ADVANCE.index(g.status) for g in grants if g.live)


@given(st.integers(0, 6).map(lambda n: (a_grant(status=Status.CLOSED),) * n))
def test_a_request_is_closed_when_all_its_grants_are(grants):
    """Without a live grant nothing of it is left."""
    status = status_of(grants)

    assert status is Status.CLOSED


@given(grant_lists)
def test_a_request_is_settled_when_no_grant_is_on_its_way_to_open(grants):
    """The outcome is an answer only then."""
    before_open = {
        Status.SCHEDULED,
        Status.AWAITING_APPROVAL,
        Status.PENDING,
        Status.OPENING,
    }

    assert is_settled(grants) == (not before_open & {grant.status for grant in grants})


# ---- denials at opening --------------------------------------------------------------------------

REASON = Violation("#/duration", "duration-too-long", "at most PT1H")


def a_denied(**changes):
    return a_grant(
        "r-3-22", request_id="r", **{"close_reason": CloseReason.DENIED, "denials": (), **changes}
    )


@pytest.mark.parametrize(
    ("grants", "found"),
    [
        ([a_grant()], ()),
        ([a_denied(denials=(REASON,)), a_grant(), a_denied(denials=(REASON,))], (REASON,)),
        ([a_denied(close_reason=CloseReason.FAILED, note="late")], ()),
    ],
)
def test_the_denials_of_grants_are_named_once(grants, found):
    """Two ports may have the same reason; a failure is no denial."""
    assert list_denials(grants) == found


@pytest.mark.parametrize("note", ["its JIT policy no longer exists", None])
def test_a_denial_that_an_older_version_stored_has_its_note_as_the_reason(note):
    """It points at the VM in the body of the request."""
    (denial,) = list_denials([a_denied(note=note)])

    assert (denial.pointer, denial.code) == ("#/virtualMachines/3", "denied-at-opening")
    assert note is None or denial.detail == note
    assert denial.detail


@pytest.mark.parametrize(
    ("grant", "own"),
    [
        (a_grant(), (HOME,)),
        (by_bastion(a_grant()), ()),
        (by_bastion(a_grant(), HOME), (HOME,)),
    ],
)
def test_the_own_sources_of_a_grant_are_those_beside_its_bastion(grant, own):
    """They come by the way of the VM."""
    assert grant.own_sources == own
