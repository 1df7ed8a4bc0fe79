"""The initiate call: accepted and refused bodies, its answer, its later effects."""

from datetime import timedelta
from typing import Any

import pytest

from local.azure.values.http import Response
from local.azure.values.times import parse_instant
from tests.local.azure.sim import (
    ALICE,
    APP01,
    BOB,
    BROKER,
    DB,
    DB01,
    NEW01,
    NSG_DB,
    WEB01,
    Sim,
    error,
    policy,
)

INITIATE = f"{policy(DB)}/initiate"
REFUSED = (400, "InvalidInitiateInput")


def ask(sim: Sim, vm: Any = DB01, **port: Any) -> Response:
    """Initiate one port, described in full."""
    return sim.call("POST", INITIATE, {"virtualMachines": [{"id": vm, "ports": [port]}]})


def later(sim: Sim, minutes: float = 60) -> str:
    return (sim.now + timedelta(minutes=minutes)).isoformat()


def test_answer_is_202_with_the_request_and_nothing_to_poll(sim: Sim):
    """The contract has no Location, no operation, no id."""
    response = sim.initiate(DB01, 22)

    assert response.status == 202
    assert not {"Location", "Azure-AsyncOperation"} & response.headers.keys()
    assert response.json().keys() == {
        "virtualMachines",
        "startTimeUtc",
        "requestor",
        "justification",
    }


def test_answered_port_is_initiating(sim: Sim):
    """A status outside the documented two, as the official example has it."""
    port = sim.initiate(DB01, 22).json()["virtualMachines"][0]["ports"][0]

    assert port == {
        "number": 22,
        "allowedSourceAddressPrefix": ALICE,
        "endTimeUtc": port["endTimeUtc"],
        "status": "Initiating",
        "statusReason": "UserRequested",
    }
    assert parse_instant(port["endTimeUtc"]) == sim.now + timedelta(hours=1)


def test_no_rule_exists_when_202_is_answered(sim: Sim):
    """The rule comes some seconds later."""
    sim.initiate(DB01, 22)
    at_once = sim.allows(NSG_DB)
    sim.advance("PT9S")
    not_yet = sim.allows(NSG_DB)
    sim.advance("PT1S")

    assert (at_once, not_yet, len(sim.allows(NSG_DB))) == ([], [], 1)


def test_request_is_listed_in_the_policy_at_once(sim: Sim):
    """Everybody with read access sees it."""
    entry = sim.initiate(DB01, 22).json()

    assert sim.get(policy(DB))["properties"]["requests"] == [entry]


def test_request_may_be_listed_late(sim: Sim):
    """How soon it shows is not documented: a delay can be played."""
    sim.options(entryDelaySeconds=5)
    sim.initiate(DB01, 22)
    before = sim.entries(DB)
    sim.advance("PT5S")

    assert (before, len(sim.entries(DB))) == ([], 1)


def test_requestor_is_the_calling_identity(sim: Sim):
    """A person by name, the broker by its object id."""
    assert sim.initiate(DB01, 22).json()["requestor"] == BROKER
    assert sim.initiate(WEB01, 22, as_="petra").json()["requestor"] == "petra@contoso.example"


def test_instants_have_seven_digits(sim: Sim):
    """As .NET prints them."""
    entry = sim.initiate(DB01, 22).json()

    assert len(entry["startTimeUtc"].partition(".")[2]) == len("1234567Z")


def test_duration_may_stand_for_the_end(sim: Sim):
    """The service takes either."""
    entry = ask(sim, number=22, duration="PT30M", allowedSourceAddressPrefix=ALICE).json()
    end = entry["virtualMachines"][0]["ports"][0]["endTimeUtc"]

    assert parse_instant(end) == sim.now + timedelta(minutes=30)


@pytest.mark.parametrize("fields", [{}, {"duration": "PT1H", "endTimeUtc": "2099-01-01T00:00:00Z"}])
def test_exactly_one_form_of_end_is_taken(sim: Sim, fields):
    """Neither or both: the same text."""
    response = ask(sim, number=22, **fields)

    assert error(response) == REFUSED
    assert response.json()["error"]["message"] == (
        "Only one of fields 'EndTimeUtc' and 'Duration' can be set."
    )


def test_source_left_out_is_the_callers_address(sim: Sim):
    """The trap: from a function that is the function's own address."""
    sim.initiate(DB01, 22, None)
    sim.advance("PT10S")

    assert sim.allows(NSG_DB)[0]["sourceAddressPrefix"] == "51.105.66.10"


def test_several_sources_are_taken_as_a_list(sim: Sim):
    """The portal's own form, absent from the specification."""
    port = sim.initiate(DB01, 22, [ALICE, BOB]).json()["virtualMachines"][0]["ports"][0]
    sim.advance("PT10S")

    assert port["allowedSourceAddressPrefixes"] == [ALICE, BOB]
    assert sim.allows(NSG_DB)[0]["sourceAddressPrefixes"] == [ALICE, BOB]
    assert "sourceAddressPrefix" not in sim.allows(NSG_DB)[0]


def test_list_of_sources_may_be_refused(sim: Sim):
    """It is not documented: the other case can be played."""
    sim.options(acceptPrefixLists=False)

    assert error(sim.initiate(DB01, 22, [ALICE, BOB])) == REFUSED
    assert sim.entries(DB) == []


def test_a_list_of_sources_may_be_dropped(sim: Sim):
    """The worse case, since it is not documented: the call opens the port to its own caller."""
    sim.options(ignorePrefixLists=True)

    sim.initiate(DB01, 22, [ALICE, BOB])
    sim.advance("PT10S")

    assert sim.allows(NSG_DB)[0]["sourceAddressPrefix"] == "51.105.66.10"


def test_a_list_of_sources_may_be_missing_from_the_policy(sim: Sim):
    """An answer may not show fields that the contract does not know."""
    sim.options(echoPrefixLists=False)

    port = sim.initiate(DB01, 22, [ALICE, BOB]).json()["virtualMachines"][0]["ports"][0]
    sim.advance("PT10S")

    assert "allowedSourceAddressPrefixes" not in port
    assert sim.allows(NSG_DB)[0]["sourceAddressPrefixes"] == [ALICE, BOB]


def test_several_machines_go_in_one_request(sim: Sim):
    """All of one policy; ports stand under their machine."""
    ports = [
        {"number": number, "endTimeUtc": later(sim), "allowedSourceAddressPrefix": "203.0.113.0/24"}
        for number in (22, 3389)
    ]
    body = {"virtualMachines": [{"id": DB01, "ports": ports}, {"id": APP01, "ports": ports[1:]}]}
    entry = sim.call("POST", INITIATE, body).json()

    assert [len(each["ports"]) for each in entry["virtualMachines"]] == [2, 1]
    assert len(sim.get(policy(DB))["properties"]["requests"]) == 1


@pytest.mark.parametrize(
    ("vm", "port", "source", "minutes"),
    [
        (NEW01, 22, ALICE, 60),
        (DB01, 23, ALICE, 60),
        (DB01, 22, ALICE, 181),
        (DB01, 3389, ALICE, 121),
        (DB01, 3389, "198.51.100.1", 60),
        (DB01, 3389, "203.0.112.0/23", 60),
        (DB01, 3389, "*", 60),
        (DB01, 3389, "2001:db8::1", 60),
        (DB01, 3389, [ALICE, "198.51.100.1"], 60),
    ],
)
def test_request_outside_the_policy_is_refused_in_the_services_words(
    sim: Sim, vm, port, source, minutes
):
    """Machine, port, duration, source: any of them beyond the policy."""
    response = sim.initiate(vm, port, source, minutes)

    assert error(response) == REFUSED
    assert response.json()["error"]["message"] == (
        f"The given access request is not a subset of policy '{policy(DB)}'. Please make sure that "
        "the access request is within the allowed policy properties."
    )


def test_machine_of_another_policy_is_refused(sim: Sim):
    """A request is made under the machine's own policy."""
    assert error(ask(sim, WEB01, number=22, duration="PT1H")) == REFUSED


@pytest.mark.parametrize("source", [ALICE, "203.0.113.0/25", "203.0.113.0/24"])
def test_source_inside_an_allowed_prefix_is_taken(sim: Sim, source):
    """A single address of the allowed network, or a part of it."""
    assert sim.initiate(DB01, 3389, source).status == 202


def test_only_the_exact_prefix_may_be_taken(sim: Sim):
    """As a user reported in 2020: an address inside is refused, the prefix itself is not."""
    sim.options(exactPrefixOnly=True)

    assert error(sim.initiate(DB01, 3389, ALICE)) == REFUSED
    assert sim.initiate(DB01, 3389, "203.0.113.0/24").status == 202


def test_longest_duration_is_taken(sim: Sim):
    """The limit itself is within the policy."""
    assert sim.initiate(DB01, 22, minutes=180).status == 202


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"virtualMachines": []},
        {"virtualMachines": [5]},
        {"virtualMachines": [{"id": "db01", "ports": [{}]}]},
        {"virtualMachines": [{"id": NSG_DB, "ports": [{}]}]},
        {"virtualMachines": [{"id": DB01}]},
        {"virtualMachines": [{"id": DB01, "ports": []}]},
        {"virtualMachines": [{"id": DB01, "ports": [22]}]},
        {"virtualMachines": [{"id": DB01, "ports": [{"number": 0, "duration": "PT1H"}]}]},
        {"virtualMachines": [{"id": DB01, "ports": [{"number": "22", "duration": "PT1H"}]}]},
        {"virtualMachines": [{"id": DB01, "ports": [{"number": 22, "duration": "1h"}]}]},
        {"virtualMachines": [{"id": DB01, "ports": [{"number": 22, "endTimeUtc": "soon"}]}]},
        {"virtualMachines": [{"id": DB01, "ports": [{"number": 22, "duration": "PT1H"}] * 2}]},
    ],
)
def test_body_that_is_no_request_is_refused(sim: Sim, body):
    """The body is looked at before anything else."""
    assert error(sim.call("POST", INITIATE, body)) == REFUSED


@pytest.mark.parametrize(
    "port",
    [
        {"allowedSourceAddressPrefix": "everywhere"},
        {"allowedSourceAddressPrefix": 5},
        {"allowedSourceAddressPrefixes": "203.0.113.7"},
        {"allowedSourceAddressPrefixes": [5]},
        {"allowedSourceAddressPrefix": ALICE, "allowedSourceAddressPrefixes": [BOB]},
    ],
)
def test_source_that_is_none_is_refused(sim: Sim, port):
    """An address, a prefix, a list of them; not both forms."""
    assert error(ask(sim, number=22, duration="PT1H", **port)) == REFUSED


def test_end_in_the_past_is_refused(sim: Sim):
    """Access ends after it begins."""
    assert error(ask(sim, number=22, endTimeUtc=later(sim, -1))) == REFUSED


def test_justification_is_a_text(sim: Sim):
    """Another value is refused; none is fine."""
    machines = [{"id": DB01, "ports": [{"number": 22, "duration": "PT1H"}]}]
    wrong = sim.call("POST", INITIATE, {"virtualMachines": machines, "justification": 5})
    without = sim.call("POST", INITIATE, {"virtualMachines": machines})

    assert error(wrong) == REFUSED
    assert "justification" not in without.json()


def test_body_is_looked_at_before_the_policy(sim: Sim):
    """A faulty body under an unknown policy is a faulty body."""
    path = f"{policy(DB, 'none')}/initiate"
    faulty = sim.call("POST", path, {})
    machines = [{"id": DB01, "ports": [{"number": 22, "duration": "PT1H"}]}]
    unknown = sim.call("POST", path, {"virtualMachines": machines})

    assert error(faulty) == REFUSED
    assert error(unknown) == (404, "PolicyNotFound")


def test_machine_id_is_matched_without_case_and_echoed_as_sent(sim: Sim):
    """Comparing must not mind; the entry keeps the caller's spelling."""
    response = sim.initiate(DB01.replace("rg-db", "RG-Db"), 22)

    assert response.status == 202
    assert response.json()["virtualMachines"][0]["id"] == DB01.replace("rg-db", "RG-Db")


def test_machine_that_has_vanished_is_404(sim: Sim):
    """A policy may still name a VM that is gone."""
    sim.control("PUT", "state", {"resources": {DB01: None}})

    assert error(sim.initiate(DB01, 22)) == (404, "ResourceNotFound")
