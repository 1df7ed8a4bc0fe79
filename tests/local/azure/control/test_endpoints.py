"""The control plane: clock, state, reset, latency."""

from typing import Any

import pytest

from local.azure.landscape.file import Landscape
from local.azure.simulator import Azure
from local.azure.timeline import Timeline
from local.azure.values.http import Request
from local.azure.values.times import parse_instant
from local.clock import FileClock
from tests.local.azure.sim import (
    DB,
    DB01,
    HOST,
    LANDSCAPE,
    NSG_DB,
    PRODUCTION,
    WEB01,
    Sim,
    error,
    machine,
    network,
    policy,
    rule,
)


def refused(sim: Sim, method: str, name: str, body: Any = None) -> bool:
    response = sim.send(method, f"/_sim/{name}", body)
    return (response.status, response.json()["error"]["code"]) == (400, "SimulatorRefused")


def test_clock_tells_now_and_whether_it_stands(sim: Sim):
    """The contract's shape."""
    assert sim.control("GET", "clock") == {
        "now": sim.now.isoformat().replace("+00:00", "Z"),
        "frozen": True,
    }


def test_clock_is_frozen_and_advanced_in_one_call(sim: Sim):
    """Both fields may stand together."""
    before = sim.now
    sim.control("POST", "clock", {"freeze": True, "advance": "PT1H"})

    assert (sim.now - before).total_seconds() == 3600


def test_clock_is_released(sim: Sim):
    """From then on it ticks."""
    assert sim.control("POST", "clock", {"freeze": False})["frozen"] is False


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"advance": "1h"},
        {"advance": 3600},
        {"freeze": "yes"},
        {"thaw": True},
        {"freeze": True, "advance": "-PT1H"},
    ],
)
def test_clock_refuses_a_body_that_it_does_not_understand(sim: Sim, body):
    """Nothing is done then."""
    before = sim.now

    assert refused(sim, "POST", "clock", body)
    assert sim.now == before


def test_clock_file_follows_before_the_call_is_answered(tmp_path):
    """When the answer is there, other processes see the new time."""
    azure = Azure(LANDSCAPE, Timeline(tmp_path / "clock.json"))
    body = b'{"freeze": true, "advance": "PT1H"}'
    now = azure.handle(Request("POST", f"{HOST}/_sim/clock", {}, body)).json()["now"]

    assert FileClock(tmp_path / "clock.json").now() == parse_instant(now)


def test_reset_restores_the_landscape(sim: Sim):
    """Resources, faults, log, options, permissions, plans, latency: as at first."""
    fresh = Azure(LANDSCAPE, Timeline())
    sim.initiate(DB01, 22)
    plans = {PRODUCTION: {"pricingTier": "Free"}}
    sim.control("PUT", "state", {"deniedActions": ["*"], "plans": plans})
    sim.control("PUT", "latency", {"seconds": 1})
    sim.faults({"drop": "before"})
    sim.send("POST", "/_sim/reset")
    state = sim.control("GET", "state")

    assert state["options"] == fresh.world.options.document()
    assert state["resources"][policy(DB)]["properties"]["requests"] == []
    assert (state["deniedActions"], state["plans"][PRODUCTION]["subPlan"]) == ([], "P2")
    assert sim.control("GET", "faults") == {"faults": []}
    assert sim.control("GET", "latency") == {"seconds": 0.0}
    assert sim.control("GET", "log") == []


def test_reset_lets_the_clock_tick_in_real_time(sim: Sim):
    """A clock that was frozen or ahead is neither."""
    sim.advance("P1D")
    sim.send("POST", "/_sim/reset")

    assert sim.control("GET", "clock")["frozen"] is False


def test_reset_forgets_planned_events(sim: Sim):
    """Events of the old world do not reach the new one."""
    sim.initiate(DB01, 22)
    sim.send("POST", "/_sim/reset")
    sim.advance("PT1M")

    assert sim.allows(NSG_DB) == []


def test_state_shows_resources_as_arm_does(sim: Sim):
    """By id, in full."""
    assert sim.control("GET", "state")["resources"][NSG_DB] == sim.get(NSG_DB)


def test_replaced_resource_has_a_new_etag_and_is_effective(sim: Sim):
    """Somebody has edited it: readers notice, packets too."""
    group = sim.get(NSG_DB)
    group["properties"]["securityRules"] = []
    sim.control("PUT", "state", {"resources": {NSG_DB: group}})

    assert sim.rules(NSG_DB) == {}
    assert sim.get(NSG_DB)["etag"] != group["etag"]
    assert sim.azure.world.store.effective(NSG_DB)["securityRules"] == []


def test_null_deletes_a_resource(sim: Sim):
    """Then ARM does not find it."""
    sim.control("PUT", "state", {"resources": {NSG_DB: None}})

    assert error(sim.call("GET", NSG_DB)) == (404, "ResourceNotFound")


def test_single_rule_is_edited_by_its_own_id(sim: Sim):
    """Added, replaced, deleted; its neighbours stay."""
    path = f"{NSG_DB}/securityRules/mine"
    before = set(sim.rules(NSG_DB))
    sim.control("PUT", "state", {"resources": {path: rule(priority=300)}})
    sim.control("PUT", "state", {"resources": {path: rule(priority=301)}})
    during = sim.rules(NSG_DB)["mine"]["priority"]
    sim.control("PUT", "state", {"resources": {path: None}})

    assert (during, set(sim.rules(NSG_DB))) == (301, before)


def test_new_resource_may_bring_a_new_group(sim: Sim):
    """A test can build resources that the landscape lacks."""
    where = f"/subscriptions/{PRODUCTION}/resourceGroups/rg-fresh"
    nsg = network("networkSecurityGroups", "nsg-fresh", where)
    sim.control("PUT", "state", {"resources": {nsg: {"properties": {"securityRules": []}}}})

    assert sim.get(nsg)["location"] == "westeurope"


def test_machine_can_be_stopped(sim: Sim):
    """The power state is part of the resource."""
    vm = sim.control("GET", "state")["resources"][WEB01]
    vm["properties"]["instanceView"]["statuses"][1]["code"] = "PowerState/deallocated"
    sim.control("PUT", "state", {"resources": {WEB01: vm}})
    shown = sim.call("GET", WEB01, query="&$expand=instanceView").json()

    assert shown["properties"]["instanceView"]["statuses"][1]["code"] == "PowerState/deallocated"


@pytest.mark.parametrize(
    "body",
    [
        {"resource": {}},
        {"options": {"nsgSecond": 1}},
        {"deniedActions": [{"person": "nobody", "action": "*"}]},
        {"plans": {"nowhere": {"pricingTier": "Free"}}},
        {"plans": {PRODUCTION: {"pricingTier": "Gold"}}},
        {"resources": {"nsg-db": {"properties": {}}}},
        {"resources": {NSG_DB: {"name": "x"}}},
        {"resources": {NSG_DB: 5}},
        {"resources": {f"{NSG_DB}x/securityRules/a": rule()}},
    ],
)
def test_state_refuses_a_document_that_makes_no_sense(sim: Sim, body):
    """Half a patch is no patch: nothing has changed."""
    before = sim.control("GET", "state")

    assert refused(sim, "PUT", "state", {"options": {"nsgSeconds": 9}, **body})
    assert sim.control("GET", "state") == before


def test_latency_is_kept_for_the_server(sim: Sim):
    """The state machine itself never waits."""
    sim.control("PUT", "latency", {"seconds": 0.05})

    assert sim.azure.latency_seconds == 0.05


@pytest.mark.parametrize("seconds", [-1, 61, "1", True, None])
def test_latency_is_a_number_of_seconds(sim: Sim, seconds):
    """Anything else is refused."""
    assert refused(sim, "PUT", "latency", {"seconds": seconds})


@pytest.mark.parametrize(
    ("method", "name", "status"),
    [("GET", "nothing", 404), ("PATCH", "clock", 405), ("GET", "", 404)],
)
def test_control_plane_names_an_unknown_call(sim: Sim, method, name, status):
    """Another name, another verb."""
    assert sim.send(method, f"/_sim/{name}").status == status


def test_control_plane_needs_json(sim: Sim):
    """A body that is none is refused as ARM would."""
    assert sim.send("POST", "/_sim/clock", []).status == 400


def test_landscape_may_set_options():
    """A landscape can say how its Azure behaves."""
    landscape = Landscape({**LANDSCAPE.document, "options": {"pageSize": 3}}, LANDSCAPE.roles)

    assert Azure(landscape, Timeline()).world.options.page_size == 3


def test_landscape_has_the_resources_of_the_contract(sim: Sim):
    """Two subscriptions, the named machines, fifty more in five policies."""
    resources = sim.control("GET", "state")["resources"]
    machines = {each.rsplit("/", 1)[1] for each in resources if "/virtualMachines/" in each}
    policies = [each for each in resources if "jitNetworkAccessPolicies" in each]

    assert machines == {"web01", "db01", "app01", "new01", "hub01"} | {
        f"farm{number:02}" for number in range(1, 51)
    }
    assert len(policies) == 7
    assert machine("web01", f"/subscriptions/{PRODUCTION}/resourceGroups/rg-web") in resources
