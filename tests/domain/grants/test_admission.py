"""Admission: a grant that is due is decided again, and its end is fixed."""

from datetime import timedelta
from ipaddress import ip_network

import pytest

from jit.domain.azure.initiate_body import PortToOpen
from jit.domain.grants.admission import rebuild_request
from jit.domain.grants.shared_port import MOST_PREFIXES
from jit.domain.model.grant import CloseReason, Status
from jit.domain.model.machine import Support, Via
from jit.domain.model.policy_entry import PolicyEntry
from jit.domain.values import arm_ids
from tests.builders.defender import an_entry
from tests.builders.firewalls import a_customers, a_firewall, a_nat
from tests.builders.grants import a_grant, an_open, an_opening, changed
from tests.builders.machines import a_rule, a_view, behind
from tests.builders.values import FIREWALL_ID, HOME, HOUR, MINE, MINUTE, NOW, OFFICE, vm_id
from tests.domain.steps import (
    FRESH,
    LATER,
    OURS,
    RULE_ID,
    SECOND,
    STRANGER,
    a_world,
    alone,
    stepped,
)


def test_admission_fixes_the_end_and_asks():
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
def test_a_late_admission_gives_the_whole_time_until_the_latest_end(late, latest, end):
    """min(max(start, claim) + duration, latest end)."""
    after = alone(a_grant(latest_end=NOW + latest), now=NOW + late)

    assert after.expires_at == NOW + end


def test_an_end_is_fixed_once():
    """A step later it is the same, although the clock has moved on."""
    (claimed,) = stepped(a_grant()).grants

    after = alone(changed(claimed, answered=True), a_world(OURS), now=NOW + HOUR)

    assert after.expires_at == claimed.expires_at


def test_an_end_is_a_whole_second():
    """Azure and people read it alike."""
    after = alone(a_grant(), now=NOW + timedelta(microseconds=7))

    assert after.expires_at == NOW + 2 * HOUR


def test_admission_takes_the_way_that_packets_take_now():
    """The VM may have got a firewall since the request."""
    after = alone(a_grant(), a_world(behind(a_firewall())))

    assert (after.via, after.firewall_id) == (Via.FIREWALL, FIREWALL_ID)


@pytest.mark.parametrize(
    ("world", "why"),
    [
        (a_world(found=False), "its JIT policy no longer exists"),
        (
            a_world(a_view(ports=(a_rule(3389),))),
            "port 22 of web01 is not in its JIT policy, which has 3389",
        ),
        (
            a_world(a_view(ports=(a_rule(allowed_sources=("10.0.0.0/8",)),))),
            (
                "203.0.113.7/32 may not reach port 22 of web01: its JIT policy allows 10.0.0.0/8;"
                " GET my-address shows the caller's address"
            ),
        ),
        (
            a_world(a_view(ports=(a_rule(max_duration=HOUR),))),
            "port 22 of web01 allows at most PT1H",
        ),
        (
            a_world(a_view(support=Support.NOT_CONFIGURED)),
            "web01 is in no JIT policy: an operator can put it into one",
        ),
        (
            a_world(a_view(support=Support.UNSUPPORTED, reasons=("no NSG",))),
            "web01 cannot be served: no NSG",
        ),
        (
            a_world(None, an_entry("192.0.2.1", initiate_id=STRANGER)),
            (
                "port 22 of web01 is occupied until 2026-11-22T20:00:00Z:"
                " ask then, or with a startTime from then on"
            ),
        ),
        (
            a_world(None, an_entry("192.0.2.1", initiate_id=FRESH)),
            (
                "port 22 of web01 is occupied until 2026-11-22T20:00:00Z:"
                " ask then, or with a startTime from then on"
            ),
        ),
    ],
)
def test_a_grant_that_is_no_longer_allowed_at_opening_is_denied(world, why):
    """P1: decided again at the moment of opening; a mark that is not ours is a stranger's."""
    done = stepped(a_grant(), world=world)

    (grant,) = done.grants
    assert (grant.status, grant.close_reason, grant.note) == (
        Status.CLOSED,
        CloseReason.DENIED,
        why,
    )
    assert done.asks == ()


def test_a_denial_at_opening_keeps_code_and_place_of_each_reason():
    """A program reads the code; the place is the VM in the body of the request."""
    rules = (a_rule(max_duration=HOUR, allowed_sources=("10.0.0.0/8",)),)

    after = alone(a_grant("r-3-22", request_id="r"), a_world(a_view(ports=rules)))

    assert [(each.pointer, each.code) for each in after.denials] == [
        ("#/duration", "duration-too-long"),
        ("#/sources/0", "source-not-allowed"),
    ]
    assert after.note == "; ".join(each.detail for each in after.denials)


@pytest.mark.parametrize(
    ("world", "pointer", "code"),
    [
        (a_world(found=False), "#/virtualMachines/3/id", "no-jit-policy"),
        (a_world(a_view(ports=(a_rule(3389),))), "#/virtualMachines/3", "port-not-in-policy"),
        (
            a_world(None, an_entry("192.0.2.1", initiate_id=STRANGER)),
            "#/virtualMachines/3",
            "occupied",
        ),
    ],
)
def test_a_denial_at_opening_points_at_the_vm(world, pointer, code):
    """The order of the ports in the body is not stored."""
    after = alone(a_grant("r-3-22", request_id="r"), world)

    assert [(each.pointer, each.code) for each in after.denials] == [(pointer, code)]


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


def test_a_denial_names_every_reason():
    """A caller who asks again should not meet the next reason."""
    view = a_view(ports=(a_rule(allowed_sources=("10.0.0.0/8",), max_duration=HOUR),))

    after = alone(a_grant(), a_world(view))

    assert after.note == (
        "port 22 of web01 allows at most PT1H; 203.0.113.7/32 may not reach port 22 of web01:"
        " its JIT policy allows 10.0.0.0/8; GET my-address shows the caller's address"
    )


def test_the_request_decided_again_is_the_one_that_was_granted():
    """Same VM, port, sources, duration."""
    request = rebuild_request(a_grant())

    (machine,) = request.machines
    assert (machine.id, machine.ports[0].number) == (vm_id(), 22)
    assert (request.sources, request.duration) == ((HOME,), 2 * HOUR)


@pytest.mark.parametrize(
    ("world", "note"),
    [
        (a_world(behind(a_firewall(settled=False))), "firewall fw-prod is being updated"),
        (
            a_world(behind(a_firewall(settled=False, failed=True))),
            "the last update of firewall fw-prod failed; repeat it in Azure",
        ),
        (a_world(behind(None)), "the firewall could not be read"),
        (
            a_world(behind(a_firewall()), free_firewalls=frozenset()),
            "waiting for another change of the firewall to end",
        ),
    ],
)
def test_a_grant_behind_a_busy_firewall_waits_and_says_for_what(world, note):
    """It is not claimed: its time has not begun."""
    done = stepped(a_grant(), world=world)

    (grant,) = done.grants
    assert (grant.status, grant.expires_at) == (Status.PENDING, None)
    assert grant.note == note
    assert grant.next_check_at == NOW + MINUTE
    assert done.asks == ()


def test_grants_are_admitted_in_the_order_of_their_starts():
    """The later comer has the hand-over."""
    first = a_grant("z", starts_at=NOW - MINUTE, duration=HOUR)
    later = a_grant("a", sources=(OFFICE,))

    done = stepped(later, first)

    ends = {grant.id: (grant.expires_at, grant.handover_at) for grant in done.grants}
    assert ends == {
        "z": (NOW + HOUR, None),
        "a": (NOW + 2 * HOUR, NOW + HOUR),
    }


def test_a_grant_that_joins_a_stranger_hears_when_that_path_ends():
    """P6: it is known as early as the grant's own end."""
    entry = an_entry(initiate_id=STRANGER, ends_at=NOW + HOUR)

    after = alone(a_grant(), a_world(OURS, entry))

    assert (after.expires_at, after.handover_at) == (NOW + 2 * HOUR, NOW + HOUR)


def test_while_azure_wants_no_calls_nothing_is_admitted():
    """The grant's time does not begin before it can be asked for."""
    done = stepped(a_grant(), world=a_world(asks_from=LATER))

    (grant,) = done.grants
    assert (grant.status, grant.expires_at, done.asks) == (Status.PENDING, None, ())
    assert (grant.note, grant.next_check_at) == ("Azure asked us to wait", LATER)


def test_a_grant_of_the_other_ip_version_is_denied_while_the_port_is_used():
    """Azure takes no rule that has both. If two are due at once, the first one opens."""
    allowed = ("203.0.113.0/24", "2a02::/16")
    world = a_world(a_view(ports=(a_rule(allowed_sources=allowed),)))
    first = a_grant("g1", sources=(HOME,))
    second = a_grant("g2", sources=(ip_network("2a02::1/128"),))

    one, other = stepped(first, second, world=world).grants

    assert (one.status, other.close_reason) == (Status.OPENING, CloseReason.DENIED)
    assert "the other IP version" in (other.note or "")


def test_a_grant_for_whose_source_a_rule_has_no_place_is_denied():
    """Two requests were accepted at the same time, before each saw the other."""
    crowd = tuple(ip_network(f"198.18.{n // 256}.{n % 256}/32") for n in range(MOST_PREFIXES))
    many = an_opening("many", sources=crowd, expires_at=NOW + HOUR)

    (_, new) = stepped(many, a_grant("new")).grants

    assert (new.status, new.close_reason) == (Status.CLOSED, CloseReason.DENIED)
    assert "(4,000 prefixes)" in (new.note or "")


def test_a_port_that_a_customer_published_since_then_is_denied_at_opening():
    """The broker may not let the firewall in there: hope would last 40 minutes."""
    front = a_firewall(others=[a_customers(a_nat("*", name="ssh"))])

    after = alone(a_grant(), a_world(behind(front)))

    assert (after.status, after.close_reason) == (Status.CLOSED, CloseReason.DENIED)
    assert "NAT rule jump/ssh of firewall fw-prod" in (after.note or "")


def test_a_grant_shows_the_protocol_that_defender_opens_for_it():
    """The policy may have changed since the request was accepted; an initiate names none."""
    after = alone(a_grant(protocol="*"))

    assert (after.status, after.protocol) == (Status.OPENING, "TCP")


# ---- grants that stand ---------------------------------------------------------------------------

VM_KEY = arm_ids.key(vm_id())


def held_to(*rules, world=OURS, there=True, **changes):
    """A world whose JIT policy has these rules for the VM, or no entry for it."""
    entries = {VM_KEY: PolicyEntry(ports=rules)} if there else {}
    return a_world(world, an_entry(), entries=entries, **changes)


@pytest.mark.parametrize("grant", [an_open(rules=(RULE_ID,)), an_opening()])
def test_a_standing_grant_that_its_policy_no_longer_allows_is_denied(grant):
    """Its rules go at once, and nothing is asked for it any more."""
    done = stepped(grant, world=held_to(a_rule(3389)), now=LATER)

    (after,) = done.grants
    assert (after.status, after.close_reason) == (Status.CLOSING, CloseReason.DENIED)
    assert [each.code for each in after.denials] == ["port-not-in-policy"]
    assert (after.note or "").startswith("port 22 of web01 is no longer in its JIT policy")
    assert [rule.id for rule in done.removals] == [RULE_ID]
    assert done.asks == ()


def test_a_vm_without_an_entry_in_a_policy_that_was_read_has_no_access():
    """Somebody took it out of the policy."""
    assert alone(an_open(), held_to(there=False), LATER).close_reason is CloseReason.DENIED


def test_a_vm_that_its_policy_lacks_maybe_not_for_good_keeps_its_access():
    """Azure is changing the policy, for example."""
    world = held_to(there=False, doubted=frozenset({VM_KEY}))

    after = alone(an_open(), world, LATER)

    assert after.status is Status.OPEN
    assert after.next_check_at == LATER + MINUTE  # the second look may be needed for its end


def test_a_standing_grant_ends_even_if_its_vm_cannot_be_read():
    """Doubt about the VM delays the removal of its rules only."""
    world = held_to(a_rule(3389), machines={}, unreadable={VM_KEY: "no answer"})

    assert alone(an_open(), world, LATER).status is Status.CLOSING


@pytest.mark.parametrize(
    ("grant", "status"),
    [
        (a_grant(status=Status.SCHEDULED, starts_at=NOW + HOUR), Status.SCHEDULED),
        (an_open(expires_at=LATER), Status.CLOSING),
    ],
)
def test_a_booking_and_a_grant_at_its_end_are_not_denied_by_the_standing_policy(grant, status):
    """The one is decided about when it opens, and the other has expired."""
    after = alone(grant, held_to(a_rule(3389)), LATER)

    assert (after.status, after.denials) == (status, ())
    assert after.close_reason in {None, CloseReason.EXPIRED}


def test_nothing_ends_while_nobody_can_tell_what_the_policy_allows():
    """It was not read, or it was not found once."""
    world = a_world(OURS, an_entry(), found=False, entries=None)

    assert alone(an_open(), world, LATER).status is Status.OPEN


def test_a_standing_grant_ends_as_early_as_its_policy_gives_access_now():
    """The earlier end is asked of Defender as well."""
    done = stepped(
        an_open(asked=(HOME,), asked_until=NOW + 2 * HOUR),
        world=held_to(a_rule(max_duration=HOUR)),
        now=NOW + MINUTE,
    )

    (after,) = done.grants
    assert (after.status, after.expires_at) == (Status.OPEN, NOW + HOUR + MINUTE)
    assert [ask.until for ask in done.asks] == [NOW + HOUR + MINUTE]


# ---- barred people -------------------------------------------------------------------------------


def barred_world(**changes):
    """The world while the person of the grants of these tests is barred."""
    return a_world(OURS, barred=frozenset({a_grant().request_id}), **changes)


@pytest.mark.parametrize("attempts", [0, 1])
def test_a_grant_of_a_barred_person_never_opens(attempts):
    """If Azure was asked for it already, its path is observed gone first."""
    asked = an_opening() if attempts else a_grant()

    (after,) = stepped(asked, world=barred_world()).grants

    assert after.status is (Status.CLOSING if attempts else Status.CLOSED)
    assert after.close_reason is CloseReason.DENIED
    assert [each.code for each in after.denials] == ["barred"]
    assert "barred" in after.note


def test_nothing_is_asked_of_azure_for_a_barred_person():
    """Its end was stored, and then the process died before the call."""
    admitted = an_opening(initiates=(), initiated_at=None, answered=False, attempts=0)

    done = stepped(admitted, world=barred_world())

    assert (done.grants[0].status, done.asks) == (Status.CLOSED, ())


def test_a_path_that_was_open_before_a_bar_stays_wanted():
    """Also while it opens again: its person loses it by a revocation only."""
    again = an_opening(opened_at=NOW - MINUTE)

    assert alone(again, barred_world()).wants_path


def test_a_start_that_lies_ahead_is_not_denied_yet():
    """The bar may have ended by then."""
    later = a_grant(status=Status.SCHEDULED, starts_at=NOW + HOUR, latest_end=NOW + 4 * HOUR)

    assert alone(later, barred_world()).status is Status.SCHEDULED


def test_a_grant_waits_while_bars_cannot_be_read():
    """Its end is not fixed before."""
    unasked = frozenset({a_grant().request_id})

    done = stepped(a_grant(), world=a_world(unasked=unasked))

    (grant,) = done.grants
    assert (grant.status, grant.expires_at, done.asks) == (Status.PENDING, None, ())
    assert grant.next_check_at > NOW
