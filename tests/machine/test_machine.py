"""Random walks over everything at once, a few of them each time; ``make soak`` walks for long."""

from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.machine.machine import Calm, Storm

FEW = settings(
    max_examples=8,
    stateful_step_count=25,
    derandomize=True,
    deadline=None,
    phases=(Phase.generate,),  # a broken walk is told as it was: soaking makes it shorter
    suppress_health_check=list(HealthCheck),
)


def test_whatever_people_and_neighbours_do_every_promise_is_kept():
    """In any order, at any time; nothing fails."""
    run_state_machine_as_test(Calm, settings=FEW)


def test_whatever_fails_besides_every_promise_is_kept():
    """Storage, queues and Azure fail, instances die, Defender falls silent."""
    run_state_machine_as_test(Storm, settings=FEW)
