"""A draft becomes an access request only if its body has no fault."""

from dataclasses import replace

import pytest

from jit.domain.errors import Violation
from tests.builders.bodies import a_draft


def test_a_draft_without_faults_is_a_request():
    """The same values; an absent ticket stays absent."""
    draft = a_draft()

    assert draft.request is not None
    assert (draft.request.machines, draft.request.sources, draft.request.ticket) == (
        draft.machines,
        draft.sources,
        None,
    )


@pytest.mark.parametrize(
    "change",
    [
        {"violations": (Violation("#/surprise", "unknown-field", "unknown"),)},
        {"duration": None},
        {"justification": None},
    ],
)
def test_a_draft_with_a_fault_is_no_request(change):
    """Half a body opens nothing."""
    assert replace(a_draft(), **change).request is None
