"""The tree of errors: every family has its next step."""

import inspect
import re

import pytest

from jit.domain import errors
from jit.domain.errors import (
    AccessDenied,
    BrokerError,
    Defect,
    Malformed,
    Refused,
    Rejected,
    Unavailable,
    Violation,
)


def _is_error(value):
    return inspect.isclass(value) and issubclass(value, BrokerError) and value is not BrokerError


TREE = [kind for _, kind in inspect.getmembers(errors, _is_error)]


@pytest.mark.parametrize("kind", TREE)
def test_every_error_belongs_to_a_family_with_a_next_step(kind):
    """Repair it, wait for it, or call a developer: there is no fourth kind."""
    families = [
        family for family in (Rejected, Unavailable, Refused, Defect) if family in kind.__mro__
    ]

    assert len(families) == 1


@pytest.mark.parametrize("kind", TREE)
def test_the_trees_drawing_names_every_error_with_its_status(kind):
    """The docstring is the map that people read; it must not lie."""
    line = re.search(rf"[x-] {kind.__name__} .*", errors.__doc__ or "")

    assert line
    assert re.search(rf" (?:{kind.status}|{kind.status // 100}xx)\b", line[0])


@pytest.mark.parametrize("kind", TREE)
def test_every_error_has_a_docstring_that_can_be_a_title(kind):
    """A problem's title is the class's docstring: one sentence, in one line."""
    first = (kind.__doc__ or "").strip().splitlines()[0]

    assert first.endswith(".")


@pytest.mark.parametrize("kind", TREE)
def test_every_slug_can_be_part_of_a_problems_url(kind):
    """Slugs are kebab-case."""
    slug = kind.slug

    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", slug)


def test_a_rejection_carries_its_violations_and_the_audited_request():
    """The error carries the parts of the problem body."""
    violation = Violation("#/sources/0", "source-any", "a source must be narrower")

    error = AccessDenied("no", (violation,), request_id="r1")

    assert (str(error), error.violations, error.request_id) == ("no", (violation,), "r1")


def test_an_outage_says_when_to_come_back():
    """The wait of the failing service is passed on."""
    error = Unavailable("later", retry_after_seconds=90)

    assert error.retry_after_seconds == 90


def test_a_refusal_keeps_azures_code_for_decisions_and_out_of_its_message():
    """Azure's words stay in the log; its code may be decided upon."""
    error = Refused("Azure refused it", code="PolicyNotFound", azure_status=404)

    assert (str(error), error.code, error.azure_status) == (
        "Azure refused it",
        "PolicyNotFound",
        404,
    )


def test_malformed_text_is_a_value_error_with_a_code():
    """It stands outside the tree: there is no request yet to reject."""
    fault = Malformed("vm-id-malformed", "a VM id reads so and so")

    assert isinstance(fault, ValueError)
    assert not isinstance(fault, BrokerError)
    assert (fault.code, str(fault)) == ("vm-id-malformed", "a VM id reads so and so")


def test_no_slug_is_said_by_two_families():
    """A program that reads the problem's type must know whether to wait."""
    said = {(kind.slug, kind.status) for kind in TREE}

    assert len(said) == len({slug for slug, _ in said})
