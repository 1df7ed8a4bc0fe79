"""
People share a VM port, in every order in which they can come and leave.

Orders of two and three people: each way of leaving, equal and different sources; alone, with
foreign access after each moment, and with a crash after each moment. All orders of two people alone
run each time. Of the others a sample runs in ``make test``, and all 34,000 in ``make test-long``.
"""

from itertools import chain

import pytest

from jit.domain.model.machine import Via
from tests.machine.orders import add_crash, add_foreign_access, sharing_orders
from tests.machine.small_azure import SmallAzureRun
from tests.sizes import sample

pytestmark = pytest.mark.scaled

WAYS = pytest.mark.parametrize("via", [Via.PUBLIC_IP, Via.FIREWALL], ids=["nsg", "firewall"])
EQUAL, DIFFERENT = (0, 0), (0, 1)
WIDER_SECOND, WIDER_FIRST = (0, 4), (4, 0)
"""One source is inside the other one, and Azure takes no rule that has both."""
STEP_OF_TWO = {Via.PUBLIC_IP: 5, Via.FIREWALL: 11}
"""A run behind a firewall takes three times as long. 5 and 11 divide no number of choices."""

STEP_OF_THREE, STEP_OF_THREE_ALONE = 389, 47
THREE = pytest.mark.parametrize(
    "sources", [(0, 0, 0), (0, 0, 1), (0, 1, 0), (0, 1, 1), (0, 1, 2)], ids=str
)


def violations_of(found, via):
    """Return the violations of all orders."""
    return list(chain.from_iterable(SmallAzureRun(order, via).run() for order in found))


@WAYS
def test_two_people_share_a_port_in_any_order(via):
    """No path is cut unannounced, is too wide or outlives its grant; each hand-over takes place."""
    found = sharing_orders(2, (EQUAL, DIFFERENT, WIDER_SECOND, WIDER_FIRST))

    assert violations_of(found, via) == []


@WAYS
@pytest.mark.parametrize("sources", [EQUAL, DIFFERENT], ids=["equal", "different"])
def test_two_people_share_a_port_in_any_order_with_a_crash(sources, via):
    """The process dies at any moment, before its calls or before the answer to its initiate."""
    found = add_crash(sharing_orders(2, (sources,)))

    assert violations_of(sample(found, STEP_OF_TWO[via]), via) == []


@WAYS
@pytest.mark.parametrize("sources", [EQUAL, DIFFERENT], ids=["equal", "different"])
def test_foreign_access_between_two_people_is_kept_and_noticed(sources, via):
    """A grant whose path it superseded does not stay open for long; the access is never cut."""
    found = add_foreign_access(sharing_orders(2, (sources,)), (*sources, 2))

    assert violations_of(sample(found, STEP_OF_TWO[via]), via) == []


@WAYS
@THREE
def test_three_people_share_a_port_in_any_order(sources, via):
    """The same, and one hand-over may follow another."""
    assert violations_of(sample(sharing_orders(3, (sources,)), STEP_OF_THREE_ALONE), via) == []


@WAYS
@THREE
def test_foreign_access_among_three_people_is_kept_and_noticed(sources, via):
    """From each of their sources, and from another source."""
    found = add_foreign_access(sharing_orders(3, (sources,)), tuple(range(max(sources) + 2)))

    assert violations_of(sample(found, STEP_OF_THREE), via) == []


@WAYS
@THREE
def test_three_people_share_a_port_in_any_order_with_a_crash(sources, via):
    """The process dies at any moment, before its calls or before the answer to its initiate."""
    found = add_crash(sharing_orders(3, (sources,)))

    assert violations_of(sample(found, STEP_OF_THREE), via) == []
