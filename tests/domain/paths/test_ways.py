"""The addresses by which a grant may let people in."""

import pytest

from jit.domain.model.machine import Via
from jit.domain.paths.ways import list_ways
from tests.builders.machines import a_configured_vm, a_nic

FIRST = a_nic(private_ip="10.1.0.4", public_ip=None, public_ip_id=None)
SECOND = a_nic("second", private_ip="10.1.0.5", primary=False)
LATER = a_nic("later", private_ip="10.1.0.6", public_ip=None, primary=False)
V6 = a_nic("v6", private_ip="fd00::4", primary=False)
BARE = a_nic("bare", private_ip="", primary=False)


@pytest.mark.parametrize(
    ("via", "version", "ways"),
    [
        (Via.FIREWALL, 4, [FIRST]),
        (Via.FIREWALL, 6, []),
        (Via.PUBLIC_IP, 4, [SECOND, LATER]),
        (Via.PUBLIC_IP, 6, [V6]),
        (Via.PRIVATE, 4, [FIRST, SECOND, LATER]),
        (Via.PRIVATE, 6, [V6]),
    ],
)
def test_a_grant_comes_by_the_addresses_that_its_kind_of_way_leads_to(via, version, ways):
    """A public address that Azure assigns when the VM starts counts; no address does not."""
    vm = a_configured_vm(via=via, interfaces=(V6, BARE, LATER, SECOND, FIRST))

    assert sorted(nic.id for nic in list_ways(vm, version)) == sorted(nic.id for nic in ways)
