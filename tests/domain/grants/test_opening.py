"""When a path makes its grant open, when it is lost, and which of its rules are recorded."""

from dataclasses import replace
from datetime import timedelta

import pytest

from jit.domain.grants.initiate import REOPENS
from jit.domain.grants.timing import TIMES
from jit.domain.model.grant import CloseReason, Status
from jit.domain.model.machine import Via
from tests.builders.admin_rules import admin_rules
from tests.builders.defender import an_entry
from tests.builders.firewalls import a_firewall, a_nat
from tests.builders.grants import a_grant, an_open, an_opening, through_firewall
from tests.builders.machines import a_nic, a_view, behind
from tests.builders.nsgs import an_allow, an_nsg, arm_rule
from tests.builders.values import (
    BEHIND,
    FIREWALL_ID,
    HOUR,
    MINUTE,
    NOW,
    NSG_ID,
    OFFICE,
    OTHER_NSG_ID,
    VM,
    vm_id,
)
from tests.domain.steps import (
    OURS,
    RULE_ID,
    SECOND,
    STRANGER,
    THERE,
    a_world,
    alone,
    stepped,
)


def test_a_path_that_is_seen_open_opens_the_grant():
    """Observed, with an address to connect to and the rules that were seen."""
    after = alone(an_opening(), a_world(OURS, an_entry()), now=NOW + MINUTE)

    assert (after.status, after.opened_at) == (Status.OPEN, NOW + MINUTE)
    assert after.connection
    assert after.footprint.rules == (RULE_ID,)
    assert (after.initiate.seen, after.footprint.private_ips) == (True, (VM,))


def test_a_look_is_noted_once_a_minute_if_it_changes_nothing():
    """Each note is a write. A neighbour that opens has the path looked at every few seconds."""
    grant = alone(an_opening(), a_world(OURS, an_entry()), now=NOW)
    looks = [timedelta(seconds=each) for each in (3, 59, 60, 100, 121)]
    noted = []
    for after in looks:
        grant = alone(grant, a_world(OURS, an_entry()), now=NOW + after)
        noted.append(grant.observed_at - NOW)

    assert [int(each.total_seconds()) for each in noted] == [0, 0, 60, 60, 121]


def test_a_look_that_changes_something_is_noted_with_it():
    """The row is written anyway."""
    opened = alone(an_opening(), a_world(OURS, an_entry()), now=NOW)

    lost = alone(opened, a_world(a_view(an_nsg()), an_entry()), now=NOW + 3 * SECOND)

    assert (opened.observed_at, lost.observed_at) == (NOW, NOW + 3 * SECOND)
    assert lost.status is Status.OPENING


def test_a_look_that_tells_nothing_is_no_look():
    """The NSG is being updated."""
    opened = alone(an_opening(), a_world(OURS, an_entry()), now=NOW)

    after = alone(
        opened, a_world(a_view(an_nsg(an_allow(), settled=False)), an_entry()), now=NOW + HOUR / 4
    )

    assert after.observed_at == NOW


def test_an_open_grant_is_looked_at_again_at_its_end():
    """Unless something happens to it before."""
    after = alone(an_opening(), a_world(OURS, an_entry()))

    assert after.next_check_at == NOW + 2 * HOUR


def test_an_open_grant_is_looked_at_again_when_the_request_under_it_ends():
    """A stranger's that it has joined may end before it does."""
    entry = an_entry(initiate_id=STRANGER, ends_at=NOW + HOUR)

    after = alone(an_opening(initiates=(), initiated_at=None), a_world(OURS, entry))

    assert (after.status, after.next_check_at) == (Status.OPEN, NOW + HOUR)


def test_a_grant_without_any_end_on_record_is_looked_at_at_once():
    """A row written by hand does not sleep for ever."""
    after = alone(an_opening(expires_at=None, latest_end=NOW + HOUR), a_world(OURS))

    assert after.next_check_at <= NOW + 3 * SECOND


def test_the_first_opening_is_remembered():
    """A path lost and mended was open since then."""
    after = alone(an_opening(opened_at=NOW - HOUR), a_world(OURS, an_entry()))

    assert after.opened_at == NOW - HOUR


def test_a_path_that_is_not_open_yet_says_why_and_is_looked_at_soon():
    """Soon after the initiate, then ever rarer."""
    after = alone(an_opening(), a_world(a_view(), an_entry()), now=NOW + 20 * SECOND)

    assert (after.status, after.note) == (Status.OPENING, "no rule is there yet")
    assert after.next_check_at == NOW + 30 * SECOND


def test_no_look_is_planned_beyond_the_end():
    """The end itself is the next look."""
    grant = an_opening(expires_at=NOW + 10 * SECOND, initiated_at=NOW - MINUTE)

    after = alone(grant, a_world(a_view(), an_entry(ends_at=NOW + 10 * SECOND)))

    assert after.next_check_at == NOW + 10 * SECOND


@pytest.mark.parametrize(
    ("via", "minutes"), [(Via.PUBLIC_IP, 20), (Via.PRIVATE, 20), (Via.FIREWALL, 40)]
)
def test_a_grant_that_does_not_open_in_time_fails(via, minutes):
    """Twenty minutes; forty behind a firewall, whose updates queue."""
    grant = an_opening(via=via, firewall_id=FIREWALL_ID)
    deny = arm_rule(90, "Deny", name="never-ssh", port="22")
    view = behind(a_firewall(), an_nsg(an_allow(), deny), via=via)

    before = alone(grant, a_world(view, an_entry()), now=NOW + minutes * MINUTE - SECOND)
    after = alone(grant, a_world(view, an_entry()), now=NOW + minutes * MINUTE)

    assert before.status is Status.OPENING
    assert (after.status, after.close_reason) == (Status.CLOSING, CloseReason.FAILED)
    assert (after.note or "").startswith("not open in time: ")


def test_a_path_that_opened_while_the_broker_was_away_is_open():
    """The broker was away; the path is there and in time."""
    after = alone(an_opening(), a_world(OURS, an_entry()), now=NOW + HOUR)

    assert after.status is Status.OPEN


def test_a_grant_that_never_asked_has_its_time_from_its_admission():
    """Nothing else is on record."""
    joined = an_opening(initiates=(), initiated_at=None, expires_at=NOW + 2 * HOUR)
    world = a_world(a_view(), an_entry(initiate_id=STRANGER))

    after = alone(joined, world, now=NOW + TIMES[Via.PUBLIC_IP].opens_within)

    assert after.close_reason is CloseReason.FAILED


def test_a_path_that_is_blocked_is_no_longer_open():
    """P4: said as soon as it is seen."""
    deny = arm_rule(90, "Deny", name="never-ssh", port="22")
    world = a_world(a_view(an_nsg(an_allow(), deny)), an_entry())

    after = alone(an_open(), world, now=NOW + HOUR)

    assert (after.status, after.lost_at) == (Status.OPENING, NOW + HOUR)
    assert after.note == "nsg-web: rule never-ssh blocks it"


def test_a_lost_path_is_given_time_to_mend():
    """Its initiate may be hours old; the deadline counts from the loss."""
    lost = an_open(status=Status.OPENING, lost_at=NOW + HOUR)
    deny = arm_rule(90, "Deny", name="never-ssh", port="22")
    world = a_world(a_view(an_nsg(an_allow(), deny)), an_entry())

    soon = alone(lost, world, now=NOW + HOUR + MINUTE)
    late = alone(lost, world, now=NOW + HOUR + TIMES[Via.PUBLIC_IP].opens_within)

    assert soon.status is Status.OPENING
    assert (late.status, late.close_reason) == (Status.CLOSING, CloseReason.FAILED)


def test_a_mended_path_is_open_as_before():
    """And the next loss has its own time."""
    lost = an_open(status=Status.OPENING, lost_at=NOW)

    after = alone(lost, a_world(OURS, an_entry()), now=NOW + MINUTE)

    assert (after.status, after.lost_at, after.opened_at) == (Status.OPEN, None, NOW)


def test_an_update_in_azure_does_not_make_an_open_path_lost():
    """An unclear path is neither open nor closed: the grant stays as it was."""
    world = a_world(a_view(an_nsg(an_allow(), settled=False)), an_entry())

    after = alone(an_open(), world, now=NOW + HOUR)

    assert (after.status, after.note) == (Status.OPEN, "NSG nsg-web is being updated")


def test_a_path_that_is_given_up_closes_with_a_reason():
    """Waiting for its end would keep others from asking anew."""
    done = alone(an_open(reopens=REOPENS), a_world(a_view(), an_entry()), now=NOW + HOUR)

    assert done.close_reason is CloseReason.FAILED
    assert done.note == "its rules were taken away again after 3 repetitions"


@pytest.mark.parametrize(
    ("nats", "status"), [((), Status.OPENING), ((a_nat(),), Status.OPEN)], ids=["gone", "there"]
)
def test_a_path_that_an_update_of_the_firewall_takes_away_is_not_open(nats, status):
    """An update is no reason to doubt listed rules; a rule that is no longer listed goes."""
    let_in = arm_rule(50, sources=BEHIND, port="22", to=VM)
    view = behind(a_firewall(*nats, settled=False), an_nsg(an_allow(), let_in))
    grant = through_firewall(an_open(rules=(RULE_ID,)))

    assert alone(grant, a_world(view, an_entry())).status is status


@pytest.mark.parametrize("state", [{"settled": False}, {"settled": False, "failed": True}])
def test_a_deny_in_an_nsg_that_is_not_settled_is_a_doubt(state):
    """Packets may already meet the rules that are listed."""
    deny = arm_rule(50, "Deny", name="lockdown", port="22")
    held, shut = (
        a_view(replace(an_nsg(*rules), **state)) for rules in ([an_allow()], [an_allow(), deny])
    )

    assert alone(an_open(), a_world(held, an_entry())).status is Status.OPEN
    assert alone(an_open(), a_world(shut, an_entry())).status is Status.OPENING


@pytest.mark.parametrize("failed", [False, True])
@pytest.mark.parametrize(
    ("allows", "status"),
    [((), Status.OPENING), ((an_allow(),), Status.OPEN)],
    ids=["gone", "there"],
)
def test_a_path_that_an_update_of_its_nsg_takes_away_is_not_open(allows, status, failed):
    """In an update that goes on, and in one that has failed."""
    view = a_view(replace(an_nsg(*allows, settled=False), failed=failed))

    assert alone(an_open(rules=(RULE_ID,)), a_world(view, an_entry())).status is status


def test_an_nsg_that_cannot_be_read_is_no_reason_to_call_a_path_lost():
    """Nothing is known of it."""
    view = replace(a_view(), nsgs={})

    assert alone(an_open(rules=(RULE_ID,)), a_world(view, an_entry())).status is Status.OPEN


def test_a_rule_is_recorded_for_one_vm_only():
    """One NSG may guard two networks whose addresses overlap: each VM has a rule of its own."""
    other = an_open("g2", vm_id=vm_id("web02"), rules=(RULE_ID,))
    world = a_world(OURS, an_entry())

    first = stepped(an_opening("g1"), other, world=world).grants[0]
    by_itself = alone(an_opening("g1"), world)

    assert (first.footprint.rules, by_itself.footprint.rules) == ((), (RULE_ID,))


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"before": THERE}, Status.OPENING),
        ({"before": None}, Status.OPENING),
        ({"before": ()}, Status.OPEN),
        ({"before": None, "initiated_at": NOW - 2 * MINUTE}, Status.OPEN),
        ({"before": THERE, "written": True}, Status.OPENING),  # put off by Azure
        ({"before": THERE, "initiates": (), "initiated_at": None}, Status.OPENING),
        ({"before": THERE, "admitted_at": NOW - 2 * MINUTE}, Status.OPEN),
        ({"before": THERE, "admitted_at": NOW - 2 * MINUTE, "attempts": 2}, Status.OPENING),
        ({"before": THERE, "opened_at": NOW - HOUR, "lost_at": NOW - SECOND}, Status.OPEN),
    ],
)
def test_a_grant_does_not_open_on_a_rule_that_its_own_will_replace(changes, status):
    """A person who comes in by another grant's last seconds is soon cut."""
    new = an_opening(**{"initiated_at": NOW - SECOND, **changes})

    assert alone(new, a_world(OURS, an_entry())).status is status


def test_an_nsg_that_defender_leaves_out_delays_nobody():
    """No rule was there before: the rule that lets it in is its own."""
    customers = arm_rule(100, name="customer", source="203.0.113.7", port="22", to=VM)
    nsgs = an_nsg(an_allow()), an_nsg(customers, nsg_id=OTHER_NSG_ID)
    both = a_view(*nsgs, interfaces=(a_nic(nsg_ids=(NSG_ID, OTHER_NSG_ID)),))
    new = an_opening(initiated_at=NOW - SECOND, before=())

    after = alone(new, a_world(both, an_entry()))

    assert (after.status, after.initiate.written) == (Status.OPEN, False)


def test_an_older_rule_that_went_and_comes_again_is_a_new_rule():
    """A NAT rule has its old name: that it was away meanwhile tells the two apart."""
    new = an_opening(initiated_at=NOW, before=THERE)

    away = alone(new, a_world(a_view(an_nsg()), an_entry()), NOW + SECOND)
    again = alone(away, a_world(OURS, an_entry()), NOW + 30 * SECOND)

    assert (away.status, again.status) == (Status.OPENING, Status.OPEN)


def test_rules_of_a_strangers_request_are_not_recorded():
    """P5: they are not ours to remove."""
    after = alone(a_grant(), a_world(OURS, an_entry(initiate_id=STRANGER)), now=NOW + MINUTE)

    assert (after.footprint.rules, after.footprint.private_ips, after.initiate.seen) == (
        (),
        (),
        False,
    )


@pytest.mark.parametrize(
    "rule",
    [
        an_allow("*"),
        an_allow("203.0.113.0/24"),
        an_allow("203.0.113.7", "192.0.2.1"),
        an_allow("203.0.113.7", "Internet"),
        an_allow(port=["22", "3389"]),
        an_allow(to=[VM, "10.1.1.9"]),
    ],
)
def test_a_rule_that_opens_more_than_was_asked_is_not_recorded(rule):
    """It is somebody else's leftover, and no proof of anything."""
    after = alone(an_opening(), a_world(a_view(an_nsg(rule)), an_entry()))

    assert after.footprint.rules == ()


def test_a_rule_for_the_union_is_recorded_by_each_who_shares_it():
    """It was asked for them together."""
    both = a_view(an_nsg(an_allow("203.0.113.7", "198.51.100.0/24")))
    entry = an_entry("203.0.113.7", "198.51.100.0/24")

    done = stepped(an_opening(), an_opening("g2", sources=(OFFICE,)), world=a_world(both, entry))

    assert [grant.footprint.rules for grant in done.grants] == [(RULE_ID,), (RULE_ID,)]


def test_nothing_is_recorded_while_azure_updates():
    """Its list may not be in force."""
    view = a_view(an_nsg(an_allow(), settled=False))

    after = alone(an_opening(), a_world(view, an_entry()))

    assert (after.footprint.rules, after.initiate.seen) == ((), False)


def test_a_path_that_is_only_partly_there_was_not_seen_yet():
    """The firewall's rule comes minutes after the NSG's: its absence would not count."""
    view = behind(a_firewall(), an_nsg(an_allow()))

    after = alone(through_firewall(an_opening()), a_world(view, an_entry()))

    assert after.footprint.rules == (RULE_ID,)
    assert after.initiate.seen is False


def test_rules_are_recorded_once_and_the_newest_are_kept():
    """Twenty-four; a row must stay small."""
    grant = an_opening(rules=(*(f"old-{number}" for number in range(24)), RULE_ID))

    after = alone(grant, a_world(OURS, an_entry()))

    assert len(after.footprint.rules) == 24
    assert after.footprint.rules[-1] == RULE_ID
    assert after.footprint.rules.count(RULE_ID) == 1


def test_every_address_that_a_vm_had_is_recorded():
    """A rule for an address that the VM loses later is still its rule."""
    after = alone(an_opening(private_ips=("10.1.1.9",)), a_world(OURS, an_entry()))

    assert after.footprint.private_ips == ("10.1.1.9", VM)


# ---- the reason of a grant that did not open -----------------------------------------------------


DENIED = a_view(an_nsg(an_allow(), arm_rule(90, "Deny", name="deny-all")))
BEFORE = "nsg-web: rule deny-all blocks it"
DEADLINE = NOW + TIMES[Via.PUBLIC_IP].opens_within


def _failed(*looks, grant=None):
    """The note of a grant after those looks, a minute apart, and the last one at its deadline."""
    grant = grant or an_opening()
    for number, world in enumerate(looks[:-1]):
        grant = alone(grant, world, now=NOW + (number + 1) * MINUTE)
    return alone(grant, looks[-1], now=DEADLINE).note.partition("; closing: ")[0]


@pytest.mark.parametrize(
    "last",
    [
        a_world(a_view(an_nsg(an_allow(), settled=False)), an_entry()),
        a_world(a_view(an_nsg()), an_entry()),
        a_world(DENIED, an_entry(), machines={}),
        a_world(OURS, an_entry(), unreadable={vm_id().lower(): "the VM could not be read"}),
    ],
    ids=["an update", "no rule", "no answer", "half a VM"],
)
def test_a_grant_fails_with_the_obstacle_that_a_look_saw_last(last):
    """An update that runs, or no answer, does not make it untrue."""
    assert _failed(a_world(DENIED, an_entry()), last) == f"not open in time: {BEFORE}"


@pytest.mark.parametrize(
    ("before", "after"),
    [(BEFORE, None), ("security admin rule x blocks it before every NSG",) * 2],
)
def test_a_path_that_is_open_but_for_unread_admin_rules_has_no_obstacle_in_an_nsg(before, after):
    """Only a security admin rule may still be there."""
    unread = replace(OURS, admin=admin_rules(unread="they could not be read"))

    done = alone(an_opening(hindrance=before), a_world(unread, an_entry()), now=NOW + MINUTE)

    assert (done.status, done.hindrance) == (Status.OPENING, after)


def test_an_obstacle_that_gave_way_to_another_is_not_the_reason():
    """The later one held it back."""
    later = a_view(an_nsg(an_allow(), arm_rule(91, "Deny", name="deny-some")))

    assert _failed(a_world(DENIED), a_world(later), a_world(later)) == (
        "not open in time: nsg-web: rule deny-some blocks it"
    )


def test_an_obstacle_that_is_gone_is_not_the_reason():
    """Afterwards the path was only borrowed from an older rule: that held it back."""
    grant = an_opening(before=THERE, attempts=2)
    borrowed = a_world(OURS, an_entry())

    after = alone(alone(grant, a_world(DENIED, an_entry())), borrowed)

    assert after.hindrance is None


def test_a_failed_update_that_was_repeated_is_not_the_reason():
    """The NSG was settled afterwards."""
    failed = a_view(replace(an_nsg(), settled=False, failed=True))

    assert _failed(a_world(failed), a_world(failed)) == (
        "not open in time: the last update of NSG nsg-web failed; repeat it in Azure"
    )
    assert (
        _failed(a_world(failed), a_world(), a_world()) == "not open in time: no rule is there yet"
    )


def test_an_open_grant_remembers_no_obstacle():
    """If it is lost later, that has another reason."""
    after = alone(an_opening(hindrance=BEFORE), a_world(OURS, an_entry()), now=NOW + MINUTE)

    assert (after.status, after.hindrance) == (Status.OPEN, None)


def test_a_block_that_a_companion_is_about_to_end_is_no_obstacle():
    """The broker itself adds it in this step."""
    grant = through_firewall(an_opening())
    view = behind(a_firewall(a_nat()), an_nsg(an_allow()))

    done = stepped(grant, world=a_world(view, an_entry()), now=NOW + MINUTE)

    assert (len(done.companions), done.grants[0].hindrance) == (1, None)


def test_an_nsg_without_room_for_a_companion_is_an_obstacle():
    """Somebody must make room."""
    full = an_nsg(an_allow(), arm_rule(100, "Deny", name="deny-all"))
    view = behind(a_firewall(a_nat()), full)

    after = alone(through_firewall(an_opening()), a_world(view, an_entry()), now=NOW + MINUTE)

    assert after.hindrance == after.note == "no free priority in NSG above 100"


def test_a_grant_that_ends_between_two_refusals_says_so():
    """It is not asked once more."""
    grant = an_opening(
        initiates=(), initiated_at=None, answered=False, refused_at=NOW, refusal="NotFound"
    )

    after = alone(grant, now=NOW + 2 * HOUR)

    assert after.note == "not open in time: Azure refused to open it (NotFound)"


# ---- people who may be barred --------------------------------------------------------------------

UNASKED = frozenset({a_grant().request_id})


def test_a_path_is_not_called_open_while_nobody_knows_if_its_person_is_barred():
    """Its own rule lets it in. The reason of the look before is gone."""
    world = a_world(OURS, an_entry(), unasked=UNASKED)

    after = alone(an_opening(hindrance=BEFORE), world, now=NOW + MINUTE)

    assert (after.status, after.opened_at, after.hindrance) == (Status.OPENING, None, None)
    assert "barred" in (after.note or "")


def test_a_path_that_was_open_opens_again_although_its_person_may_be_barred():
    """A bar closes no grant that was open once."""
    lost = an_opening(opened_at=NOW, lost_at=NOW)

    after = alone(lost, a_world(OURS, an_entry(), unasked=UNASKED), now=NOW + MINUTE)

    assert after.status is Status.OPEN
