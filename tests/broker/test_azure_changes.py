"""Calls to Azure: the last look before a removal."""

import pytest

from jit.broker.azure_changes import Actions
from jit.domain.paths import rules
from tests.broker.inprocess import HERE, THERE, InProcess, policy_of
from tests.local.azure.sim import DB01


@pytest.fixture
def broker():
    """A broker, its storage, its Azure."""
    return InProcess()


@pytest.mark.parametrize(
    ("sources", "listed", "kept"),
    [([HERE], True, []), ([THERE], True, [DB01]), ([HERE, THERE], False, [])],
    ids=["for it", "for another", "for we know not whom"],
)
def test_a_rule_that_a_new_foreign_request_may_need_is_not_removed(broker, sources, listed, kept):
    """Somebody used the portal between the look and the removal."""
    broker.sim.options(echoPrefixLists=listed)
    actions = Actions(lambda: broker.azure.policies, lambda: broker.azure.network, broker.locks)
    rule = rules.PathRule(
        id=f"{DB01}/rule",
        holder_id=DB01,
        name="rule",
        collection=None,
        sources=(HERE,),
        target="10.1.2.4",
        exact=True,
        vm_id=DB01,
        port=22,
    )
    broker.sim.initiate(DB01, 22, sources if len(sources) > 1 else sources[0], 60, as_="petra")

    found = actions.still_removable(policy_of(DB01), [rule], frozenset(), broker.now)

    assert [each.vm_id for each in found] == kept
