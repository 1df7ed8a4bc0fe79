"""One request by its id: seen by its requester and by the roles that see all."""

import pytest

from jit.broker.requests.lookup import find_visible
from jit.domain.errors import NotFound
from tests.broker.inprocess import ALICE, AUDRA, BOB, DAVE, OLGA, farm, wish


@pytest.mark.parametrize("caller", [ALICE, BOB, OLGA, AUDRA], ids=lambda person: person.name)
def test_a_request_is_found_for_everybody_who_may_see_it(broker, caller):
    """Its requester, approvers, operators, auditors."""
    request_id = broker.ask(wish(farm(1)))

    assert find_visible(broker.requests, request_id, caller).request.id == request_id


def test_a_request_of_another_requester_is_not_found(broker):
    """The same answer as for an id that does not exist."""
    request_id = broker.ask(wish(farm(1)))

    with pytest.raises(NotFound, match=f"there is no request {request_id}"):
        find_visible(broker.requests, request_id, DAVE)


def test_a_made_up_id_is_cut_in_the_answer(broker):
    """An answer must not carry a text of any length."""
    with pytest.raises(NotFound) as caught:
        find_visible(broker.requests, "x" * 5_000, OLGA)

    assert str(caught.value) == f"there is no request {'x' * 64}"
