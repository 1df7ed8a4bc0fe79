"""The planted bugs still fit the code, and the tests that catch them still exist."""

from pathlib import Path

import pytest

from tests.mutants.planted import MUTANTS

NAMES = [mutant.name for mutant in MUTANTS]


@pytest.mark.parametrize("mutant", MUTANTS, ids=NAMES)
def test_a_bug_changes_exactly_one_place(mutant, project: Path):
    """Code that has moved on takes its bug along, or the bug is planted nowhere."""
    assert (project / mutant.path).read_text().count(mutant.was) == 1
    assert mutant.becomes != mutant.was


@pytest.mark.parametrize("mutant", MUTANTS, ids=NAMES)
def test_a_bug_is_caught_by_tests_that_exist(mutant, project: Path):
    """Each by its name, so that somebody who breaks it reads which law was broken."""
    places = [test.partition("::") for test in mutant.caught_by]

    assert places
    assert all(f"def {name}(" in (project / path).read_text() for path, _, name in places)


def test_every_promise_has_a_bug_that_would_break_it():
    """Nine promises, nine ways at least to break them."""
    assert {mutant.promise for mutant in MUTANTS} == {f"P{number}" for number in range(1, 10)}
    assert len(NAMES) == len(set(NAMES))
