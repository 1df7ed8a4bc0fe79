"""The contract's numbers, and the length of a list of faults."""

import pytest

from jit.domain.errors import Violation
from jit.domain.limits import LIMITS, Limits, bound_violations

FAULTS = tuple(Violation(f"#/{number}", "code", "detail") for number in range(4))


@pytest.mark.parametrize("number", [0, 1, 3])
def test_a_short_list_of_faults_is_complete(number):
    """Up to the limit, each fault is listed."""
    assert bound_violations(list(FAULTS[:number]), Limits(violations=3)) == FAULTS[:number]


def test_a_long_list_of_faults_is_cut_and_says_so():
    """The last entry counts the faults that are missing."""
    found = bound_violations(FAULTS, Limits(violations=2))

    assert found == (
        *FAULTS[:2],
        Violation("#", "too-many-violations", "2 more faults are not listed"),
    )


def test_the_contract_lists_a_thousand_faults():
    """A body of 64 KiB can break more rules than a person can read."""
    assert len(bound_violations(FAULTS * 1000)) == LIMITS.violations + 1 == 1001
