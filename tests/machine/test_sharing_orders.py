"""
Who shares a VM port, in every order in which people can come and leave.

Two people: each order, each way of leaving, equal and different sources, alone, with a stranger
after each moment, and with a death after each moment. Three people: the same without strangers and
deaths, which are walked at random in ``test_machine``.
"""

from itertools import chain

import pytest

from jit.domain.model import Via
from tests.machine.orders import plots, with_a_death, with_a_stranger
from tests.machine.stage import Stage

WAYS = pytest.mark.parametrize("via", [Via.PUBLIC_IP, Via.FIREWALL], ids=["nsg", "firewall"])
EQUAL, DIFFERENT = (0, 0), (0, 1)


def played(found, via):
    """Return what was broken in each plot."""
    return list(chain.from_iterable(Stage(plot, via).play() for plot in found))


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
@pytest.mark.parametrize("sources", [(0, 1, 2), (0, 1, 0)], ids=str)
def test_three_people_share_a_port_in_any_order(sources, via):
    """The same, where one hand-over may follow another."""
    assert played(plots(3, (sources,)), via) == []
