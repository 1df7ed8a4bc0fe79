"""The Bastion of several grants is written once."""

import pytest

from jit.storage.networks.bastion_documents import (
    BASTION,
    add_repeated_bastion,
    drop_repeated_bastion,
)
from tests.builders.bastions import a_bastion

ONE, OTHER = BASTION.write(a_bastion()), BASTION.write(a_bastion("10.1.3.0/26"))


@pytest.mark.parametrize(
    ("bastions", "written"),
    [
        ([ONE, ONE, ONE], [ONE, True, True]),
        ([ONE, OTHER, None], [ONE, OTHER, None]),
        ([None, ONE], [None, ONE]),
        ([None, None], [None, None]),
        ([ONE], [ONE]),
        ([], []),
    ],
)
def test_a_bastion_that_the_first_grant_has_is_written_once(bastions, written):
    """And each grant has it again when it is read."""
    shared = drop_repeated_bastion([{"bastion": each} for each in bastions])

    assert [each["bastion"] for each in shared] == written
    assert [each["bastion"] for each in add_repeated_bastion(shared)] == bastions


def test_a_document_of_an_older_version_has_no_bastion():
    """Its column is not there."""
    assert add_repeated_bastion([{"id": "g1"}]) == [{"id": "g1"}]
