"""One line of the plan, in the words of the contract."""

from jit.domain.reconcile.plan_item import PlanAction, PlanClass, PlanItem
from tests.builders.values import VM_ID


def test_an_item_reads_as_the_contract_writes_it():
    """Six members, null if there is nothing to say."""
    item = PlanItem(
        action=PlanAction.REOPEN, kind=PlanClass.MISSING, resource=VM_ID, reason="gone", grant="g"
    )

    assert item.doc() == {
        "action": "reopen",
        "class": "missing",
        "resource": VM_ID,
        "rule": None,
        "grant": "g",
        "reason": "gone",
    }
