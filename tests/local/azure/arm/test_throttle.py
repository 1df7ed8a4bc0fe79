"""ARM's token buckets."""

import pytest

from local.azure.arm.throttle import Throttle
from local.azure.values.http import ArmError
from tests.local.azure.sim import BROKER, PRODUCTION, WEB01, Sim, error


class Seconds:
    """A reading of time that the test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def take(throttle: Throttle, times: int, who: str = "me", method: str = "GET") -> dict[str, str]:
    headers: dict[str, str] = {}
    for _ in range(times):
        headers = throttle.take(who, "sub", method)
    return headers


@pytest.mark.parametrize(
    ("method", "size"), [("GET", 250), ("PUT", 200), ("POST", 200), ("DELETE", 200)]
)
def test_bucket_holds_its_size_and_no_more(method, size):
    """Reads have a larger bucket than writes or deletes."""
    throttle = Throttle(Seconds())
    take(throttle, size, method=method)
    with pytest.raises(ArmError) as caught:
        throttle.take("me", "sub", method)

    assert (caught.value.status, caught.value.headers) == (429, {"Retry-After": "1"})


def test_bucket_refills_by_the_second():
    """Twenty-five reads come back each second."""
    seconds = Seconds()
    throttle = Throttle(seconds)
    take(throttle, 250)
    seconds.now = 1.0
    take(throttle, 25)
    with pytest.raises(ArmError):
        take(throttle, 1)


def test_full_bucket_does_not_grow():
    """Waiting long saves nothing up."""
    seconds = Seconds()
    throttle = Throttle(seconds)
    take(throttle, 1)
    seconds.now = 1e6
    take(throttle, 250)
    with pytest.raises(ArmError):
        take(throttle, 1)


def test_principals_have_buckets_of_their_own():
    """One caller's storm does not stop another."""
    throttle = Throttle(Seconds())
    take(throttle, 250, "me")

    assert take(throttle, 1, "you") == {
        "x-ms-ratelimit-remaining-subscription-global-reads": "3499"
    }


def test_subscription_has_a_bucket_fifteen_times_as_large():
    """All principals together are limited too."""
    throttle = Throttle(Seconds())
    [take(throttle, 250, f"caller {number}") for number in range(15)]
    with pytest.raises(ArmError):
        take(throttle, 1, "one more")


def test_each_answer_has_the_quota(sim: Sim):
    """Clients can see it coming."""
    sim.options(throttling=True)
    response = sim.call("GET", WEB01)

    assert response.headers["x-ms-ratelimit-remaining-subscription-global-reads"] == "3749"


def test_an_error_has_the_quota_too(sim: Sim):
    """A refused call has been counted."""
    sim.options(throttling=True)
    response = sim.call("GET", f"{WEB01}x")

    assert response.status == 404
    assert response.headers["x-ms-ratelimit-remaining-subscription-global-reads"] == "3749"


def test_call_over_the_quota_is_answered_429(sim: Sim):
    """The simulator throttles as ARM does, with a Retry-After."""
    sim.options(throttling=True)
    [sim.azure.world.throttle.take(BROKER, PRODUCTION, "GET") for _ in range(250)]
    response = sim.call("GET", WEB01)

    assert error(response) == (429, "TooManyRequests")
    assert response.headers["Retry-After"] == "1"


def test_advancing_the_clock_refills_the_bucket(sim: Sim):
    """A jump counts as waiting, even on a frozen clock."""
    sim.options(throttling=True)
    [sim.azure.world.throttle.take(BROKER, PRODUCTION, "GET") for _ in range(250)]
    sim.advance("PT10S")

    assert sim.call("GET", WEB01).status == 200


def test_throttling_can_be_switched_off(sim: Sim):
    """Benchmarks of something else need no quota."""
    [sim.azure.world.throttle.take(BROKER, PRODUCTION, "GET") for _ in range(250)]

    assert sim.call("GET", WEB01).status == 200
