"""Rows of virtual machines: a VM is read back as it was written."""

from ipaddress import ip_network

from hypothesis import given
from hypothesis import strategies as st

from jit.domain.model.machine import (
    Interface,
    MachineWarning,
    Obstacle,
    Occupation,
    Origin,
    OtherAccess,
    PolicyFault,
    PortRule,
    Support,
    Via,
    VirtualMachine,
)
from jit.storage import keys, machine_rows
from tests.builders.machines import a_vm
from tests.builders.values import SUBSCRIPTION, vm_id
from tests.storage.strategies import instants, lists, ports, spans, texts

partial_obstacles = st.builds(
    Obstacle,
    port=ports,
    code=texts,
    detail=texts,
    sources=st.just((ip_network("198.51.100.0/24"), ip_network("2a02::/32"))),
    until=st.none() | instants,
)
machines = st.builds(
    VirtualMachine,
    id=texts.map(lambda text: f"/{text}"),
    name=texts,
    location=texts,
    support=st.sampled_from(Support),
    reasons=lists,
    via=st.sampled_from(Via),
    policy_id=st.none() | texts,
    ports=st.lists(
        st.builds(
            PortRule, number=ports, protocol=texts, allowed_sources=lists, max_duration=spans
        ),
        max_size=2,
    ).map(tuple),
    interfaces=st.lists(
        st.builds(
            Interface,
            id=texts,
            private_ip=texts,
            subnet_id=texts,
            nsg_ids=lists,
            public_ip=st.none() | texts,
            public_ip_id=st.none() | texts,
            primary=st.booleans(),
            group_ids=st.none() | lists,
        ),
        max_size=2,
    ).map(tuple),
    policy_faults=st.lists(
        st.builds(PolicyFault, port=st.none() | ports, field=texts, detail=texts), max_size=2
    ).map(tuple),
    firewall_id=st.none() | texts,
    firewall_sources=lists,
    vnet_prefixes=lists,
    occupations=st.lists(
        st.builds(
            Occupation,
            port=ports,
            sources=lists,
            ends_at=instants,
            requestor=st.none() | st.text(min_size=1, max_size=5),
        ),
        max_size=2,
    ).map(tuple),
    others=st.none()
    | st.lists(
        st.builds(
            OtherAccess,
            port=ports,
            sources=lists,
            until=st.none() | instants,
            requestor=st.none() | texts,
            origin=st.sampled_from(Origin),
        ),
        max_size=2,
    ).map(tuple),
    warnings=st.lists(st.builds(MachineWarning, code=texts, detail=texts), max_size=2).map(tuple),
    obstacles=st.builds(
        lambda whole, partial: (*whole, *partial),
        st.lists(st.builds(Obstacle, port=ports, code=texts, detail=texts), max_size=2),
        st.lists(partial_obstacles, max_size=2),
    ),
)


@given(machines)
def test_a_machine_is_read_as_it_was_written(machine):
    """The inventory decides about new requests."""
    row = machine_rows.write_machine_row(machine, SUBSCRIPTION)

    assert machine_rows.read_machine(row) == machine


def test_an_older_version_reads_no_obstacle_that_stops_some_sources_only():
    """It would refuse every source."""
    partial = Obstacle(port=22, code="x", detail="y", sources=(ip_network("198.51.100.0/24"),))
    whole = Obstacle(port=22, code="x", detail="y")

    document = machine_rows.build_document(a_vm(obstacles=(partial, whole)))

    assert document["obstacles"] == [[22, "x", "y"]]


def test_a_machines_row_is_written_over_the_version_that_was_read():
    """The inventory too names the ETag it saw."""
    machine = VirtualMachine(
        id=vm_id(), name="web01", location="westeurope", support=Support.CONFIGURED
    )

    row = machine_rows.write_machine_row(machine, SUBSCRIPTION, etag="seen")

    assert (row.partition, row.key, row.etag) == (SUBSCRIPTION, keys.machine_key(vm_id()), "seen")
