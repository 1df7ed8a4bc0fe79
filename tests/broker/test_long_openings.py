"""A pass that opens for long: an end that comes meanwhile waits for a bounded time."""

from contextlib import suppress
from datetime import datetime, timedelta

import pytest

from jit.broker.azure_changes import TIME_TO_ASK
from jit.domain.errors import StateConflict
from tests.broker.inprocess import InProcess, farm, wish

CALL = timedelta(seconds=5)
"""The time of one initiate, with its answer."""

SECOND = timedelta(seconds=1)
REFUSAL = {"status": 400, "code": "InvalidInitiateInput"}


@pytest.fixture
def broker():
    return InProcess()


def take_time(broker, act=lambda: None, look=lambda: None):
    """Let each initiate take `CALL`, and *act* happen during the second one; *look* at each."""
    left = [2]

    def before(name, _):
        if name != "policies.initiate":
            return
        broker.advance(CALL)
        look()
        left[0] -= 1
        if left[0] == 0:
            act()
        broker.tick()
        broker.deliver()  # at another instance: the policy is claimed

    broker.calls.before = before


def refuse_initiates(broker, **match):
    """Let Azure refuse each initiate that matches."""
    where = {"method": "POST", "path": "/initiate", **match}
    broker.sim.faults({"match": where, "times": None, "answer": REFUSAL})


def test_a_revocation_waits_for_no_more_than_the_time_that_a_pass_has_to_ask(broker):
    """Azure refuses nine others, part by part. Closing comes first in the next pass."""
    mine = broker.ask(wish(farm(1), duration="PT3H"))
    broker.live(5)
    refuse_initiates(broker)
    revoked: list[datetime] = []
    gone: list[datetime] = []

    def note():
        if revoked and not gone and not broker.reachable(farm(1)):
            gone.append(broker.now)

    def revoke():
        revoked.append(broker.now)
        broker.revoke(mine)

    take_time(broker, revoke, note)
    for number in range(2, 11):
        broker.accept(wish(farm(number)))
    with suppress(StateConflict):  # another pass took over
        broker.work(farm(1))
    for _ in range(180):
        note()
        broker.live(1 / 60)

    assert gone[0] - revoked[0] <= TIME_TO_ASK + 3 * CALL  # Azure decides about the first port late


def test_an_initiate_in_many_parts_is_asked_for_by_several_passes(broker):
    """The answers to the first parts count; each pass goes on with the rest."""
    refuse_initiates(broker, bodyContains="/farm10")
    take_time(broker)
    requests = [broker.accept(wish(farm(number))).request.id for number in range(2, 11)]

    broker.work(farm(1))
    broker.live(10)

    assert [broker.status(each) for each in requests] == ["open"] * 8 + ["closed"]
