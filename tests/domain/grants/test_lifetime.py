"""The clock's part in the life of a grant: due, too late, at its end, when to look again."""

from datetime import timedelta

import pytest

from jit.domain.grants.lifetime import (
    add_gap,
    advance_by_clock,
    announce_gap,
    begin_closing,
    close,
    find_gap,
    note_refusals,
    pace_opening,
    pace_removals,
)
from jit.domain.grants.timing import LAST_CHANCE, OVERDUE, SOONEST_LOOK
from jit.domain.model.grant import CloseReason, Status
from tests.builders.grants import a_grant, an_open, an_opening, changed, through_firewall
from tests.builders.values import FIREWALL_ID, HOUR, MINUTE, NOW, NSG_ID
from tests.domain.steps import SECOND


@pytest.mark.parametrize(
    ("starts", "status"),
    [(NOW + SECOND, Status.SCHEDULED), (NOW, Status.PENDING), (NOW - SECOND, Status.PENDING)],
)
def test_a_scheduled_grant_becomes_due_at_its_start(starts, status):
    """Not before."""
    after = advance_by_clock(a_grant(status=Status.SCHEDULED, starts_at=starts), now=NOW)

    assert after.status is status


def test_a_hand_over_that_an_older_version_promised_for_later_is_forgotten_at_the_start():
    """The grants that it depends on may be gone."""
    grant = a_grant(status=Status.SCHEDULED, starts_at=NOW, handover_at=NOW + HOUR)

    assert advance_by_clock(grant, now=NOW).handover_at is None


@pytest.mark.parametrize("status", [Status.SCHEDULED, Status.PENDING])
def test_a_grant_that_could_not_be_opened_in_time_fails(status):
    """Its whole duration no longer fits before its latest end."""
    grant = a_grant(status=status, latest_end=NOW + 2 * HOUR, duration=2 * HOUR)

    after = advance_by_clock(grant, now=NOW)

    assert (after.status, after.close_reason) == (Status.CLOSED, CloseReason.FAILED)
    assert (after.closed_at, after.note) == (NOW, "not open in time")


def test_a_grant_that_fails_says_that_it_was_late_and_what_it_waited_for():
    waited = "waiting for another change of the firewall to end"

    never_asked = a_grant(latest_end=NOW, note=waited)
    asked = an_opening(expires_at=NOW, note=waited)

    assert advance_by_clock(never_asked, now=NOW).note == f"not open in time: {waited}"
    assert advance_by_clock(asked, now=NOW).note == f"not open in time: {waited}"


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
    after = advance_by_clock(grant, now=NOW)

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
    """And it never touches a closing grant."""
    assert advance_by_clock(grant, now=NOW) == grant


def test_a_grant_without_any_initiate_closes_at_once():
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
def test_a_grant_that_may_have_left_a_rule_closes_by_observation(trace):
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
    """Half of the time that has passed."""
    assert pace_opening(timedelta(seconds=elapsed)) == timedelta(seconds=wait)


# ---- refusals by name --------------------------------------------------------------------------

COMPANION, RULE = f"{NSG_ID}/securityRules/jit-broker-one", f"{NSG_ID}/securityRules/JITRule-One"


def closing(note, **changes):
    return begin_closing(an_open(**changes), CloseReason.REVOKED, NOW, note)


@pytest.mark.parametrize(
    ("code", "remedy"),
    [
        ("ScopeLocked", "a lock forbids it, which its owner must take away"),
        (
            "RequestDisallowedByPolicy",
            "an Azure Policy forbids it, from which its owner must exempt it",
        ),
        ("AuthorizationFailed", "compare the permissions of the broker's identity with its role"),
    ],
)
def test_a_rule_that_may_not_be_removed_is_named_with_azures_word_and_the_remedy(code, remedy):
    """After the reason to wait; a second refusal takes the place of the first."""
    once = note_refusals(closing("still there: JITRule-One"), {RULE: code})

    told = f"still there: JITRule-One; Azure refused to remove JITRule-One ({code}): {remedy}"
    assert (once.note, note_refusals(once, {RULE.upper(): "x", RULE: code}).note) == (told, told)


def test_a_companion_that_may_not_be_added_is_named_in_the_note_of_its_grant():
    """Other grants are not concerned."""
    own = an_opening(note="JITRule blocks it", companions=(COMPANION,))
    others = an_opening(note="JITRule blocks it")

    found = note_refusals(own, {COMPANION.lower(): "ScopeLocked"})

    assert (found.note or "").startswith(
        "Azure refused to add the companion rule jit-broker-one (ScopeLocked): a lock"
    )
    assert note_refusals(others, {COMPANION: "ScopeLocked"}) == others


def test_a_firewall_that_may_not_be_changed_is_named_by_the_grants_behind_it():
    """Its NAT rules are removed by one change of the whole."""
    behind = closing("still there: rdp-web01", firewall_id=FIREWALL_ID)
    elsewhere = closing("still there: rdp-web01")

    found = note_refusals(behind, {FIREWALL_ID.upper(): "ScopeLocked"})

    assert "; Azure refused to change FW-PROD (ScopeLocked): a lock" in (found.note or "")
    assert note_refusals(elsewhere, {FIREWALL_ID: "ScopeLocked"}) == elsewhere


@pytest.mark.parametrize("grant", [an_open(note="x"), closing("waiting"), closing(None)])
def test_a_refusal_of_another_rule_changes_no_note(grant):
    """It does not of an open grant either."""
    assert note_refusals(grant, {RULE: "ScopeLocked"}) == grant


# ---- a gap in an open path -----------------------------------------------------------------------

END = NOW + 2 * HOUR


@pytest.mark.parametrize(
    ("grant", "left", "found"),
    [
        (through_firewall(an_open()), LAST_CHANCE, None),
        (through_firewall(an_open()), LAST_CHANCE - SECOND, END),
        (through_firewall(an_open(asked_until=END + HOUR)), MINUTE, None),
        (through_firewall(an_opening(initiated_at=None)), MINUTE, None),
        (an_open(), MINUTE, None),
    ],
    ids=["in time", "late", "a longer request", "never asked for", "by an NSG"],
)
def test_only_an_end_that_is_put_off_late_behind_a_firewall_may_make_a_gap(grant, left, found):
    """The firewall may have begun to remove the rule of the old request."""
    assert find_gap(grant, now=END - left) == found


@pytest.mark.parametrize("note", [None, "its VM is being moved"])
def test_a_gap_stands_in_the_note_until_it_is_over(note):
    """Three updates of a firewall: a running one, the removal, the new rule."""
    grant = announce_gap(through_firewall(an_open(note=note)), END, now=NOW)
    gap = "may be shut from about 2026-11-22T20:00:00Z to 2026-11-22T20:15:00Z"
    later = add_gap(grant.note, grant, now=END + 15 * MINUTE - SECOND)

    assert gap in (grant.note or "")
    assert later == grant.note
    assert add_gap(grant.note, grant, now=END + 15 * MINUTE) == note


def test_an_extension_in_time_takes_an_announced_gap_back():
    """The path stands on a request that lasts by then."""
    grant = announce_gap(through_firewall(an_open()), END, now=NOW)

    after = announce_gap(grant, None, now=NOW)

    assert (after.gap_at, after.note) == (None, None)


def a_waiting(**changes):
    """A grant that closes since ten minutes, with its next look in five."""
    began, later = NOW - 10 * MINUTE, NOW + 5 * MINUTE
    values = {"status": Status.CLOSING, "closing_at": began, "next_check_at": later, **changes}
    return changed(an_open(), **values)


@pytest.mark.parametrize(
    ("since", "wait"), [(0 * SECOND, SOONEST_LOOK), (20 * SECOND, 10 * SECOND)]
)
def test_a_change_of_a_rule_begins_the_pace_of_closing_anew(since, wait):
    """Azure changes one rule of an NSG at a time: the next one waits for the last one alone."""
    (found,) = pace_removals([a_waiting()], NOW - since, now=NOW)

    assert found.next_check_at <= NOW + wait


@pytest.mark.parametrize(
    ("grant", "changed_at"),
    [
        (a_waiting(), None),
        (a_waiting(closing_at=NOW - OVERDUE), NOW),
        (a_waiting(next_check_at=NOW), NOW),
        (an_open(), NOW),
    ],
    ids=["no change", "overdue", "sooner by itself", "not closing"],
)
def test_no_other_look_is_hastened(grant, changed_at):
    """A removal that Azure takes and never makes is tried for half an hour at that pace."""
    assert pace_removals([grant], changed_at, now=NOW) == (grant,)
