"""What a look takes from the looks before it: here, which resources were missing then already."""

import pytest

from jit.domain.values import arm_ids
from jit.observer.earlier_looks import EarlierLooks
from tests.builders.values import NOW
from tests.fakes.azure import SimulatedAzure
from tests.local.azure.sim import DB, NSG_DB, PRODUCTION, Sim, machine, policy

DB01 = arm_ids.key(machine("db01", DB))
MISSED = EarlierLooks(missed=frozenset({arm_ids.row_hash(NSG_DB)}))
GONE = {"status": 404, "code": "ResourceGroupNotFound"}


@pytest.mark.parametrize(
    ("earlier", "listed", "absent"),
    [(EarlierLooks(), False, False), (MISSED, True, False), (MISSED, False, True)],
)
def test_an_nsg_is_gone_if_an_earlier_look_missed_it_and_no_list_has_it(earlier, listed, absent):
    """One answer of 404 says nothing, and neither does a second one while Azure lists the NSG."""
    azure = SimulatedAzure(Sim())
    observer = azure.observer()
    found = observer.read_machines(PRODUCTION, now=NOW)
    predicted = {arm_ids.key(vm.id): vm for vm in found if arm_ids.key(vm.id) == DB01}
    if listed:
        azure.sim.faults({"match": {"path": NSG_DB}, "times": None, "answer": GONE})
    else:
        azure.sim.control("PUT", "state", {"resources": {NSG_DB: None}})

    view = observer.observe_policy(
        policy(DB), predicted, deciding=frozenset(predicted), now=NOW, earlier=earlier
    )

    nsgs = view.machines[DB01].nsgs
    assert arm_ids.key(NSG_DB) in view.missing
    assert {key: nsg.rules for key, nsg in nsgs.items()} == (
        {arm_ids.key(NSG_DB): ()} if absent else {}
    )
