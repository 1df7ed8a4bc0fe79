"""The benchmarks of a person's rights, in small."""

import pytest

from bench.benchmarks.requester_rights import (
    make_machine,
    make_rights,
    measure,
    rbac_evaluations_per_second,
)
from bench.measures.processes import MeasurementFailed
from bench.stack.landscapes import SUBSCRIPTION


def test_judgements_are_counted():
    """Of a person with as many role assignments as the goal names."""
    (figure,) = rbac_evaluations_per_second(machines=10, runs=2)

    assert figure.value > 0
    assert figure.details["assignments"] == 200


def test_a_refusal_ends_the_measurement():
    """It takes another time than a judgement about a person with the rights."""
    group = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg-without-a-role"

    with pytest.raises(MeasurementFailed):
        measure(make_rights(3), [make_machine(group, 0)])
