"""A grant that must not be open: which rules may be removed, when it counts as gone."""

from dataclasses import replace
from datetime import timedelta
from ipaddress import ip_network

import pytest

from jit.domain.azure.companion_rule import build_companion_name
from jit.domain.grants.closing import VmPortView, close_grant
from jit.domain.grants.policy_view import find_rule_users
from jit.domain.grants.timing import TIMES
from jit.domain.model.grant import CloseReason, Status
from jit.domain.model.machine import Via
from jit.domain.paths import effective
from jit.domain.paths.rules import find_port_rules
from jit.domain.values import arm_ids
from jit.domain.values.times import format_instant
from tests.builders.defender import an_entry
from tests.builders.firewalls import JIT_COLLECTION, a_firewall, a_nat
from tests.builders.grants import a_grant, an_open, an_opening, through_firewall
from tests.builders.machines import a_nic, a_view, behind
from tests.builders.nsgs import an_allow, an_nsg, arm_rule, jit_name
from tests.builders.values import (
    ELSEWHERE,
    FIREWALL_ID,
    HOME,
    HOUR,
    MINE,
    MINUTE,
    NEXT,
    NOW,
    NSG_ID,
    OFFICE,
    OTHER_NSG_ID,
    VM,
    vm_id,
)

LATER = NOW + HOUR


def rule_id(number=1):
    """The id of one of Defender's allow rules."""
    return f"{NSG_ID}/securityRules/{jit_name('-', number)}"


def a_closing(name="g1", reason=CloseReason.REVOKED, **changes):
    """A grant that was open and is being closed."""
    return an_open(
        name, **{"status": Status.CLOSING, "close_reason": reason, "closing_at": NOW, **changes}
    )


UNLISTED = None
"""A stranger's request that Azure lists without its sources."""


def closed(grant, view, *others, seen=(), held=(), users=None, now=NOW):
    """The outcome of one look at a closing grant; strangers' requests name the *held* sources."""
    port = VmPortView(
        grants=(grant, *others),
        view=view,
        requests=seen,
        foreign=[a_strangers(text) for text in held],
        users=users or {},
    )
    return close_grant(grant, port, now=now)


def a_strangers(text):
    """A stranger's request for the VM port, in force for hours."""
    sources = (text,) if text is not UNLISTED else ()
    return replace(an_entry(initiate_id=None, ends_at=NOW + 9 * HOUR), sources=sources)


def removed(outcome):
    """Names of the rules to remove."""
    return [rule.name for rule in outcome.removals]


STILL_THERE = f"still there: {jit_name('-', 1)}"
OURS = [jit_name("-", 1)]


# ---- when it counts as gone ----------------------------------------------------------------------


def test_a_path_that_was_seen_and_is_gone_is_closed():
    """Observed gone, not "delete returned 200"."""
    outcome = closed(a_closing(), a_view(), now=LATER)

    assert (outcome.grant.status, outcome.grant.closed_at) == (Status.CLOSED, LATER)
    assert outcome.grant.close_reason is CloseReason.REVOKED


@pytest.mark.parametrize(
    ("minutes", "status"), [(0, Status.CLOSING), (14.9, Status.CLOSING), (15, Status.CLOSED)]
)
def test_a_missing_rule_counts_only_after_it_could_exist(minutes, status):
    """Rules that were never seen may still appear a quarter of an hour after the initiate."""
    grant = a_closing(written=False)

    outcome = closed(grant, a_view(), now=NOW + minutes * MINUTE)

    assert outcome.grant.status is status


def test_rules_that_could_still_appear_are_waited_for_in_words():
    """People who ask see why it is not closed yet."""
    outcome = closed(a_closing(written=False), a_view())

    assert outcome.grant.note == "waiting until its rules could no longer appear"


def test_a_revoked_entry_means_that_nothing_will_appear():
    """Defender itself says so."""
    revoked = an_entry(active=False, reason="NewerRequestInitiated")

    outcome = closed(a_closing(written=False), a_view(), seen=[revoked])

    assert outcome.grant.status is Status.CLOSED


def test_only_the_newest_initiates_entry_speaks():
    """An older one is always revoked by the newer one."""
    older = an_entry(initiate_id=MINE, active=False, reason="NewerRequestInitiated")

    outcome = closed(a_closing(written=False, initiates=(MINE, NEXT)), a_view(), seen=[older])

    assert outcome.grant.status is Status.CLOSING


def test_an_active_entry_may_still_get_its_rules():
    """In force, but not there yet."""
    outcome = closed(a_closing(written=False), a_view(), seen=[an_entry()])

    assert outcome.grant.status is Status.CLOSING


def test_a_grant_whose_initiates_were_all_refused_waits_too():
    """A refusal that was lost on the way is no refusal; the time of the call is on record."""
    grant = a_closing(written=False, initiates=())

    outcome = closed(grant, a_view(), seen=[an_entry(active=False)])

    assert outcome.grant.status is Status.CLOSING


def test_a_path_that_was_never_asked_for_is_gone_at_once():
    """Only a companion rule of its own had to go first."""
    outcome = closed(a_closing(written=False, initiated_at=None, initiates=()), a_view())

    assert outcome.grant.status is Status.CLOSED


@pytest.mark.parametrize(
    "view",
    [
        a_view(an_nsg(settled=False)),
        a_view(replace(an_nsg(settled=False), failed=True)),
        behind(a_firewall(settled=False)),
        behind(a_firewall(settled=False, failed=True)),
        behind(None),
        replace(a_view(), nsgs={}),
    ],
)
def test_nothing_is_gone_while_azure_updates_or_cannot_be_read(view):
    """Updating means ask later, failed means neither open nor closed."""
    grant = replace(a_closing(), via=view.vm.via)

    outcome = closed(grant, view, now=LATER)

    assert outcome.grant.status is Status.CLOSING
    assert outcome.removals == ()
    assert outcome.grant.note == effective.observe_path(grant, view).why


def test_a_removal_that_failed_in_azure_is_repeated():
    """Nobody else would remove the rule; deleting it again repeats the NSG's failed update."""
    stuck = replace(an_nsg(an_allow(), settled=False), failed=True)

    outcome = closed(a_closing(rules=(rule_id(),)), a_view(stuck), now=LATER)

    assert removed(outcome) == OURS
    assert outcome.grant.status is Status.CLOSING


@pytest.mark.parametrize("sibling", [an_nsg(nsg_id=OTHER_NSG_ID, settled=False), None])
def test_a_rule_goes_though_another_nsg_cannot_be_judged(sibling):
    """Reading the rule is enough to remove it, and not enough to call the path gone."""
    nics = (a_nic(), a_nic(id=f"{a_nic().id}-2", nsg_ids=(OTHER_NSG_ID,), primary=False))
    held = [an_nsg(an_allow()), *([sibling] if sibling else [])]
    bare = [an_nsg(), *([sibling] if sibling else [])]
    grant = a_closing(rules=(rule_id(),))

    assert removed(closed(grant, a_view(*held, interfaces=nics), now=LATER)) == OURS
    after = closed(grant, a_view(*bare, interfaces=nics), now=LATER)
    assert after.grant.status is Status.CLOSING


@pytest.mark.parametrize("widened", ["*", "10.1.1.0/24", "VirtualNetwork"])
def test_a_recorded_rule_goes_even_if_somebody_made_it_lead_elsewhere(widened):
    """It lets the person in still; that it lets them in elsewhere too is no reason to keep it."""
    view = a_view(an_nsg(an_allow(to=widened)))

    outcome = closed(a_closing(rules=(rule_id(),)), view, now=LATER)

    assert removed(outcome) == OURS
    assert outcome.grant.status is Status.CLOSING


def test_a_rule_that_leads_to_a_whole_network_and_was_not_recorded_is_somebody_elses():
    """Defender's rules lead to one address."""
    outcome = closed(a_closing(), a_view(an_nsg(an_allow(to="10.1.1.0/24"))), now=LATER)

    assert outcome.removals == ()


def test_a_recorded_nat_rule_whose_sources_became_an_ip_group_goes():
    """The members of the group are unknown: the person may be one."""
    nat = a_nat(sourceAddresses=[], sourceIpGroups=["/ipGroups/admins"])
    view = behind(a_firewall(nat), an_nsg())
    (rule,) = find_port_rules(view, 22)

    outcome = closed(through_firewall(a_closing(rules=(rule.id,))), view, now=LATER)

    assert removed(outcome) == [rule.name]
    assert outcome.grant.status is Status.CLOSING


@pytest.mark.parametrize(
    "firewall",
    [a_firewall(settled=False), a_firewall(settled=False, failed=True), a_firewall(a_nat())],
)
def test_a_grant_by_a_public_address_waits_for_a_firewall_that_came_later(firewall):
    """Defender writes there too when it is asked again."""
    outcome = closed(a_closing(), a_view(firewall=firewall), now=LATER)

    assert outcome.grant.status is Status.CLOSING
    assert len(outcome.removals) == len(firewall.nat_rules)


def test_a_rule_in_a_former_firewall_goes_although_another_firewall_came():
    """The rule lets people in until it is removed there."""
    new = replace(a_firewall(), id=FIREWALL_ID.replace("fw-prod", "fw-new"))
    former = a_firewall(a_nat())
    view = replace(behind(new), former_firewalls=(former,))
    grant = through_firewall(a_closing())

    (rule,) = closed(grant, view, now=LATER).removals
    gone = closed(grant, replace(view, former_firewalls=(a_firewall(),)), now=LATER)

    assert arm_ids.key(rule.holder_id) == arm_ids.key(FIREWALL_ID)
    assert gone.grant.status is Status.CLOSED


def test_the_firewall_of_an_initiate_is_read_before_its_grant_is_closed():
    """Nobody saw a rule there. Defender may have written it after the last look."""
    grant = through_firewall(a_closing())

    outcome = closed(grant, a_view(), now=LATER)

    assert outcome.grant.status is Status.CLOSING
    assert outcome.grant.note == "fw-prod, which may have a rule, could not be read"


def test_a_rule_in_a_firewall_that_is_stopped_is_named_and_tried():
    """It lets people in once the firewall is started again."""
    stopped = replace(a_firewall(a_nat()), deallocated=True)
    view = replace(a_view(), former_firewalls=(stopped,))

    outcome = closed(through_firewall(a_closing()), view, now=LATER)

    (rule,) = outcome.removals
    assert outcome.grant.note == f"still there: {rule.name} in fw-prod, which is stopped"


def test_a_failed_firewall_is_named_beside_a_rule_that_is_still_there():
    """Both have to be repaired: while its update has failed, its rules are not known."""
    failed = a_firewall(failed=True, settled=False)
    view = replace(a_view(an_nsg(an_allow())), former_firewalls=(failed,))

    outcome = closed(through_firewall(a_closing()), view, now=LATER)

    note = outcome.grant.note or ""
    assert note.startswith(f"{STILL_THERE}; ")
    assert "the last update of firewall fw-prod failed" in note


def test_no_path_is_closed_whose_rule_may_stand_in_a_firewall_policy():
    """The broker reads no firewall policies; a move under one takes the NAT rules along."""
    moved = replace(a_firewall(), policy_id="/firewallPolicies/afwp")
    view = replace(a_view(), former_firewalls=(moved,))

    outcome = closed(through_firewall(a_closing()), view, now=LATER)

    assert outcome.grant.status is Status.CLOSING
    assert outcome.grant.unclear_at == LATER


def former(*rules, **state):
    """The VM with its NSG, and an NSG that it had before and that still holds *rules*."""
    old = replace(an_nsg(*rules, nsg_id=OTHER_NSG_ID, settled=False), **state)
    return replace(a_view(), former={arm_ids.key(OTHER_NSG_ID): old})


IN_FORMER = f"{OTHER_NSG_ID}/securityRules/{jit_name('-', 1)}"


@pytest.mark.parametrize("failed", [True, False])
@pytest.mark.parametrize(
    ("rules", "changes", "status"),
    [
        ((), {}, Status.CLOSED),
        ((an_allow(port="3389"),), {}, Status.CLOSED),
        ((an_allow(),), {}, Status.CLOSING),
        ((), {"rules": (IN_FORMER,)}, Status.CLOSING),
        ((), {"written": False}, Status.CLOSING),
    ],
    ids=["none", "another port", "listed", "recorded", "unseen"],
)
def test_a_former_nsg_in_doubt_holds_up_only_a_grant_that_may_have_a_rule_there(
    rules, changes, status, failed
):
    """Another grant of the VM has one: the doubt is about that grant."""
    outcome = closed(a_closing(**changes), former(*rules, failed=failed), now=LATER)

    assert outcome.grant.status is status


def test_no_rule_is_removed_from_a_former_nsg_that_is_being_updated():
    """It is not known which rules hold there."""
    assert removed(closed(a_closing(), former(an_allow()), now=LATER)) == []


def test_a_failed_former_firewall_holds_up_only_grants_that_may_have_a_rule_there():
    """Defender was asked for one of them by it; the other one came when it was gone."""
    failed = a_firewall(failed=True, settled=False)
    view = replace(a_view(), former_firewalls=(failed,))

    asked = closed(through_firewall(a_closing()), view, now=LATER)
    later = closed(a_closing(), view, now=LATER)

    assert (asked.grant.status, later.grant.status) == (Status.CLOSING, Status.CLOSED)


def test_a_rule_that_another_vm_needs_stays():
    """One NSG may guard two networks whose addresses overlap."""
    users = find_rule_users([an_open("g2", vm_id=vm_id("web02"), rules=(rule_id(2),))])
    view = a_view(an_nsg(an_allow(), an_allow(number=2)))

    outcome = closed(a_closing(rules=(rule_id(),)), view, users=users, now=LATER)

    assert removed(outcome) == OURS


def a_neighbour(**changes):
    """A grant of another VM that rests on the first rule."""
    fields = {"vm_id": vm_id("web02"), "rules": (rule_id(),), **changes}
    return an_open("g2", **fields)


@pytest.mark.parametrize(
    ("neighbour", "status"),
    [
        (a_neighbour(), Status.CLOSED),
        (a_neighbour(expires_at=LATER), Status.CLOSING),
        (a_neighbour(sources=(OFFICE,)), Status.CLOSING),
        (a_neighbour(rules=(rule_id(2),)), Status.CLOSING),
    ],
    ids=["same source", "over", "other source", "other rule"],
)
def test_a_rule_that_both_vms_recorded_stays_for_the_one_that_needs_it(neighbour, status):
    """Nobody can tell whose it is. Its last user takes it along."""
    view = a_view(an_nsg(an_allow()))
    users = find_rule_users([neighbour])

    outcome = closed(a_closing(rules=(rule_id(),)), view, users=users, now=LATER)

    assert outcome.grant.status is status
    assert removed(outcome) == ([] if status is Status.CLOSED else OURS)


def test_a_rule_that_stays_for_another_vm_is_named_with_that_vms_end():
    """If another grant of the same VM port has the same sources, they may come in: no word."""
    view, users = a_view(an_nsg(an_allow())), find_rule_users([a_neighbour()])
    grant = a_closing(rules=(rule_id(),))

    alone = closed(grant, view, users=users, now=LATER)
    joined = closed(grant, view, an_open("g3"), users=users, now=LATER)

    end = format_instant(a_neighbour().expires_at)
    assert alone.left_open == alone.grant.note
    assert jit_name("-", 1) in alone.left_open
    assert end in alone.left_open
    assert (joined.grant.status, joined.left_open, joined.grant.note) == (Status.CLOSED, "", None)


def test_a_shared_rule_for_more_than_the_neighbour_asked_goes_after_its_time_to_shrink():
    """P2 comes before P6: the leaver's own sources must not stay."""
    both = an_allow("203.0.113.7", "198.51.100.0/24")
    grant = a_closing(rules=(rule_id(),), sources=(HOME, OFFICE))
    users = find_rule_users([a_neighbour()])

    early = closed(grant, a_view(an_nsg(both)), users=users, now=NOW)
    late = closed(grant, a_view(an_nsg(both)), users=users, now=LATER)

    assert (removed(early), removed(late)) == ([], OURS)


def test_no_rule_goes_while_a_strangers_request_is_listed_without_its_sources():
    """It may be theirs; and nothing says that it is, so the grant is not closed over it."""
    view = a_view(an_nsg(an_allow()))

    outcome = closed(a_closing(rules=(rule_id(),)), view, held=(UNLISTED,), now=LATER)

    assert outcome.removals == ()
    assert outcome.grant.status is Status.CLOSING


def test_nothing_is_removed_from_an_nsg_that_is_being_updated():
    """Updating means ask later; its list proves nothing meanwhile."""
    busy = an_nsg(an_allow(), settled=False)

    outcome = closed(a_closing(rules=(rule_id(),)), a_view(busy), now=LATER)

    assert removed(outcome) == []


@pytest.mark.parametrize("reason", CloseReason)
def test_closed_keeps_the_reason(reason):
    """The closing itself does not change it."""
    outcome = closed(a_closing(reason=reason), a_view(), now=LATER)

    assert outcome.grant.close_reason is reason


@pytest.mark.parametrize(
    ("reason", "note"),
    [
        (CloseReason.FAILED, "why"),
        (CloseReason.SUPERSEDED, "why"),
        (CloseReason.DENIED, "why"),
        (CloseReason.EXPIRED, None),
        (CloseReason.REVOKED, None),
    ],
)
def test_the_note_that_tells_why_outlives_the_closing(reason, note):
    """The reason to wait is of no interest afterwards."""
    outcome = closed(a_closing(reason=reason, note="why"), a_view(), now=LATER)

    assert outcome.grant.note == note


@pytest.mark.parametrize(
    ("reason", "note", "shown"),
    [
        (CloseReason.FAILED, "why", f"why; closing: {STILL_THERE}"),
        (
            CloseReason.FAILED,
            "why; closing: nsg1 could not be read",
            f"why; closing: {STILL_THERE}",
        ),
        (CloseReason.FAILED, None, STILL_THERE),
        (CloseReason.REVOKED, "why", STILL_THERE),
        (CloseReason.EXPIRED, "why", STILL_THERE),
    ],
)
def test_while_closing_the_note_says_why_it_closes_and_why_it_waits(reason, note, shown):
    """The reason to close is that of a failure. The reason to wait is replaced at each look."""
    outcome = closed(a_closing(reason=reason, note=note), a_view(an_nsg(an_allow())))

    assert outcome.grant.note == shown


def test_a_closed_grant_keeps_only_the_reason_to_close():
    note = f"not open in time: no rule is there yet; closing: {STILL_THERE}"

    outcome = closed(a_closing(reason=CloseReason.FAILED, note=note), a_view(), now=LATER)

    assert outcome.grant.note == "not open in time: no rule is there yet"


# ---- which rules may be removed ------------------------------------------------------------------


def test_a_revoked_grants_rule_is_removed_at_once():
    """The API has no revoke: the rule itself goes."""
    outcome = closed(a_closing(rules=(rule_id(),)), a_view(an_nsg(an_allow())))

    assert removed(outcome) == OURS
    assert outcome.grant.status is Status.CLOSING
    assert outcome.grant.note == f"still there: {OURS[0]}"


@pytest.mark.parametrize(
    ("via", "minutes"), [(Via.PUBLIC_IP, 2), (Via.PRIVATE, 2), (Via.FIREWALL, 10)]
)
def test_azures_own_expiry_goes_first(via, minutes):
    """Two minutes for an NSG, ten for a firewall; then the leftover goes."""
    grant = a_closing(reason=CloseReason.EXPIRED, expires_at=NOW, via=via, rules=(rule_id(),))
    view = a_view(an_nsg(an_allow()), firewall=a_firewall(), via=via)

    before = closed(grant, view, now=NOW + minutes * MINUTE - timedelta(seconds=1))
    after = closed(grant, view, now=NOW + minutes * MINUTE)

    assert removed(before) == []
    assert removed(after) == OURS


@pytest.mark.parametrize("via", [Via.PUBLIC_IP, Via.FIREWALL])
@pytest.mark.parametrize(("longer", "at_once"), [(0, []), (1, OURS)])
def test_a_path_asked_for_longer_than_its_end_is_closed_by_us(via, longer, at_once):
    """Defender grants no less than five minutes: its own expiry would come too late."""
    grant = a_closing(
        reason=CloseReason.EXPIRED,
        expires_at=NOW,
        asked_until=NOW + timedelta(seconds=longer),
        via=via,
        rules=(rule_id(),),
    )

    outcome = closed(grant, a_view(an_nsg(an_allow()), firewall=a_firewall(), via=via))

    assert removed(outcome) == at_once


@pytest.mark.parametrize("reason", sorted(set(CloseReason) - {CloseReason.EXPIRED}))
def test_only_expiry_is_azures_own_business(reason):
    """For every other reason nobody else will close it."""
    outcome = closed(a_closing(reason=reason, rules=(rule_id(),)), a_view(an_nsg(an_allow())))

    assert removed(outcome) == OURS


def test_an_expiry_without_a_fixed_end_counts_from_when_it_began():
    """The row may lack its end; the closing may not hang for that."""
    grant = a_closing(reason=CloseReason.EXPIRED, expires_at=None, rules=(rule_id(),))

    outcome = closed(grant, a_view(an_nsg(an_allow())), now=NOW + 2 * MINUTE)

    assert removed(outcome) == OURS


def test_without_any_record_of_its_closing_the_latest_end_counts():
    """A row written by hand still ends."""
    grant = a_closing(closing_at=None, latest_end=NOW, rules=(rule_id(),))

    outcome = closed(grant, a_view(an_nsg(an_allow())))

    assert removed(outcome) == OURS


@pytest.mark.parametrize("text", ["203.0.113.7", "203.0.113.7/32"])
def test_an_unrecorded_rule_in_the_form_that_defender_writes_is_ours(text):
    """Name pattern, destination, port and source."""
    outcome = closed(a_closing(), a_view(an_nsg(an_allow(text))))

    assert removed(outcome) == OURS


@pytest.mark.parametrize(
    "rule",
    [
        an_allow("203.0.113.0/24"),
        an_allow("*"),
        an_allow("203.0.113.7", "192.0.2.1"),
        an_allow("203.0.113.7", "Internet"),
        an_allow(port=["22", "3389"]),
        an_allow(port="20-30"),
        an_allow(to=[VM, "10.1.1.9"]),
        an_allow(protocol="Strange"),
        arm_rule(300, name="customers-ssh", source="203.0.113.7", port="22", to=VM),
        arm_rule(300, name="MicrosoftDefenderForCloud-JITRule-1-AB", source="203.0.113.7", to=VM),
    ],
)
def test_a_rule_that_is_not_proved_ours_is_never_removed(rule):
    """P5: wider, combined, unreadable, or simply somebody else's."""
    outcome = closed(a_closing(), a_view(an_nsg(rule)), now=LATER)

    assert outcome.removals == ()


def test_a_grant_booked_for_tomorrow_proves_no_rule_of_today():
    """Another person's prefix on the same port: nothing was asked of Azure for it yet."""
    tomorrow = a_grant("g2", sources=(OFFICE,), status=Status.SCHEDULED)
    view = a_view(an_nsg(an_allow("203.0.113.7", "198.51.100.0/24")))

    outcome = closed(a_closing(), view, tomorrow, now=LATER)

    assert outcome.removals == ()


def test_a_host_inside_a_grants_prefix_is_another_source():
    """198.51.100.0 as a host is not 198.51.100.0/24."""
    grant = a_closing(sources=(OFFICE,))

    outcome = closed(grant, a_view(an_nsg(an_allow("198.51.100.0"))), now=LATER)

    assert outcome.removals == ()


def test_a_recorded_rule_that_somebody_widened_is_still_the_grants_own():
    """It was left by our own request, and lets in who must not come in any more."""
    grant = a_closing(rules=(rule_id(),))

    outcome = closed(grant, a_view(an_nsg(an_allow("*"))), now=LATER)

    assert removed(outcome) == OURS


def test_a_rule_for_an_address_that_the_vm_no_longer_has_is_still_its_rule():
    """Both were recorded when the rule was seen."""
    grant = a_closing(private_ips=("10.1.1.9",), rules=(rule_id(),))

    outcome = closed(grant, a_view(an_nsg(an_allow(to="10.1.1.9"))))

    assert removed(outcome) == OURS


def test_a_rule_for_such_an_address_that_was_not_recorded_is_somebody_elses():
    """Another VM has the address by now, and the same person a path to it."""
    grant = a_closing(private_ips=("10.1.1.9",))

    outcome = closed(grant, a_view(an_nsg(an_allow(to="10.1.1.9"))))

    assert removed(outcome) == []


def test_rules_of_another_port_or_machine_are_left_alone():
    """Only this VM port is closing."""
    rules = (an_allow(port="3389"), an_allow(to="10.1.1.5", number=2))

    outcome = closed(a_closing(), a_view(an_nsg(*rules)), now=LATER)

    assert outcome.grant.status is Status.CLOSED


def test_a_nat_rule_is_removed_like_any_other():
    """With the collection's name, which is all that Azure identifies it by."""
    grant = through_firewall(a_closing())

    outcome = closed(grant, behind(a_firewall(a_nat())))

    (rule,) = outcome.removals
    assert (rule.holder_id, rule.collection, rule.name) == (
        FIREWALL_ID,
        JIT_COLLECTION,
        "MDC-JIT-web01-22",
    )


def test_a_customers_nat_rule_is_never_removed():
    """Even if it leads to the same port."""
    grant = through_firewall(a_closing())

    outcome = closed(grant, behind(a_firewall(a_nat(), collection="customers")), now=LATER)

    assert outcome.grant.status is Status.CLOSED


# ---- other people --------------------------------------------------------------------------------


def test_a_rule_that_a_live_grant_needs_as_it_is_stays():
    """The other one comes from the same place: nothing of it is left over."""
    other = an_open("g2")

    outcome = closed(a_closing(rules=(rule_id(),)), a_view(an_nsg(an_allow())), other)

    assert outcome.removals == ()
    assert outcome.grant.status is Status.CLOSED


def test_a_wider_live_grant_needs_a_narrower_rule():
    """Its source lies within the other one's prefix."""
    other = an_open("g2", sources=(ip_network("203.0.113.0/24"),))

    outcome = closed(a_closing(rules=(rule_id(),)), a_view(an_nsg(an_allow())), other)

    assert outcome.removals == ()


def test_a_shared_rule_is_not_cut_from_under_a_live_grant():
    """The union shrinks by a new initiate."""
    other = an_open("g2", sources=(OFFICE,))
    shared = an_allow("203.0.113.7", "198.51.100.0/24")

    outcome = closed(a_closing(rules=(rule_id(),)), a_view(an_nsg(shared)), other)

    assert outcome.removals == ()
    assert outcome.grant.status is Status.CLOSING


@pytest.mark.parametrize("via", [Via.PUBLIC_IP, Via.FIREWALL])
def test_a_shared_rule_goes_if_azure_does_not_take_its_successor(via):
    """An end comes before others' access; they are asked for again."""
    other = an_open("g2", sources=(OFFICE,), via=via)
    shared = a_view(an_nsg(an_allow("203.0.113.7", "198.51.100.0/24")))
    leaving = a_closing(rules=(rule_id(),), via=via)

    before = closed(
        leaving, shared, other, now=NOW + TIMES[via].shrinks_within - timedelta(seconds=1)
    )
    after = closed(leaving, shared, other, now=NOW + TIMES[via].shrinks_within)

    assert (before.removals, removed(after)) == ((), OURS)


def test_a_shared_rules_time_to_shrink_begins_with_the_last_leaver():
    """A grant that left long ago, from a source that is still in use, does not hurry it."""
    shared = a_view(an_nsg(an_allow("203.0.113.7", "198.51.100.0/24")))
    early = a_closing(rules=(rule_id(),))
    live = an_open("g2", rules=(rule_id(),))
    late = a_closing("g3", sources=(OFFICE,), closing_at=LATER, rules=(rule_id(),))
    entry = an_entry("203.0.113.7", "198.51.100.0/24")

    soon = closed(early, shared, live, late, seen=[entry], now=LATER)
    then = closed(
        early, shared, live, late, seen=[entry], now=LATER + TIMES[early.via].shrinks_within
    )

    assert (removed(soon), removed(then)) == ([], OURS)


def test_a_shared_rule_that_a_strangers_request_holds_stays_for_good():
    """A rule that others need is not ours to take."""
    other = an_open("g2", sources=(OFFICE,))
    shared = a_view(an_nsg(an_allow("203.0.113.7", "198.51.100.0/24")))
    leaving = a_closing(rules=(rule_id(),))

    outcome = closed(leaving, shared, other, held=("198.51.100.0/24",), now=NOW + HOUR)

    assert outcome.removals == ()


def test_a_shared_rule_goes_once_the_live_grant_has_one_of_its_own():
    """Defender forgot it when it wrote the successor."""
    other = an_open("g2", sources=(OFFICE,))
    shared = an_allow("203.0.113.7", "198.51.100.0/24")
    successor = an_allow("198.51.100.0/24", number=2)

    outcome = closed(a_closing(rules=(rule_id(),)), a_view(an_nsg(shared, successor)), other)

    assert removed(outcome) == OURS


def test_two_leftovers_do_not_vouch_for_each_other():
    """Removing both would cut the live grant that either lets in."""
    other = an_open("g2", sources=(OFFICE,))
    leftovers = (
        an_allow("203.0.113.7", "198.51.100.0/24"),
        an_allow("203.0.113.7", "198.51.100.0/24", number=2),
    )

    outcome = closed(a_closing(rules=(rule_id(1), rule_id(2))), a_view(an_nsg(*leftovers)), other)

    assert outcome.removals == ()


def test_leftovers_of_two_closing_grants_do_not_vouch_for_each_other():
    """Each has a source of its own, and the live grant's."""
    other, second = an_open("g3", sources=(OFFICE,)), a_closing("g2", sources=(ELSEWHERE,))
    leftovers = (
        an_allow("203.0.113.7", "198.51.100.0/24"),
        an_allow("192.0.2.1", "198.51.100.0/24", number=2),
    )

    outcome = closed(a_closing(), a_view(an_nsg(*leftovers)), second, other)

    assert outcome.removals == ()


def test_a_successor_in_another_nsg_does_not_replace_a_shared_rule():
    """Both NSGs must let the live grant in."""
    other = an_open("g2", sources=(OFFICE,))
    shared = an_allow("203.0.113.7", "198.51.100.0/24")
    elsewhere = an_nsg(an_allow("198.51.100.0/24", number=2), nsg_id=f"{NSG_ID}-2")

    outcome = closed(a_closing(), a_view(an_nsg(shared), elsewhere), other)

    assert outcome.removals == ()


def test_a_live_grant_inside_the_ending_prefix_keeps_its_own_rule():
    """The rule opens no more than it may have."""
    other = an_open("g2")
    grant = a_closing(sources=(ip_network("203.0.113.0/24"),))

    outcome = closed(grant, a_view(an_nsg(an_allow())), other)

    assert outcome.removals == ()
    assert outcome.grant.status is Status.CLOSED


@pytest.mark.parametrize("status", [Status.CLOSING, Status.PENDING, Status.CLOSED])
def test_a_grant_that_wants_no_path_needs_no_rule(status):
    """Neither one that closes as well, nor one that is not due."""
    other = an_open("g2", status=status)

    outcome = closed(a_closing(), a_view(an_nsg(an_allow())), other)

    assert removed(outcome) == OURS


@pytest.mark.parametrize("held", [("203.0.113.7",), ("203.0.113.0/24",), ("*",)])
def test_a_rule_that_a_strangers_request_accounts_for_stays(held):
    """Somebody asked for it in the portal, and their time is not over."""
    outcome = closed(
        a_closing(rules=(rule_id(),)), a_view(an_nsg(an_allow())), held=held, now=LATER
    )

    assert outcome.removals == ()
    assert outcome.grant.status is Status.CLOSED


@pytest.mark.parametrize("held", [("198.51.100.7",), ("Internet",), ("198.51.100.0/24",)])
def test_a_rule_that_lets_in_a_stranger_as_well_stays(held):
    """Cutting it would cut them; a tag may stand for anybody."""
    shared = an_allow("203.0.113.7", "198.51.100.0/24")

    outcome = closed(a_closing(rules=(rule_id(),)), a_view(an_nsg(shared)), held=held)

    assert outcome.removals == ()
    assert outcome.grant.status is Status.CLOSING


def test_a_strangers_request_from_elsewhere_is_no_hindrance():
    """Ours is a rule of its own."""
    outcome = closed(a_closing(), a_view(an_nsg(an_allow())), held=("192.0.2.1",))

    assert removed(outcome) == OURS


# ---- the companion -------------------------------------------------------------------------------

COMPANION = arm_rule(4095, name=build_companion_name("g1"), source="10.1.0.0/26", port="22", to=VM)
COMPANION_ID = f"{NSG_ID}/securityRules/{build_companion_name('g1')}"


def test_the_companion_goes_first():
    """Only the broker would ever remove this rule."""
    outcome = closed(through_firewall(a_closing()), behind(a_firewall(), an_nsg(COMPANION)))

    assert outcome.companions == (COMPANION_ID,)
    assert outcome.grant.status is Status.CLOSING


def test_the_companion_goes_even_while_the_firewall_updates():
    """The NSG need not wait for minutes."""
    view = behind(a_firewall(a_nat(), settled=False), an_nsg(COMPANION))

    outcome = closed(through_firewall(a_closing()), view)

    assert (outcome.companions, outcome.removals) == ((COMPANION_ID,), ())


def test_the_companion_of_an_expired_grant_does_not_wait_for_azures_expiry():
    """Azure knows nothing of it."""
    grant = through_firewall(a_closing(reason=CloseReason.EXPIRED, expires_at=NOW))

    outcome = closed(grant, behind(a_firewall(a_nat()), an_nsg(COMPANION)))

    assert (outcome.companions, outcome.removals) == ((COMPANION_ID,), ())


def test_another_grants_companion_stays():
    """Each grant has its own."""
    others = arm_rule(4095, name=build_companion_name("g2"), source="10.1.0.0/26", port="22", to=VM)

    outcome = closed(through_firewall(a_closing()), behind(a_firewall(), an_nsg(others)))

    assert outcome.companions == ()
    assert outcome.grant.status is Status.CLOSED


def test_a_closed_grant_names_no_companion_any_more():
    """It was observed gone."""
    grant = through_firewall(a_closing(companions=(COMPANION_ID,)))

    outcome = closed(grant, behind(a_firewall()))

    assert (outcome.grant.status, outcome.grant.footprint.companions) == (Status.CLOSED, ())


# ---- when to look again --------------------------------------------------------------------------


@pytest.mark.parametrize(("minutes", "seconds"), [(0, 3), (1, 30), (8, 60), (60, 450), (600, 900)])
def test_looks_become_rarer_and_never_stop(minutes, seconds):
    """From three seconds to a minute, and after long to a quarter of an hour."""
    now = NOW + minutes * MINUTE

    outcome = closed(a_closing(), a_view(an_nsg(an_allow())), now=now)

    assert outcome.grant.next_check_at == now + timedelta(seconds=seconds)


def test_a_row_that_does_not_say_when_it_began_is_looked_at_soon():
    """Three seconds, always: better often than never."""
    outcome = closed(a_closing(closing_at=None), a_view(an_nsg(an_allow())), now=LATER)

    assert outcome.grant.next_check_at == LATER + timedelta(seconds=3)


def test_a_firewall_is_given_more_time_than_an_nsg():
    """Its update alone takes three to five minutes."""
    assert TIMES[Via.FIREWALL].grace > TIMES[Via.PUBLIC_IP].grace == TIMES[Via.PRIVATE].grace


def test_removals_name_only_rules_that_are_there():
    """Each of them was seen in this very look."""
    view = a_view(an_nsg(an_allow()))
    grant = a_closing(rules=(rule_id(1), rule_id(2), rule_id(3)))

    outcome = closed(grant, view)

    assert set(outcome.removals) <= set(find_port_rules(view, 22))


def test_an_unsettled_nsg_of_a_grant_still_opening_is_waited_for():
    """The view decides, not the status that the grant once had."""
    grant = replace(an_opening(), status=Status.CLOSING)

    outcome = closed(grant, a_view(an_nsg(an_allow(), settled=False)))

    assert (outcome.removals, outcome.grant.status) == ((), Status.CLOSING)
