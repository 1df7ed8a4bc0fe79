"""The body for Defender has exactly the sources that were granted."""

from datetime import timedelta
from ipaddress import ip_network
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from jit.domain.azure.initiate_body import PortToOpen, build_initiate_body
from tests.builders.values import NOW, vm_id

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

    body: Any = build_initiate_body([ask], "why")

    (port,) = body["virtualMachines"][0]["ports"]
    one, many = port.get("allowedSourceAddressPrefix"), port.get("allowedSourceAddressPrefixes")
    assert [ip_network(text) for text in (many or [one])] == sources
    assert (one is None) is (len(sources) > 1)
