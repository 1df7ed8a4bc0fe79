"""Timers: the instance that fires, the time, missed times. The clock is a value that tests set."""

from datetime import UTC, datetime, timedelta

import azure.functions as func
import pytest
from azure.core.exceptions import AzureError

from local.host.app import functions
from local.host.invocation import Invoker
from local.host.triggers import schedule
from local.host.triggers.storage import Storage
from local.host.triggers.timers import Lock, Monitor, TimerListener

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self, now):
        self.now = now

    def __call__(self):
        return self.now


def looks_at(timer, clock, instants):
    """Let *timer* look at the clock at each of *instants*."""
    for instant in instants:
        clock.now = instant
        timer.look()


@pytest.fixture
def clock():
    return Clock(NOON + timedelta(seconds=30))


@pytest.fixture
def timer_of(storage, clock):
    """Make one instance's listener on the function ``tick``, due every minute."""
    account = Storage(storage)
    released = []

    def make(fired, instance="one", expression="0 * * * * *", monitored=True, **trigger):
        app = func.FunctionApp()

        @app.timer_trigger(arg_name="timer", schedule=expression, **trigger)
        def tick(timer: func.TimerRequest) -> None:
            fired.append(timer.past_due)
            if len(fired) == trigger.get("fails_at"):
                raise RuntimeError("as it was told")

        lease_id = f"00000000-0000-4000-8000-{instance.encode().hex():0>12.12}"
        lock = Lock(account, "locks/tick", lease_id)
        released.append(lock)
        return TimerListener(
            functions.index(app)[0],
            schedule.parse(expression),
            clock,
            lock,
            Monitor(account.blob("timers/tick")) if monitored else None,
            Invoker(lambda *_: None, 1),
        )

    yield make
    for lock in released:
        lock.release()


def test_a_timer_waits_for_its_time(timer_of, clock):
    """Nothing before, once at it, nothing after until the next."""
    fired: list[bool] = []
    timer = timer_of(fired)
    timer.look()
    before = len(fired)
    clock.now = NOON + MINUTE
    timer.look()
    timer.look()

    assert (before, fired) == (0, [False])


def test_each_due_time_fires(timer_of, clock):
    """A clock that walks is never past due."""
    fired: list[bool] = []
    timer = timer_of(fired)
    timer.look()
    looks_at(timer, clock, [NOON + MINUTE, NOON + 2 * MINUTE, NOON + 3 * MINUTE])

    assert fired == [False, False, False]


def test_a_clock_that_jumps_fires_once_and_past_due(timer_of, clock):
    """Sixty missed minutes are one late call, not sixty."""
    fired: list[bool] = []
    timer = timer_of(fired)
    timer.look()
    clock.now += timedelta(hours=1)
    timer.look()
    timer.look()

    assert fired == [True]


def test_a_time_due_before_the_first_look_is_not_missed(timer_of, clock):
    """A jump right after the start is a jump like any other."""
    fired: list[bool] = []
    timer = timer_of(fired)
    timer._stopping.set()  # the test looks, not the thread
    timer.start()
    clock.now += timedelta(hours=1)
    timer.look()

    assert fired == [True]


def test_a_clock_that_is_set_back_brings_the_due_time_back(timer_of, clock):
    """After a reset of the clock, the timer does not sleep until the old time comes."""
    fired: list[bool] = []
    timer = timer_of(fired)
    clock.now = NOON + timedelta(days=365)
    timer.look()
    clock.now = NOON
    timer.look()
    clock.now = NOON + MINUTE
    timer.look()

    assert fired == [False]


def test_a_time_due_while_no_host_ran_fires_at_the_next_start(timer_of, clock):
    """A restarted host looks up the time that it has missed."""
    fired: list[bool] = []
    first = timer_of(fired)
    first.look()
    clock.now = NOON + MINUTE
    first.look()
    clock.now += timedelta(minutes=10)
    timer_of(fired).look()

    assert fired == [False, True]


def test_without_a_monitor_nothing_is_missed(timer_of, clock):
    """``use_monitor=False`` means that only the present counts."""
    fired: list[bool] = []
    timer_of(fired, monitored=False).look()
    clock.now += timedelta(minutes=10)
    timer_of(fired, monitored=False).look()

    assert fired == []


def test_a_changed_schedule_forgets_the_missed_times_of_the_old_one(timer_of, clock):
    """A due time of another schedule is no due time."""
    fired: list[bool] = []
    first = timer_of(fired)
    clock.now = NOON + MINUTE
    first.look()
    first.look()
    fired.clear()
    clock.now += timedelta(minutes=10)
    timer_of(fired, expression="30 * * * * *").look()

    assert fired == []


@pytest.mark.parametrize("content", [b"not json", b"[]", b"{}", b'{"Last": null, "Next": "soon"}'])
def test_a_status_that_cannot_be_read_is_as_good_as_none(storage, content):
    """A foreign text in its blob must not stop a timer."""
    account = Storage(storage)
    account.ensure_container()
    account.blob("timers/tick").upload_blob(content)

    assert Monitor(account.blob("timers/tick")).read() is None


def test_one_of_two_instances_fires(timer_of, clock):
    """The other one waits for the lease."""
    first: list[bool] = []
    second: list[bool] = []
    one, two = timer_of(first, "one"), timer_of(second, "two")
    one.look()
    two.look()
    clock.now = NOON + MINUTE
    two.look()
    one.look()

    assert (first, second) == ([False], [])


def test_when_an_instance_stops_the_other_takes_over(timer_of, clock):
    """The second does not fire a due time again that the first has fired."""
    first: list[bool] = []
    second: list[bool] = []
    one = timer_of(first, "one")
    one.look()
    clock.now = NOON + MINUTE
    one.look()
    one._lock.release()
    two = timer_of(second, "two")
    two.look()
    clock.now = NOON + 2 * MINUTE
    two.look()

    assert (first, second) == ([False], [False])


def test_a_killed_instance_does_not_wait_for_its_own_ghost(timer_of, clock):
    """Started again under the same name, it holds the lease that it still holds."""
    ghost: list[bool] = []
    fired: list[bool] = []
    timer_of(ghost).look()
    again = timer_of(fired)
    again.look()
    clock.now = NOON + MINUTE
    again.look()

    assert fired == [False]


def test_a_function_that_fails_is_due_again_at_its_next_time(timer_of, clock):
    """One bad run ends nothing."""
    fired: list[bool] = []
    timer = timer_of(fired, fails_at=1)
    timer.look()
    clock.now = NOON + MINUTE
    timer.look()
    timer.look()
    clock.now = NOON + 2 * MINUTE
    timer.look()

    assert fired == [False, False]


def test_run_on_startup_fires_at_once_and_only_once(timer_of):
    """As the trigger asked."""
    fired: list[bool] = []
    timer = timer_of(fired, run_on_startup=True)
    timer.look()
    timer.look()

    assert fired == [False]


def test_storage_that_is_away_means_no_lease(clock):
    """Rather late than twice."""
    away = Storage(
        "DefaultEndpointsProtocol=http;AccountName=a;AccountKey=YQ==;"
        "BlobEndpoint=http://127.0.0.1:1/a;QueueEndpoint=http://127.0.0.1:1/a"
    )
    lock = Lock(away, "locks/tick", "00000000-0000-4000-8000-000000000001")

    assert not lock.held()


def test_a_status_cannot_be_read_while_storage_is_away():
    """Unknown is not the same as never."""
    away = Storage(
        "DefaultEndpointsProtocol=http;AccountName=a;AccountKey=YQ==;"
        "BlobEndpoint=http://127.0.0.1:1/a;QueueEndpoint=http://127.0.0.1:1/a"
    )

    with pytest.raises(AzureError):
        Monitor(away.blob("timers/tick")).read()
