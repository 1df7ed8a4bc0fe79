"""Several grants on one VM port: the request for all of them, and their hand-overs."""

from dataclasses import replace
from datetime import timedelta
from ipaddress import ip_network
from itertools import combinations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jit.domain.grants.shared_port import (
    MOST_PREFIXES,
    Company,
    WantedRequest,
    announce_handovers,
    covers,
    find_handover,
    find_next_handover,
    find_other_family,
    find_wanted_request,
    fix_end,
    is_crowded,
    join_sources,
)
from jit.domain.grants.timing import SHORTEST, TIMES
from jit.domain.model.grant import Grant, Status
from jit.domain.model.machine import Via
from jit.domain.values.prefixes import are_all_inside
from tests.builders.defender import an_entry
from tests.builders.grants import a_grant, an_open
from tests.builders.values import ELSEWHERE, HOME, HOUR, MINUTE, NOW, OFFICE

NETWORKS = [HOME, OFFICE, ELSEWHERE, ip_network("203.0.113.0/24")]


def holding(name, *sources, ends, claimed=0, via=Via.PUBLIC_IP, **changes):
    """An open grant: its end and its claim in minutes from NOW."""
    return an_open(
        name,
        sources=sources or (HOME,),
        expires_at=NOW + ends * MINUTE,
        admitted_at=NOW + claimed * MINUTE,
        via=via,
        **changes,
    )


# ---- the request ---------------------------------------------------------------------------------


def test_one_grant_wants_its_own_sources_until_its_own_end():
    """Nobody else is there."""
    assert find_wanted_request([holding("a", HOME, OFFICE, ends=60)], now=NOW) == WantedRequest(
        frozenset({HOME, OFFICE}), NOW + HOUR
    )


@pytest.mark.parametrize(
    "status", [status for status in Status if status not in {Status.OPENING, Status.OPEN}]
)
def test_a_grant_that_waits_or_closes_wants_nothing(status):
    """Neither before its time nor after it."""
    grant = holding("a", ends=60, status=status)

    assert find_wanted_request([grant], now=NOW) is None


def test_a_grant_at_its_end_wants_nothing():
    """At its end, not a moment later."""
    grant = holding("a", ends=60)

    assert find_wanted_request([grant], now=NOW + HOUR) is None


def test_a_grant_whose_end_is_not_fixed_may_stay_until_its_latest_end():
    """Only the claim fixes it; until then the latest end bounds it."""
    grant = an_open(expires_at=None, latest_end=NOW + HOUR)

    assert find_wanted_request([grant], now=NOW) == WantedRequest(frozenset({HOME}), NOW + HOUR)


def test_two_grants_share_the_union_until_the_first_leaves():
    """The later comer has the gap: the request ends when the earlier grant does."""
    first, later = holding("a", HOME, ends=60, claimed=-9), holding("b", OFFICE, ends=90)

    assert find_wanted_request([first, later], now=NOW) == WantedRequest(
        frozenset({HOME, OFFICE}), NOW + HOUR
    )


def test_equal_sources_need_no_hand_over():
    """The entry lasts as long as the last of them."""
    first, later = holding("a", HOME, ends=60, claimed=-9), holding("b", HOME, ends=90)

    assert find_wanted_request([first, later], now=NOW) == WantedRequest(
        frozenset({HOME}), NOW + 90 * MINUTE
    )


def test_a_leaver_whose_sources_others_keep_changes_nothing():
    """Only a shrinking set needs a new entry."""
    leaver = holding("a", HOME, ends=30, claimed=-9)
    stayer = holding("b", HOME, OFFICE, ends=90, claimed=-8)

    assert find_wanted_request([leaver, stayer], now=NOW) == WantedRequest(
        frozenset({HOME, OFFICE}), NOW + 90 * MINUTE
    )


@pytest.mark.parametrize(
    ("via", "minutes"), [(Via.PUBLIC_IP, 2), (Via.PRIVATE, 2), (Via.FIREWALL, 8)]
)
def test_an_earlier_comer_who_stays_has_no_gap(via, minutes):
    """The entry outlasts the later comer, so that its successor replaces it while it holds."""
    first = holding("a", HOME, ends=90, claimed=-9, via=via)
    later = holding("b", OFFICE, ends=60, via=via)

    assert find_wanted_request([first, later], now=NOW) == WantedRequest(
        frozenset({HOME, OFFICE}), NOW + HOUR + minutes * MINUTE
    )


def test_a_request_never_outlasts_all_of_its_grants():
    """A grant that was extended may leave just before the others."""
    first = holding("a", HOME, ends=61, claimed=-9)
    later = holding("b", OFFICE, ends=60)

    assert find_wanted_request([first, later], now=NOW) == WantedRequest(
        frozenset({HOME, OFFICE}), NOW + 61 * MINUTE
    )


def test_an_end_that_moved_moves_the_hand_over():
    """The later comer hears of the new one."""
    first = holding("a", HOME, ends=70, claimed=-9)
    later = holding("b", OFFICE, ends=90, handover_at=NOW + HOUR)

    assert find_next_handover(later, [first, later], now=NOW) == NOW + 70 * MINUTE


def test_a_hand_over_that_is_past_stays_on_record():
    """A hand-over that was announced and happened is not taken back."""
    later = holding("b", OFFICE, ends=90, handover_at=NOW)

    assert find_next_handover(later, [later], now=NOW) == NOW


def test_the_first_comer_has_no_hand_over():
    """The ends of the later comers do not matter."""
    first = holding("a", HOME, ends=90, claimed=-9)
    later = holding("b", OFFICE, ends=60)

    assert find_next_handover(first, [first, later], now=NOW) is None


def test_after_one_hand_over_the_next_is_announced():
    """A third person may outlast two others."""
    first, second = holding("a", HOME, ends=-3), holding("b", OFFICE, ends=20)
    third = holding("c", ELSEWHERE, ends=60, handover_at=NOW - 3 * MINUTE)

    assert find_next_handover(third, [first, second, third], now=NOW) == NOW + 20 * MINUTE


@pytest.mark.parametrize(("ends", "told_of"), [(1, 1), (5, 5), (6, -2), (20, -2)])
def test_a_hand_over_soon_after_another_is_announced_at_once(ends, told_of):
    """After the first it would be too late to announce the second."""
    second = holding("b", OFFICE, ends=ends, claimed=-9, via=Via.FIREWALL)
    third = holding("c", ELSEWHERE, ends=60, via=Via.FIREWALL, handover_at=NOW - 2 * MINUTE)

    assert find_next_handover(third, [second, third], now=NOW) == NOW + told_of * MINUTE


def test_the_last_hand_over_stays_on_record():
    """It was announced, and no other one follows."""
    alone = holding("c", ELSEWHERE, ends=60, handover_at=NOW - 3 * MINUTE)

    assert find_next_handover(alone, [alone], now=NOW) == NOW - 3 * MINUTE


def test_a_leaver_whose_sources_stay_spares_the_others():
    """The earliest comer's source stays, so only the last one's leaving matters."""
    first = holding("a", HOME, ends=60, claimed=-9)
    middle = holding("b", HOME, ends=90, claimed=-5)
    last = holding("c", OFFICE, ends=60)

    assert find_wanted_request([first, middle, last], now=NOW) == WantedRequest(
        frozenset({HOME, OFFICE}), NOW + HOUR + TIMES[Via.PUBLIC_IP].lead
    )


def test_no_grant_is_spared_if_the_earliest_comer_leaves_too():
    """The grants that stay came later than a leaver, and know of the change."""
    first = holding("a", HOME, ends=60, claimed=-9)
    middle = holding("b", ELSEWHERE, ends=90, claimed=-5)
    last = holding("c", OFFICE, ends=60)

    assert find_wanted_request([first, middle, last], now=NOW) == WantedRequest(
        frozenset({HOME, OFFICE, ELSEWHERE}), NOW + HOUR
    )


def test_grants_admitted_in_one_step_came_in_the_order_of_their_starts():
    """The broker decides about them in this order; their ids do not matter."""
    first = holding("z", HOME, ends=90, starts_at=NOW - MINUTE)
    later = holding("a", OFFICE, ends=60, starts_at=NOW)

    assert find_wanted_request([first, later], now=NOW) == WantedRequest(
        frozenset({HOME, OFFICE}), NOW + HOUR + TIMES[Via.PUBLIC_IP].lead
    )


def test_a_grant_without_an_admission_came_last():
    """Nobody is cut for its sake."""
    first = holding("b", HOME, ends=90, claimed=-9)
    unclaimed = an_open("a", sources=(OFFICE,), admitted_at=None, expires_at=NOW + HOUR)

    assert find_wanted_request([first, unclaimed], now=NOW) == WantedRequest(
        frozenset({HOME, OFFICE}), NOW + HOUR + TIMES[Via.PUBLIC_IP].lead
    )


sources_of = st.lists(st.sampled_from(NETWORKS), min_size=1, max_size=3, unique=True).map(tuple)
groups = st.lists(
    st.tuples(
        sources_of,
        st.fixed_dictionaries(
            {
                "ends": st.integers(-10, 120),
                "claimed": st.integers(-60, 0),
                "status": st.sampled_from(
                    [Status.PENDING, Status.OPENING, Status.OPEN, Status.CLOSING]
                ),
                "via": st.just(Via.FIREWALL),
            }
        ),
    ),
    max_size=5,
).map(lambda all_of: [holding(f"g{n}", *where, **each) for n, (where, each) in enumerate(all_of)])


def needing(group):
    """The grants that need a path at NOW."""
    return [grant for grant in group if grant.wants_path and grant.expires_at > NOW]


@given(groups)
def test_exactly_the_sources_of_grants_that_need_a_path_are_asked_for(group):
    """No source that nobody wants, nobody left out, and no two that overlap: Azure refuses them."""
    target = find_wanted_request(group, now=NOW)

    asked, wanted = target.sources if target else frozenset(), join_sources(needing(group))
    assert asked <= wanted
    assert are_all_inside(wanted, asked)
    assert not any(one.overlaps(other) for one, other in combinations(asked, 2))


@given(groups)
def test_no_source_is_asked_for_longer_than_its_grants_want_it(group):
    """Except for the lead that spares an earlier comer the gap."""
    target = find_wanted_request(group, now=NOW) or WantedRequest(frozenset(), NOW)
    last = {
        source: max(grant.expires_at for grant in needing(group) if source in grant.sources)
        for source in target.sources
    }

    assert all(target.until <= end + TIMES[Via.FIREWALL].lead for end in last.values())


@given(groups)
def test_the_lead_is_given_only_if_a_grant_stays(group):
    """Otherwise the entry ends when somebody does."""
    target = find_wanted_request(group, now=NOW) or WantedRequest(frozenset(), NOW)
    ends = {grant.expires_at for grant in needing(group)} | {NOW}

    assert target.until in ends or max(ends) > target.until - TIMES[Via.FIREWALL].lead


@given(groups)
def test_the_entry_lasts_at_least_until_somebody_leaves(group):
    """Asking for less would cut somebody off before the end."""
    target = find_wanted_request(group, now=NOW)

    assert target is None or target.until >= min(grant.expires_at for grant in needing(group))


@given(groups, st.randoms())
def test_the_order_of_the_rows_does_not_matter(group, random):
    """Level-triggered: the same present, the same wish."""
    shuffled = random.sample(group, len(group))

    assert find_wanted_request(shuffled, now=NOW) == find_wanted_request(group, now=NOW)


# ---- the end of a comer --------------------------------------------------------------------------


def end_of(joiner, *others, ends):
    """The fixed end of *joiner* in minutes from NOW, were it alone it would be *ends*."""
    return (fix_end(joiner, others, end=NOW + ends * MINUTE, now=NOW) - NOW) / MINUTE


@pytest.mark.parametrize(("via", "minutes"), [(Via.PUBLIC_IP, 2), (Via.FIREWALL, 8)])
def test_a_later_comer_leaves_a_little_before_its_end(via, minutes):
    """The successor must be in place before the shared entry ends."""
    first = holding("a", HOME, ends=90, via=via)

    assert end_of(a_grant("b", sources=(OFFICE,), via=via), first, ends=60) == 60 - minutes


@pytest.mark.parametrize("there", [(OFFICE,), (HOME, OFFICE)])
def test_a_comer_from_the_same_place_keeps_the_full_time(there):
    """No hand-over, nothing to bring forward."""
    first = holding("a", *there, ends=90)

    assert end_of(a_grant("b", sources=(OFFICE,)), first, ends=60) == 60


def test_a_comer_that_outlasts_the_earlier_one_keeps_the_full_time():
    """It has the gap."""
    first = holding("a", HOME, ends=30)

    assert end_of(a_grant("b", sources=(OFFICE,)), first, ends=60) == 60


def test_a_remainder_under_five_minutes_is_rounded_down_to_the_hand_over():
    """Defender grants no less, so it could not be had in time anyway."""
    first = holding("a", HOME, ends=58)

    assert end_of(a_grant("b", sources=(OFFICE,)), first, ends=60) == 58


def test_a_remainder_of_five_minutes_is_kept():
    """Five minutes can be asked for."""
    first = holding("a", HOME, ends=55)

    assert end_of(a_grant("b", sources=(OFFICE,)), first, ends=60) == 60


def test_rounding_down_never_leaves_less_than_the_shortest_access():
    """Half a minute of access would be none."""
    first = holding("a", HOME, ends=1)

    assert end_of(a_grant("b", sources=(OFFICE,)), first, ends=5) == 5


def test_bringing_forward_never_leaves_less_than_the_shortest_access():
    """The spared entry outlasts even this end by the lead."""
    first = holding("a", HOME, ends=90)

    assert end_of(a_grant("b", sources=(OFFICE,)), first, ends=6) == 5


@pytest.mark.parametrize("status", [Status.PENDING, Status.CLOSING, Status.CLOSED])
def test_a_grant_without_a_path_takes_nothing_from_a_comer(status):
    """Only grants that need a path count."""
    other = holding("a", HOME, ends=90, status=status)

    assert end_of(a_grant("b", sources=(OFFICE,)), other, ends=60) == 60


def test_a_grant_does_not_stand_in_its_own_way():
    """The group holds the joiner itself."""
    joiner = holding("a", HOME, ends=90)

    assert end_of(joiner, joiner, ends=60) == 60


@given(groups, sources_of, st.integers(1, 120))
def test_a_fixed_end_is_never_later_than_the_wanted_end(group, sources, ends):
    """Joining others widens nobody's time."""
    joiner = a_grant("new", sources=sources, via=Via.FIREWALL)

    assert end_of(joiner, *group, ends=ends) <= ends


@given(groups, sources_of, st.integers(1, 120))
def test_a_fixed_end_leaves_the_shortest_access_or_all_that_was_wanted(group, sources, ends):
    """Sharing takes minutes away, not the access."""
    joiner = a_grant("new", sources=sources, via=Via.FIREWALL)

    assert end_of(joiner, *group, ends=ends) >= min(ends, SHORTEST / MINUTE)


# ---- the hand-over -------------------------------------------------------------------------------


def told(joiner, *others, ends, held=None):
    """When the path will change under *joiner*, in minutes from NOW."""
    until = NOW + held * MINUTE if held else None
    moment = find_handover(joiner, others, end=NOW + ends * MINUTE, now=NOW, held=until)
    return moment and (moment - NOW) / MINUTE


def test_the_later_comer_hears_when_the_path_will_change():
    """At the end of the earlier one."""
    first = holding("a", HOME, ends=30)

    assert told(a_grant("b", sources=(OFFICE,)), first, ends=60) == 30


def test_the_first_of_several_changes_is_announced():
    """The others follow."""
    others = (holding("a", HOME, ends=20), holding("c", ELSEWHERE, ends=30))

    assert told(a_grant("b", sources=(OFFICE,)), *others, ends=60) == 20


def test_a_change_that_spares_everybody_is_not_announced():
    """The leaver came later than a grant that stays: the successor comes in time."""
    others = (holding("a", HOME, ends=30), holding("c", ELSEWHERE, ends=20))

    assert told(a_grant("b", sources=(OFFICE,)), *others, ends=60) == 30


def test_an_end_that_takes_nothing_away_is_not_announced():
    """Somebody who came later needs the same source for longer."""
    others = (holding("a", HOME, ends=30), holding("c", HOME, ends=50))

    assert told(a_grant("b", sources=(OFFICE,)), *others, ends=60) == 50


@pytest.mark.parametrize(
    ("sources", "ends"),
    [((HOME,), 60), ((HOME, OFFICE), 60), ((OFFICE,), 30), ((OFFICE,), 20)],
)
def test_no_hand_over_is_announced_if_none_will_be(sources, ends):
    """The same sources, or gone by then."""
    first = holding("a", HOME, ends=30)

    assert told(a_grant("b", sources=sources), first, ends=ends) is None


@pytest.mark.parametrize(
    ("held", "change"), [(None, None), (30, 30), (59, 59), (60, None), (90, None)]
)
def test_a_grant_that_joins_a_strangers_request_names_its_end(held, change):
    """P6: it is superseded by nobody, so its end is a change for every grant that stays."""
    assert told(a_grant("b", sources=(OFFICE,)), ends=60, held=held) == change


def test_nothing_of_ours_changes_a_path_that_stands_on_a_strangers_request():
    """The first of two with the same source may go before it ends."""
    first = holding("a", OFFICE, ends=20)

    assert told(a_grant("b", sources=(OFFICE,)), first, ends=60, held=40) == 40


def test_a_strangers_request_that_ends_before_the_start_changes_nothing():
    """It is over when the path opens."""
    later = a_grant("b", sources=(OFFICE,), starts_at=NOW + 40 * MINUTE)

    assert told(later, ends=60, held=40) is None


def test_a_strangers_end_that_was_put_off_moves_the_hand_over():
    """Asked for again in the portal, for longer."""
    later = holding("b", OFFICE, ends=90, handover_at=NOW + 20 * MINUTE)

    assert find_next_handover(later, [later], now=NOW, held=NOW + 40 * MINUTE) == NOW + 40 * MINUTE


def test_a_hand_over_that_will_not_come_is_taken_back():
    """The leaver stays, or has left already."""
    later = holding("b", OFFICE, ends=90, handover_at=NOW + 20 * MINUTE)

    assert find_next_handover(later, [later], now=NOW) is None


def test_too_little_after_a_strangers_end_is_cut_off():
    """As after an end of ours: Defender grants no less than five minutes."""
    joiner, held = a_grant("b", sources=(OFFICE,)), NOW + 56 * MINUTE

    assert fix_end(joiner, [], end=NOW + 60 * MINUTE, now=NOW, held=held) == held


arrivals = st.lists(
    st.tuples(st.integers(0, 30), st.integers(5, 90), sources_of), min_size=1, max_size=5
)


def claimed_one_by_one(all_of):
    """Grants behind a firewall, each claimed at its arrival among those there before."""
    group: list[Grant] = []
    for number, (arrives, lasts, sources) in enumerate(sorted(all_of, key=lambda item: item[0])):
        now = NOW + arrives * MINUTE
        joiner = a_grant(f"g{number}", sources=sources, via=Via.FIREWALL, starts_at=now)
        end = fix_end(joiner, group, end=now + lasts * MINUTE, now=now)
        group.append(
            holding(
                joiner.id,
                *sources,
                ends=(end - NOW) / MINUTE,
                claimed=arrives,
                via=Via.FIREWALL,
                handover_at=find_handover(joiner, group, end=end, now=now),
            )
        )
    return group


def untold(group):
    """Grants under which the shared request will end although no hand-over was announced."""
    moments = sorted({grant.admitted_at for grant in group} | {g.expires_at for g in group})
    here = [(now, [g for g in group if g.admitted_at <= now]) for now in moments]
    return [
        grant
        for now, present in here
        if (target := find_wanted_request(present, now=now))
        for grant in present
        if grant.expires_at > target.until
        and not (grant.handover_at and grant.handover_at <= target.until)
        and not _spared(present, target, now)
    ]


def _spared(present, target, now):
    """True if its successor is asked for while the request still holds for the whole lead."""
    ends = [grant.expires_at for grant in present if grant.expires_at > now]
    return any(end + TIMES[Via.FIREWALL].lead == target.until for end in ends)


@given(arrivals)
def test_every_change_is_announced_unless_its_successor_comes_in_time(all_of):
    """P6: one person's access never silently ends another's."""
    assert untold(claimed_one_by_one(all_of)) == []


# ---- requests that are there already -------------------------------------------------------------


@given(groups)
def test_a_request_covers_the_target_that_it_was_made_for(group):
    """An entry made from the wish needs no other initiate."""
    target = find_wanted_request(group, now=NOW) or WantedRequest(frozenset({HOME}), NOW + HOUR)
    entry = an_entry(*map(str, target.sources), ends_at=target.until)

    assert covers(entry, target, now=NOW)


@pytest.mark.parametrize(
    ("change", "enough"),
    [
        ({}, True),
        ({"ends_at": NOW + HOUR + timedelta(seconds=1)}, True),
        ({"ends_at": NOW + HOUR + timedelta(seconds=2)}, True),
        ({"ends_at": NOW + HOUR + timedelta(seconds=3)}, False),
        ({"ends_at": NOW + HOUR - timedelta(seconds=3)}, False),
        ({"active": False}, False),
        ({"sources": ("203.0.113.8",)}, False),
        ({"sources": ("203.0.113.7", "198.51.100.0/24")}, False),
        ({"sources": ()}, False),
    ],
)
def test_an_entry_covers_exactly_its_sources_and_its_end(change, enough):
    """Wider, longer and shorter are all something else."""
    entry = an_entry(**{"ends_at": NOW + HOUR, **change})

    assert covers(entry, WantedRequest(frozenset({HOME}), NOW + HOUR), now=NOW) is enough


@pytest.mark.parametrize(("ends", "enough"), [(5, True), (4, True), (2, False), (6, False)])
def test_an_entry_of_the_shortest_length_covers_a_shorter_wish(ends, enough):
    """Defender grants no less than five minutes: asking again would not shorten it."""
    entry = an_entry(ends_at=NOW + ends * MINUTE)

    assert covers(entry, WantedRequest(frozenset({HOME}), NOW + 3 * MINUTE), now=NOW) is enough


# ---- IPv4 and IPv6 -------------------------------------------------------------------------------

SIX = ip_network("2a02::1/128")


@pytest.mark.parametrize(
    ("changes", "is_found"),
    [
        ({}, True),
        ({"sources": (HOME,)}, False),
        ({"status": Status.CLOSING}, False),
        ({"status": Status.CLOSED}, False),
        ({"expires_at": NOW}, False),
        ({"status": Status.SCHEDULED, "expires_at": None, "starts_at": NOW + 9 * HOUR}, False),
        ({"status": Status.SCHEDULED, "expires_at": None, "starts_at": NOW + HOUR / 2}, True),
    ],
)
def test_another_ip_version_is_in_the_way_while_both_want_the_port(changes, is_found):
    """Azure takes no rule that has both."""
    other = replace(an_open("other", sources=(SIX,), expires_at=NOW + HOUR), **changes)
    grant = a_grant("new", sources=(HOME,), starts_at=NOW, latest_end=NOW + 2 * HOUR)

    assert (find_other_family(grant, [grant, other]) is other) is is_found


# ---- more sources than a rule takes --------------------------------------------------------------

CROWD = tuple(ip_network(f"198.18.{n // 256}.{n % 256}/32") for n in range(MOST_PREFIXES))


@pytest.mark.parametrize(
    ("changes", "crowded"),
    [
        ({}, True),
        ({"sources": CROWD[1:]}, False),
        ({"sources": (*CROWD[1:], HOME)}, False),
        ({"sources": (*CROWD[1:], ip_network("203.0.113.0/24"))}, False),
        ({"status": Status.CLOSING}, False),
        ({"expires_at": NOW}, False),
    ],
)
def test_a_port_is_crowded_if_a_rule_cannot_have_one_more_source(changes, crowded):
    """A source that another one contains does not count, nor does a grant that is over."""
    other = replace(an_open("other", sources=CROWD, expires_at=NOW + HOUR), **changes)
    grant = a_grant("new", sources=(HOME,), starts_at=NOW, latest_end=NOW + 2 * HOUR)

    assert is_crowded(grant, [grant, other]) is crowded


def test_a_person_inside_a_wider_source_that_stays_keeps_the_whole_time():
    """The path for the wider source lets them in until their end: no lead is taken from it."""
    stays = holding("g1", ip_network("203.0.113.0/24"), ends=120, claimed=-30)
    joins = a_grant("g2", sources=(HOME,), duration=HOUR, latest_end=NOW + 2 * HOUR)

    assert fix_end(joins, [stays], end=NOW + HOUR, now=NOW) == NOW + HOUR


# ---- many grants ---------------------------------------------------------------------------------


def _list_plain_ends(live):
    """The ends that interrupt somebody, found by comparing each source with all later ones."""
    found: list[Any] = []
    kept: set[Any] = set()
    stayers: list[Any] = []
    for end in sorted({grant.expires_at for grant in live}, reverse=True):
        ending = [grant for grant in live if grant.expires_at == end]
        leavers = [_came(g) for g in ending if not are_all_inside(g.sources, kept)]
        if not stayers or any(leaver <= min(stayers) for leaver in leavers):
            found.append(end)
        kept.update(source for grant in ending for source in grant.sources)
        stayers += map(_came, ending)
    return found


def _came(grant):
    return (grant.admitted_at, grant.starts_at, grant.id)


NESTED = tuple(
    map(ip_network, ("203.0.113.0/24", "203.0.113.0/28", "203.0.113.7/32", "198.51.100.9/32"))
)
_crowds = st.lists(
    st.tuples(st.integers(1, 6), st.integers(0, 3), st.sampled_from(NESTED)),
    min_size=1,
    max_size=6,
).map(
    lambda rows: [
        an_open(
            f"g{number}",
            sources=(source,),
            expires_at=NOW + ends * 10 * MINUTE,
            admitted_at=NOW - came * MINUTE,
        )
        for number, (ends, came, source) in enumerate(rows)
    ]
)


@given(_crowds)
def test_the_hand_overs_of_many_are_those_of_each_alone(live):
    """They are found once for all; this is the plain search."""
    ends = _list_plain_ends(live)
    expected = [min((end for end in ends if end < g.expires_at), default=None) for g in live]

    assert [grant.handover_at for grant in announce_handovers(live, now=NOW)] == expected
    assert [find_next_handover(grant, live, now=NOW) for grant in live] == expected


_joiners = st.lists(
    st.tuples(st.integers(0, 3), st.integers(3, 60), st.sampled_from(NESTED)), max_size=6
).map(
    lambda rows: [
        a_grant(
            f"j{number}",
            sources=(source,),
            starts_at=NOW - early * MINUTE,
            duration=lasts * MINUTE,
        )
        for number, (early, lasts, source) in enumerate(rows)
    ]
)


@given(_crowds, _joiners, st.sampled_from([None, NOW + 20 * MINUTE]))
def test_the_ends_of_those_who_join_a_crowd_are_those_of_each_alone(live, joiners, held):
    """The crowd is read once for all of them; this reads it for each."""
    company, group, expected, found = Company(live, now=NOW, held=held), list(live), [], []
    for grant in joiners:
        wish = NOW + grant.duration
        end = fix_end(grant, group, end=wish, now=NOW, held=held)
        expected.append((end, find_handover(grant, group, end=end, now=NOW, held=held)))
        joined = company.fix_end(grant, end=wish)
        found.append((joined, company.find_handover(grant, end=joined)))
        open_now = replace(grant, status=Status.OPENING, admitted_at=NOW, expires_at=end)
        group.append(open_now)
        company.join(open_now)

    assert found == expected
