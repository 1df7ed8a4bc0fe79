"""What is sent to Azure, and what is read once more before anything is removed."""

from datetime import timedelta
from ipaddress import ip_network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jit.broker.azure_changes import Actions
from jit.domain.grants.initiate import PortToOpen, initiate_body
from jit.domain.paths import rules
from tests.broker.inprocess import HERE, THERE, InProcess, policy_of
from tests.builders.bodies import NOW, vm_id
from tests.local.azure.sim import DB01

SOURCES = st.lists(
    st.one_of(
        st.ip_addresses(v=4).map(ip_network),
        st.ip_addresses(v=4).map(lambda item: ip_network(f"{item}/28", strict=False)),
        st.ip_addresses(v=6).map(ip_network),
    ),
    min_size=1,
    max_size=10,
    unique=True,
)


@given(SOURCES)
def test_an_initiate_names_the_sources_and_no_others(sources):
    """Never none, never one that holds them all: one as it is, several as a list."""
    ask = PortToOpen(vm_id=vm_id(), port=22, sources=tuple(sources), until=NOW + timedelta(hours=1))

    body: Any = initiate_body([ask], "why")

    (port,) = body["virtualMachines"][0]["ports"]
    one, many = port.get("allowedSourceAddressPrefix"), port.get("allowedSourceAddressPrefixes")
    assert [ip_network(text) for text in (many or [one])] == sources
    assert (one is None) is (len(sources) > 1)


@pytest.fixture
def broker():
    """A broker, its storage, its Azure."""
    return InProcess()


@pytest.mark.parametrize(
    ("sources", "listed", "kept"),
    [([HERE], True, []), ([THERE], True, [DB01]), ([HERE, THERE], False, [])],
    ids=["for it", "for another", "for we know not whom"],
)
def test_a_rule_that_a_request_made_meanwhile_may_rest_on_is_not_removed(
    broker, sources, listed, kept
):
    """Somebody used the portal between the look and the removal."""
    broker.sim.options(echoPrefixLists=listed)
    actions = Actions(lambda: broker.azure.policies, lambda: broker.azure.network, broker.locks)
    rule = rules.PathRule(
        id=f"{DB01}/rule",
        holder_id=DB01,
        name="rule",
        collection=None,
        sources=(HERE,),
        target="10.1.2.4",
        exact=True,
        vm_id=DB01,
        port=22,
    )
    broker.sim.initiate(DB01, 22, sources if len(sources) > 1 else sources[0], 60, as_="petra")

    found = actions.still_removable(policy_of(DB01), [rule], frozenset(), broker.now)

    assert [each.vm_id for each in found] == kept
