"""Odd answers of Azure about a JIT policy: nothing is written over them, no access is lost."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from jit.domain.errors import Unavailable
from jit.domain.model.absence import ABSENT_AFTER
from jit.domain.values.arm_ids import key
from tests.broker.inprocess import HERE, InProcess, wish
from tests.broker.reconciling import Reconciling
from tests.broker.test_tightening import (
    ALLOWED,
    ODD,
    answer_once,
    delete,
    only,
    opened,
    put,
    with_properties,
)
from tests.local.azure.sim import APP01, DB, DB01, PRODUCTION, policy

HOUR = timedelta(hours=1)
NARROWED = {3389: {**ALLOWED[22], "maxDuration": "PT1H"}}
"""Port rules of app01 that only narrow the ones of the landscape."""


def lacks_db01(found: Any) -> Any:
    """The policy without one of its two VMs."""
    entries = found["properties"]["virtualMachines"]
    kept = [each for each in entries if not each["id"].endswith("/db01")]
    return with_properties(virtualMachines=kept)(found)


def has_no_id(found: Any) -> Any:
    """The policy with one item that does not name its VM."""
    entries = found["properties"]["virtualMachines"]
    return with_properties(virtualMachines=[*entries, {"ports": []}])(found)


UNCERTAIN = {
    **ODD,
    "lacks one VM": lacks_db01,
    "one item without an id": has_no_id,
    "updating with all VMs": with_properties(provisioningState="Updating"),
}
UNREAD = sorted(ODD.keys() - {"no VM", "no ids", "updating"})
"""Answers without a list of VMs."""


@pytest.fixture
def known(broker: InProcess) -> InProcess:
    """A broker whose inventory has the VMs."""
    broker.preview(wish(DB01))
    return broker


def entries(broker: InProcess) -> dict[str, Any]:
    """The entries of the policy in Azure, by VM name."""
    found = broker.sim.get(policy(DB))["properties"]["virtualMachines"]
    return {each["id"].rsplit("/", 1)[-1]: each for each in found}


def writes(broker: InProcess) -> list[str]:
    """The calls that changed a policy."""
    return [each for each in broker.calls.names if each in {"policies.replace", "policies.delete"}]


def list_as(broker: InProcess, change: Callable[[Any], Any], policy_id: str = policy(DB)) -> None:
    """Let each list have a policy as *change* makes it; the answer about it alone is right."""
    real = broker.azure.arm.list

    def listed(path: str, version: str) -> list[Any]:
        items = real(path, version)
        return [change(each) if key(str(each["id"])) == key(policy_id) else each for each in items]

    object.__setattr__(broker.azure.arm, "list", listed)


# ---- changes by operators ------------------------------------------------------------------------


@pytest.mark.parametrize("name", UNCERTAIN)
def test_a_put_writes_nothing_over_an_answer_that_may_lack_vms(known, name):
    """It would take the other VMs of the policy out of their protection."""
    before = entries(known)
    answer_once(known, UNCERTAIN[name])

    with pytest.raises(Unavailable, match="was not changed") as error:
        put(known, APP01, NARROWED)

    assert error.value.retry_after_seconds > 0
    assert (entries(known), writes(known)) == (before, [])
    assert put(known, APP01, NARROWED) == "written"
    assert entries(known).keys() == before.keys()


@pytest.mark.parametrize("name", UNCERTAIN)
def test_a_delete_writes_nothing_over_an_answer_that_may_lack_vms(known, name):
    """It does not say that the VM is out."""
    answer_once(known, UNCERTAIN[name])

    with pytest.raises(Unavailable, match="was not changed"):
        delete(known, APP01)

    assert (sorted(entries(known)), writes(known)) == (["app01", "db01"], [])


def test_an_answer_that_lacks_a_vm_ends_no_access_to_it_when_another_vm_is_narrowed(broker):
    """The answer came while the operator changed the other VM."""
    request_id = opened(broker, duration="PT3H")
    answer_once(broker, lacks_db01)

    with pytest.raises(Unavailable, match="lists db01 in it"):
        put(broker, APP01, NARROWED)
    broker.live(6)

    assert (broker.status(request_id), broker.reachable(DB01)) == ("open", True)


def test_a_vm_that_only_the_inventory_has_in_the_policy_stops_a_change(known):
    """List and answer lack it, both by one fault perhaps."""
    lacking = lacks_db01(known.sim.get(policy(DB)))
    known.sim.control("PUT", "state", {"resources": {policy(DB): lacking}})

    with pytest.raises(Unavailable, match="db01, which the last comparison found in it"):
        put(known, APP01, NARROWED)

    assert writes(known) == []


def test_an_operator_is_not_locked_out_by_a_vm_that_was_taken_out_elsewhere(known):
    """The next comparison learns it."""
    known.sim.call("PUT", policy(DB), lacks_db01(known.sim.get(policy(DB))), as_="petra")
    with pytest.raises(Unavailable, match="the next comparison"):
        put(known, APP01, NARROWED)

    Reconciling(known).run(PRODUCTION)

    assert put(known, APP01, NARROWED) == "written"


def test_the_vm_that_was_taken_out_elsewhere_can_be_put_back_at_once(known):
    """The change names it, so nothing is lost."""
    known.sim.call("PUT", policy(DB), lacks_db01(known.sim.get(policy(DB))), as_="petra")

    assert put(known, DB01, only(22)) == "written"
    assert entries(known).keys() == {"db01", "app01"}


def test_a_deleted_vm_that_an_operator_took_out_stops_no_later_change(known):
    """The inventory learns it from the change, and not from a comparison."""
    known.sim.control("PUT", "state", {"resources": {DB01: None}})
    delete(known, DB01)

    assert put(known, APP01, NARROWED) == "written"


@pytest.mark.parametrize("state", ["Failed", "Canceled"])
def test_a_policy_that_azure_failed_to_change_is_written_anew(known, state):
    """Nothing changes it any more, and the change may be the repair."""
    answer_once(known, with_properties(provisioningState=state))

    assert put(known, APP01, NARROWED) == "written"
    assert entries(known).keys() == {"db01", "app01"}


@pytest.mark.parametrize("name", sorted(ODD.keys() - {"empty"}))
def test_a_vm_that_an_odd_list_hides_is_not_called_out_of_its_policy(known, name):
    """A delete that is answered with success has taken it out."""
    list_as(known, ODD[name])

    with pytest.raises(Unavailable, match=r"db01 may be in JIT policy /.*/default"):
        delete(known, DB01)

    assert writes(known) == []


def test_a_vm_is_put_into_no_second_policy_while_the_list_hides_its_first(broker):
    """Nobody could tell by then which of the two counts."""
    night = policy(DB, name="night-shift")
    moved = {**broker.sim.get(policy(DB)), "id": night, "name": "night-shift"}
    state = {policy(DB): None, night: moved}
    broker.sim.control("PUT", "state", {"resources": state})
    list_as(broker, ODD["no list"], night)

    with pytest.raises(Unavailable, match=r"db01 may be in JIT policy /.*/night-shift"):
        put(broker, DB01, only(22))

    assert writes(broker) == []


@pytest.mark.parametrize("name", UNREAD)
def test_a_policy_that_cannot_be_read_back_is_not_called_deleted(known, name):
    """The answer to the write was lost, and the proof with it."""
    answers = iter([lambda found: found, lambda _: ODD[name]({"id": policy(DB), "properties": {}})])
    real = known.azure.policies.get
    object.__setattr__(known.azure.policies, "get", lambda each: next(answers)(real(each)))

    with pytest.raises(Unavailable, match="could not be read back"):
        put(known, APP01, NARROWED)


# ---- passes --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", UNREAD)
def test_one_answer_without_a_list_replaces_nobody_elses_request(broker, name):
    """Its requests are unknown, too; the joined path stays the other person's."""
    broker.occupy(DB01, 22, HERE, 180)
    broker.live(3)
    request_id = broker.ask(wish(DB01))
    broker.live(4)
    assert (broker.status(request_id), broker.initiates()) == ("open", [])

    answer_once(broker, ODD[name])
    broker.poll(request_id)
    broker.live(3)
    between = (broker.status(request_id), broker.initiates())
    broker.live(75)

    assert between == ("open", [])
    assert (broker.status(request_id), broker.reachable(DB01)) == ("closed", True)


# ---- comparisons ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(ODD.keys() - {"empty", "no VM"}))
def test_one_comparison_with_an_odd_policy_refuses_no_extension_for_good(broker, name):
    """The person repeats the call; the second comparison sees the policy."""
    it, request_id = Reconciling(broker), opened(broker, duration="PT30M")
    odd = [ODD[name]]
    list_as(broker, lambda found: odd[0](found) if odd else found)
    it.run(PRODUCTION)
    odd.clear()

    with pytest.raises(Unavailable, match="did not list the JIT policy of db01"):
        broker.extend(request_id, HOUR)
    broker.live(ABSENT_AFTER / timedelta(minutes=1) + 1)
    it.run(PRODUCTION)

    assert broker.extend(request_id, HOUR).changed
    assert broker.status(request_id) == "open"
