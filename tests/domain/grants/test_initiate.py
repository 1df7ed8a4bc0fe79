"""When Defender is asked for a path, for which sources, until when; which grants carry it."""

from dataclasses import replace
from datetime import timedelta
from ipaddress import ip_network

import pytest

from jit.domain.grants import timing
from jit.domain.grants.initiate import REOPENS
from jit.domain.grants.lifetime import begin_closing
from jit.domain.grants.timing import APPEARS_WITHIN
from jit.domain.model.grant import CloseReason, Status
from jit.domain.model.machine import Via
from jit.domain.values import arm_ids
from tests.builders.defender import an_entry
from tests.builders.firewalls import a_firewall, a_nat
from tests.builders.grants import a_grant, an_open, an_opening, changed, through_firewall
from tests.builders.machines import a_rule, a_view, behind
from tests.builders.nsgs import an_allow, an_nsg
from tests.builders.values import FIREWALL_ID, HOME, HOUR, MINE, MINUTE, NEXT, NOW, OFFICE
from tests.domain.steps import (
    FRESH,
    LATER,
    LET_IN,
    OURS,
    RULE_ID,
    SECOND,
    STRANGER,
    THERE,
    a_world,
    alone,
    stepped,
)


def test_a_path_that_was_just_asked_for_is_looked_at_in_seconds():
    """Rules of an NSG are there soon."""
    assert alone(a_grant()).next_check_at == NOW + 3 * SECOND


@pytest.mark.parametrize("others", [(), (an_open("a", sources=(OFFICE,)),)])
def test_after_a_refusal_the_vm_port_is_asked_for_again_when_its_pause_is_over(others):
    """Whichever grant the step is made for."""
    refused = an_opening(
        "b", initiates=(), initiated_at=None, answered=False, refused_at=NOW, refusal="NotFound"
    )
    until = NOW + timing.REFUSAL_PAUSE

    early = stepped(*others, refused, now=until - SECOND)

    assert (early.asks, early.grants[-1].next_check_at) == ((), until)
    assert early.grants[-1].note == "Azure refused to open it (NotFound); it is asked once more"
    assert len(stepped(*others, refused, now=until).asks) == 1


def test_an_ask_behind_a_firewall_names_it():
    """Policies take turns to change it."""
    (ask,) = stepped(a_grant(), world=a_world(behind(a_firewall()))).asks

    assert ask.firewall_id == FIREWALL_ID


def test_a_grant_remembers_the_firewall_that_came_before_its_vm_was_asked_for_again():
    """Defender may write there, although the person comes by a public address."""
    view = replace(OURS, vm=replace(OURS.vm, firewall_id=FIREWALL_ID))

    done = stepped(an_open(expires_at=NOW + 3 * HOUR), world=a_world(view, an_entry()))

    (grant,) = done.grants
    assert (len(done.asks), grant.via) == (1, Via.PUBLIC_IP)
    assert arm_ids.key(FIREWALL_ID) in grant.holder_keys


@pytest.mark.parametrize(("left", "asks"), [(31, 1), (30, 0), (3, 0)])
@pytest.mark.parametrize("there", [(), (an_entry(active=False, reason="Expired"),)])
def test_nothing_is_asked_for_in_the_last_seconds(left, asks, there):
    """P2: five minutes would be granted, and stand when the grant is over. It closes in time."""
    end = NOW + 2 * HOUR
    done = stepped(an_open(), world=a_world(None, *there), now=end - left * SECOND)

    assert len(done.asks) == asks
    assert done.grants[0].next_check_at <= end


def test_a_path_given_back_in_its_last_seconds_does_not_prolong_the_others():
    """The request in force ends with them; a new one would outlast them."""
    end = NOW + 2 * HOUR
    stays = an_open("a", asked=(HOME, OFFICE), asked_until=end)
    leaves = begin_closing(replace(stays, id="b", sources=(OFFICE,)), CloseReason.REVOKED, NOW)
    both = ("203.0.113.7", "198.51.100.0/24")

    done = stepped(
        stays,
        leaves,
        world=a_world(a_view(an_nsg(an_allow(*both))), an_entry(*both)),
        now=end - 20 * SECOND,
    )

    assert done.asks == ()


def test_a_request_that_would_outlast_the_end_is_shortened_in_the_last_seconds():
    """The request in force ends much later: five minutes are less."""
    end = NOW + 2 * HOUR
    entry = an_entry(ends_at=end + HOUR)

    done = stepped(an_open(), world=a_world(OURS, entry), now=end - 20 * SECOND)

    assert [ask.until for ask in done.asks] == [end - 20 * SECOND + timing.SHORTEST]


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
    """Three times; then somebody wipes it on purpose."""
    grant = an_open(reopens=reopens)

    done = stepped(grant, world=a_world(a_view(), an_entry()), now=NOW + HOUR)

    assert len(done.asks) == asks


def test_a_hand_over_is_not_an_attempt():
    """Only wiped paths and unanswered initiates are counted."""
    there, newcomer = an_open(), a_grant("g2", sources=(OFFICE,))

    done = stepped(there, newcomer, world=a_world(OURS, an_entry()))

    assert [grant.initiate.attempts for grant in done.grants] == [1, 1]


def test_a_path_that_was_never_seen_is_not_wiped():
    """It is still on its way."""
    done = stepped(an_opening(), world=a_world(a_view(), an_entry()))

    assert done.asks == ()


def test_a_path_that_lost_its_nat_rule_is_asked_for_again():
    """Half a path is none: the NSG still lets in, the firewall leads nowhere any more."""
    half = behind(a_firewall(), an_nsg(an_allow()))
    grant = through_firewall(an_open(rules=(RULE_ID,)))

    done = stepped(grant, world=a_world(half, an_entry()))

    assert len(done.asks) == 1


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
def test_the_sent_sources_count_and_not_the_way_azure_repeats_them(told):
    """An answer that leaves out sources must not make the broker ask for ever."""
    sources = (HOME, OFFICE)
    grant = an_opening(sources=sources, asked=sources, asked_until=NOW + 2 * HOUR)
    entry = replace(an_entry(), sources=told)

    assert stepped(grant, world=a_world(None, entry)).asks == ()


def test_each_grant_stores_the_sources_and_end_that_are_asked_for_it():
    """Before the call. Afterwards it is the proof, even if Azure repeats it in other words."""
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
        changed(asked, answered=True),
        world=a_world(known_initiates=frozenset({FRESH})),
        now=NOW + SECOND,
    )

    assert again.asks == ()


def test_stepping_again_with_the_entry_in_place_asks_nothing():
    """The request asked for is the request wanted."""
    (asked,), (ask,) = (once := stepped(a_grant())).grants, once.asks
    entry = an_entry(*map(str, ask.sources), initiate_id=FRESH, ends_at=ask.until)

    again = stepped(
        asked, world=a_world(None, entry, known_initiates=frozenset({FRESH})), now=NOW + MINUTE
    )

    assert again.asks == ()


def test_only_the_last_twelve_initiates_are_kept():
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
    world = a_world(behind(a_firewall(a_nat()), LET_IN), over, free_firewalls=frozenset())

    done = stepped(through_firewall(an_open()), world=world)

    (grant,) = done.grants
    assert (done.asks, grant.status) == ((), Status.OPEN)
    assert grant.next_check_at == NOW + MINUTE


@pytest.mark.parametrize(("left", "asks"), [(181, 0), (180, 1), (31, 1)])
def test_a_path_whose_request_ends_soon_does_not_wait_for_the_firewall(left, asks):
    """Its rule would be removed at the end, and the new one would wait for that update."""
    world = a_world(
        behind(a_firewall(a_nat(), settled=False), LET_IN),
        an_entry(ends_at=NOW + left * SECOND),
        free_firewalls=frozenset(),
    )

    done = stepped(through_firewall(an_open()), world=world)

    assert len(done.asks) == asks
    assert done.grants[0].gap_at is None


def test_a_path_whose_request_ends_soon_waits_for_a_rule_to_go_and_is_announced():
    """A promised end (P2) comes before other people's access; a requester chooses that moment."""
    world = a_world(
        behind(a_firewall(a_nat()), LET_IN),
        an_entry(ends_at=NOW + MINUTE),
        closing_first=frozenset({arm_ids.key(FIREWALL_ID)}),
    )

    done = stepped(through_firewall(an_open()), world=world)

    (grant,) = done.grants
    assert (done.asks, grant.gap_at) == ((), NOW + MINUTE)


@pytest.mark.parametrize("taken", ["closing_first", "opened_later"])
def test_nothing_is_opened_in_a_firewall_while_somebody_else_comes_first(taken):
    """Although the turn on it is free."""
    over = an_entry(active=False, reason="Expired", ends_at=NOW)
    key = frozenset({arm_ids.key(FIREWALL_ID)})
    world = a_world(behind(a_firewall(a_nat()), LET_IN), over, **{taken: key})

    assert stepped(through_firewall(an_open()), world=world).asks == ()


def test_a_wait_beyond_the_end_of_the_request_under_a_path_is_announced():
    """Azure wants no calls until then, so the firewall shuts the path before."""
    world = a_world(
        behind(a_firewall(a_nat()), LET_IN),
        an_entry(ends_at=NOW + MINUTE),
        asks_from=NOW + 2 * MINUTE,
    )

    done = stepped(through_firewall(an_open()), world=world)

    (grant,) = done.grants
    assert (done.asks, grant.gap_at) == ((), NOW + MINUTE)
    assert "may be shut from about" in grant.note


def test_a_grant_that_waits_for_the_firewall_does_not_hurry_closing_grants():
    """They have their own time."""
    closing = {"status": Status.CLOSING, "close_reason": CloseReason.REVOKED, "closing_at": NOW}
    waiting, gone = through_firewall(an_open()), through_firewall(an_open("g2", **closing))
    over = an_entry(active=False, reason="Expired", ends_at=NOW)
    world = a_world(behind(a_firewall(a_nat()), LET_IN), over, free_firewalls=frozenset())

    done = stepped(waiting, gone, world=world)

    assert {grant.id: grant.status for grant in done.grants} == {
        "g1": Status.OPEN,
        "g2": Status.CLOSED,
    }


def test_while_azure_wants_no_calls_nothing_is_repeated():
    """A lost answer is asked about again when the time has come."""
    done = stepped(an_opening(answered=False), world=a_world(asks_from=LATER))

    assert done.asks == ()
    assert done.grants[0].next_check_at <= LATER


UNASKED = frozenset({"request-g1"})


@pytest.mark.parametrize("others", [(), (an_open("g2", sources=(OFFICE,)),)])
def test_a_vm_port_waits_while_nobody_knows_if_a_person_of_an_opening_path_is_barred(others):
    """Nothing opens for that person; the others of the VM port keep the path that they have."""
    done = stepped(an_opening(answered=False), *others, world=a_world(unasked=UNASKED))

    assert done.asks == ()
    assert all(grant.next_check_at <= NOW + MINUTE for grant in done.grants)


@pytest.mark.parametrize(
    "unasked",
    [
        a_grant(request_id="request-g1", sources=(OFFICE,)),
        an_opening(request_id="request-g1", port=3389, answered=False),
    ],
)
def test_others_are_asked_for_beside_a_person_who_waits_for_bars(unasked):
    """A grant that is pending asks for nothing, and another VM port is not concerned."""
    done = stepped(unasked, an_opening("g2", answered=False), world=a_world(unasked=UNASKED))

    assert [(ask.port, ask.sources) for ask in done.asks] == [(22, (HOME,))]


@pytest.mark.parametrize("asks_from", [None, NOW, NOW - MINUTE])
def test_once_the_wait_is_over_grants_are_asked_for(asks_from):
    """At the very moment."""
    done = stepped(a_grant(), world=a_world(asks_from=asks_from))

    assert len(done.asks) == 1


def test_a_newcomer_and_the_earlier_grants_are_asked_for_together():
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


def test_a_closing_grant_does_not_carry_the_new_initiate():
    """It is not for them."""
    leaving = an_open(status=Status.CLOSING, close_reason=CloseReason.REVOKED, closing_at=NOW)
    staying = an_open("g2", sources=(OFFICE,))
    shared = an_allow("203.0.113.7", "198.51.100.0/24")

    done = stepped(leaving, staying, world=a_world(a_view(an_nsg(shared)), an_entry()))

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
    """Then the broker asks for the next one."""
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


def test_an_open_path_whose_change_was_asked_for_and_that_is_wiped_is_asked_for_again():
    """The look before the change counts: the next one is at the end."""
    extended = an_open(initiated_at=NOW - SECOND, before=THERE, written=False, seen=False)

    seen = alone(extended, a_world(OURS, an_entry()))
    done = stepped(seen, world=a_world(a_view(an_nsg()), an_entry()), now=NOW + 10 * MINUTE)

    assert seen.initiate.seen
    assert (len(done.asks), done.grants[0].initiate.reopens) == (1, 1)


def test_a_borrowed_path_that_goes_was_not_wiped():
    """Its own rule was not there yet: asking again would only begin anew."""
    new = an_opening(initiated_at=NOW, before=THERE, answered=True)

    looked = alone(new, a_world(OURS, an_entry()), NOW + SECOND)
    done = stepped(looked, world=a_world(a_view(an_nsg()), an_entry()), now=NOW + MINUTE)

    assert (done.asks, done.grants[0].initiate.reopens) == ((), 0)


def test_the_request_of_a_grant_that_is_over_is_not_joined():
    """Its rules were removed; it proves nothing about the new path."""
    waiting = an_opening(initiates=(NEXT,))

    after = alone(waiting, a_world(a_view(), an_entry(initiate_id=MINE)), now=NOW + SECOND)

    assert after.initiate.ids == (NEXT,)


def test_the_request_of_a_grant_that_is_over_does_not_stand_for_a_new_one():
    """It is in force in Defender's memory only."""
    done = stepped(a_grant(), world=a_world(a_view(), an_entry()))

    assert len(done.asks) == 1


def test_a_strangers_request_from_the_same_place_is_joined():
    """Never superseded, not even by the same."""
    entry = an_entry(initiate_id=STRANGER)

    done = stepped(a_grant(), world=a_world(OURS, entry), now=NOW + MINUTE)

    (grant,) = done.grants
    assert (done.asks, grant.status, grant.initiate.ids) == ((), Status.OPEN, ())


def test_after_a_strangers_request_ends_the_broker_asks_itself():
    """Its request is over, ours is not."""
    joined = an_open(initiates=(), initiated_at=None, answered=False)
    world = a_world(a_view(), an_entry(initiate_id=STRANGER, ends_at=NOW + HOUR))

    done = stepped(joined, world=world, now=NOW + HOUR)

    assert len(done.asks) == 1


def test_a_request_that_expired_under_a_live_grant_is_asked_for_again():
    """The shared request ended; the remaining grants are asked for."""
    world = a_world(OURS, an_entry(active=False, reason="Expired", ends_at=NOW))

    done = stepped(an_open(), world=world, now=NOW + SECOND)

    assert len(done.asks) == 1


def test_ipv6_sources_are_compared_as_prefixes_and_not_as_text():
    """However Azure writes them, the same request is not asked for again and again."""
    six = ip_network("2001:db8::/64")
    entry = an_entry("2001:DB8:0:0::/64")

    done = stepped(an_opening(sources=(six,)), world=a_world(a_view(), entry))

    assert done.asks == ()
