"""Bastions that the lists lack: each reaches its VM until a second list agrees."""

from dataclasses import replace
from datetime import timedelta

import pytest

from jit.domain.inventory.last_bastions import keep_last_bastions
from jit.domain.inventory.topology import Snapshot
from jit.domain.model.absence import ABSENT_AFTER, Absence
from jit.domain.values.arm_ids import key
from tests.builders.bastions import a_bastion
from tests.builders.machines import a_vm
from tests.builders.values import BASTION_ID, NOW
from tests.domain.inventory.test_bastions import HUB, OWN, a_host, a_vnet

BASTION, OTHER = a_bastion(), a_bastion("10.8.0.0/26", id=f"{BASTION_ID}-other")
LAST = a_vm(bastions=(BASTION,))
HOST = {**a_host(OWN["id"]), "id": BASTION_ID}
SOON, LATER = NOW + ABSENT_AFTER - timedelta(seconds=1), NOW + ABSENT_AFTER
EMPTY = Snapshot(
    machines=[],
    interfaces=[],
    networks=[],
    firewalls=[],
    public_ips=[],
    policies=[],
    bastions=[],
)
LACKING = [EMPTY, replace(EMPTY, bastions=[HOST])]
"""Lists without the Bastion, and lists without its network."""


def keep(snapshot=EMPTY, last=LAST, now=NOW, bastions=()):
    return keep_last_bastions(a_vm(bastions=bastions), last, snapshot, now)


@pytest.mark.parametrize("snapshot", LACKING, ids=["bastion", "network"])
def test_a_bastion_that_one_list_lacks_still_reaches_the_vm(snapshot):
    """The first time is noted, and stands."""
    first = keep(snapshot)
    assert (first.bastions, [each.since for each in first.absences]) == ((BASTION,), [NOW])

    assert keep(snapshot, first, SOON) == first
    assert keep(snapshot, first, LATER) == keep(last=None)


def test_a_bastion_that_is_listed_is_as_listed():
    """Its peering may be gone, or its subnet another: that is no gap in a list."""
    listed = replace(EMPTY, bastions=[HOST], networks=[a_vnet(HUB, OWN)])
    moved = a_bastion("10.9.9.0/26")

    assert keep(listed).bastions == ()
    assert keep(listed, bastions=(moved,)).bastions == (moved,)


def test_a_bastion_that_is_listed_stands_before_one_that_may_be_gone():
    """A new request comes by the one that is there."""
    assert keep(bastions=(OTHER,)).bastions == (OTHER, BASTION)


def test_a_list_that_could_not_be_read_leaves_the_bastions_unknown():
    """A new request is told so."""
    assert keep(replace(EMPTY, bastions=None), bastions=None).bastions is None


def test_another_absence_of_the_vm_stays():
    """Both are noted."""
    nic = Absence(key="nic", since=NOW)

    kept = keep_last_bastions(a_vm(bastions=(), absences=(nic,)), LAST, EMPTY, NOW)
    assert [each.key for each in kept.absences] == ["nic", key(BASTION_ID)]
