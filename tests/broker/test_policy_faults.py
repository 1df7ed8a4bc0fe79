"""JIT policies of other tools: what is clear opens, and what is not is told to owner and caller."""

import json
from pathlib import Path
from typing import Any

import pytest

from jit.domain.errors import AccessDenied
from tests.broker.inprocess import ALICE, OLGA, policy_of, wish
from tests.local.azure.sim import APP01, DB, DB01, PRODUCTION, group, machine, policy

CASE = Path(__file__).parents[1] / "cases" / "policies-not-understood.json"
Q_TAG, Q_BITS, Q_TIME = (
    machine(name, group(where))
    for name, where in (("q-tag", "rg-q1"), ("q-bits", "rg-q2"), ("q-time", "rg-q4"))
)
PRIVATE = "10.1.2.3"


@pytest.fixture
def exported(it):
    """Three policies as they were exported: the tag Internet, host bits, a .NET time span."""
    it.edit(**json.loads(CASE.read_text())["resources"])
    it.run(PRODUCTION)
    return it


def warnings_of(it, vm):
    found, _ = it.broker.queries.list_machines(PRODUCTION, OLGA, now=it.broker.now)
    mine = (each for each, _ in found if each.id.lower() == vm.lower())
    return [
        warning.detail
        for each in mine
        for warning in each.warnings
        if warning.code == "policy-not-understood"
    ]


def refused(it, vm=DB01, **changes):
    """The pointers, codes and details of the refusal of a request for SSH."""
    with pytest.raises(AccessDenied) as error:
        it.broker.accept(wish(vm, **changes))
    return [(each.pointer, each.code, each.detail) for each in error.value.violations]


def write_port(it, **fields):
    """Change the rule for port 22 of db01 in its policy, as another tool writes it; compare."""
    body = it.broker.sim.get(policy_of(DB01))
    (entry,) = (
        each for each in body["properties"]["virtualMachines"] if each["id"].endswith("/db01")
    )
    port = next(each for each in entry["ports"] if each["number"] == 22)
    port.update(fields)
    for name in [name for name, value in fields.items() if value is None]:
        del port[name]
    it.edit(**{policy_of(DB01): body})
    it.run(PRODUCTION)


# ---- clear -------------------------------------------------------------------------------------


@pytest.mark.parametrize("vm", [Q_TAG, Q_BITS, Q_TIME], ids=["Internet", "host bits", "3:00:00"])
def test_what_is_clear_in_an_exported_policy_opens_and_gives_no_warning(exported, vm):
    """As it would after a request in the portal."""
    request_id = exported.broker.ask(wish(vm))
    exported.broker.live(5)

    assert exported.broker.status(request_id) == "open"
    assert exported.broker.reachable(vm)
    assert warnings_of(exported, vm) == []


@pytest.mark.parametrize(
    ("vm", "changes", "code"),
    [
        (Q_BITS, {"source": "203.0.112.9"}, "source-not-allowed"),
        (Q_TIME, {"duration": "PT3H1S"}, "duration-too-long"),
    ],
)
def test_what_is_clear_allows_no_more_than_it_says(exported, vm, changes, code):
    """The prefix without its host bits, three hours."""
    assert [found[1] for found in refused(exported, vm, **changes)] == [code]


@pytest.mark.parametrize(
    "fields",
    [
        {"protocol": "Tcp"},
        {"allowedSourceAddressPrefix": ["198.51.100.0/24", "203.0.113.0/24"]},
        {"allowedSourceAddressPrefix": "internet", "maxRequestAccessDuration": "0.03:00:00"},
    ],
    ids=["case", "a list in the singular field", "tag and time span"],
)
def test_other_clear_forms_open_too(it, fields):
    """Asked for with the protocol that the policy means."""
    write_port(it, **fields)
    body = wish(DB01)
    body["virtualMachines"][0]["ports"][0]["protocol"] = "TCP"

    request_id = it.broker.ask(body)
    it.broker.live(5)

    assert (it.broker.status(request_id), warnings_of(it, DB01)) == ("open", [])


# ---- not understood ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "pointer", "field"),
    [
        ({"protocol": "Any"}, "#/virtualMachines/0/ports/0/number", "protocol"),
        (
            {"maxRequestAccessDuration": "3 hours"},
            "#/virtualMachines/0/ports/0/number",
            "maxRequestAccessDuration",
        ),
        (
            {"allowedSourceAddressPrefix": "AzureCloud"},
            "#/sources/0",
            "allowedSourceAddressPrefix",
        ),
        (
            {
                "allowedSourceAddressPrefix": None,
                "allowedSourceAddressPrefixes": ["198.51.100.0/24", "office"],
            },
            "#/sources/0",
            "allowedSourceAddressPrefixes",
        ),
        (
            {
                "allowedSourceAddressPrefix": "*",
                "allowedSourceAddressPrefixes": ["203.0.113.0/24"],
            },
            "#/sources/0",
            "allowedSourceAddressPrefixes",
        ),
        ({"number": "22"}, "#/virtualMachines/0/ports/0/number", "number"),
    ],
)
def test_a_field_that_is_not_understood_is_a_warning_and_the_reason_of_the_refusal(
    it, fields: dict[str, Any], pointer, field
):
    """Both name the field, so that somebody can correct it; other ports are as they are."""
    write_port(it, **fields)

    ((place, code, detail),) = refused(it)

    (warning,) = warnings_of(it, DB01)
    assert (place, code) == (pointer, "policy-not-understood")
    assert f"its JIT policy is not understood: {field}: " in detail
    assert f"{field} of its JIT policy is not understood: " in warning
    assert it.broker.preview(wish(DB01, 3389)).allowed


def test_a_source_that_is_understood_is_allowed_beside_one_that_is_not(it):
    """Each source of a list stands for itself."""
    write_port(it, allowedSourceAddressPrefix=["203.0.113.0/24", "office"])

    assert it.broker.preview(wish(DB01)).allowed
    assert len(warnings_of(it, DB01)) == 1


def test_a_vm_in_two_policies_is_told_so(it):
    """Nobody knows which one Defender follows; the warning names both."""
    body = it.broker.sim.get(policy_of(DB01))
    second = policy(DB, "second")
    it.edit(**{second: {**body, "id": second, "name": "second"}})
    it.run(PRODUCTION)

    ((pointer, code, detail),) = refused(it)

    assert (pointer, code) == ("#/virtualMachines/0/id", "policy-not-understood")
    assert f"virtualMachines: the VM is in {policy_of(DB01)} and {second}" in detail
    assert len(warnings_of(it, DB01)) == len(warnings_of(it, APP01)) == 1


SECOND = policy(DB, "second")


def put_into_second_policy(it):
    """Another tool puts the VMs of the policy into a second one; a comparison sees it."""
    it.edit(**{SECOND: {**it.broker.sim.get(policy_of(DB01)), "id": SECOND, "name": "second"}})
    it.run(PRODUCTION)


def test_a_grant_waits_while_its_vm_is_in_two_policies_and_opens_afterwards(it):
    """It was accepted before. Its worker reads one policy only, and the inventory knows of two."""
    it.run(PRODUCTION)
    request_id = it.broker.accept(wish(DB01), ALICE).request.id
    put_into_second_policy(it)
    it.broker.live(5)

    grant, refusals = it.broker.grant(request_id), refused(it, source="203.0.113.99")
    assert (grant.status, it.broker.reachable(DB01)) == ("pending", False)
    assert f"the VM is in {policy_of(DB01)} and {SECOND}" in (grant.note or "")
    assert [code for _, code, _ in refusals] == ["policy-not-understood"]

    it.edit(**{SECOND: None})
    it.run_twice(PRODUCTION)
    it.broker.live(5)

    assert it.broker.status(request_id) == "open"


def test_a_policy_with_the_vm_twice_that_was_corrected_lets_no_grant_wait(it):
    """Its worker reads the whole policy: nothing is hidden from it, whatever was seen before."""
    it.run(PRODUCTION)
    request_id = it.broker.accept(wish(DB01), ALICE).request.id
    good = it.broker.sim.get(policy_of(DB01))
    inner = good["properties"]
    entries = [vm for vm in inner["virtualMachines"] if vm["id"].endswith("/db01")]
    twice = {**inner, "virtualMachines": [*inner["virtualMachines"], *entries]}
    it.edit(**{policy_of(DB01): {**good, "properties": twice}})
    it.run(PRODUCTION)
    assert "twice" in it.broker.inventory.find_machine(DB01).policy_faults[0].detail
    it.edit(**{policy_of(DB01): good})

    it.broker.live(5)

    assert it.broker.status(request_id) == "open"


def test_a_grant_whose_vm_stays_in_two_policies_fails_in_time_with_the_reason(it):
    """Nothing was asked of Azure for it."""
    request_id = it.broker.accept(wish(DB01), ALICE).request.id
    put_into_second_policy(it)
    it.broker.live(61)

    grant = it.broker.grant(request_id)
    assert (grant.status, grant.close_reason, grant.initiate.ids) == ("closed", "failed", ())
    assert "its JIT policy is not understood: the VM is in" in (grant.note or "")


def test_an_open_path_stays_until_its_end_if_its_vm_comes_into_a_second_policy(it):
    """Its end is durable, and nobody asked to shorten it; it is no wider than before."""
    request_id = it.opened(DB01)
    put_into_second_policy(it)
    it.broker.live(5)

    assert (it.broker.status(request_id), it.broker.reachable(DB01)) == ("open", True)

    it.broker.live(65)

    assert (it.broker.status(request_id), it.broker.reachable(DB01)) == ("closed", False)


def test_a_policy_that_became_unclear_denies_at_opening(it):
    """A scheduled grant is decided again; its refusal names the policy too."""
    later = (it.broker.now.replace(microsecond=0)).isoformat()
    request_id = it.broker.accept(wish(DB01, startTime=later), ALICE).request.id
    write_port(it, maxRequestAccessDuration="three hours")
    it.broker.live(5)

    grant = it.broker.grant(request_id)
    assert (grant.status.value, grant.close_reason) == ("closed", "denied")
    assert "its JIT policy is not understood: maxRequestAccessDuration" in (grant.note or "")


# ---- machines that are not Azure's ---------------------------------------------------------------

ELSEWHERE = [
    f"{DB}/providers/Microsoft.HybridCompute/machines/arc01",
    f"{DB}/providers/Microsoft.ClassicCompute/virtualMachines/old01",
    f"{DB}/providers/Microsoft.Security/securityConnectors/aws/providers/ec2/i-0abc",
    "arn:aws:ec2:eu-west-1:123456789012:instance/i-0abc",
    "",
]


@pytest.mark.parametrize("foreign", ELSEWHERE)
def test_a_machine_of_another_cloud_in_a_policy_is_skipped(it, foreign):
    """The other VMs of the policy are served, and a comparison sees no difference."""
    body = it.broker.sim.get(policy_of(DB01))
    entry = body["properties"]["virtualMachines"][0]
    request = {
        "startTimeUtc": "2026-11-22T10:00:00Z",
        "requestor": "petra",
        "virtualMachines": [
            {
                "id": foreign,
                "ports": [
                    {
                        "number": 22,
                        "allowedSourceAddressPrefix": "198.51.100.4",
                        "endTimeUtc": "2027-11-22T10:00:00Z",
                        "status": "Initiated",
                        "statusReason": "UserRequested",
                    }
                ],
            }
        ],
    }
    body["properties"]["virtualMachines"].insert(0, {**entry, "id": foreign})
    body["properties"]["requests"].append(request)
    it.edit(**{policy_of(DB01): body})
    it.run(PRODUCTION)
    planned = it.planned(PRODUCTION)

    request_id = it.broker.ask(wish(DB01))
    it.broker.live(5)

    assert (planned, it.broker.status(request_id), warnings_of(it, DB01)) == ([], "open", [])
