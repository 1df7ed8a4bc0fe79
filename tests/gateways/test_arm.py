"""The thin reader of Azure Resource Manager, in process and over HTTP."""

import pytest

from jit.api_versions import COMPUTE, NETWORK
from jit.domain.errors import Defect, Gone, PermissionLost, Throttled, Unavailable
from jit.gateways.arm import ThinArm
from tests.fakes.azure import SCOPE, SimulatedIdentity
from tests.gateways.faults import REFUSALS_OF_READS, answer, body, drop
from tests.gateways.wires import PAGE_OF_A_PROXY, Wire, answers, refused, silent
from tests.local.azure.sim import DEVELOPMENT, HOST, NSG_DB, PRODUCTION, WEB01, machine

FARM = f"/subscriptions/{DEVELOPMENT}/providers/Microsoft.Compute/virtualMachines"
DENIED = {"deniedActions": ["Microsoft.Compute/virtualMachines/read"]}


def over(wire, sim, endpoint=HOST):
    """A reader over a wire that can be cut."""
    return ThinArm(endpoint, SimulatedIdentity(sim), SCOPE, transport=wire.transport)


# ---- one resource --------------------------------------------------------------------------------


def test_a_resource_comes_as_azure_wrote_it(azure, sim):
    """Raw JSON: unknown members pass through."""
    found = {**sim.get(WEB01), "newField": {"of": ["the", "future"]}}
    sim.faults(body(found))

    assert azure.arm.get(WEB01, COMPUTE) == found


def test_an_id_has_no_case(azure, sim):
    """Azure finds a resource however its id is spelled."""
    assert azure.arm.get(WEB01.upper(), COMPUTE)["name"] == sim.get(WEB01)["name"]


def test_the_api_version_is_sent(azure, sim):
    """ARM refuses a call without one."""
    azure.arm.get(NSG_DB, NETWORK)

    assert sim.control("GET", "log")[-1]["query"]["api-version"] == NETWORK


def test_a_resource_that_does_not_exist_is_gone(azure):
    """404 means gone."""
    with pytest.raises(Gone):
        azure.arm.get(machine("nowhere", WEB01.partition("/providers/")[0]), COMPUTE)


def test_a_right_that_was_taken_away_is_its_own_error(azure, sim):
    """403 means unknown, not gone."""
    sim.control("PUT", "state", DENIED)
    with pytest.raises(PermissionLost) as error:
        azure.arm.get(WEB01, COMPUTE)

    assert (error.value.code, error.value.azure_status) == ("AuthorizationFailed", 403)
    assert error.value.resource_id == WEB01


@pytest.mark.parametrize(("status", "code", "kind"), REFUSALS_OF_READS)
def test_each_refusal_of_azure_is_its_own_error(azure, sim, status, code, kind):
    """The next step depends on them."""
    sim.faults(answer(status, code))
    with pytest.raises(kind) as error:
        azure.arm.get(WEB01, COMPUTE)

    assert type(error.value) is kind
    assert error.value.__cause__ is not None


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("17", 17), ("86400", 3600), ("soon", 10), ("-1", 10), ("²", 10), ("9" * 5000, 10), ("", 10)],
)
def test_a_wait_that_azure_asks_for_is_returned_and_not_slept(azure, sim, header, seconds):
    """Minutes are the queue's; a wish that makes no sense is ten seconds, a long one an hour."""
    sim.faults(answer(429, "TooManyRequests", **{"Retry-After": header}))
    with pytest.raises(Throttled) as error:
        azure.arm.get(WEB01, COMPUTE)

    assert error.value.retry_after_seconds == seconds


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_read_without_an_answer_is_an_outage(azure, sim, when):
    """Nothing was changed: the caller may simply repeat."""
    sim.faults(drop(when))
    with pytest.raises(Unavailable) as error:
        azure.arm.get(WEB01, COMPUTE)

    assert type(error.value) is Unavailable


@pytest.mark.parametrize("content", [[], "text", 7, None, {}, {"status": "ok"}, {"id": None}])
def test_an_answer_that_is_no_resource_is_none(azure, sim, content):
    """The server there is not Azure Resource Manager."""
    sim.faults(body(content))

    with pytest.raises(Unavailable):
        azure.arm.get(WEB01, COMPUTE)


@pytest.mark.parametrize(
    "step",
    [silent, PAGE_OF_A_PROXY, answers(200), answers(204), answers(302)],
    ids=["silent", "proxy", "empty", "no-content", "redirect"],
)
def test_an_answer_that_cannot_be_read_is_an_outage(sim, step):
    """A captive portal is not Azure; nobody follows it elsewhere with our token."""
    wire = Wire(step)
    with pytest.raises(Unavailable):
        over(wire, sim).get(WEB01, COMPUTE)

    assert len(wire.sent) == 1


def test_a_connection_that_fails_is_tried_again_for_seconds(sim):
    """Nothing was sent, so nothing can happen twice."""
    wire = Wire(*[refused] * 9)
    with pytest.raises(Unavailable, match="could not be reached"):
        over(wire, sim).get(WEB01, COMPUTE)

    assert len(wire.sent) == 3
    assert sum(wire.slept) < 5


def test_the_token_goes_over_plain_http_to_this_machine_only(sim):
    """A simulator on loopback may have it, nothing else."""
    wire = Wire()
    with pytest.raises(Unavailable):
        over(wire, sim, "http://management.example").get(WEB01, COMPUTE)

    assert wire.sent == []


# ---- lists ---------------------------------------------------------------------------------------


def test_a_list_has_the_items_of_all_its_pages(azure, sim):
    """Azure pages as it likes."""
    sim.options(pageSize=7)
    found = azure.arm.list(FARM, COMPUTE)

    assert len({item["id"] for item in found}) == 50
    assert len(sim.control("GET", "log")) == 8


def test_a_list_of_the_subscriptions_needs_no_scope(azure):
    """The identity sees the resources that its role covers."""
    found = azure.arm.list("/subscriptions", "2022-12-01")

    assert [item["subscriptionId"] for item in found] == [PRODUCTION, DEVELOPMENT]


def test_a_filter_reaches_azure_as_it_was_written_and_each_link_carries_it_on(azure, sim):
    """Spaces, quotes and signs with a meaning in URLs arrive; nothing is added to a link."""
    sim.options(pageSize=20)
    found = azure.arm.list(FARM, COMPUTE, "atScope() and assignedTo('a+b&c=%20é')")

    queries = [each["query"] for each in sim.control("GET", "log")]
    assert [query["$filter"] for query in queries] == ["atScope() and assignedTo('a+b&c=%20é')"] * 3
    assert {query["api-version"] for query in queries} == {COMPUTE}
    assert len(found) == 50


def test_a_list_without_a_filter_sends_none(azure, sim):
    """An empty filter is none: Azure refuses an empty one."""
    azure.arm.list(FARM, COMPUTE, "")

    assert [each["query"].keys() for each in sim.control("GET", "log")] == [{"api-version"}]


def test_an_empty_list_has_no_items(azure, sim):
    """So Azure says that there is nothing, and only so."""
    sim.faults(body({"value": []}))

    assert azure.arm.list(FARM, COMPUTE) == []


@pytest.mark.parametrize(
    "page",
    [
        {},
        {"status": "ok"},
        {"value": None},
        {"value": {}},
        {"value": [7]},
        {"value": [{}]},
        {"value": [{"id": ""}]},
    ],
)
def test_a_page_that_is_no_list_does_not_say_that_nothing_exists(azure, sim, page):
    """A 200 of another server proves nothing: ask again."""
    sim.faults(body(page))
    with pytest.raises(Unavailable) as error:
        azure.arm.list(FARM, COMPUTE)

    assert type(error.value) is Unavailable


@pytest.mark.parametrize(
    "link",
    [
        "https://evil.example/subscriptions",
        "http://127.0.0.1:7072@evil.example/subscriptions",
        "http://127.0.0.1:1/subscriptions",
        "//evil.example/subscriptions",
        "/subscriptions",
        7,
    ],
)
def test_a_link_to_another_place_is_not_followed(azure, sim, link):
    """Every call carries the broker's token."""
    sim.faults(body({"value": [], "nextLink": link}))
    with pytest.raises(Defect, match="another host"):
        azure.arm.list(FARM, COMPUTE)

    assert len(sim.control("GET", "log")) == 1


def test_an_id_that_leads_to_another_place_is_not_followed(azure, sim):
    """An id is a path, even if it looks like another address."""
    with pytest.raises(Defect, match="another host"):
        azure.arm.get("@evil.example/subscriptions", COMPUTE)

    assert sim.control("GET", "log") == []


def test_a_list_without_an_end_is_a_defect(sim):
    """A page that names itself as the next is not read for ever."""
    wire = Wire(*[answers(200, b'{"value": [], "nextLink": "http://127.0.0.1:7072/next"}')] * 1001)
    with pytest.raises(Defect, match="1000 pages"):
        over(wire, sim).list(FARM, COMPUTE)

    assert len(wire.sent) == 1001


def test_a_page_that_fails_fails_the_list(azure, sim):
    """A list with holes would lie."""
    sim.options(pageSize=10)
    sim.faults({**answer(500), "skip": 2})

    with pytest.raises(Unavailable):
        azure.arm.list(FARM, COMPUTE)
