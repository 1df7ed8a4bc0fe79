"""The live grants on virtual machines, as a caller may see them."""

import pytest

from jit.broker.requests.machine_access import group_shown, may_see_all
from tests.broker.inprocess import ALICE, AUDRA, BOB, DAVE, OLGA, farm, wish


@pytest.mark.parametrize(
    ("caller", "sees"), [(ALICE, False), (BOB, True), (OLGA, True), (AUDRA, True)]
)
def test_approvers_operators_and_auditors_see_all(caller, sees):
    assert may_see_all(caller) is sees


def test_a_grant_whose_request_cannot_be_read_is_shown_without_a_person(broker):
    """Somebody has access, and a requester does not see it."""
    request_id = broker.ask(wish(farm(1)))
    broker.live(1)
    grants = broker.whole(request_id).grants

    (to_olga,), (to_dave,) = (
        group_shown(grants, {}, caller, None)[grants[0].vm_key] for caller in (OLGA, DAVE)
    )

    assert (to_olga.requester, to_olga.is_hidden) == (None, False)
    assert (to_dave.requester, to_dave.is_hidden) == (None, True)


def test_closed_grants_are_left_out(broker):
    """Nobody is in."""
    request_id = broker.ask(wish(farm(1)))
    broker.revoke(request_id)

    assert group_shown(broker.whole(request_id).grants, {}, OLGA, None) == {}
