"""Names of JIT policies: the default policy."""

from jit.domain.policy_setup import naming
from tests.builders.machines import a_vm


def test_a_vm_without_a_policy_belongs_in_default_of_its_group_and_location():
    """Defender looks for a VM's policy nowhere else."""
    vm = a_vm("web01", location="West Europe")

    assert naming.build_default_id(vm) == (
        "/subscriptions/5c0ffee0-0000-4000-8000-000000000001/resourceGroups/rg-web/providers"
        "/Microsoft.Security/locations/westeurope/jitNetworkAccessPolicies/default"
    )
