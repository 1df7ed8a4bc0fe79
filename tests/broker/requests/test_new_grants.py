"""Grants of a new request: their columns, and the hand-overs of shared paths."""

from dataclasses import replace
from datetime import timedelta
from ipaddress import ip_network

import pytest

from jit.broker.requests.new_grants import find_crowded_ports
from jit.domain.decision.verdict import FindingKind
from jit.domain.errors import Conflict
from jit.domain.grants.shared_port import MOST_PREFIXES
from tests.broker.inprocess import ALICE, DAVE, ELSEWHERE, HERE, THERE, farm, wish
from tests.builders.grants import a_grant, an_open
from tests.builders.values import HOME, HOUR, NOW
from tests.local.azure.sim import DB01, DEVELOPMENT


def test_tcp_under_a_rule_for_every_protocol_is_shown_as_every_protocol(broker):
    """Initiate carries no protocol: the policy's protocol opens."""
    body = wish(DB01, 5985)
    body["virtualMachines"][0]["ports"][0]["protocol"] = "TCP"

    assert broker.accept(body).grants[0].protocol == "*"


def test_a_request_that_starts_later_is_scheduled(broker):
    """Nothing of it is due before its start."""
    start = broker.now + timedelta(hours=3)

    whole = broker.accept(wish(farm(1), startTime=start.isoformat()))

    assert (whole.status, whole.grants[0].next_check_at) == ("scheduled", start)


def test_the_latest_end_leaves_an_hour_to_open(broker):
    """A path that opens late still ends by then."""
    whole = broker.accept(wish(farm(1), duration="PT2H"))

    assert whole.grants[0].latest_end == broker.now + timedelta(hours=3)


def test_a_later_comer_gets_the_hand_over_at_acceptance(broker):
    """When the first one's path ends, the second one's is interrupted for a moment."""
    broker.ask(wish(farm(1), duration="PT30M"))
    broker.live(1)
    first = broker.requests.list_grants(*_row_of(broker))[0].grants[0]

    whole = broker.accept(wish(farm(1), source=THERE, duration="PT2H"), DAVE)

    assert whole.grants[0].handover_at == first.expires_at


def test_a_scheduled_grant_promises_no_hand_over(broker):
    """The first one may be gone by then, or another one may be there."""
    request_id = broker.ask(wish(farm(1), duration="PT2H"))
    broker.live(1)
    start = broker.now + timedelta(minutes=30)
    booked = wish(farm(1), source=THERE, duration="PT3H", startTime=start.isoformat())

    later = broker.ask(booked, DAVE)

    assert (broker.status(later), broker.grant(later).handover_at) == ("scheduled", None)
    broker.live(35)
    first, second = broker.grant(request_id), broker.grant(later)
    assert (second.status, second.handover_at) == ("open", first.expires_at)


def test_a_newcomer_who_joins_a_stranger_gets_the_end_of_that_path_at_acceptance(broker):
    """Nobody puts it off: the path is interrupted then."""
    broker.occupy(farm(1), 22, HERE, minutes=40)
    found = broker.azure.observer().read_machines(DEVELOPMENT, now=broker.now)
    broker.inventory.write_machines(DEVELOPMENT, found, complete=True)
    (held,) = broker.inventory.find_machine(farm(1)).occupations

    whole = broker.accept(wish(farm(1), duration="PT2H"))

    assert whole.grants[0].handover_at == held.ends_at


def _allow_ipv6(broker):
    """Let the JIT policy of the first VM name IPv6 too."""
    found = broker.azure.observer().read_machines(DEVELOPMENT, now=broker.now)
    allowed = ("203.0.113.0/24", "2a02::/16")
    machines = [
        replace(vm, ports=tuple(replace(rule, allowed_sources=allowed) for rule in vm.ports))
        for vm in found
    ]
    broker.inventory.write_machines(DEVELOPMENT, machines, complete=True)


def test_a_port_that_is_used_by_the_other_ip_version_is_occupied(broker):
    """Azure takes no rule that has both. A dry run says so too, and the trail has the denial."""
    _allow_ipv6(broker)
    broker.accept(wish(farm(1)))
    body = wish(farm(1), source="2a02::1")

    decision = broker.preview(body, DAVE)
    with pytest.raises(Conflict) as caught:
        broker.accept(body, DAVE)

    (violation,) = caught.value.violations
    assert (violation.code, violation.pointer) == ("occupied", "#/sources")
    assert [error.code for error in decision.errors] == ["occupied"]
    assert any("request.denied" in str(row.values["Doc"]) for row in broker.state.rows("a|"))


def test_a_refusal_names_the_callers_own_request_for_the_port_and_nobody_elses(broker):
    """A person who asked twice learns which request to revoke; others learn no id."""
    _allow_ipv6(broker)
    own = broker.accept(wish(farm(1))).request.id
    body = wish(farm(1), source="2a02::1")

    mine, theirs = (broker.preview(body, caller).errors[0].detail for caller in (ALICE, DAVE))

    assert mine.endswith(f"; your own request {own} has it")
    assert own not in theirs


def test_an_occupied_port_names_the_callers_own_request(broker):
    """It starts after the portal user's request, and the caller has forgotten it."""
    start = (broker.now + timedelta(hours=3)).isoformat()
    _allow_ipv6(broker)  # the inventory is filled: the first request reads nothing from Azure
    own = broker.accept(wish(farm(1), startTime=start)).request.id
    broker.occupy(farm(1), 22, ELSEWHERE, minutes=60)
    found = broker.azure.observer().read_machines(DEVELOPMENT, now=broker.now)
    broker.inventory.write_machines(DEVELOPMENT, found, complete=True)

    (mine,), (theirs,) = (broker.preview(wish(farm(1)), who).errors for who in (ALICE, DAVE))

    assert (mine.code, mine.detail) == (
        "occupied",
        f"{theirs.detail}; your own request {own} has it",
    )


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"vm": farm(1)}, {"vm": farm(2), "source": "2a02::1"}),
        ({"vm": farm(1), "duration": "PT30M"}, {"vm": farm(1), "source": "2a02::1", "hours": 5}),
        ({"vm": farm(1), "source": "2a02::1"}, {"vm": farm(1), "source": "2a02::2"}),
    ],
    ids=["another VM", "later", "the same version"],
)
def test_the_other_ip_version_does_not_matter_elsewhere_or_later(broker, first, second):
    _allow_ipv6(broker)
    broker.accept(wish(**first))
    hours = second.pop("hours", 0)
    start = (broker.now + timedelta(hours=hours)).isoformat()

    assert broker.accept(wish(**second, startTime=start), DAVE).request.id


def test_a_repetition_that_is_denied_leaves_the_key_to_the_first_call(broker):
    """Somebody took the port while the first call was deciding: one request, and one key."""
    _allow_ipv6(broker)
    broker.subscription_rows.ensure(DEVELOPMENT, broker.now)
    broker.use_cases.asked_bars.read(broker.now)  # so the second query is for the other grants
    elsewhere = broker.use_cases.acceptance(broker.idempotency)
    queries, answers = iter(range(2)), []

    def overtake(name, _):
        if name != "state.query" or next(queries) == 0:
            return
        broker.calls.after = lambda *_: None
        broker.accept(wish(farm(1), source="2a02::1"), DAVE)
        with pytest.raises(Conflict):
            elsewhere.accept(broker.submission(wish(farm(1)), key="k"), now=broker.now)
        answers.append("409")

    broker.calls.after = overtake
    first = broker.accept(wish(farm(1)), key="k").request.id

    assert answers == ["409"]
    assert broker.accept(wish(farm(1)), key="k").request.id == first


def test_nobody_extends_over_a_promise_to_the_other_ip_version(broker):
    """The grant that was accepted would be denied at its start."""
    _allow_ipv6(broker)
    first = broker.ask(wish(farm(1), duration="PT1H"))
    broker.live(2)
    _allow_ipv6(broker)
    start = broker.now + timedelta(hours=2, minutes=30)
    broker.accept(wish(farm(1), source="2a02::1", startTime=start.isoformat()), DAVE)

    with pytest.raises(Conflict, match="other IP version"):
        broker.extend(first, timedelta(hours=3))

    assert broker.extend(first, timedelta(hours=2)).changed


def test_a_port_with_as_many_sources_as_a_rule_takes_is_occupied():
    """Defender would answer 202 and never write the rule."""
    crowd = tuple(ip_network(f"198.18.{n // 256}.{n % 256}/32") for n in range(MOST_PREFIXES))
    many = an_open("many", sources=crowd, expires_at=NOW + HOUR)
    new = a_grant("new", sources=(HOME,), starts_at=NOW)

    (found,) = find_crowded_ports([new], {new.vm_port: [many]})

    assert (found.kind, found.violation.pointer) == (FindingKind.OCCUPIED, "#/sources")
    assert "(4,000 prefixes)" in found.violation.detail
    assert find_crowded_ports([new], {}) == ()


def _row_of(broker):
    (row,) = broker.state.rows("g|")
    return row.partition, row.key.rsplit("|", 1)[0]
