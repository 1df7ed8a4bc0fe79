"""
Who shares a VM port, in every order in which people can come and leave.

Two people: each order, each way of leaving, equal and different sources, alone, with a stranger
after each moment, and with a death after each moment. Three people: the same, of which samples are
played, and all with ``JIT_ORDERS=full``: 32,400 plots with a stranger or a death.
"""

import os
from itertools import chain, islice

import pytest

from jit.domain.model.machine import Via
from tests.machine.orders import plots, with_a_death, with_a_stranger
from tests.machine.stage import Stage

WAYS = pytest.mark.parametrize("via", [Via.PUBLIC_IP, Via.FIREWALL], ids=["nsg", "firewall"])
EQUAL, DIFFERENT = (0, 0), (0, 1)
THREE = pytest.mark.parametrize(
    "sources", [(0, 0, 0), (0, 0, 1), (0, 1, 0), (0, 1, 1), (0, 1, 2)], ids=str
)


def played(found, via):
    """Return what was broken in each plot."""
    return list(chain.from_iterable(Stage(plot, via).play() for plot in found))


def some(found, step=97):
    """
    Return every so many plots, the same ones each time.

    A *step* that has no divisor in common with the numbers of orders, ways and moments comes round
    to each of them.
    """
    return found if os.environ.get("JIT_ORDERS") == "full" else islice(found, 0, None, step)


@WAYS
def test_two_people_share_a_port_in_any_order(via):
    """Nobody is cut untold, widened or outlived; who is told of a hand-over has one."""
    assert played(plots(2, (EQUAL, DIFFERENT)), via) == []


@WAYS
@pytest.mark.parametrize("sources", [EQUAL, DIFFERENT], ids=["equal", "different"])
def test_two_people_share_a_port_in_any_order_though_the_broker_dies(sources, via):
    """At any moment, before its calls or with an initiate that nobody heard the answer of."""
    assert played(with_a_death(plots(2, (sources,))), via) == []


@WAYS
@pytest.mark.parametrize("sources", [EQUAL, DIFFERENT], ids=["equal", "different"])
def test_a_stranger_between_two_people_is_left_alone_and_found_out(sources, via):
    """Nobody is called open for long whom the stranger replaced; the stranger is never cut."""
    assert played(with_a_stranger(plots(2, (sources,)), (*sources, 2)), via) == []


@WAYS
@THREE
def test_three_people_share_a_port_in_any_order(sources, via):
    """The same, where one hand-over may follow another."""
    found = plots(3, (sources,))
    whole = sources in {(0, 1, 2), (0, 1, 0)}

    assert played(found if whole else some(found, 7), via) == []


@WAYS
@THREE
def test_a_stranger_among_three_people_is_left_alone_and_found_out(sources, via):
    """With each of their sources, and with one of nobody else's."""
    found = with_a_stranger(plots(3, (sources,)), tuple(range(max(sources) + 2)))

    assert played(some(found), via) == []


@WAYS
@THREE
def test_three_people_share_a_port_in_any_order_though_the_broker_dies(sources, via):
    """At any moment, before its calls or with an initiate that nobody heard the answer of."""
    assert played(some(with_a_death(plots(3, (sources,)))), via) == []
