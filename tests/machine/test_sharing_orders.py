"""
People share a VM port, in every order in which they can come and leave.

Two people: each order, each way of leaving, equal and different sources; alone, with foreign access
after each moment, and with a crash after each moment. Three people: samples of the same; all of
them with ``JIT_ORDERS=full``: 32,400 orders with foreign access or a crash.
"""

import os
from itertools import chain, islice

import pytest

from jit.domain.model.machine import Via
from tests.machine.orders import add_crash, add_foreign_access, sharing_orders
from tests.machine.small_azure import SmallAzureRun

WAYS = pytest.mark.parametrize("via", [Via.PUBLIC_IP, Via.FIREWALL], ids=["nsg", "firewall"])
EQUAL, DIFFERENT = (0, 0), (0, 1)
THREE = pytest.mark.parametrize(
    "sources", [(0, 0, 0), (0, 0, 1), (0, 1, 0), (0, 1, 1), (0, 1, 2)], ids=str
)


def violations_of(found, via):
    """Return the violations of all orders."""
    return list(chain.from_iterable(SmallAzureRun(order, via).run() for order in found))


def sample(found, step=97):
    """
    Return every *step*-th order, the same ones each time.

    A *step* that has no divisor in common with the numbers of orders, ways and moments reaches each
    of them.
    """
    return found if os.environ.get("JIT_ORDERS") == "full" else islice(found, 0, None, step)


@WAYS
def test_two_people_share_a_port_in_any_order(via):
    """No path is cut unannounced, is too wide or outlives its grant; each hand-over takes place."""
    assert violations_of(sharing_orders(2, (EQUAL, DIFFERENT)), via) == []


@WAYS
@pytest.mark.parametrize("sources", [EQUAL, DIFFERENT], ids=["equal", "different"])
def test_two_people_share_a_port_in_any_order_with_a_crash(sources, via):
    """The process dies at any moment, before its calls or before the answer to its initiate."""
    assert violations_of(add_crash(sharing_orders(2, (sources,))), via) == []


@WAYS
@pytest.mark.parametrize("sources", [EQUAL, DIFFERENT], ids=["equal", "different"])
def test_foreign_access_between_two_people_is_kept_and_noticed(sources, via):
    """A grant whose path it superseded does not stay open for long; the access is never cut."""
    assert (
        violations_of(add_foreign_access(sharing_orders(2, (sources,)), (*sources, 2)), via) == []
    )


@WAYS
@THREE
def test_three_people_share_a_port_in_any_order(sources, via):
    """The same, and one hand-over may follow another."""
    found = sharing_orders(3, (sources,))
    whole = sources in {(0, 1, 2), (0, 1, 0)}

    assert violations_of(found if whole else sample(found, 7), via) == []


@WAYS
@THREE
def test_foreign_access_among_three_people_is_kept_and_noticed(sources, via):
    """From each of their sources, and from another source."""
    found = add_foreign_access(sharing_orders(3, (sources,)), tuple(range(max(sources) + 2)))

    assert violations_of(sample(found), via) == []


@WAYS
@THREE
def test_three_people_share_a_port_in_any_order_with_a_crash(sources, via):
    """The process dies at any moment, before its calls or before the answer to its initiate."""
    assert violations_of(sample(add_crash(sharing_orders(3, (sources,)))), via) == []
