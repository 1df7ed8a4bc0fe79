"""Bastions that the lists lack: each reaches its VM until a second list agrees."""

from dataclasses import replace
from datetime import timedelta

import pytest

from jit.domain.inventory.last_bastions import keep_last_bastions
from jit.domain.inventory.topology import Snapshot
from jit.domain.model.absence import ABSENT_AFTER
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
UNREAD = replace(EMPTY, bastions=None)
LACKING = [EMPTY, replace(EMPTY, bastions=[HOST])]
"""Lists without the Bastion, and lists without its network."""


def keep(snapshot=EMPTY, last=LAST, now=NOW, bastions=()):
    return keep_last_bastions(a_vm(bastions=bastions), last, snapshot, now)


@pytest.mark.parametrize("snapshot", LACKING, ids=["bastion", "network"])
def test_a_bastion_that_one_list_lacks_still_reaches_the_vm(snapshot):
    """The first time is noted, and stands."""
    first = keep(snapshot)
    assert first.bastions == (replace(BASTION, lacked_since=NOW),)

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
    assert keep(bastions=(OTHER,)).bastions == (OTHER, replace(BASTION, lacked_since=NOW))


def test_lists_that_could_not_be_read_leave_the_last_bastions_in_doubt():
    """The first time is noted, and stands, however many lists could not be read."""
    first = keep(UNREAD, bastions=None)
    assert first.bastions == (replace(BASTION, unread_since=NOW),)

    assert keep(UNREAD, first, LATER, bastions=None) == first
    assert keep(UNREAD, a_vm(bastions=None), bastions=None).bastions is None


def test_a_list_that_could_not_be_read_is_no_list_that_lacks_a_bastion():
    """The lists that were read decide, and at least two of them."""
    unread = keep(UNREAD, bastions=None)

    lacked = keep(last=unread, now=LATER)

    assert lacked.bastions == (replace(BASTION, lacked_since=LATER),)
    assert keep(UNREAD, lacked, LATER, bastions=None).bastions[0].lacked_since == LATER


def test_a_bastion_that_is_listed_again_is_in_doubt_no_more():
    """Its doubts are those of the last lists."""
    last = a_vm(bastions=(replace(BASTION, lacked_since=NOW, unread_since=NOW),))

    assert keep(last=last, bastions=(BASTION,)).bastions == (BASTION,)
