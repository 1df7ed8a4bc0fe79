"""The last look at a grant's path: by the worker, or by a comparison that found it open."""

from dataclasses import replace
from datetime import timedelta

import pytest

from jit.broker.requests.last_look import add_last_look, add_last_looks, has_open_grant
from jit.domain.model.grant import Status
from jit.storage.subscription_rows import SubscriptionRow, name_vm
from jit.storage.table import Op, Row, Verb
from tests.broker.inprocess import ALICE, farm, wish
from tests.broker.reconciling import NSG_FARM, Reconciling
from tests.builders.grants import a_grant, an_open
from tests.builders.values import NOW
from tests.local.azure.sim import DEVELOPMENT

MINUTE = timedelta(minutes=1)
OPEN = an_open(opened_at=NOW, observed_at=NOW + MINUTE)


def compared(minutes, **changes):
    """The row of a subscription whose last comparison began so long after NOW."""
    fields = {"unseen": frozenset(), "compared_at": NOW + minutes * MINUTE, **changes}
    return SubscriptionRow(
        subscription="s", version=Row(partition="p", key="k", values={}), **fields
    )


@pytest.mark.parametrize(
    ("grant", "row", "minutes"),
    [
        (OPEN, compared(5), 5),
        (OPEN, compared(0.5), 1),
        (OPEN, None, 1),
        (OPEN, compared(5, compared_at=None), 1),
        (OPEN, compared(5, unseen=None), 1),
        (OPEN, compared(5, unseen=frozenset({name_vm(OPEN.vm_id)})), 1),
        (OPEN, compared(5, unseen=frozenset({name_vm("/another")})), 5),
        (replace(OPEN, status=Status.CLOSING), compared(5), 1),
    ],
    ids=[
        "later",
        "earlier",
        "no row",
        "no comparison yet",
        "a row of an older version",
        "not seen open",
        "another VM",
        "closing",
    ],
)
def test_a_comparison_counts_for_paths_that_it_saw_open(grant, row, minutes):
    """Only if it is later than the worker's last look."""
    assert add_last_look(grant, row).observed_at == NOW + minutes * MINUTE


def test_a_comparison_before_the_opening_saw_nothing():
    """The path opened after it."""
    grant = an_open(opened_at=NOW + 2 * MINUTE, observed_at=None)

    assert add_last_look(grant, compared(1)).observed_at is None


def test_a_grant_of_an_older_version_was_looked_at_by_the_comparison():
    """Its worker did not store its looks."""
    assert add_last_look(an_open(opened_at=NOW), compared(5)).observed_at == NOW + 5 * MINUTE


def test_a_request_is_shown_with_the_last_looks_of_all_its_grants(broker):
    """A comparison is one of them; it writes no grant."""
    it, request_id = Reconciling(broker), broker.ask(wish((farm(1), farm(2))))
    broker.live(3)
    rows = broker.state.rows("g|")
    it.run()
    compared_at = broker.now

    (listed,), _ = broker.list_requests(ALICE)

    assert broker.state.rows("g|") == rows
    assert has_open_grant(listed)
    assert {grant.observed_at for grant in listed.grants} == {compared_at}
    assert broker.queries.find_request(request_id, ALICE).grants == listed.grants
    row = broker.subscription_rows.get(DEVELOPMENT)
    assert add_last_looks(broker.whole(request_id), row).grants == listed.grants


def test_a_comparison_that_finds_a_path_broken_is_no_look_at_an_open_path(broker):
    """The worker comes a moment later and tells it; until then the old look counts."""
    it, request_id = Reconciling(broker), broker.ask(wish(farm(1)))
    broker.live(3)
    last = broker.grant(request_id).observed_at
    it.wipe(NSG_FARM)

    it.run()

    assert broker.queries.find_request(request_id, ALICE).grants[0].observed_at == last


def test_a_comparison_during_an_update_is_no_look(broker):
    """Nobody knows which rules are in force."""
    it, request_id = Reconciling(broker), broker.ask(wish(farm(1)))
    broker.live(3)
    last = broker.grant(request_id).observed_at
    nsg = broker.sim.get(NSG_FARM)
    nsg["properties"]["provisioningState"] = "Updating"
    it.edit(**{NSG_FARM: nsg})

    it.run()

    assert broker.queries.find_request(request_id, ALICE).grants[0].observed_at == last


def test_a_vm_with_a_row_that_cannot_be_read_was_not_looked_at(broker):
    """A comparison leaves all its grants out; the list shows those that can be read."""
    it = Reconciling(broker)
    ids = [broker.ask(wish(farm(1), justification=f"for {n:05}")) for n in range(2)]
    broker.live(3)
    last = broker.grant(ids[0]).observed_at
    newer, _ = sorted(broker.state.rows("g|"), key=lambda row: ids[1] not in row.key)
    values = {**newer.values, "Format": 99}
    broker.state.write([Op(Verb.REPLACE, replace(newer, values=values))])

    it.run()

    assert broker.queries.find_request(ids[0], ALICE).grants[0].observed_at == last
    listed, _ = broker.queries.list_machines(DEVELOPMENT, ALICE, now=broker.now)
    (shown,) = (access.grants for vm, access in listed if vm.name == "farm01")
    assert [each.grant.request_id for each in shown] == [ids[0]]


def test_a_grant_that_is_not_open_is_as_stored():
    """A comparison says nothing about it."""
    assert add_last_look(a_grant(), compared(5)) == a_grant()
