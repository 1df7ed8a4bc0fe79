"""A few random walks over everything at once; ``make soak`` walks for a long time."""

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.machine.machine import WithFaults, WithoutFaults
from tests.sizes import examples

pytestmark = pytest.mark.scaled

FEW = settings(
    max_examples=examples(5, 60),
    stateful_step_count=25,
    derandomize=True,
    deadline=None,
    phases=(Phase.generate,),  # no shrinking here: the soak does it
    suppress_health_check=list(HealthCheck),
)


def test_random_walks_without_faults_keep_every_promise():
    """People and others act in any order, at any time."""
    run_state_machine_as_test(WithoutFaults, settings=FEW)


def test_random_walks_with_faults_keep_every_promise():
    """Storage, queues and Azure fail, processes die, Defender does not answer."""
    run_state_machine_as_test(WithFaults, settings=FEW)
