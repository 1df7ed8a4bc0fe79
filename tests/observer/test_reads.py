"""Reads of Azure resources: in parallel, many of one kind as a list; a failure spares others."""

import pytest

from jit.observer.reads import Read, Reader
from tests.fakes.azure import SimulatedAzure
from tests.local.azure.sim import DEVELOPMENT, Sim, group, machine, network

FARM = group("rg-farm-1", DEVELOPMENT)
VMS = [machine(f"farm{number:02d}", FARM) for number in range(1, 11)]
NICS = [network("networkInterfaces", f"farm{number:02d}-nic", FARM) for number in range(1, 11)]
NSG = network("networkSecurityGroups", "nsg-farm-1", FARM)


@pytest.fixture
def azure():
    """The simulated Azure, untouched."""
    return SimulatedAzure(Sim())


@pytest.fixture
def reader(azure):
    """A reader of it."""
    return Reader(azure.arm, lambda: azure.network)


def _denied(azure, kind):
    answer = {"status": 429, "code": "TooManyRequests", "headers": {"Retry-After": "17"}}
    fault = {"match": {"method": "GET", "path": kind}, "times": 1, "answer": answer}
    azure.sim.control("POST", "faults", {"faults": [fault]})


def test_many_of_one_kind_in_one_group_cost_one_call(azure, reader):
    """A pass that decides about a hundred VMs must not use up the quota of reads."""
    read = Read()

    reader.read_all([*VMS, *NICS], read)

    assert azure.calls.names == ["arm.list", "arm.list"]
    assert sorted(read.found["machines"]) == sorted(item.lower() for item in VMS)
    assert sorted(read.found["interfaces"]) == sorted(item.lower() for item in NICS)


def test_few_are_read_one_by_one(azure, reader):
    """A list of a big group for the sake of one VM would cost more than it saves."""
    read = Read()

    reader.read_all([*VMS[:3], NSG], read)

    assert sorted(azure.calls.names) == ["arm.get", "arm.get", "arm.get", "network.get_nsg"]
    assert len(read.list_resources("machines")) == 3
    assert len(read.list_resources("nsgs")) == 1


def test_a_list_keeps_only_the_wanted_resources(reader):
    """Other people's VMs of the group are not looked at."""
    read = Read()

    reader.read_all(VMS[:5], read)

    assert sorted(read.found["machines"]) == sorted(item.lower() for item in VMS[:5])


def test_ids_in_another_case_are_found_in_the_list(reader):
    """ARM ids are case-insensitive, and Azure itself mixes cases."""
    read = Read()

    reader.read_all([item.upper() for item in VMS], read)

    assert len(read.list_resources("machines")) == 10
    assert read.failed == {}


def test_a_resource_that_its_list_lacks_is_read_alone(azure, reader):
    """A list may lag behind; only Azure's own 404 says that there is none."""
    read = Read()

    reader.read_all([*VMS, machine("nobody", FARM)], read)

    assert azure.calls.names == ["arm.list", "arm.get"]
    assert read.gone == {machine("nobody", FARM).lower()}


def test_a_list_that_fails_leaves_a_reason_for_each_and_spares_the_others(azure, reader):
    """A resource that could not be read is unknown; it does not count as absent."""
    _denied(azure, "networkInterfaces")
    read = Read()

    reader.read_all([*VMS, *NICS], read)

    assert read.failed == {
        item.lower(): f"{item.rsplit('/', 1)[1]} could not be read" for item in NICS
    }
    assert read.gone == set()
    assert len(read.list_resources("machines")) == 10


def test_a_forbidden_list_is_read_one_by_one(azure, reader):
    """A role may cover single resources; each other resource gets its own reason."""
    denied = ["Microsoft.Network/networkInterfaces/read"]
    azure.sim.control("PUT", "state", {"deniedActions": denied})
    read = Read()

    reader.read_all(NICS[:4], read)

    assert azure.calls.names == ["arm.list", *["arm.get"] * 4]
    assert all("may not read farm" in why for why in read.failed.values())
