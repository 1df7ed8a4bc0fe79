"""Troubles: states of Azure that a person must mend there."""

from jit.domain.model.trouble import UPDATE_FAILED, VERSION_REFUSED
from tests.test_docs import first_column, section


def test_each_trouble_has_a_row_among_the_problems_of_the_broker():
    """Operators look its code up."""
    told = first_column(section("docs/problems.md", "### Problems of the broker"))

    assert {UPDATE_FAILED, VERSION_REFUSED} <= set(told)
