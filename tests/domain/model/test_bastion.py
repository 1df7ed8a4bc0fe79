"""Bastions: their names, and when two readings are one Bastion."""

from ipaddress import ip_network

import pytest

from tests.builders.bastions import a_bastion
from tests.builders.values import BASTION_ID, BASTION_NET


def test_the_sources_of_a_bastion_are_the_prefixes_of_its_subnet():
    """Its name is the last part of its id."""
    bastion = a_bastion(BASTION_NET, "10.1.3.0/26")

    assert bastion.name == "bas-prod"
    assert bastion.sources == (ip_network(BASTION_NET), ip_network("10.1.3.0/26"))


@pytest.mark.parametrize(
    ("other", "same"),
    [
        (a_bastion(), True),
        (a_bastion(id=BASTION_ID.upper(), native=False), True),
        (a_bastion("10.1.3.0/26"), False),
        (a_bastion(prefixes=()), False),
        (a_bastion(id=f"{BASTION_ID}2"), False),
    ],
)
def test_a_bastion_is_the_same_if_its_id_and_its_sources_are(other, same):
    """The case of an id does not matter."""
    assert a_bastion().is_same(other) is same
