"""Readings of security admin rules: what was read, or why it was not."""

import pytest

from jit.observer.admin_readings import ACTION, read_admin_rules
from tests.builders.admin_rules import arm_admin
from tests.fakes.azure import SimulatedAzure
from tests.local.azure.sim import WEB, Sim, network

VNET = network("virtualNetworks", "vnet-prod", WEB)


@pytest.fixture
def azure():
    """The simulated Azure, untouched."""
    return SimulatedAzure(Sim())


def read(azure, network_id=VNET):
    return read_admin_rules(azure.network, network_id, now=azure.sim.now)


def test_a_network_without_a_manager_has_no_rules(azure):
    """That is known, and not a doubt."""
    found = read(azure)

    assert (found.items, found.unread, found.forbidden) == ((), "", False)
    assert (found.network_id, found.read_at) == (VNET, azure.sim.now)


def test_inbound_rules_are_kept(azure):
    """The others decide nothing about a VM."""
    rules = [arm_admin(), arm_admin(direction="Outbound", number=11)]
    azure.sim.control("PUT", "state", {"adminRules": {VNET: rules}})

    (item,) = read(azure).items
    assert item["id"] == rules[0]["id"]


def test_without_the_permission_a_reading_says_what_to_do(azure):
    """One sentence with the action and the setting."""
    azure.sim.control("PUT", "state", {"deniedActions": [ACTION]})

    found = read(azure)

    assert found.forbidden
    assert found.unread == (
        "the broker may not read the security admin rules of vnet-prod: grant the broker "
        f"{ACTION}, or set JIT_NETWORK_MANAGER=none if no network manager is in use"
    )


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ({"status": 503}, "could not be read"),
        ({"status": 400, "code": "BadRequest"}, "could not be read"),
        ({"status": 404, "code": "ResourceNotFound"}, "was not found"),
    ],
)
def test_a_reading_that_failed_is_no_permission_that_is_missing(azure, answer, why):
    """Waiting may mend it."""
    azure.sim.faults({"match": {"path": "listNetworkManager"}, "answer": answer})

    found = read(azure)

    assert (why in found.unread, found.forbidden, found.items) == (True, False, ())
