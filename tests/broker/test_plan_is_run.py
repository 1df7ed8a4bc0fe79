"""A run carries out the plan before it, and nothing else: the planner is the same."""

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.broker.inprocess import InProcess, farm
from tests.broker.reconciling import Reconciling
from tests.local.azure.sim import DEVELOPMENT
from tests.sizes import examples

STRANGER = "192.0.2.9"
ROUNDS = 6  # an NSG takes one removal at a time


def drifted(leftovers, orphans, wiped, strict):
    """A broker with one open and one closed path, and changes that it has not seen."""
    it = Reconciling(InProcess(), remove_orphans=strict)
    it.closed(farm(1))
    it.opened(farm(11))
    for number in range(leftovers):
        it.leave(number + 1)
    for number in range(orphans):
        it.leave(number + 50, sourceAddressPrefix=STRANGER)
    nsg = next(name for name in it.broker.sim.control("GET", "state")["resources"] if _second(name))
    if wiped:
        it.wipe(nsg)
    it.broker.sim.control("DELETE", "log")
    return it


def _second(name):
    return name.endswith("/networkSecurityGroups/nsg-farm-2")


def plan(it):
    return it.reconciler.make_dry_run(now=it.broker.now, subscriptions=[DEVELOPMENT])


def rules(items):
    return {item.rule for item in items if item.action == "remove-rule"}


def reopened(items):
    return sum(item.action == "reopen" for item in items)


def removed(it):
    """Names of the rules that the broker asked Azure to delete."""
    return {name for method, name in it.writes() if method == "DELETE"}


def settled(it):
    """Let runs follow each other until they have nothing more to do; return the last plan."""
    for _ in range(ROUNDS):
        it.run()
        it.broker.live(1)
    return plan(it)


@settings(max_examples=examples(8, 50), deadline=None)
@given(
    leftovers=st.integers(0, 3),
    orphans=st.integers(0, 2),
    wiped=st.booleans(),
    strict=st.booleans(),
)
def test_a_run_carries_out_the_plan_before_it(leftovers, orphans, wiped, strict):
    """Removals and repetitions alike; afterwards the plan has nothing left to remove."""
    it = drifted(leftovers, orphans, wiped, strict)
    before = plan(it)

    after = settled(it)

    assert removed(it) == rules(before)
    assert len(it.broker.initiates()) == reopened(before)
    assert (rules(after), reopened(after)) == (set(), 0)
    assert len(rules(before)) == leftovers + (orphans if strict else 0)


def test_a_grant_that_a_portal_users_newer_request_replaced_is_planned_to_close():
    """The run leaves it to its worker, which hears the same from Defender and never reopens it."""
    it = Reconciling(InProcess())
    request_id = it.opened(farm(1))
    it.broker.sim.initiate(farm(1), 22, STRANGER, 60, as_="petra")
    it.broker.sim.advance("PT2M")

    (item,) = [item for item in plan(it) if item.grant]

    assert (item.action, item.kind) == ("close", "missing")
    assert "newer request" in item.reason
    it.run()
    it.broker.live(5)
    assert it.broker.grant(request_id).close_reason == "superseded"
    assert len(it.broker.initiates()) == 1
