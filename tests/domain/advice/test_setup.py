"""Warnings about the set-up: Defender's plan, the JIT policy's place and name, the firewall."""

import pytest

from jit.domain.advice.setup import find_firewall_warnings, find_plan_warnings, find_policy_warnings
from jit.domain.model.machine import PolicyFault
from tests.builders.machines import a_configured_vm
from tests.builders.values import GROUP

PLACE = f"{GROUP}/providers/Microsoft.Security/locations"


def plan_codes(plan):
    return [warning.code for warning in find_plan_warnings(plan)]


@pytest.mark.parametrize("tier", ["Standard", "standard"])
@pytest.mark.parametrize("sub", [{}, {"subPlan": "P2"}, {"subPlan": "p2"}, {"subPlan": None}])
def test_the_full_plan_is_no_news(tier, sub):
    """Without a sub-plan it is the full one."""
    assert plan_codes({"properties": {"pricingTier": tier, **sub}}) == []


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ({"pricingTier": "Free"}, "is switched off"),
        ({"pricingTier": "Free", "subPlan": "P2"}, "is switched off"),
        ({"pricingTier": "Standard", "subPlan": "P1"}, "is Plan 1"),
        ({"pricingTier": "standard", "subPlan": "p1"}, "is Plan 1"),
    ],
)
def test_a_plan_without_just_in_time_access_gives_a_warning(body, why):
    """The warning names the plan, the needed plan, and the place to change it."""
    (warning,) = find_plan_warnings({"properties": body})

    assert warning.code == "plan-missing"
    assert f"Defender for Servers {why} on the subscription" in warning.detail
    assert "needs Plan 2; choose it in Defender for Cloud" in warning.detail


@pytest.mark.parametrize(
    "plan",
    [
        None,
        {},
        {"properties": None},
        {"properties": {"pricingTier": 2}},
        {"properties": {"subPlan": "P1"}},
        {"properties": {"pricingTier": "Standard", "subPlan": "P3"}},
    ],
)
def test_a_plan_that_is_not_known_is_not_judged(plan):
    """Doubt costs the warning, nothing else."""
    assert plan_codes(plan) == []


def policy_codes(vm):
    return [warning.code for warning in find_policy_warnings(vm)]


@pytest.mark.parametrize("location", ["westeurope", "West Europe", "WESTEUROPE"])
def test_a_policy_in_the_vms_region_is_no_news(location):
    """A region has two spellings."""
    assert policy_codes(a_configured_vm(location=location)) == []


def test_a_policy_in_another_region_gives_a_warning_with_both_regions():
    """The person must move the VM's entry."""
    (warning,) = find_policy_warnings(a_configured_vm(location="northeurope"))

    assert warning.code == "policy-location"
    assert "its JIT policy lies in westeurope, the VM in northeurope" in warning.detail


@pytest.mark.parametrize(("length", "found"), [(51, []), (52, ["names-too-long"])])
def test_names_of_more_than_56_characters_together_give_a_warning(length, found):
    """The VM is called web01: five characters."""
    policy = f"{PLACE}/westeurope/jitNetworkAccessPolicies/{'x' * length}"

    assert policy_codes(a_configured_vm(policy_id=policy)) == found


@pytest.mark.parametrize("policy", [None, "", "nonsense", f"{GROUP}/providers/Microsoft.Security"])
def test_a_policy_whose_id_cannot_be_read_is_not_judged(policy):
    """The comparison goes on."""
    assert policy_codes(a_configured_vm(policy_id=policy)) == []


def test_a_vm_without_a_location_is_not_judged():
    """An unknown region is no other region."""
    assert policy_codes(a_configured_vm(location="")) == []


def test_each_part_of_a_policy_that_is_not_understood_is_named():
    """With its port, if it has one."""
    faults = (
        PolicyFault(port=22, field="protocol", detail="'Any' is none of TCP, UDP and *"),
        PolicyFault(port=None, field="number", detail="'x' is no port number"),
    )

    found = list(find_policy_warnings(a_configured_vm(policy_faults=faults)))

    assert [warning.code for warning in found] == ["policy-not-understood"] * 2
    assert [warning.detail.partition(";")[0] for warning in found] == [
        "port 22: protocol of its JIT policy is not understood: 'Any' is none of TCP, UDP and *",
        "number of its JIT policy is not understood: 'x' is no port number",
    ]


@pytest.mark.parametrize("addresses", [(), ("52.137.62.53",)])
def test_a_firewall_with_one_public_ip_is_no_news(addresses):
    """Nobody can pick the wrong one."""
    assert list(find_firewall_warnings("fw", addresses, "")) == []


@pytest.mark.parametrize(
    ("used", "says"),
    [("52.137.62.54", "Defender uses 52.137.62.54:"), ("", "Defender uses one of them:")],
)
def test_a_firewall_with_several_public_ips_gives_a_warning_with_all(used, says):
    """And with the one in use, where Defender says so."""
    (warning,) = find_firewall_warnings("fw", ("52.137.62.53", "52.137.62.54"), used)

    assert warning.code == "firewall-addresses"
    assert f"the firewall fw has the public IPs 52.137.62.53, 52.137.62.54; {says}" in (
        warning.detail
    )
