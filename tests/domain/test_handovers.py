"""Hand-overs over a small Azure: each of them is announced before it comes."""

from dataclasses import replace
from datetime import timedelta

import pytest

from jit.domain.model.machine import Via
from tests.builders.grants import a_grant
from tests.builders.values import ELSEWHERE, FIREWALL_ID, HOME, HOUR, MINUTE, NOW, OFFICE
from tests.domain.azure_model import Azure
from tests.domain.azure_worker import Broker

WAYS = pytest.mark.parametrize("walled", [False, True], ids=["nsg", "firewall"])


def came(broker, name, source, minutes):
    """Somebody comes now, for so many minutes."""
    now, walled = broker.azure.now, broker.azure.walled
    broker.grants[name] = a_grant(
        name,
        sources=(source,),
        starts_at=now,
        duration=minutes * MINUTE,
        latest_end=now + minutes * MINUTE + HOUR,
        next_check_at=now,
        via=Via.FIREWALL if walled else Via.PUBLIC_IP,
        firewall_id=FIREWALL_ID if walled else None,
    )
    broker.work()


def told(broker, name, until):
    """The hand-overs of a grant until then, each in minutes from NOW, in order."""
    heard: dict[float, bool] = {}
    while broker.azure.now < until:
        broker.live_until(broker.azure.now + timedelta(seconds=30))
        when = broker.grants[name].handover_at
        if when is not None:
            heard.setdefault((when - NOW) / MINUTE, broker.azure.now <= when)
    return heard


@WAYS
def test_a_grant_that_joins_a_strangers_path_names_its_end_in_time(walled):
    """Nothing of ours may replace it before, so the path is interrupted then."""
    broker = Broker(Azure(NOW, walled=walled))
    broker.azure.take(22, (HOME,), NOW + 40 * MINUTE)
    broker.live_until(NOW + 10 * MINUTE)
    came(broker, "g", HOME, 120)

    assert told(broker, "g", NOW + HOUR) == {40: True}
    assert broker.azure.lets_in(HOME, 22)


def test_two_changes_within_a_firewalls_minutes_are_both_announced_in_time():
    """The second comes before the firewall is through with the first."""
    broker = Broker(Azure(NOW, walled=True))
    came(broker, "a", HOME, 60)
    broker.live_until(NOW + 10 * MINUTE)
    came(broker, "b", OFFICE, 56)
    broker.live_until(NOW + 20 * MINUTE)
    came(broker, "c", ELSEWHERE, 100)

    assert told(broker, "c", NOW + 90 * MINUTE) == {60: True, 66: True}
    assert broker.azure.lets_in(ELSEWHERE, 22)


@pytest.mark.parametrize("left", [5, 3, 2, 1])
def test_an_extension_in_the_last_minutes_leaves_no_gap_behind_a_busy_firewall(left):
    """Defender takes up the new request before it removes the rule of the old one."""
    broker = Broker(Azure(NOW, walled=True))
    came(broker, "a", HOME, 60)
    broker.live_until(NOW + (60 - left) * MINUTE)
    broker.azure.publish(80, on=True)
    end, now = NOW + 2 * HOUR, broker.azure.now
    broker.grants["a"] = replace(broker.grants["a"], expires_at=end, next_check_at=now)

    doors = set()
    while broker.azure.now < NOW + 80 * MINUTE:
        broker.live_until(broker.azure.now + timedelta(seconds=15))
        doors.add(broker.azure.lets_in(HOME, 22))

    assert doors == {True}
