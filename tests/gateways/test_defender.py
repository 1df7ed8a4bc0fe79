"""Defender's JIT policies through the real client, in process and over HTTP."""

from datetime import timedelta

import pytest

from jit.domain.errors import Gone, PermissionLost, Refused, Unavailable, Unknown
from jit.domain.values.times import format_instant
from tests.gateways.faults import REFUSALS, REFUSALS_OF_READS, answer, body, drop
from tests.local.azure.sim import APP01, DB, DB01, NSG_DB, WEB, policy

DEFAULT = policy(DB)
LOST = [drop("before"), drop("after"), answer(500), body("<html>", 200), body({}, 203)]
LOST_IDS = ["before", "after", "500", "200-text", "203"]


def an_initiate(sim, *sources, vm_id=DB01, port=22):
    """The body of an initiate: one source alone, several as a list."""
    where = (
        {"allowedSourceAddressPrefix": sources[0]}
        if len(sources) == 1
        else {"allowedSourceAddressPrefixes": list(sources)}
    )
    end = format_instant(sim.now + timedelta(hours=1))
    ports = [{"number": port, "endTimeUtc": end, **where}]
    return {"virtualMachines": [{"id": vm_id, "ports": ports}], "justification": "a test"}


def without_requests(found):
    return {**found, "properties": {**found["properties"], "requests": []}}


# ---- reading -------------------------------------------------------------------------------------


def test_a_policy_comes_as_azure_wrote_it(azure, sim):
    """Raw JSON: members that the SDK's models drop or cannot hold pass through."""
    found = sim.get(DEFAULT)
    odd = {"startTimeUtc": "the day before", "virtualMachines": [{"ports": [{"number": "22x"}]}]}
    found["properties"]["requests"] = [odd, {"newField": 1}]
    found["properties"]["virtualMachines"].append("text")
    sim.faults(body({**found, "newField": {"of": ["the", "future"]}}))

    assert azure.policies.get(DEFAULT) == {**found, "newField": {"of": ["the", "future"]}}


def test_a_policy_is_found_however_its_id_is_spelled(azure):
    """ARM ids vary in case from one Azure API to the next."""
    assert azure.policies.get(DEFAULT.upper())["name"] == "default"


def test_a_policy_that_does_not_exist_is_gone(azure):
    """404 means gone."""
    with pytest.raises(Gone) as error:
        azure.policies.get(policy(DB, name="other"))

    assert error.value.code == "PolicyNotFound"


@pytest.mark.parametrize(("status", "code", "kind"), REFUSALS_OF_READS)
def test_each_refusal_of_a_read_is_its_own_error(azure, sim, status, code, kind):
    """The next step depends on them."""
    sim.faults(answer(status, code))
    with pytest.raises(kind) as error:
        azure.policies.get(DEFAULT)

    assert type(error.value) is kind


@pytest.mark.parametrize(
    "fault", [drop("before"), drop("after"), body("<html>"), body([]), body({"status": "ok"})]
)
def test_a_read_without_an_answer_is_an_outage(azure, sim, fault):
    """Nothing was changed: the caller may simply repeat."""
    sim.faults(fault)
    with pytest.raises(Unavailable) as error:
        azure.policies.get(DEFAULT)

    assert type(error.value) is Unavailable


# ---- initiate ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sources", "written"),
    [
        (["203.0.113.7"], {"allowedSourceAddressPrefix": "203.0.113.7"}),
        (
            ["203.0.113.7", "203.0.113.8"],
            {"allowedSourceAddressPrefixes": ["203.0.113.7", "203.0.113.8"]},
        ),
    ],
)
def test_an_initiate_opens_for_one_source_or_for_several(azure, sim, sources, written):
    """The SDK's model lacks the list of sources."""
    azure.policies.initiate(DEFAULT, an_initiate(sim, *sources))
    sim.advance("PT5M")

    assert [entry.items() >= written.items() for entry in sim.entries(DB)] == [True]
    assert len(sim.allows(NSG_DB)) >= 1


def test_an_initiate_carries_the_justification(azure, sim):
    """Defender's own record names the requester and the reason."""
    azure.policies.initiate(DEFAULT, an_initiate(sim, "203.0.113.7"))
    (entry,) = azure.policies.get(DEFAULT)["properties"]["requests"]

    assert entry["justification"] == "a test"


def test_a_list_that_azure_does_not_take_is_refused(azure, sim):
    """Then the newcomer fails; nothing wider is asked for."""
    sim.options(acceptPrefixLists=False)
    with pytest.raises(Refused) as error:
        azure.policies.initiate(DEFAULT, an_initiate(sim, "203.0.113.7", "203.0.113.8"))

    assert (error.value.code, error.value.azure_status) == ("InvalidInitiateInput", 400)
    assert sim.entries(DB) == []


def test_an_initiate_outside_the_policy_is_refused(azure, sim):
    """A port that the policy does not name."""
    with pytest.raises(Refused):
        azure.policies.initiate(DEFAULT, an_initiate(sim, "203.0.113.7", port=23))

    assert sim.entries(DB) == []


def test_an_initiate_under_a_policy_that_does_not_exist_is_gone(azure, sim):
    """Somebody deleted the policy meanwhile."""
    with pytest.raises(Gone):
        azure.policies.initiate(policy(DB, name="other"), an_initiate(sim, "203.0.113.7"))


def test_an_initiate_without_the_right_is_its_own_error(azure, sim):
    """The broker's role lost an action."""
    action = "Microsoft.Security/locations/jitNetworkAccessPolicies/initiate/action"
    sim.control("PUT", "state", {"deniedActions": [action]})

    with pytest.raises(PermissionLost):
        azure.policies.initiate(DEFAULT, an_initiate(sim, "203.0.113.7"))


@pytest.mark.parametrize(("status", "code", "kind"), REFUSALS)
def test_each_refusal_of_an_initiate_is_its_own_error(azure, sim, status, code, kind):
    """A refusal opened nothing; a failure may have."""
    sim.faults(answer(status, code))
    with pytest.raises(kind) as error:
        azure.policies.initiate(DEFAULT, an_initiate(sim, "203.0.113.7"))

    assert type(error.value) is kind


@pytest.mark.parametrize("fault", LOST, ids=LOST_IDS)
def test_an_initiate_without_an_answer_may_have_happened(azure, sim, fault):
    """Only 202 is a yes, only 4xx is a no."""
    sim.faults(fault)

    with pytest.raises(Unknown):
        azure.policies.initiate(DEFAULT, an_initiate(sim, "203.0.113.7"))


@pytest.mark.parametrize(("when", "entries"), [("before", 0), ("after", 1)])
def test_a_broken_connection_leaves_both_possible(azure, sim, when, entries):
    """The same error, and two truths behind it: hence reading, never guessing."""
    sim.faults(drop(when))
    with pytest.raises(Unknown):
        azure.policies.initiate(DEFAULT, an_initiate(sim, "203.0.113.7"))

    assert len(sim.entries(DB)) == entries


def test_a_202_that_says_nothing_readable_is_a_yes(azure, sim):
    """The status is all that counts."""
    sim.faults(body({"startTimeUtc": "the day before", "virtualMachines": "none"}, 202))
    azure.policies.initiate(DEFAULT, an_initiate(sim, "203.0.113.7"))

    assert sim.control("GET", "log")[-1]["status"] == 202


def test_one_call_is_one_initiate(azure, sim):
    """A failed POST is never repeated behind the broker's back."""
    sim.faults({**answer(500), "times": 9})
    with pytest.raises(Unknown):
        azure.policies.initiate(DEFAULT, an_initiate(sim, "203.0.113.7"))

    assert [entry["method"] for entry in sim.control("GET", "log")] == ["POST"]


# ---- replace and delete --------------------------------------------------------------------------


def test_a_policy_is_replaced_as_a_whole(azure, sim):
    """The VMs that the body leaves out are gone, and the answer is the policy."""
    found = sim.get(DEFAULT)
    entries = [e for e in found["properties"]["virtualMachines"] if e["id"].endswith("app01")]
    only_app = {"kind": "Basic", "properties": {"virtualMachines": entries}}
    answered = azure.policies.replace(DEFAULT, only_app)

    assert answered == sim.get(DEFAULT)
    assert answered["properties"]["virtualMachines"] == entries


def test_a_policy_that_was_read_can_be_written_back(azure, sim):
    """Unknown fields go out as they came in."""
    found = azure.policies.get(DEFAULT)
    azure.policies.replace(DEFAULT, {**found, "newField": 1})
    sent = next(e for e in sim.control("GET", "log") if e["method"] == "PUT")["requestBody"]

    assert sent == {**found, "newField": 1}
    assert sim.get(DEFAULT) == found


@pytest.mark.parametrize(("status", "code", "kind"), REFUSALS)
def test_each_refusal_of_a_replacement_is_its_own_error(azure, sim, status, code, kind):
    """The next step depends on them."""
    sim.faults(answer(status, code))
    with pytest.raises(kind) as error:
        azure.policies.replace(DEFAULT, {"properties": {"virtualMachines": []}})

    assert type(error.value) is kind


@pytest.mark.parametrize("fault", LOST, ids=LOST_IDS)
def test_a_replacement_without_an_answer_may_have_happened(azure, sim, fault):
    """The caller does not know the outcome, and reads."""
    found = sim.get(DEFAULT)
    sim.faults(fault)

    with pytest.raises(Unknown):
        azure.policies.replace(DEFAULT, found)


def test_deleting_twice_is_deleting_once(azure, sim):
    """Deleting nothing is fine."""
    azure.policies.delete(DEFAULT)
    azure.policies.delete(DEFAULT)

    assert sim.call("GET", DEFAULT).status == 404


def test_a_policy_of_a_group_that_is_gone_is_deleted(azure):
    """404 is as good as 204."""
    azure.policies.delete(DEFAULT.replace("rg-db", "rg-gone"))

    with pytest.raises(Gone):
        azure.policies.get(DEFAULT.replace("rg-db", "rg-gone"))


@pytest.mark.parametrize("fault", [drop("before"), drop("after"), answer(500)])
def test_a_delete_without_an_answer_may_have_happened(azure, sim, fault):
    """The caller does not know the outcome, and reads."""
    sim.faults(fault)

    with pytest.raises(Unknown):
        azure.policies.delete(DEFAULT)


@pytest.mark.parametrize("bad", ["", "default", "/subscriptions/x", APP01, f"{DEFAULT}/initiate"])
def test_an_id_that_names_no_policy_is_our_own_mistake(azure, sim, bad):
    """No call is made with it."""
    with pytest.raises((ValueError, KeyError)):
        azure.policies.get(bad)

    assert sim.control("GET", "log") == []


def test_each_subscription_has_its_own_client(azure, sim):
    """Policies of two subscriptions are read side by side."""
    other = policy(WEB).replace("000000000001", "000000000002").replace("rg-web", "rg-farm-1")

    assert [azure.policies.get(item)["name"] for item in (policy(WEB), other)] == ["default"] * 2
