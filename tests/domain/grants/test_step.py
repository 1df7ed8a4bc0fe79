"""One step of a JIT policy, decision by decision."""

from dataclasses import replace
from datetime import timedelta
from ipaddress import ip_network

import pytest

from jit.domain.azure import defender_requests
from jit.domain.azure.companion_rule import companion_name
from jit.domain.grants import rule_evidence, timing
from jit.domain.grants.admission import as_request
from jit.domain.grants.initiate import REOPENS, PortToOpen
from jit.domain.grants.lifetime import begin_closing, by_time, close, pace
from jit.domain.grants.timing import APPEARS_WITHIN, TIMES
from jit.domain.model.grant import CloseReason, Status
from jit.domain.model.machine import Support, Via
from jit.domain.paths.rules import rules_of_port
from jit.domain.values import arm_ids
from tests.builders.bodies import NOW, a_rule, vm_id
from tests.builders.firewalls import FIREWALL_ID
from tests.builders.flat_grants import changed
from tests.builders.grants import (
    BEHIND,
    ELSEWHERE,
    HOME,
    HOUR,
    MINE,
    MINUTE,
    NEXT,
    OFFICE,
    OTHER_NSG_ID,
    a_firewall,
    a_grant,
    a_guard,
    a_nat,
    a_nic,
    a_view,
    an_allow,
    an_entry,
    an_open,
    an_opening,
    behind,
    jit_name,
    through_firewall,
)
from tests.builders.nsgs import NSG_ID, VM, arm_rule
from tests.domain.steps import FRESH, a_world, alone, stepped

SECOND = timedelta(seconds=1)
STRANGER = None
OURS = a_view(a_guard(an_allow()))
THERE = tuple(rule_evidence.mark(rule) for rule in rules_of_port(OURS, 22))
RULE_ID = f"{NSG_ID}/securityRules/{jit_name('-', 1)}"


# ---- what time alone decides -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("starts", "status"),
    [(NOW + SECOND, Status.SCHEDULED), (NOW, Status.PENDING), (NOW - SECOND, Status.PENDING)],
)
def test_a_scheduled_grant_becomes_due_at_its_start(starts, status):
    """Not before."""
    after = by_time(a_grant(status=Status.SCHEDULED, starts_at=starts), now=NOW)

    assert after.status is status


@pytest.mark.parametrize("status", [Status.SCHEDULED, Status.PENDING])
def test_what_could_not_be_opened_in_time_fails(status):
    """Its whole duration no longer fits before its latest end."""
    grant = a_grant(status=status, latest_end=NOW + 2 * HOUR, duration=2 * HOUR)

    after = by_time(grant, now=NOW)

    assert (after.status, after.close_reason) == (Status.CLOSED, CloseReason.FAILED)
    assert (after.closed_at, after.note) == (NOW, "it could not be opened in time")


def test_what_kept_a_grant_waiting_is_why_it_failed():
    """The note that it waited with is the one it closes with."""
    grant = a_grant(latest_end=NOW, note="waiting for another update of the firewall")

    assert by_time(grant, now=NOW).note == "waiting for another update of the firewall"


@pytest.mark.parametrize(
    ("grant", "reason"),
    [
        (an_open(expires_at=NOW), CloseReason.EXPIRED),
        (an_opening(expires_at=NOW), CloseReason.FAILED),
        (an_opening(expires_at=NOW, opened_at=NOW - HOUR), CloseReason.EXPIRED),
    ],
)
def test_at_its_end_a_grant_closes(grant, reason):
    """Expired if it was ever open, failed if it never was."""
    after = by_time(grant, now=NOW)

    assert (after.status, after.close_reason, after.closing_at) == (Status.CLOSING, reason, NOW)


@pytest.mark.parametrize(
    "grant",
    [
        an_open(expires_at=NOW + SECOND),
        an_open(expires_at=None),
        a_grant(),
        a_grant(status=Status.AWAITING_APPROVAL),
        an_open(status=Status.CLOSING, expires_at=NOW - HOUR),
        a_grant(status=Status.CLOSED),
    ],
)
def test_before_its_time_the_clock_changes_nothing(grant):
    """And it never touches what closes already."""
    assert by_time(grant, now=NOW) == grant


def test_what_was_never_asked_of_azure_closes_at_once():
    """There is nothing to observe."""
    after = begin_closing(a_grant(), CloseReason.REVOKED, NOW, "left")

    assert (after.status, after.close_reason, after.note) == (
        Status.CLOSED,
        CloseReason.REVOKED,
        "left",
    )


@pytest.mark.parametrize(
    "trace",
    [{"initiated_at": NOW}, {"rules": ("r",)}, {"companions": ("c",)}, {"seen": True}],
)
def test_whatever_may_have_left_a_rule_closes_by_observation(trace):
    """An initiate, a rule seen, a companion written down."""
    grant = an_opening(initiated_at=None, initiates=())

    after = begin_closing(changed(grant, **trace), CloseReason.REVOKED, NOW)

    assert (after.status, after.next_check_at) == (Status.CLOSING, NOW)


def test_the_first_reason_stays():
    """An operator who gives up a grant that expired does not rewrite why it ended."""
    grant = an_open(status=Status.CLOSING, close_reason=CloseReason.EXPIRED)

    assert close(grant, CloseReason.UNVERIFIED, NOW).close_reason is CloseReason.EXPIRED


@pytest.mark.parametrize(("elapsed", "wait"), [(0, 3), (10, 5), (60, 30), (600, 60)])
def test_looks_become_rarer_from_seconds_to_a_minute(elapsed, wait):
    """Half of what has passed."""
    assert pace(timedelta(seconds=elapsed)) == timedelta(seconds=wait)


# ---- the claim: decided again, and the end ---------------------------------------------------


def test_the_claim_fixes_the_end_and_asks():
    """Start plus duration; stored before the call, which the caller makes after this step."""
    done = stepped(a_grant())

    (grant,) = done.grants
    assert (grant.status, grant.admitted_at, grant.expires_at) == (
        Status.OPENING,
        NOW,
        NOW + 2 * HOUR,
    )
    assert done.asks == (
        PortToOpen(vm_id=vm_id(), port=22, sources=(HOME,), until=NOW + 2 * HOUR, firewall_id=None),
    )


@pytest.mark.parametrize(
    ("late", "latest", "end"),
    [
        (timedelta(0), 4 * HOUR, 2 * HOUR),
        (HOUR, 4 * HOUR, 3 * HOUR),
        (HOUR, 3 * HOUR + SECOND, 3 * HOUR),
    ],
)
def test_a_late_claim_gives_the_whole_time_until_the_latest_end(late, latest, end):
    """min(max(start, claim) + duration, latest end)."""
    after = alone(a_grant(latest_end=NOW + latest), now=NOW + late)

    assert after.expires_at == NOW + end


def test_what_was_just_asked_for_is_looked_at_in_seconds():
    """Rules of an NSG are there soon."""
    assert alone(a_grant()).next_check_at == NOW + 3 * SECOND


def test_an_end_is_fixed_once():
    """A step later it is the same, whatever the clock says."""
    (claimed,) = stepped(a_grant()).grants

    after = alone(changed(claimed, answered=True), a_world(OURS), now=NOW + HOUR)

    assert after.expires_at == claimed.expires_at


def test_an_end_is_a_whole_second():
    """Azure and people read it alike."""
    after = alone(a_grant(), now=NOW + timedelta(microseconds=7))

    assert after.expires_at == NOW + 2 * HOUR


def test_the_claim_takes_the_way_that_packets_take_now():
    """The VM may have got a firewall since the request."""
    after = alone(a_grant(), a_world(behind(a_firewall())))

    assert (after.via, after.firewall_id) == (Via.FIREWALL, FIREWALL_ID)


@pytest.mark.parametrize(
    ("world", "why"),
    [
        (a_world(found=False), "its JIT policy no longer exists"),
        (a_world(a_view(ports=(a_rule(3389),))), "port 22 of web01 is not in its JIT policy"),
        (
            a_world(a_view(ports=(a_rule(allowed_sources=("10.0.0.0/8",)),))),
            "203.0.113.7/32 may not reach port 22 of web01",
        ),
        (
            a_world(a_view(ports=(a_rule(max_duration=HOUR),))),
            "port 22 of web01 allows at most PT1H",
        ),
        (a_world(a_view(support=Support.NOT_CONFIGURED)), "web01 is in no JIT policy"),
        (
            a_world(a_view(support=Support.UNSUPPORTED, reasons=("no NSG",))),
            "web01 cannot be served: no NSG",
        ),
        (
            a_world(None, an_entry("192.0.2.1", initiate_id=STRANGER)),
            "port 22 of web01 is occupied until 2026-11-22T20:00:00Z",
        ),
        (
            a_world(None, an_entry("192.0.2.1", initiate_id=FRESH)),
            "port 22 of web01 is occupied until 2026-11-22T20:00:00Z",
        ),
    ],
)
def test_what_is_no_longer_allowed_at_opening_is_denied(world, why):
    """P1: decided again at the moment of opening; a mark that is not ours is a stranger's."""
    done = stepped(a_grant(), world=world)

    (grant,) = done.grants
    assert (grant.status, grant.close_reason, grant.note) == (
        Status.CLOSED,
        CloseReason.DENIED,
        why,
    )
    assert done.asks == ()


@pytest.mark.parametrize(
    "entry",
    [
        an_entry("192.0.2.1", initiate_id=STRANGER, active=False),
        an_entry("192.0.2.1", initiate_id=STRANGER, ends_at=NOW),
        an_entry("192.0.2.1", initiate_id=STRANGER, port=3389),
        an_entry("192.0.2.1", initiate_id=STRANGER, vm_id=vm_id("db01")),
        an_entry("192.0.2.1", initiate_id=MINE),
    ],
)
def test_only_a_strangers_request_in_force_on_this_port_occupies_it(entry):
    """Not a past one, not one for another port or machine, not our own."""
    done = stepped(a_grant(), world=a_world(None, entry))

    assert len(done.asks) == 1


def test_every_reason_for_a_denial_is_told():
    """Whoever asks again should not find the next one."""
    view = a_view(ports=(a_rule(allowed_sources=("10.0.0.0/8",), max_duration=HOUR),))

    after = alone(a_grant(), a_world(view))

    assert after.note == (
        "port 22 of web01 allows at most PT1H; 203.0.113.7/32 may not reach port 22 of web01"
    )


def test_the_request_decided_again_is_the_one_that_was_granted():
    """Same VM, port, sources, duration."""
    request = as_request(a_grant())

    (machine,) = request.machines
    assert (machine.id, machine.ports[0].number) == (vm_id(), 22)
    assert (request.sources, request.duration) == ((HOME,), 2 * HOUR)


@pytest.mark.parametrize(
    "world",
    [
        a_world(behind(a_firewall(settled=False))),
        a_world(behind(None)),
        a_world(behind(a_firewall()), turns=frozenset()),
    ],
)
def test_a_grant_behind_a_busy_firewall_waits_its_turn(world):
    """It is not claimed: its time has not begun."""
    done = stepped(a_grant(), world=world)

    (grant,) = done.grants
    assert (grant.status, grant.expires_at) == (Status.PENDING, None)
    assert grant.note == "waiting for another update of the firewall"
    assert grant.next_check_at == NOW + MINUTE
    assert done.asks == ()


def test_an_ask_behind_a_firewall_names_it():
    """Whoever changes it takes turns."""
    (ask,) = stepped(a_grant(), world=a_world(behind(a_firewall()))).asks

    assert ask.firewall_id == FIREWALL_ID


def test_grants_are_claimed_in_the_order_of_their_starts():
    """The later comer is told about the hand-over."""
    first = a_grant("z", starts_at=NOW - MINUTE, duration=HOUR)
    later = a_grant("a", sources=(OFFICE,))

    done = stepped(later, first)

    ends = {grant.id: (grant.expires_at, grant.handover_at) for grant in done.grants}
    assert ends == {
        "z": (NOW + HOUR, None),
        "a": (NOW + 2 * HOUR, NOW + HOUR),
    }


@pytest.mark.parametrize("status", [Status.PENDING, Status.OPENING, Status.OPEN])
def test_what_cannot_be_seen_is_not_decided(status):
    """The VM could not be read: the grant says so, and is looked at again in a minute."""
    grant = an_open(status=status, admitted_at=NOW)
    world = a_world(machines={}, unreadable={arm_ids.key(vm_id()): "web01 could not be read"})

    done = stepped(grant, world=world)

    assert done.grants == (
        replace(grant, note="web01 could not be read", next_check_at=NOW + MINUTE),
    )
    assert (done.asks, done.removals) == ((), ())


def test_a_vm_that_nobody_looked_at_has_a_note_too():
    """Even where the look does not say why."""
    after = alone(an_open(), a_world(machines={}))

    assert after.note == "the VM could not be read"


@pytest.mark.parametrize("status", [Status.SCHEDULED, Status.CLOSED])
def test_what_needs_no_look_is_left_as_it_is_without_one(status):
    """Not due, or over."""
    grant = a_grant(status=status, starts_at=NOW + HOUR)

    assert alone(grant, a_world(machines={})) == grant


def test_even_unseen_a_grant_ends():
    """Time needs no look."""
    after = alone(an_open(expires_at=NOW), a_world(machines={}))

    assert after.status is Status.CLOSING


# ---- opening ---------------------------------------------------------------------------------


def test_a_path_that_is_seen_open_opens_the_grant():
    """Observed, with what to connect to and what was seen."""
    after = alone(an_opening(), a_world(OURS, an_entry()), now=NOW + MINUTE)

    assert (after.status, after.opened_at) == (Status.OPEN, NOW + MINUTE)
    assert after.connection
    assert after.footprint.rules == (RULE_ID,)
    assert (after.initiate.seen, after.footprint.private_ips) == (True, (VM,))


def test_an_open_grant_is_looked_at_again_at_its_end():
    """Unless something happens to it before."""
    after = alone(an_opening(), a_world(OURS, an_entry()))

    assert after.next_check_at == NOW + 2 * HOUR


def test_an_open_grant_is_looked_at_again_when_the_request_under_it_ends():
    """A stranger's that it has joined may end before it does."""
    entry = an_entry(initiate_id=STRANGER, ends_at=NOW + HOUR)

    after = alone(an_opening(initiates=(), initiated_at=None), a_world(OURS, entry))

    assert (after.status, after.next_check_at) == (Status.OPEN, NOW + HOUR)


def test_who_joins_a_stranger_is_told_when_that_path_ends():
    """P6: fixed with the grant's own end; nobody is told later than that."""
    entry = an_entry(initiate_id=STRANGER, ends_at=NOW + HOUR)

    after = alone(a_grant(), a_world(OURS, entry))

    assert (after.expires_at, after.handover_at) == (NOW + 2 * HOUR, NOW + HOUR)


def test_a_stranger_whose_path_is_over_is_no_hand_over_to_come():
    """Ours takes its place at once; what was told is taken back."""
    over = an_entry(initiate_id=STRANGER, ends_at=NOW + HOUR, active=False)
    joined = an_open(initiates=(), initiated_at=None, handover_at=NOW + HOUR)

    after = stepped(joined, world=a_world(OURS, over), now=NOW + MINUTE)

    assert (len(after.asks), after.grants[0].handover_at) == (1, None)


@pytest.mark.parametrize(("left", "asks"), [(31, 1), (30, 0), (3, 0)])
@pytest.mark.parametrize("there", [(), (an_entry(active=False, reason="Expired"),)])
def test_nothing_is_asked_for_in_the_last_seconds(left, asks, there):
    """P2: five minutes would be granted, and stand when the grant is over. It closes in time."""
    end = NOW + 2 * HOUR
    done = stepped(an_open(), world=a_world(None, *there), now=end - left * SECOND)

    assert len(done.asks) == asks
    assert done.grants[0].next_check_at <= end


def test_who_gives_back_a_path_in_its_last_seconds_does_not_prolong_the_others():
    """What is in force ends with them; what leaves one of them out would outlast them."""
    end = NOW + 2 * HOUR
    stays = an_open("a", asked=(HOME, OFFICE), asked_until=end)
    leaves = begin_closing(replace(stays, id="b", sources=(OFFICE,)), CloseReason.REVOKED, NOW)
    both = ("203.0.113.7", "198.51.100.0/24")

    done = stepped(
        stays,
        leaves,
        world=a_world(a_view(a_guard(an_allow(*both))), an_entry(*both)),
        now=end - 20 * SECOND,
    )

    assert done.asks == ()


def test_what_would_outlast_its_end_is_shortened_in_the_last_seconds_too():
    """What is in force ends much later: five minutes are less."""
    end = NOW + 2 * HOUR
    entry = an_entry(ends_at=end + HOUR)

    done = stepped(an_open(), world=a_world(OURS, entry), now=end - 20 * SECOND)

    assert [ask.until for ask in done.asks] == [end - 20 * SECOND + timing.SHORTEST]


def test_a_grant_without_any_end_on_record_is_looked_at_at_once():
    """A row written by hand does not sleep for ever."""
    after = alone(an_opening(expires_at=None, latest_end=NOW + HOUR), a_world(OURS))

    assert after.next_check_at <= NOW + 3 * SECOND


def test_the_first_opening_is_remembered():
    """A path lost and mended was open since then."""
    after = alone(an_opening(opened_at=NOW - HOUR), a_world(OURS, an_entry()))

    assert after.opened_at == NOW - HOUR


def test_what_is_not_open_yet_says_why_and_is_looked_at_soon():
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
def test_what_does_not_open_in_time_has_failed(via, minutes):
    """Twenty minutes; forty behind a firewall, whose updates queue."""
    grant = an_opening(via=via, firewall_id=FIREWALL_ID)
    deny = arm_rule(90, "Deny", name="never-ssh", port="22")
    view = behind(a_firewall(), a_guard(an_allow(), deny), via=via)

    before = alone(grant, a_world(view, an_entry()), now=NOW + minutes * MINUTE - SECOND)
    after = alone(grant, a_world(view, an_entry()), now=NOW + minutes * MINUTE)

    assert before.status is Status.OPENING
    assert (after.status, after.close_reason) == (Status.CLOSING, CloseReason.FAILED)
    assert (after.note or "").startswith("not open in time: ")


def test_what_has_opened_while_nobody_looked_is_open():
    """The broker was away; the path is there and in time."""
    after = alone(an_opening(), a_world(OURS, an_entry()), now=NOW + HOUR)

    assert after.status is Status.OPEN


def test_a_claim_that_was_never_asked_counts_from_the_claim():
    """Nothing else is on record."""
    joined = an_opening(initiates=(), initiated_at=None, expires_at=NOW + 2 * HOUR)
    world = a_world(a_view(), an_entry(initiate_id=STRANGER))

    after = alone(joined, world, now=NOW + TIMES[Via.PUBLIC_IP].opens_within)

    assert after.close_reason is CloseReason.FAILED


# ---- a path that is lost ---------------------------------------------------------------------


def test_a_path_that_is_blocked_is_no_longer_open():
    """P4: said as soon as it is seen."""
    deny = arm_rule(90, "Deny", name="never-ssh", port="22")
    world = a_world(a_view(a_guard(an_allow(), deny)), an_entry())

    after = alone(an_open(), world, now=NOW + HOUR)

    assert (after.status, after.lost_at) == (Status.OPENING, NOW + HOUR)
    assert after.note == "nsg-web: rule never-ssh blocks it"


def test_a_lost_path_is_given_time_to_mend():
    """Its initiate may be hours old; the deadline counts from the loss."""
    lost = an_open(status=Status.OPENING, lost_at=NOW + HOUR)
    deny = arm_rule(90, "Deny", name="never-ssh", port="22")
    world = a_world(a_view(a_guard(an_allow(), deny)), an_entry())

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
    """What is unclear is neither open nor closed: it stays what it was."""
    world = a_world(a_view(a_guard(an_allow(), settled=False)), an_entry())

    after = alone(an_open(), world, now=NOW + HOUR)

    assert (after.status, after.note) == (Status.OPEN, "NSG nsg-web is being updated")


def test_a_wiped_path_is_asked_for_again():
    """Seen, then absent, although Defender still counts it as open."""
    done = stepped(an_open(), world=a_world(a_view(), an_entry()), now=NOW + HOUR)

    (grant,) = done.grants
    assert len(done.asks) == 1
    assert grant.initiate.ids == (MINE, FRESH)
    assert (grant.initiate.reopens, grant.initiate.seen, grant.initiate.answered) == (
        1,
        False,
        False,
    )


@pytest.mark.parametrize(("reopens", "asks"), [(0, 1), (REOPENS - 1, 1), (REOPENS, 0)])
def test_a_path_that_is_wiped_again_and_again_is_given_up(reopens, asks):
    """Three times; whoever wipes it means it."""
    grant = an_open(reopens=reopens)

    done = stepped(grant, world=a_world(a_view(), an_entry()), now=NOW + HOUR)

    assert len(done.asks) == asks


def test_a_path_that_is_given_up_closes_with_a_reason():
    """Waiting for its end would keep others from asking anew."""
    done = alone(an_open(reopens=REOPENS), a_world(a_view(), an_entry()), now=NOW + HOUR)

    assert done.close_reason is CloseReason.FAILED
    assert done.note == "its rules were taken away again after 3 repetitions"


def test_a_hand_over_is_not_an_attempt():
    """Only what was wiped, or was never answered, is counted against the path."""
    there, newcomer = an_open(), a_grant("g2", sources=(OFFICE,))

    done = stepped(there, newcomer, world=a_world(OURS, an_entry()))

    assert [grant.initiate.attempts for grant in done.grants] == [1, 1]


def test_a_path_that_was_never_seen_is_not_wiped():
    """It is still on its way."""
    done = stepped(an_opening(), world=a_world(a_view(), an_entry()))

    assert done.asks == ()


def test_a_path_that_lost_its_nat_rule_is_asked_for_again():
    """Half a path is none: the NSG still lets in, the firewall leads nowhere any more."""
    half = behind(a_firewall(), a_guard(an_allow()))
    grant = through_firewall(an_open(rules=(RULE_ID,)))

    done = stepped(grant, world=a_world(half, an_entry()))

    assert len(done.asks) == 1


@pytest.mark.parametrize(
    ("nats", "status"), [((), Status.OPENING), ((a_nat(),), Status.OPEN)], ids=["gone", "there"]
)
def test_a_path_that_an_update_of_the_firewall_takes_away_is_not_open(nats, status):
    """An update is no reason to doubt what stays listed; what is not listed any more goes."""
    let_in = arm_rule(50, sources=BEHIND, port="22", to=VM)
    view = behind(a_firewall(*nats, settled=False), a_guard(an_allow(), let_in))
    grant = through_firewall(an_open(rules=(RULE_ID,)))

    assert alone(grant, a_world(view, an_entry())).status is status


@pytest.mark.parametrize("state", [{"settled": False}, {"settled": False, "failed": True}])
def test_a_deny_in_an_nsg_that_is_not_settled_is_a_doubt(state):
    """What is listed already may be what packets meet."""
    deny = arm_rule(50, "Deny", name="lockdown", port="22")
    held, shut = (
        a_view(replace(a_guard(*rules), **state)) for rules in ([an_allow()], [an_allow(), deny])
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
    """Whether the update goes on or has failed."""
    view = a_view(replace(a_guard(*allows, settled=False), failed=failed))

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


# ---- asking, and waiting for the answer ------------------------------------------------------


def test_an_answered_initiate_is_waited_for():
    """202 came; rules may take their time."""
    done = stepped(an_opening(), now=NOW + APPEARS_WITHIN - SECOND)

    assert done.asks == ()


def test_an_answered_initiate_is_waited_for_while_an_older_one_still_shows():
    """Defender lists it a little later; asking again would only supersede it."""
    sources = (HOME, OFFICE)
    named = {"asked": sources, "asked_until": NOW + 2 * HOUR, "initiates": (MINE, NEXT)}
    grant = an_opening(sources=sources, **named)

    done = stepped(grant, world=a_world(None, an_entry()), now=NOW + MINUTE)

    assert done.asks == ()


@pytest.mark.parametrize("told", [(), ("203.0.113.7",), ("198.51.100.0/24",)])
def test_what_was_sent_counts_and_not_how_azure_repeats_it(told):
    """An answer that leaves out sources must not make the broker ask for ever."""
    sources = (HOME, OFFICE)
    grant = an_opening(sources=sources, asked=sources, asked_until=NOW + 2 * HOUR)
    entry = replace(an_entry(), sources=told)

    assert stepped(grant, world=a_world(None, entry)).asks == ()


def test_what_is_asked_for_is_stored_with_each_grant_that_it_is_for():
    """Before the call; afterwards it tells what was asked, whatever Azure says."""
    done = stepped(a_grant(), a_grant("g2", sources=(OFFICE,)))

    (ask,) = done.asks
    assert {(grant.initiate.sources, grant.initiate.until) for grant in done.grants} == {
        (ask.sources, ask.until)
    }


def test_an_answered_initiate_that_never_shows_is_repeated_after_a_quarter_of_an_hour():
    """Longer than that nothing appears."""
    done = stepped(an_opening(), now=NOW + APPEARS_WITHIN)

    assert len(done.asks) == 1


def test_an_unanswered_initiate_is_repeated_at_once():
    """The call may never have arrived; Defender keeps one request per port anyway."""
    done = stepped(an_opening(answered=False), now=NOW + SECOND)

    (grant,) = done.grants
    assert len(done.asks) == 1
    assert grant.initiate.attempts == 2


def test_an_unanswered_initiate_that_shows_was_done():
    """Its mark in Defender's list proves it."""
    done = stepped(an_opening(answered=False), world=a_world(None, an_entry()))

    assert done.asks == ()


def test_stepping_again_before_the_entry_shows_asks_nothing():
    """Level-triggered: the same present, the same decision."""
    once = stepped(a_grant())
    (asked,) = once.grants

    again = stepped(
        changed(asked, answered=True), world=a_world(known=frozenset({FRESH})), now=NOW + SECOND
    )

    assert again.asks == ()


def test_stepping_again_with_the_entry_in_place_asks_nothing():
    """What was asked is what is wanted."""
    (asked,), (ask,) = (once := stepped(a_grant())).grants, once.asks
    entry = an_entry(*map(str, ask.sources), initiate_id=FRESH, ends_at=ask.until)

    again = stepped(asked, world=a_world(None, entry, known=frozenset({FRESH})), now=NOW + MINUTE)

    assert again.asks == ()


def test_no_more_initiates_are_kept_than_prove_what_is_ours():
    """Twelve; a row must stay small."""
    grant = an_open(initiates=tuple(f"{'d' * 25}{letter}" for letter in "abcdefghijkl"))

    after = alone(grant, a_world(a_view()), now=NOW + HOUR)

    assert len(after.initiate.ids) == 12
    assert after.initiate.ids[-1] == FRESH


def test_an_ask_lasts_at_least_five_minutes():
    """Defender grants no less; the broker closes it in time."""
    grant = an_open(expires_at=NOW + MINUTE, answered=False)

    (ask,) = stepped(grant, world=a_world(OURS)).asks

    assert ask.until == NOW + timing.SHORTEST


def test_a_change_that_must_wait_for_the_firewall_is_looked_at_again():
    """Even though the path is open still: it will not be for long."""
    over = an_entry(active=False, reason="Expired", ends_at=NOW)
    world = a_world(behind(a_firewall(a_nat()), LET_IN), over, turns=frozenset())

    done = stepped(through_firewall(an_open()), world=world)

    (grant,) = done.grants
    assert (done.asks, grant.status) == ((), Status.OPEN)
    assert grant.next_check_at == NOW + MINUTE


def test_what_waits_for_the_firewall_with_others_does_not_hurry_those_who_close():
    """They have their own time."""
    closing = {"status": Status.CLOSING, "close_reason": CloseReason.REVOKED, "closing_at": NOW}
    waiting, gone = through_firewall(an_open()), through_firewall(an_open("g2", **closing))
    over = an_entry(active=False, reason="Expired", ends_at=NOW)
    world = a_world(behind(a_firewall(a_nat()), LET_IN), over, turns=frozenset())

    done = stepped(waiting, gone, world=world)

    assert {grant.id: grant.status for grant in done.grants} == {
        "g1": Status.OPEN,
        "g2": Status.CLOSED,
    }


# ---- when Azure asked us to wait -------------------------------------------------------------

LATER = NOW + 10 * MINUTE


def test_while_azure_wants_no_calls_nothing_is_claimed():
    """The grant's time does not begin before it can be asked for."""
    done = stepped(a_grant(), world=a_world(asks_from=LATER))

    (grant,) = done.grants
    assert (grant.status, grant.expires_at, done.asks) == (Status.PENDING, None, ())
    assert (grant.note, grant.next_check_at) == ("Azure asked us to wait", LATER)


def test_while_azure_wants_no_calls_nothing_is_repeated():
    """A lost answer is asked about again when the time has come."""
    done = stepped(an_opening(answered=False), world=a_world(asks_from=LATER))

    assert done.asks == ()
    assert done.grants[0].next_check_at <= LATER


def test_closing_does_not_wait_for_what_azure_said_about_asking():
    """Doubt keeps closing."""
    done = stepped(a_leaver(), world=a_world(OURS, an_entry(), asks_from=LATER))

    assert [rule.id for rule in done.removals] == [RULE_ID]


@pytest.mark.parametrize("asks_from", [None, NOW, NOW - MINUTE])
def test_once_the_wait_is_over_grants_are_asked_for(asks_from):
    """At the very moment."""
    done = stepped(a_grant(), world=a_world(asks_from=asks_from))

    assert len(done.asks) == 1


# ---- sharing a VM port -----------------------------------------------------------------------


def test_a_newcomer_and_those_there_are_asked_for_together():
    """The union, until the first of them leaves; all carry the initiate."""
    there, newcomer = an_open(expires_at=NOW + HOUR), a_grant("g2", sources=(OFFICE,))

    done = stepped(there, newcomer, world=a_world(OURS, an_entry(ends_at=NOW + HOUR)))

    (ask,) = done.asks
    assert (set(ask.sources), ask.until) == ({HOME, OFFICE}, NOW + HOUR)
    assert [grant.initiate.ids[-1] for grant in done.grants] == [FRESH, FRESH]


def test_sources_of_both_ip_versions_can_be_asked_for_together():
    """In one list, in a stable order."""
    six = ip_network("2001:db8::/64")
    view = a_view(ports=(a_rule(allowed_sources=("0.0.0.0/0", "2001:db8::/32")),))

    (ask,) = stepped(an_opening(sources=(HOME, six), answered=False), world=a_world(view)).asks

    assert ask.sources == (six, HOME)


def test_who_closes_does_not_carry_the_new_initiate():
    """It is not for them."""
    leaving = an_open(status=Status.CLOSING, close_reason=CloseReason.REVOKED, closing_at=NOW)
    staying = an_open("g2", sources=(OFFICE,))
    shared = an_allow("203.0.113.7", "198.51.100.0/24")

    done = stepped(leaving, staying, world=a_world(a_view(a_guard(shared)), an_entry()))

    assert {grant.id: grant.initiate.ids for grant in done.grants} == {
        "g1": (MINE,),
        "g2": (MINE, FRESH),
    }


def test_an_open_path_is_not_replaced_twice_before_its_first_replacement_is_there():
    """The one in the middle would be over before its rules were written, and leave a gap."""
    extended = an_open(opened_at=NOW - HOUR, expires_at=NOW + 3 * HOUR)
    moment = NOW + timedelta(seconds=5)

    done = stepped(extended, world=a_world(OURS, an_entry()), now=moment)

    assert done.asks == ()
    assert done.grants[0].next_check_at == NOW + timedelta(seconds=20)


def test_a_replacement_that_does_not_show_itself_is_waited_for_no_longer_than_usual():
    """Then the next one is asked for all the same."""
    extended = an_open(opened_at=NOW - HOUR, expires_at=NOW + 3 * HOUR)
    moment = NOW + timedelta(seconds=20)

    done = stepped(extended, world=a_world(OURS, an_entry()), now=moment)

    assert [ask.until for ask in done.asks] == [NOW + 3 * HOUR]


def test_a_newcomer_from_the_same_place_joins_the_initiate():
    """Nothing needs asking; the newcomer's path is that initiate's, seen at the next look."""
    there, newcomer = an_open(written=True, initiated_at=NOW), a_grant("g2", duration=HOUR)
    world = a_world(OURS, an_entry())

    done = stepped(there, newcomer, world=world, now=NOW + MINUTE)
    after = stepped(*done.grants, world=world, now=done.grants[1].next_check_at)

    joined = done.grants[1]
    assert (done.asks, after.asks) == ((), ())
    assert (joined.initiate.ids, joined.initiate.at, joined.initiate.answered) == (
        (MINE,),
        NOW,
        True,
    )
    assert joined.next_check_at <= NOW + MINUTE + 3 * SECOND
    assert after.grants[1].status is Status.OPEN


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
def test_a_grant_does_not_open_on_what_its_own_rule_is_about_to_replace(changes, status):
    """Whoever is called in on somebody's last seconds is soon cut, and was told otherwise."""
    new = an_opening(**{"initiated_at": NOW - SECOND, **changes})

    assert alone(new, a_world(OURS, an_entry())).status is status


def test_an_open_path_whose_change_was_asked_for_and_that_is_wiped_is_asked_for_again():
    """What was seen of it before the change counts: nobody looks again until the end."""
    extended = an_open(initiated_at=NOW - SECOND, before=THERE, written=False, seen=False)

    seen = alone(extended, a_world(OURS, an_entry()))
    done = stepped(seen, world=a_world(a_view(a_guard()), an_entry()), now=NOW + 10 * MINUTE)

    assert seen.initiate.seen
    assert (len(done.asks), done.grants[0].initiate.reopens) == (1, 1)


def test_an_nsg_that_defender_leaves_out_delays_nobody():
    """Nothing stood there before: whatever lets it in now is its own."""
    customers = arm_rule(100, name="customer", source="203.0.113.7", port="22", to=VM)
    nsgs = a_guard(an_allow()), a_guard(customers, nsg_id=OTHER_NSG_ID)
    both = a_view(*nsgs, interfaces=(a_nic(nsg_ids=(NSG_ID, OTHER_NSG_ID)),))
    new = an_opening(initiated_at=NOW - SECOND, before=())

    after = alone(new, a_world(both, an_entry()))

    assert (after.status, after.initiate.written) == (Status.OPEN, False)


def test_what_stood_there_before_and_went_is_a_new_rule_when_it_comes_again():
    """A NAT rule has its old name: that it was away meanwhile tells the two apart."""
    new = an_opening(initiated_at=NOW, before=THERE)

    away = alone(new, a_world(a_view(a_guard()), an_entry()), NOW + SECOND)
    again = alone(away, a_world(OURS, an_entry()), NOW + 30 * SECOND)

    assert (away.status, again.status) == (Status.OPENING, Status.OPEN)


def test_a_borrowed_path_that_goes_was_not_wiped():
    """Its own rule was not there yet: asking again would only begin anew."""
    new = an_opening(initiated_at=NOW, before=THERE, answered=True)

    looked = alone(new, a_world(OURS, an_entry()), NOW + SECOND)
    done = stepped(looked, world=a_world(a_view(a_guard()), an_entry()), now=NOW + MINUTE)

    assert (done.asks, done.grants[0].initiate.reopens) == ((), 0)


def test_what_nobody_foresaw_of_one_vm_stops_no_other_vm():
    """Its grants wait and say why; those of the others close."""
    over = an_open(expires_at=NOW)
    strange = replace(OURS, vm=replace(OURS.vm, id=vm_id(2), vnet_prefixes=("everywhere",)))
    machines = {arm_ids.key(vm_id()): OURS, arm_ids.key(vm_id(2)): strange}
    opening = an_opening("g2", vm_id=vm_id(2), sources=(HOME,))

    done = stepped(over, opening, world=a_world(None, an_entry(), machines=machines))

    by_id = {grant.id: grant for grant in done.grants}
    assert by_id["g1"].status is Status.CLOSING
    assert (by_id["g2"].status, done.unreadable) == (Status.OPENING, (arm_ids.key(vm_id(2)),))
    assert by_id["g2"].note == "what Azure says of it cannot be read"


def test_the_request_of_a_grant_that_is_over_is_not_joined():
    """Its rules were removed; it proves nothing about the new path."""
    waiting = an_opening(initiates=(NEXT,))

    after = alone(waiting, a_world(a_view(), an_entry(initiate_id=MINE)), now=NOW + SECOND)

    assert after.initiate.ids == (NEXT,)


def test_the_request_of_a_grant_that_is_over_does_not_stand_for_a_new_one():
    """It is in force in Defender's memory only."""
    done = stepped(a_grant(), world=a_world(a_view(), an_entry()))

    assert len(done.asks) == 1


def test_grants_on_other_ports_and_machines_are_asked_for_apart():
    """A VM port is VM and number."""
    done = stepped(a_grant(), a_grant("g2", port=3389))

    assert {ask.port for ask in done.asks} == {22, 3389}


def test_a_vms_id_in_another_case_is_the_same_vm():
    """ARM ids are case-insensitive."""
    done = stepped(a_grant(), a_grant("g2", vm_id=vm_id().upper(), sources=(OFFICE,)))

    assert [set(ask.sources) for ask in done.asks] == [{HOME, OFFICE}]


# ---- strangers -------------------------------------------------------------------------------


def test_a_strangers_request_from_the_same_place_is_joined():
    """Never superseded, not even by the same."""
    entry = an_entry(initiate_id=STRANGER)

    done = stepped(a_grant(), world=a_world(OURS, entry), now=NOW + MINUTE)

    (grant,) = done.grants
    assert (done.asks, grant.status, grant.initiate.ids) == ((), Status.OPEN, ())


def test_rules_of_a_strangers_request_are_not_recorded():
    """P5: they are not ours to remove."""
    after = alone(a_grant(), a_world(OURS, an_entry(initiate_id=STRANGER)), now=NOW + MINUTE)

    assert (after.footprint.rules, after.footprint.private_ips, after.initiate.seen) == (
        (),
        (),
        False,
    )


def test_what_a_stranger_leaves_behind_is_asked_for_by_ourselves():
    """Its request is over, ours is not."""
    joined = an_open(initiates=(), initiated_at=None, answered=False)
    world = a_world(a_view(), an_entry(initiate_id=STRANGER, ends_at=NOW + HOUR))

    done = stepped(joined, world=world, now=NOW + HOUR)

    assert len(done.asks) == 1


def test_a_grant_that_a_stranger_superseded_closes_as_superseded():
    """And is never asked for again: that would cut the stranger."""
    world = a_world(
        a_view(a_guard(an_allow("192.0.2.1"))),
        an_entry(active=False, reason="NewerRequestInitiated"),
        an_entry("192.0.2.1", initiate_id=STRANGER, started_at=NOW + MINUTE),
    )

    done = stepped(an_open(), world=world, now=NOW + HOUR)

    (grant,) = done.grants
    assert (grant.status, grant.close_reason) == (Status.CLOSED, CloseReason.SUPERSEDED)
    assert done.asks == ()
    assert grant.note == "somebody else's newer request for this port replaced it in Defender"


def test_a_grant_that_somebody_unseen_superseded_closes_as_superseded():
    """Defender says that a newer request came, and it is not ours."""
    world = a_world(OURS, an_entry(active=False, reason="NewerRequestInitiated"))

    done = stepped(an_open(), world=world, now=NOW + HOUR)

    assert done.grants[0].close_reason is CloseReason.SUPERSEDED
    assert done.asks == ()


def test_a_grant_whose_own_newer_initiate_is_not_listed_yet_waits():
    """It superseded itself; the list is late."""
    grant = an_opening(initiates=(MINE, NEXT))
    world = a_world(a_view(), an_entry(active=False, reason="NewerRequestInitiated"))

    done = stepped(grant, world=world, now=NOW + SECOND)

    assert (done.grants[0].status, done.asks) == (Status.OPENING, ())


def test_a_strangers_older_request_supersedes_nothing():
    """Ours came later."""
    world = a_world(
        a_view(),
        an_entry("192.0.2.1", initiate_id=STRANGER, active=False, started_at=NOW - HOUR),
        an_entry(active=False, reason="Expired"),
    )

    done = stepped(an_open(), world=world, now=NOW + HOUR)

    assert len(done.asks) == 1


@pytest.mark.parametrize(
    ("entry", "status"),
    [
        (an_entry("192.0.2.1", initiate_id=STRANGER, started_at=NOW + SECOND), Status.CLOSED),
        (an_entry("192.0.2.1", initiate_id=STRANGER, started_at=NOW - SECOND), Status.OPENING),
        (an_entry(initiate_id=STRANGER, started_at=NOW + SECOND), Status.OPENING),
    ],
)
def test_a_grant_with_nothing_of_its_own_yields_to_a_strangers_newer_request(entry, status):
    """Unless it comes from the same place: then it joins."""
    grant = an_opening(initiates=(), initiated_at=None, answered=False)

    after = alone(grant, a_world(a_view(), entry), now=NOW + MINUTE)

    assert after.status is status


def test_of_several_strangers_the_newest_counts():
    """It was joined before another came from elsewhere."""
    grant = an_opening(initiates=(), initiated_at=None, answered=False)
    world = a_world(
        a_view(),
        an_entry(initiate_id=STRANGER, active=False, started_at=NOW + SECOND),
        an_entry("192.0.2.1", initiate_id=STRANGER, started_at=NOW + MINUTE),
    )

    after = alone(grant, world, now=NOW + 2 * MINUTE)

    assert after.close_reason is CloseReason.SUPERSEDED


def test_a_stranger_who_has_come_and_gone_is_no_reason_to_close():
    """Our own initiate was lost meanwhile; nobody is in the way now."""
    grant = an_opening(initiates=(), initiated_at=None, answered=False)
    gone = an_entry(
        "192.0.2.1", initiate_id=STRANGER, started_at=NOW + SECOND, ends_at=NOW + 5 * MINUTE
    )

    done = stepped(grant, world=a_world(a_view(), gone), now=NOW + 6 * MINUTE)

    assert len(done.asks) == 1


def test_a_grant_without_a_claim_on_record_cannot_tell_who_came_later():
    """It lets nobody push it out by a request of unknown age."""
    grant = an_opening(initiates=(), initiated_at=None, answered=False, admitted_at=None)
    world = a_world(a_view(), an_entry("192.0.2.1", initiate_id=STRANGER))

    done = stepped(grant, world=world)

    assert (done.grants[0].status, done.asks) == (Status.OPENING, ())


@pytest.mark.parametrize("reason", ["UserRequested", "", "SomethingNew"])
def test_a_grant_that_was_revoked_in_azure_closes_as_revoked(reason):
    """Somebody ended it there; it is not put back."""
    world = a_world(a_view(), an_entry(active=False, reason=reason))

    done = stepped(an_open(), world=world, now=NOW + HOUR)

    (grant,) = done.grants
    assert (grant.close_reason, done.asks) == (CloseReason.REVOKED, ())


def test_a_request_that_expired_under_a_live_grant_is_asked_for_again():
    """The shared entry ended; what remains is asked for."""
    world = a_world(OURS, an_entry(active=False, reason="Expired", ends_at=NOW))

    done = stepped(an_open(), world=world, now=NOW + SECOND)

    assert len(done.asks) == 1


# ---- what is written down --------------------------------------------------------------------


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
    after = alone(an_opening(), a_world(a_view(a_guard(rule)), an_entry()))

    assert after.footprint.rules == ()


def test_a_rule_for_the_union_is_recorded_by_each_who_shares_it():
    """It was asked for them together."""
    both = a_view(a_guard(an_allow("203.0.113.7", "198.51.100.0/24")))
    entry = an_entry("203.0.113.7", "198.51.100.0/24")

    done = stepped(an_opening(), an_opening("g2", sources=(OFFICE,)), world=a_world(both, entry))

    assert [grant.footprint.rules for grant in done.grants] == [(RULE_ID,), (RULE_ID,)]


def test_nothing_is_recorded_while_azure_updates():
    """What it shows may not be so."""
    view = a_view(a_guard(an_allow(), settled=False))

    after = alone(an_opening(), a_world(view, an_entry()))

    assert (after.footprint.rules, after.initiate.seen) == ((), False)


def test_a_path_that_is_only_partly_there_was_not_seen_yet():
    """The firewall's rule comes minutes after the NSG's: its absence would not count."""
    view = behind(a_firewall(), a_guard(an_allow()))

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


# ---- the companion ---------------------------------------------------------------------------

LET_IN = a_guard(
    an_allow(),
    arm_rule(300, name=companion_name("g1"), source=BEHIND, port="22", to=VM),
)


def test_a_blocked_path_behind_a_firewall_gets_its_companion():
    """Named by the grant before it is created."""
    world = a_world(behind(a_firewall(a_nat()), a_guard(an_allow())), an_entry())

    done = stepped(through_firewall(an_opening()), world=world)

    (wish,) = done.companions
    assert done.grants[0].footprint.companions == (wish.rule_id,)


def test_an_effective_path_gets_no_companion():
    """It is there already."""
    world = a_world(behind(a_firewall(a_nat()), LET_IN), an_entry())

    done = stepped(through_firewall(an_opening()), world=world)

    assert (done.companions, done.grants[0].status) == ((), Status.OPEN)


def test_a_grant_that_joined_a_stranger_gets_its_companion_too():
    """Without it the path would never be effective."""
    joined = through_firewall(an_opening(initiates=(), initiated_at=None))
    world = a_world(
        behind(a_firewall(a_nat()), a_guard(an_allow())), an_entry(initiate_id=STRANGER)
    )

    done = stepped(joined, world=world)

    assert len(done.companions) == 1


def test_companions_of_one_step_take_different_priorities():
    """Those of another port or VM write to the same NSG."""
    world = a_world(
        behind(a_firewall(a_nat(), a_nat(port=3389, mapped=13389)), a_guard(an_allow())),
        an_entry(),
        an_entry(port=3389),
    )
    grants = [through_firewall(an_opening()), through_firewall(an_opening("g2", port=3389))]

    done = stepped(*grants, world=world)

    assert [wish.priority for wish in done.companions] == [4095, 4094]


# ---- closing ---------------------------------------------------------------------------------


def a_leaver(**changes):
    """A grant that was revoked just now."""
    return an_open(
        **{
            "status": Status.CLOSING,
            "close_reason": CloseReason.REVOKED,
            "closing_at": NOW,
            "rules": (RULE_ID,),
            **changes,
        }
    )


def test_a_revoked_grants_rules_are_removed():
    """In the same step."""
    done = stepped(a_leaver(), world=a_world(OURS, an_entry()))

    assert [rule.id for rule in done.removals] == [RULE_ID]


def test_a_rule_of_two_who_leave_is_removed_once():
    """Both recorded it."""
    done = stepped(a_leaver(), a_leaver(id="g2"), world=a_world(OURS, an_entry()))

    assert len(done.removals) == 1


def test_a_rule_is_not_removed_while_a_strangers_request_holds_it():
    """In force, from the same place."""
    world = a_world(OURS, an_entry(), an_entry(initiate_id=STRANGER, started_at=NOW + SECOND))

    done = stepped(a_leaver(), world=world)

    assert done.removals == ()


def test_a_nat_rule_is_removed_only_when_the_firewall_is_ours_to_change():
    """Removals and initiates take turns."""
    leaver = through_firewall(a_leaver())
    world = a_world(behind(a_firewall(a_nat())), an_entry())

    ours = stepped(leaver, world=world)
    others = stepped(leaver, world=replace(world, turns=frozenset()))

    assert [rule.name for rule in ours.removals] == ["MDC-JIT-web01-22"]
    assert (others.removals, others.grants[0].status) == ((), Status.CLOSING)


def test_a_companion_is_removed_whoevers_turn_the_firewall_is():
    """It stands in an NSG."""
    world = a_world(behind(a_firewall(a_nat()), LET_IN), an_entry(), turns=frozenset())

    done = stepped(through_firewall(a_leaver()), world=world)

    assert done.companion_removals == (f"{NSG_ID}/securityRules/{companion_name('g1')}",)


def test_what_leaves_and_what_comes_are_settled_in_one_step():
    """The rule of the one goes by the initiate for the other, which lets in the same port."""
    newcomer = a_grant("g2", sources=(ELSEWHERE,))

    done = stepped(a_leaver(), newcomer, world=a_world(OURS, an_entry()))

    assert [set(ask.sources) for ask in done.asks] == [{ELSEWHERE}]
    assert [rule.id for rule in done.removals] == [RULE_ID]


def test_an_empty_policy_has_nothing_to_do():
    """No grants, no calls."""
    assert stepped().grants == ()


def test_a_mark_that_the_broker_does_not_know_is_a_strangers():
    """Anybody can write a justification that looks like ours."""
    forged = defender_requests.mark_reason("z" * 26, "trust me")
    entry = an_entry("192.0.2.1", initiate_id=defender_requests.parse_mark(forged))

    after = alone(a_grant(), a_world(None, entry))

    assert after.close_reason is CloseReason.DENIED


def test_ipv6_sources_are_compared_by_what_they_mean():
    """However Azure writes them, the same request is not asked for again and again."""
    six = ip_network("2001:db8::/64")
    entry = an_entry("2001:DB8:0:0::/64")

    done = stepped(an_opening(sources=(six,)), world=a_world(a_view(), entry))

    assert done.asks == ()
