"""Requests and grants as they were read: order, groups, merged versions."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from jit.domain.model.grant import Footprint, Initiate, Status
from jit.storage.stored import (
    ReadableRows,
    StoredRequest,
    find_earliest_check,
    group_by_machine,
    merge_grants,
    sort_grants,
)
from tests.builders.grants import a_grant_of, a_request

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
SUBSCRIPTION = "5c0ffee0-0000-4000-8000-000000000001"
GROUP = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg-web/providers"
REQUEST = a_request(NOON, f"{GROUP}/Microsoft.Security/jitNetworkAccessPolicies/default")
GRANTS = [
    a_grant_of(
        REQUEST, f"{GROUP}/Microsoft.Compute/virtualMachines/web{index:02d}", index=index, port=port
    )
    for index in range(12)
    for port in (22, 3389)
]


@given(st.permutations(GRANTS))
def test_grants_are_sorted_as_in_the_body_of_the_request(shuffled):
    """By VM, then by port; the tenth VM comes after the second."""
    assert list(sort_grants(shuffled)) == GRANTS


def test_grants_are_grouped_by_vm_in_any_case():
    """Azure writes ids in several ways."""
    first, second, other, _ = GRANTS[:4]
    spelled = replace(second, vm_id=second.vm_id.upper())

    assert group_by_machine([first, other, spelled]) == [[first, spelled], [other]]


def test_a_row_is_due_with_the_first_of_its_live_grants():
    """Closed grants count only if no other is left."""
    soon = replace(GRANTS[0], next_check_at=NOON, status=Status.CLOSED)
    later = replace(GRANTS[1], next_check_at=NOON + timedelta(hours=1))

    assert find_earliest_check([soon, later]) == later.next_check_at
    assert find_earliest_check([soon]) == NOON


def test_merged_grants_hold_the_ids_of_both_versions():
    """The newer version says everything else."""
    older = replace(
        GRANTS[0],
        initiate=Initiate(ids=("i",)),
        footprint=Footprint(rules=("a", "b"), private_ips=("1",)),
    )
    newer = replace(
        GRANTS[0],
        initiate=Initiate(ids=("j",), attempts=3),
        footprint=Footprint(rules=("b", "c"), companions=("k",)),
    )

    (merged,) = merge_grants([older], [newer])

    assert merged.initiate == Initiate(ids=("i", "j"), attempts=3)
    assert merged.footprint == Footprint(
        rules=("a", "b", "c"), companions=("k",), private_ips=("1",)
    )


def test_grants_of_one_version_alone_are_kept_by_a_merge():
    """No grant is lost."""
    assert merge_grants(GRANTS[:1], GRANTS[1:2]) == tuple(GRANTS[:2])


def test_a_request_is_as_far_as_its_least_advanced_grant():
    """Closed grants do not count while another one lives."""
    grants = tuple(
        replace(grant, status=status)
        for grant, status in zip(GRANTS, (Status.CLOSED, Status.OPEN, Status.PENDING), strict=False)
    )

    assert StoredRequest(REQUEST, grants).status is Status.PENDING


def test_rows_of_an_unreadable_vm_are_left_out():
    """The readable ones of the same VM too."""
    rows = ReadableRows((("a", 1), ("b", 2), ("a", 3)), frozenset({"a"}))

    assert rows.rows == (2,)
    assert rows.drop_machines(frozenset({"b"})) == (1, 3)
