"""Hostile bodies: they are refused and crash nothing."""

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.local.azure.sim import DB, DB01, FW_PROD, NEW01, NSG_NEW, NSG_WEB, Sim, policy, rule
from tests.sizes import examples

KEYS = st.text(max_size=3)
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 70000) | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2)
    ),
    max_leaves=4,
)
PORT = {
    "number": 22,
    "protocol": "TCP",
    "allowedSourceAddressPrefix": "*",
    "maxRequestAccessDuration": "PT3H",
}
WANTED = {"number": 22, "duration": "PT1H", "allowedSourceAddressPrefix": "203.0.113.7"}
READER = Sim()
BODIES: list[tuple[str, str, Any]] = [
    ("PUT", f"{NSG_WEB}/securityRules/mine", rule(sourcePortRanges=["1-2"], sourcePortRange=None)),
    ("PUT", NSG_NEW, {"location": "x", "properties": {"securityRules": [{"name": "a", **rule()}]}}),
    ("PUT", FW_PROD, READER.get(FW_PROD)),
    ("PUT", policy(DB), {"properties": {"virtualMachines": [{"id": NEW01, "ports": [PORT]}]}}),
    ("POST", f"{policy(DB)}/initiate", {"virtualMachines": [{"id": DB01, "ports": [WANTED]}]}),
    ("POST", "/_sim/faults", {"faults": [{"match": {"path": "x"}, "answer": {"status": 500}}]}),
    ("PUT", "/_sim/state", {"options": {"pageSize": 5}, "deniedActions": [{"person": "alice"}]}),
    ("POST", "/_sim/clock", {"freeze": True, "advance": "PT1S"}),
    ("POST", "/_sim/token", {"as": "petra", "audience": "x"}),
]


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """All ways into *value*."""
    keys: Any = value if isinstance(value, dict) else ()
    keys = range(len(value)) if isinstance(value, list) else keys
    return [path, *(place for key in keys for place in places(value[key], (*path, key)))]


def replaced(value: Any, place: tuple[Any, ...], junk: Any) -> Any:
    """*value* with *junk* at *place*."""
    if not place:
        return junk
    changed = copy.copy(value)
    changed[place[0]] = replaced(value[place[0]], place[1:], junk)
    return changed


@st.composite
def spoilt(draw: st.DrawFn) -> tuple[str, str, Any]:
    """A sensible call with nonsense somewhere in its body."""
    method, path, body = draw(st.sampled_from(BODIES))
    place = draw(st.sampled_from(places(body)))
    return method, path, replaced(body, place, draw(JUNK))


@pytest.mark.scaled
@settings(max_examples=examples(60, 150))
@given(spoilt())
def test_no_body_crashes_the_simulator(call):
    """Each wrong body gets an answer, and the next call works as before."""
    method, path, body = call
    sim = READER
    sim.send("POST", "/_sim/reset")
    response = sim.call(method, path, body, as_="petra")

    assert 200 <= response.status < 500 or response.json()["error"]["message"] in KNOWN
    assert sim.control("GET", "clock")


KNOWN = {"Internal server error"}  # Azure's answer to an empty protocol
