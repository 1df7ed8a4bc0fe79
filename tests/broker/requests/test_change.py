"""Changes that people make to a live request: revoke it, extend it."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from jit.domain.errors import (
    AccessDenied,
    Conflict,
    Forbidden,
    InvalidRequest,
    NotFound,
    Unavailable,
)
from jit.domain.model.people import Person
from jit.domain.values import arm_ids
from jit.domain.values.times import format_instant
from jit.storage.table import Op, Verb
from tests.broker.inprocess import ALICE, AUDRA, BOB, DAVE, HERE, OLGA, THERE, farm, policy_of, wish
from tests.broker.reconciling import FARM_POLICY, Reconciling
from tests.fakes.calls import Crash
from tests.fakes.tables import FakeTable
from tests.local.azure.sim import APP01, DB01, DEVELOPMENT, FW_PROD, WEB01

HOUR, MINUTE, SECOND = timedelta(hours=1), timedelta(minutes=1), timedelta(seconds=1)


def _events(broker, what):
    docs = [json.loads(str(row.values["Doc"])) for row in broker.state.rows("a|")]
    return [doc for doc in docs if doc["what"] == what]


def _told(caught):
    """Pointer, code and detail of each violation."""
    return [(each.pointer, each.code, each.detail) for each in caught.value.violations]


@pytest.fixture
def opened(broker):
    """Alice's request for farm01, open for an hour."""
    request_id = broker.ask(wish(farm(1)))
    broker.live(1)
    return request_id


# ---- revoke --------------------------------------------------------------------------------------


def test_an_open_path_that_is_given_back_begins_to_close(broker, opened):
    """A path is closed only after it was observed gone; until then it is closing."""
    decided = broker.revoke(opened)

    assert decided.changed
    assert (decided.stored.status, decided.stored.grants[0].close_reason) == ("closing", "revoked")


def test_a_grant_that_azure_never_got_is_closed_at_once(broker):
    """There is nothing to observe."""
    request_id = broker.ask(wish(farm(1)))

    broker.revoke(request_id)

    assert broker.status(request_id) == "closed"


def test_a_revoked_request_never_opens(broker):
    """Not even when its start comes."""
    start = broker.now + HOUR
    request_id = broker.ask(wish(farm(1), startTime=start.isoformat()))
    broker.revoke(request_id)

    broker.live(65)

    assert broker.grant(request_id).close_reason == "revoked"
    assert broker.initiates() == []


def test_every_grant_of_a_request_is_given_back(broker):
    """A request is revoked as a whole."""
    request_id = broker.ask(wish((farm(1), farm(11), farm(21))))
    broker.live(2)
    broker.revoke(request_id)

    broker.live(2)

    assert broker.status(request_id) == "closed"
    assert {grant.close_reason for grant in broker.whole(request_id).grants} == {"revoked"}


def test_revoking_twice_is_revoking_once(broker, opened):
    """The second time says that it was already so."""
    broker.revoke(opened)

    assert not broker.revoke(opened).changed


def test_revoking_an_expired_request_changes_nothing(broker, opened):
    """History is not rewritten."""
    broker.live(70)

    assert not broker.revoke(opened).changed
    assert broker.grant(opened).close_reason == "expired"


def test_an_operator_revokes_anybodys(broker, opened):
    """The one role that may end others' access."""
    assert broker.revoke(opened, OLGA).changed


@pytest.mark.parametrize("caller", [BOB, AUDRA], ids=["approver", "auditor"])
def test_a_person_who_may_only_see_a_request_may_not_revoke_it(broker, opened, caller):
    """Approvers and auditors see all, and end nobody's access."""
    with pytest.raises(Forbidden):
        broker.revoke(opened, caller)

    assert broker.status(opened) == "open"


def test_another_requesters_request_looks_as_if_there_were_none(broker, opened):
    """A requester must not learn which requests exist."""
    with pytest.raises(NotFound):
        broker.revoke(opened, DAVE)

    assert broker.status(opened) == "open"


@pytest.mark.parametrize(
    "name", ["", "x", "../../r", "a" * 5000, "lqh75yaaabaabaaaaaaaaaaaai06h07s3ppl4c8rc9c57e3vd44"]
)
def test_an_id_that_is_none_is_not_found(broker, name):
    """Any text in the route is 404."""
    with pytest.raises(NotFound):
        broker.revoke(name)


def test_the_person_and_the_reason_of_a_revocation_are_in_the_trail(broker, opened):
    """Person and reason, in the same transaction as the change."""
    broker.revoke(opened, OLGA, "shift over")

    (event,) = _events(broker, "grant.closing_began")
    assert (event["actor"], event["texts"]["reason"]["text"]) == (OLGA.id, "shift over")


def test_the_answer_names_the_person_and_the_reason_of_a_revocation(broker, opened):
    """Alice sees who ended her access, and why; the trail has the name beside the object id."""
    decided = broker.revoke(opened, OLGA, "shift over")
    broker.live(5)

    (event,) = _events(broker, "grant.closing_began")
    assert (event["actor"], event["texts"]["actorName"]["text"]) == (OLGA.id, OLGA.name)
    told = [
        (grant.closed_by, grant.close_reason_text)
        for grant in (*decided.stored.grants, *broker.whole(opened).grants)
    ]
    assert told == [(Person(id=OLGA.id, name=OLGA.name), "shift over")] * 2


def test_nobody_closed_a_grant_that_expired(broker, opened):
    """Time did."""
    broker.live(70)

    grant = broker.grant(opened)
    assert (grant.close_reason, grant.closed_by, grant.close_reason_text) == ("expired", None, None)


def test_every_act_of_a_person_has_their_name_in_the_trail(broker, opened):
    """An auditor reads names."""
    broker.extend(opened, 2 * HOUR)
    with pytest.raises(AccessDenied):
        broker.ask(wish(farm(1), 23))

    (accepted,) = _events(broker, "request.accepted")
    (extended,) = _events(broker, "grant.end_changed")
    (denied,) = _events(broker, "request.denied")
    (began,) = _events(broker, "grant.opening_began")
    named = [each["texts"]["actorName"]["text"] for each in (accepted, extended, denied)]
    assert named == [ALICE.name] * 3
    assert "texts" not in began


# ---- a part of a request -------------------------------------------------------------------------


@pytest.fixture
def several(broker):
    """Alice's request for two ports of db01 and one of app01, open."""
    machines = [
        {"id": DB01, "ports": [{"number": 22}, {"number": 5985}]},
        {"id": APP01, "ports": [{"number": 3389}]},
    ]
    request_id = broker.ask(wish(DB01, virtualMachines=machines))
    broker.live(2)
    return request_id


def _statuses(broker, request_id):
    return {
        (arm_ids.name(grant.vm_id), grant.port): grant.status.value
        for grant in broker.whole(request_id).grants
    }


def test_one_vm_of_several_is_given_back(broker, several):
    """With all of its ports; the other VM stays open. Upper and lower case are equal."""
    decided = broker.revoke(several, virtualMachines=[{"id": DB01.upper()}])
    broker.live(5)

    assert decided.changed
    assert _statuses(broker, several) == {
        ("db01", 22): "closed",
        ("db01", 5985): "closed",
        ("app01", 3389): "open",
    }
    assert (broker.reachable(DB01), broker.reachable(APP01, 3389)) == (False, True)


def test_one_port_of_several_is_given_back(broker, several):
    """The other port of the VM stays open."""
    broker.revoke(several, virtualMachines=[{"id": DB01, "ports": [{"number": 5985}]}])
    broker.live(5)

    assert _statuses(broker, several) == {
        ("db01", 22): "open",
        ("db01", 5985): "closed",
        ("app01", 3389): "open",
    }
    assert (broker.reachable(DB01, 22), broker.reachable(DB01, 5985)) == (True, False)


def test_the_rest_of_a_request_can_be_given_back_later(broker, several):
    """A closed grant stays as it is."""
    broker.revoke(several, reason="first", virtualMachines=[{"id": DB01}])
    broker.live(5)

    assert broker.revoke(several, reason="second").changed
    broker.live(5)

    texts = {grant.port: grant.close_reason_text for grant in broker.whole(several).grants}
    assert texts == {22: "first", 5985: "first", 3389: "second"}


@pytest.mark.parametrize(
    ("machines", "found"),
    [
        (
            [{"id": DB01}, {"id": WEB01}],
            ("#/virtualMachines/1/id", "web01 is not in this request, which has db01 and app01"),
        ),
        (
            [{"id": DB01, "ports": [{"number": 22}, {"number": 3389}]}],
            (
                "#/virtualMachines/0/ports/1/number",
                "port 3389 of db01 is not in this request, which has 22 and 5985",
            ),
        ),
    ],
)
def test_a_part_that_is_not_in_the_request_ends_nothing(broker, several, machines, found):
    """A typing error must not look like a revocation."""
    with pytest.raises(InvalidRequest) as caught:
        broker.revoke(several, virtualMachines=machines)

    pointer, detail = found
    assert _told(caught) == [(pointer, "not-in-request", detail)]
    assert set(_statuses(broker, several).values()) == {"open"}


# ---- a revocation without effect -----------------------------------------------------------------


def test_a_revocation_without_effect_says_when_and_by_whom_access_was_closed(broker, opened):
    """An operator at night sees that somebody was quicker."""
    broker.revoke(opened, OLGA)
    closing = broker.revoke(opened)
    broker.live(5)
    closed = broker.revoke(opened)

    grant = broker.grant(opened)
    since, at = format_instant(grant.closing_at), format_instant(grant.closed_at)
    assert (closing.changed, closed.changed) == (False, False)
    assert closing.why == f"port 22 of farm01 is closing since {since} as revoked by {OLGA.name}"
    assert closed.why == f"port 22 of farm01 was closed at {at} as revoked by {OLGA.name}"


def test_a_part_that_is_closed_already_says_so_while_the_rest_is_open(broker, several):
    """About that part alone."""
    broker.revoke(several, virtualMachines=[{"id": APP01}])
    broker.live(5)

    again = broker.revoke(several, virtualMachines=[{"id": APP01}])

    assert not again.changed
    assert again.why.startswith("port 3389 of app01 was closed at ")
    assert "db01" not in again.why


# ---- revocations that meet others ----------------------------------------------------------------


def test_a_worker_that_wrote_first_is_read_again(broker, opened):
    """Neither's change is lost."""

    def overtake(name: str, _: int) -> None:
        if name == "state.write":
            broker.calls.before = lambda *_: None
            broker.extend(opened, 2 * HOUR)

    broker.calls.before = overtake
    decided = broker.revoke(opened)

    assert decided.changed
    assert broker.grant(opened).status == "closing"
    assert len(_events(broker, "grant.end_changed")) == 1


def test_a_request_that_keeps_changing_is_503(broker, opened):
    """Three times is enough: repeat later."""
    notes = map(str, range(100))

    def overtake(name: str, _: int) -> None:
        if name == "state.write":
            broker.calls.before = lambda *_: None
            row, note = broker.whole(opened).rows[0], next(notes)
            broker.requests.save([(row, tuple(replace(g, note=note) for g in row.grants))], [])
            broker.calls.before = overtake

    broker.calls.before = overtake

    with pytest.raises(Unavailable):
        broker.revoke(opened)


def test_a_revocation_while_storage_is_down_is_503(broker, opened):
    """The caller gets 503 and repeats; nothing changed."""

    def fail(_: str, __: int) -> None:
        raise Unavailable("table storage did not answer")

    broker.calls.before = fail
    with pytest.raises(Unavailable):
        broker.revoke(opened)
    broker.calls.before = lambda *_: None

    assert broker.status(opened) == "open"


def test_a_request_of_fifty_vms_is_revoked_as_a_whole(broker_of_fifty):
    """With all of its rows and events."""
    request_id = broker_of_fifty.ask(wish(tuple(farm(n) for n in range(1, 51))))

    decided = broker_of_fifty.revoke(request_id)

    assert {grant.status for grant in decided.stored.grants} == {"closed"}
    assert broker_of_fifty.status(request_id) == "closed"


# ---- extend --------------------------------------------------------------------------------------


def test_an_extension_counts_from_now(broker, opened):
    """The new end is now and the duration, to the second."""
    broker.live(30)

    broker.extend(opened, HOUR)

    assert broker.grant(opened).expires_at == (broker.now + HOUR).replace(microsecond=0)


def test_an_extended_path_outlives_its_first_end(broker, opened):
    """Defender is asked again before the first request runs out; nobody is cut off."""
    broker.live(50)
    broker.extend(opened, HOUR)

    broker.live(30)

    assert broker.status(opened) == "open"
    assert broker.reachable(farm(1))


def test_an_extended_path_is_closed_after_its_new_end(broker, opened):
    """Longer is not for ever."""
    broker.live(50)
    broker.extend(opened, HOUR)

    broker.live(70)

    assert broker.grant(opened).close_reason == "expired"
    assert not broker.reachable(farm(1))


def test_an_extension_beyond_the_ports_maximum_is_refused(broker, opened):
    """As when asking: nothing is cut in silence."""
    before = broker.grant(opened)

    with pytest.raises(AccessDenied) as caught:
        broker.extend(opened, 3 * HOUR + MINUTE)

    assert _told(caught) == [
        ("#/duration", "over-maximum", "port 22 of farm01 allows at most PT3H from now")
    ]
    assert broker.grant(opened) == before


def test_an_extension_that_moves_no_end_says_until_when_access_is_open(broker, opened):
    """A caller who wants less time revokes."""
    before = broker.grant(opened)

    with pytest.raises(Conflict) as caught:
        broker.extend(opened, timedelta(minutes=10))

    ((pointer, code, detail),) = _told(caught)
    assert (pointer, code) == ("#/duration", "no-change")
    assert f"until {format_instant(before.expires_at)} already" in detail
    assert "the duration counts from now, so PT10M would end at" in detail
    assert broker.grant(opened) == before


def test_extensions_end_eight_hours_after_the_opening(broker, opened):
    """An hour becomes eight, and no more."""
    first = broker.grant(opened)
    for minutes in (50, 110, 110):
        broker.live(minutes)
        broker.extend(opened, 2 * HOUR)
    broker.live(110)

    with pytest.raises(AccessDenied) as caught:
        broker.extend(opened, 2 * HOUR)
    broker.extend(opened, timedelta(minutes=30))

    ((pointer, code, detail),) = _told(caught)
    latest = format_instant(first.opened_at + 8 * HOUR)
    assert (pointer, code) == ("#/duration", "longest-access")
    assert f"until {latest} at the latest" in detail
    assert broker.grant(opened).expires_at <= first.opened_at + 8 * HOUR


def test_the_longest_access_is_a_setting(broker, opened):
    """An operator may allow less."""
    changes = broker.request_changes.changes
    limits = replace(changes.limits, longest_access=2 * HOUR)
    broker.request_changes = replace(
        broker.request_changes, changes=replace(changes, limits=limits)
    )

    with pytest.raises(AccessDenied):
        broker.extend(opened, 2 * HOUR + MINUTE)
    broker.extend(opened, 2 * HOUR - MINUTE)

    assert broker.status(opened) == "open"


def test_an_extension_is_refused_as_a_whole(broker):
    """A port that allows less than another one keeps its end, and so does the other one."""
    body = wish(DB01, virtualMachines=[{"id": DB01, "ports": [{"number": 22}, {"number": 5985}]}])
    request_id = broker.ask(body)
    broker.live(2)
    before = broker.whole(request_id).grants

    with pytest.raises(AccessDenied) as caught:
        broker.extend(request_id, 3 * HOUR + MINUTE)

    assert {code for _, code, _ in _told(caught)} == {"over-maximum"}
    assert broker.whole(request_id).grants == before


# ---- the same extension twice --------------------------------------------------------------------


def test_a_repeated_extension_gets_the_first_answer(broker, opened):
    """Logic Apps sends one call up to five times."""
    broker.extend(opened, 2 * HOUR)
    first = broker.grant(opened)
    broker.advance(timedelta(minutes=4))

    again = broker.extend(opened, 2 * HOUR)

    assert not again.changed
    assert again.stored.grants[0].expires_at == first.expires_at
    assert len(_events(broker, "grant.end_changed")) == 1


def test_the_same_body_after_five_minutes_is_another_extension(broker, opened):
    """A person who extends again means it."""
    broker.extend(opened, 2 * HOUR)
    broker.live(5.1)

    assert broker.extend(opened, 2 * HOUR).changed
    assert broker.grant(opened).expires_at == (broker.now + 2 * HOUR).replace(microsecond=0)


def test_a_repetition_with_a_key_is_the_same_extension_for_long(broker, opened):
    """Answered like the first call, also after the request is over."""
    broker.extend(opened, 2 * HOUR, key="k")
    first = broker.grant(opened)
    broker.live(30)
    later = broker.extend(opened, 2 * HOUR, key="k")
    broker.live(180)

    over = broker.extend(opened, 2 * HOUR, key="k")

    assert (later.changed, later.stored.grants[0].expires_at) == (True, first.expires_at)
    assert (over.changed, over.stored.status) == (True, "closed")


def test_an_extension_key_with_another_body_is_a_conflict(broker, opened):
    """It would be two extensions that look like one."""
    broker.extend(opened, 2 * HOUR, key="k")

    with pytest.raises(Conflict) as caught:
        broker.extend(opened, 3 * HOUR, key="k")

    assert [code for _, code, _ in _told(caught)] == ["idempotency-key-reused"]


def test_the_key_of_a_request_may_be_the_key_of_its_extension(broker):
    """A ticketing system uses the number of its ticket for everything."""
    request_id = broker.ask(wish(farm(1)), key="CHG0030001")
    broker.live(1)

    assert broker.extend(request_id, 2 * HOUR, key="CHG0030001").changed


def test_refused_extensions_leave_neither_keys_nor_their_ends(broker, opened):
    """One caller may make more of them than a sweep takes."""
    before = broker.state.rows("i|"), broker.state.rows("x|")
    for _ in range(3):
        with pytest.raises(AccessDenied):
            broker.extend(opened, timedelta(hours=23))

    assert (broker.state.rows("i|"), broker.state.rows("x|")) == before


def test_a_refused_extension_leaves_its_key_free(broker, opened):
    """The caller may mend the body."""
    with pytest.raises(AccessDenied):
        broker.extend(opened, 4 * HOUR, key="k")

    assert broker.extend(opened, 2 * HOUR, key="k").changed


def test_a_repetition_finishes_an_extension_that_broke_off(broker, opened):
    """With the end of the first call."""

    def fail() -> None:
        raise Unavailable("table storage did not answer")

    begun = broker.now
    at_the_changes(broker, fail)
    with pytest.raises(Unavailable):
        broker.extend(opened, 2 * HOUR)
    broker.calls.before = lambda *_: None
    broker.advance(timedelta(minutes=4))

    assert broker.extend(opened, 2 * HOUR).changed
    assert broker.grant(opened).expires_at == (begun + 2 * HOUR).replace(microsecond=0)


# ---- the least step, and one at a time -----------------------------------------------------------


@pytest.mark.parametrize(("seconds", "is_moved"), [(299, False), (300, True)])
def test_an_extension_moves_an_end_by_five_minutes_at_least(broker, opened, seconds, is_moved):
    """Each one is a request to Defender, and disturbs everybody on the VM port."""
    left = broker.grant(opened).expires_at - broker.now.replace(microsecond=0)
    calls = broker.initiates()

    if is_moved:
        assert broker.extend(opened, left + seconds * SECOND).changed
        return
    with pytest.raises(Conflict) as caught:
        broker.extend(opened, left + seconds * SECOND)

    ((_, code, detail),) = _told(caught)
    assert code == "no-change"
    assert "moves an end by PT5M at least" in detail
    assert broker.initiates() == calls


def test_a_request_takes_a_step_if_one_of_its_ends_does(broker):
    """The other end goes along: the answer holds for the whole request."""
    request_id = broker.ask(wish((farm(1), farm(2))))
    broker.live(5)
    row = broker.whole(request_id).rows[0]
    later = replace(row.grants[0], expires_at=row.grants[0].expires_at + 4 * MINUTE)
    broker.requests.save([(row, (later,))], [])

    broker.extend(request_id, HOUR)

    ends = {grant.expires_at for grant in broker.whole(request_id).grants}
    assert ends == {(broker.now + HOUR).replace(microsecond=0)}


def _code(broker, request_id, span):
    """The code with which an extension is refused; empty if it is not."""
    try:
        broker.extend(request_id, span)
    except Conflict as error:
        (violation,) = error.violations
        return violation.code
    return ""


@pytest.mark.parametrize("minutes", [0, 1])
def test_no_extension_comes_while_one_is_on_its_way(broker, opened, minutes):
    """Before Defender was asked, and while Azure exchanges the rules."""
    broker.extend(opened, HOUR + 10 * MINUTE)
    if minutes:
        broker.live(minutes)
    before = broker.grant(opened)

    with pytest.raises(Conflict) as caught:
        broker.extend(opened, HOUR + 20 * MINUTE)

    ((pointer, code, detail),) = _told(caught)
    assert (pointer, code) == ("#", "change-on-its-way")
    assert "the extension of port 22 of farm01 before this one is on its way" in detail
    assert broker.grant(opened) == before
    assert broker.revoke(opened).changed


def test_the_next_extension_may_come_when_the_one_before_has_arrived(broker, opened):
    """Azure has exchanged the rules within two minutes."""
    broker.extend(opened, HOUR + 10 * MINUTE)
    broker.live(2.1)

    assert broker.extend(opened, HOUR + 20 * MINUTE).changed


def test_an_extension_behind_a_firewall_is_on_its_way_for_its_update(broker):
    """It takes minutes, and nobody else on the firewall can change anything meanwhile."""
    request_id = broker.ask(wish(WEB01, 3389))
    broker.live(10)
    broker.extend(request_id, HOUR + 10 * MINUTE)

    codes = []
    for _ in range(7):
        broker.live(1)
        codes.append(_code(broker, request_id, HOUR + 30 * MINUTE))

    assert codes[:3] == ["change-on-its-way"] * 3
    assert "" in codes


def test_an_extension_that_needs_nothing_of_defender_is_not_on_its_way(broker, opened):
    """The request in Defender ends with the other person's access, before the own end."""
    broker.live(5)
    other = broker.ask(wish(farm(1), source=THERE, duration="PT20M"), BOB)
    broker.live(3)
    broker.extend(opened, HOUR + 10 * MINUTE)

    assert broker.status(other) == "open"
    assert _code(broker, opened, HOUR + 20 * MINUTE) == ""


def test_a_neighbour_who_changes_the_shared_port_keeps_nobody_from_extending_for_long(broker):
    """The own extension counts as arrived after fifteen minutes, also if others ask for more."""
    request_id = broker.ask(wish(farm(1), duration="PT2H"))
    broker.live(5)
    broker.extend(request_id, 2 * HOUR + 10 * MINUTE)
    for number in range(8):
        other = broker.ask(wish(farm(1), source=f"198.51.100.{number}"), BOB)
        broker.live(2)
        broker.revoke(other, BOB)

    assert _code(broker, request_id, 2 * HOUR + 30 * MINUTE) == ""


# ---- who may extend, and when --------------------------------------------------------------------


def test_an_extension_behind_a_firewall_keeps_the_path_open(broker):
    """The firewall's update does not interrupt the open path."""
    request_id = broker.ask(wish(WEB01, 3389))
    broker.live(40)
    broker.extend(request_id, HOUR)

    broker.live(40)

    assert broker.status(request_id) == "open"
    assert broker.reachable(WEB01, 3389)


def _occupy_firewall(broker):
    """Let a customer's update of the firewall begin now."""
    broker.sim.call("PUT", FW_PROD, broker.sim.get(FW_PROD))


@pytest.mark.parametrize("left", [6 * MINUTE, 2 * MINUTE, 6 * SECOND])
def test_an_extension_behind_a_busy_firewall_keeps_the_path_open(broker, left):
    """Defender hears of it before it takes the old rule away."""
    request_id = broker.ask(wish(WEB01, 3389))
    broker.live(20)
    end = broker.grant(request_id).expires_at
    broker.live((end - left - broker.now) / MINUTE)
    _occupy_firewall(broker)

    broker.extend(request_id, HOUR)
    seen = set()
    for _ in range(20):
        broker.live(1)
        seen.add(broker.reachable(WEB01, 3389))

    assert seen == {True}


def test_a_late_extension_behind_a_firewall_says_when_the_path_may_be_shut(broker):
    """In its answer, and in the note until the time is over."""
    request_id = broker.ask(wish(WEB01, 3389))
    broker.live(20)
    end = broker.grant(request_id).expires_at
    broker.live((end - 2 * MINUTE - broker.now) / MINUTE)

    (told,) = broker.extend(request_id, HOUR).stored.grants
    broker.live(5)
    during = broker.grant(request_id)
    broker.live(14)
    after = broker.grant(request_id)

    times = f"{format_instant(end)} to {format_instant(end + 15 * MINUTE)}"
    assert f"the path may be shut from about {times}" in told.note
    assert (during.status, during.note) == ("open", told.note)
    assert (after.status, after.note) == ("open", None)


def test_extending_one_does_not_hurt_another_on_the_same_port(broker, opened):
    """The shared path is asked for again as a whole."""
    other = broker.ask(wish(farm(1), source=THERE), DAVE)
    broker.live(2)
    broker.extend(opened, 2 * HOUR)

    broker.live(2)

    assert (broker.status(opened), broker.status(other)) == ("open", "open")
    assert (broker.reachable(farm(1), 22, HERE), broker.reachable(farm(1), 22, THERE)) == (
        True,
        True,
    )


@pytest.mark.parametrize("caller", [OLGA, BOB, AUDRA], ids=["operator", "approver", "auditor"])
def test_another_person_cannot_keep_a_path_open(broker, opened, caller):
    """Only the requester knows that it is still needed."""
    with pytest.raises(Forbidden):
        broker.extend(opened, HOUR, caller)


def test_another_requester_cannot_even_see_the_request_to_extend(broker, opened):
    """It looks as if there were none."""
    with pytest.raises(NotFound):
        broker.extend(opened, HOUR, DAVE)


def test_a_request_that_is_not_open_cannot_be_extended(broker):
    """Before it opens there is nothing to keep."""
    request_id = broker.ask(wish(farm(1)))

    with pytest.raises(Conflict):
        broker.extend(request_id, HOUR)


def test_an_extension_of_a_finished_request_names_the_live_one_for_the_port(broker, opened):
    """A person who asked anew extends the old id."""
    broker.live(70)
    newer = broker.ask(wish(farm(1)))

    with pytest.raises(Conflict, match=f"your own request {newer} has the same port"):
        broker.extend(opened, HOUR)


@pytest.mark.parametrize(
    ("minutes", "words"), [(1, "extend it once it is open"), (190, "ask for access anew")]
)
def test_a_request_that_is_not_open_says_the_next_step(broker, minutes, words):
    """Wait, or ask again."""
    start = broker.now + 2 * HOUR
    request_id = broker.ask(wish(farm(1), startTime=start.isoformat()))
    broker.live(minutes)

    with pytest.raises(Conflict, match=words):
        broker.extend(request_id, HOUR)


def test_a_closing_request_cannot_be_extended(broker, opened):
    """A revocation is not taken back."""
    broker.revoke(opened)

    with pytest.raises(Conflict):
        broker.extend(opened, HOUR)


def test_a_finished_request_cannot_be_extended(broker, opened):
    """Ask again: it is a new decision."""
    broker.live(70)

    with pytest.raises(Conflict):
        broker.extend(opened, HOUR)


@pytest.mark.parametrize("late", [timedelta(0), timedelta(minutes=15)], ids=["just now", "before"])
def test_a_request_past_its_end_cannot_be_extended(broker, opened, late):
    """The end was fixed: that no worker came to see it makes it no later."""
    before = broker.grant(opened)
    broker.queues.lose()
    broker.advance(before.expires_at + late - broker.now)

    with pytest.raises(Conflict, match="the request is closing"):
        broker.extend(opened, HOUR)

    assert broker.grant(opened) == before


def test_an_extension_leaves_grants_past_their_end_alone(broker):
    """Each has an end of its own; the others go on."""
    request_id = broker.ask(wish((farm(1), farm(2))))
    broker.live(5)
    held = broker.whole(request_id).rows[0]
    over = replace(held.grants[0], expires_at=broker.now)
    broker.requests.save([(held, (over,))], [])

    broker.extend(request_id, HOUR)

    ends = {grant.vm_id: grant.expires_at for grant in broker.whole(request_id).grants}
    assert ends.pop(over.vm_id) == over.expires_at
    assert list(ends.values()) == [(broker.now + HOUR).replace(microsecond=0)]


def test_an_extension_is_decided_by_todays_policy(broker):
    """A port that was taken out of the policy is not kept open for longer."""
    request_id = broker.ask(wish(DB01, 3389, HERE))
    broker.live(1)
    policy = broker.sim.get(policy_of(DB01))
    policy["properties"]["virtualMachines"][0]["ports"].pop(1)
    broker.sim.control("PUT", "state", {"resources": {policy_of(DB01): policy}})
    broker.inventory.write_machines(
        DB01.split("/")[2],
        broker.observer.read_machines(DB01.split("/")[2], now=broker.now),
        complete=True,
    )

    with pytest.raises(AccessDenied) as caught:
        broker.extend(request_id, HOUR)

    assert [each.code for each in caught.value.violations] == ["port-not-in-policy"]


@pytest.mark.parametrize(
    ("lacks", "name"), [(FARM_POLICY, "the JIT policy of farm01"), (farm(1), "farm01")]
)
def test_an_extension_waits_while_azure_does_not_list_what_decides_about_it(
    broker, opened, lacks, name
):
    """The inventory keeps what one list lacks; the next comparison tells if it is gone."""
    it = Reconciling(broker)
    it.run()
    body, before = broker.sim.get(lacks), broker.grant(opened)
    it.edit(**{lacks: None})
    it.run()

    with pytest.raises(Unavailable, match=f"^Azure did not list {name}$") as caught:
        broker.extend(opened, 2 * HOUR)

    assert (caught.value.retry_after_seconds, broker.grant(opened)) == (60, before)

    it.edit(**{lacks: body})
    it.run()
    assert broker.extend(opened, 2 * HOUR).changed


def test_the_person_of_an_extension_is_in_the_trail(broker, opened):
    """With the person who did."""
    broker.extend(opened, 2 * HOUR)

    (event,) = _events(broker, "grant.end_changed")
    assert event["actor"] == ALICE.id


def test_a_page_of_the_table_that_ends_early_hides_no_grant(broker):
    """A request is revoked as a whole, also if storage answers in short pages."""
    broker.state = short = FakeTable(lambda: broker.now, scanned=2)
    broker.requests._state = short
    request_id = broker.ask(wish(tuple(farm(n) for n in range(1, 6))))

    broker.revoke(request_id)

    assert {grant.status for grant in broker.whole(request_id).grants} == {"closed"}


# ---- names that vary in case ---------------------------------------------------------------------


def spelled(policy_id):
    """Return a policy's id as another Azure API writes it."""
    return policy_id.replace("/rg-farm-1/", "/RG-FARM-1/")


def respelled(broker, vm):
    """Let the inventory spell the policy of one VM otherwise than that of its neighbours."""
    broker.preview(wish(farm(9)))
    found = broker.inventory.find_machine(vm)
    other = replace(found, policy_id=spelled(found.policy_id))
    broker.inventory.write_machines(DEVELOPMENT, [other], complete=False)


def test_a_policy_that_is_spelled_in_two_ways_is_one_policy(broker):
    """Its grants are listed once, can be revoked, and lie in history once."""
    respelled(broker, farm(1))
    request_id = broker.ask(wish((farm(1), farm(2))))
    live = broker.whole(request_id)

    broker.revoke(request_id)
    broker.live(2)

    over = broker.whole(request_id)
    assert len(live.request.policies) == 1
    assert [grant.id for grant in live.grants] == [grant.id for grant in over.grants]
    assert [grant.close_reason for grant in over.grants] == ["revoked", "revoked"]
    assert broker.state.rows("g|") == ()


def test_a_request_that_was_stored_with_two_spellings_is_read_once(broker):
    """A row of an older version names a policy twice; it still has two grants."""
    request_id = broker.ask(wish((farm(1), farm(2))))
    (row,) = broker.state.rows("r|")
    doc = json.loads(row.values["Doc"])
    doc["policies"] += [spelled(name) for name in doc["policies"]]
    old = replace(row, values={**row.values, "Doc": json.dumps(doc)})
    broker.state.write([Op(Verb.REPLACE, old)])

    decided = broker.revoke(request_id)

    assert len(doc["policies"]) == 2
    assert len(decided.stored.grants) == len(broker.whole(request_id).grants) == 2


# ---- an extension is one decision, done once -----------------------------------------------------


def two_of_which_one_waits(broker):
    """A request with one open grant, and one that waits for a pass."""
    request_id = broker.ask(wish((farm(2), farm(11)), duration="PT30M"))
    broker.queues.__init__(broker._clock, calls=broker.calls)
    for _ in range(6):
        broker.work(farm(2))
        broker.advance(timedelta(seconds=30))
    assert [grant.status for grant in broker.whole(request_id).grants] == ["open", "pending"]
    return request_id


def at_the_first(broker, name, act, *, skipped=0):
    """Do *act* once, just before the first call of that name, after some that do not count."""
    left = [act, *[lambda: None] * skipped]

    def before(called, _):
        if called.startswith(name) and left:
            left.pop()()

    broker.calls.before = before


def at_the_changes(broker, act):
    """Do *act* once, just before an extension writes grants: its key is written before that."""
    at_the_first(broker, "state.write", act, skipped=1)


def test_an_extension_moves_no_grant_that_nobody_decided_about(broker):
    """Another instance admits it between the reading and the writing."""
    it = Reconciling(broker)
    policy = broker.sim.get(policy_of(farm(11)))
    for machine in policy["properties"]["virtualMachines"]:
        for port in machine["ports"]:
            port["maxRequestAccessDuration"] = "PT45M"
    it.edit(**{policy["id"]: policy})
    it.run()
    request_id = two_of_which_one_waits(broker)
    at_the_changes(broker, lambda: broker.work(farm(11)))

    broker.extend(request_id, HOUR)

    late = broker.whole(request_id).grants[1]
    assert late.admitted_at is not None
    assert late.expires_at - late.admitted_at <= HOUR / 2


@pytest.mark.parametrize("key", ["K", None])
def test_the_same_extension_at_two_instances_at_once_is_one(broker, key):
    """Both callers get the end; a third call later changes nothing."""
    request_id = broker.ask(wish(farm(1)))
    broker.live(20)
    second = []
    at_the_changes(broker, lambda: second.append(broker.extend(request_id, HOUR, key=key)))

    first = broker.extend(request_id, HOUR, key=key)

    ends = [done.stored.grants[0].expires_at for done in (first, *second)]
    assert ends[0] == ends[1]
    assert first.changed  # it is the first call, although the other one was quicker
    broker.live(2)
    assert broker.extend(request_id, HOUR, key=key).stored.grants[0].expires_at == ends[0]


def test_a_repetition_moves_no_grant_that_was_admitted_after_the_first_call(broker):
    """The first answer did not promise it."""
    request_id = two_of_which_one_waits(broker)
    broker.extend(request_id, HOUR, key="K")
    broker.live(5)
    before = [grant.expires_at for grant in broker.whole(request_id).grants]

    again = broker.extend(request_id, HOUR, key="K")

    assert again.changed
    assert [grant.expires_at for grant in again.stored.grants] == before


def test_an_extension_that_was_never_stored_is_no_success_after_the_end(broker):
    """Its first call died; the path has ended since."""
    request_id = broker.ask(wish(farm(1), duration="PT30M"))
    broker.live(10)

    def die():
        raise Crash

    at_the_changes(broker, die)
    with pytest.raises(Crash):
        broker.extend(request_id, HOUR, key="K")
    broker.live(40)

    with pytest.raises(Conflict, match="only an open one can be extended"):
        broker.extend(request_id, HOUR, key="K")


def test_an_extension_that_loses_against_a_revocation_says_so(broker):
    """Access is not open until the old end."""
    request_id = broker.ask(wish(farm(1)))
    broker.live(20)
    at_the_changes(broker, lambda: broker.revoke(request_id, OLGA, "incident"))

    with pytest.raises(Conflict, match="the request is closing"):
        broker.extend(request_id, HOUR, key="K")


def test_a_repetition_after_a_later_extension_gets_its_first_answer(broker):
    """The later one moved the end further; the repetition takes nothing away and adds nothing."""
    request_id = broker.ask(wish(farm(1)))
    broker.live(20)
    broker.extend(request_id, HOUR, key="K")
    broker.live(5)
    later = broker.extend(request_id, 2 * HOUR, key="L").stored.grants[0].expires_at

    again = broker.extend(request_id, HOUR, key="K")

    assert (again.changed, again.stored.grants[0].expires_at) == (True, later)


def _count_reads(broker, vms, source):
    """Return the number of reads of storage that an extension of access to *vms* makes."""
    request_id = broker.ask(wish(tuple(map(farm, vms)), source=source))
    broker.live(5)
    before = broker.calls.count("state.get") + broker.calls.count("state.query")
    broker.extend(request_id, 2 * HOUR)
    return broker.calls.count("state.get") + broker.calls.count("state.query") - before


def test_an_extension_reads_storage_once_for_each_further_vm(broker):
    """The caller waits for it: ninety machines are ninety reads, and not twice as many."""
    few, many = _count_reads(broker, range(1, 5), HERE), _count_reads(broker, range(1, 10), HERE)

    assert many - few == 5
