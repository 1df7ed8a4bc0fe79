"""Rows that only a newer version can read: their VM is left alone, and nothing else stops."""

from dataclasses import replace
from datetime import timedelta

import pytest

from jit.broker.health import HealthCheck
from jit.broker.locks import LEASE
from jit.domain.errors import AccessDenied, Defect
from jit.storage import keys
from jit.storage.keys import machine_key, write_stamp
from jit.storage.table import Op, Verb
from tests.broker.inprocess import DAVE, THERE, farm, wish
from tests.broker.reconciling import NSG_FARM, Reconciling, told
from tests.local.azure.sim import DEVELOPMENT, PRODUCTION, WEB01


@pytest.fixture
def it(broker):
    """A broker that removes orphans: the most that a comparison may remove."""
    return Reconciling(broker, remove_orphans=True)


def allows(it):
    """The names of Defender's allow rules in the NSG of the farm."""
    it.broker.live(1)  # a deletion takes Azure a moment
    return [name for name in it.broker.sim.rules(NSG_FARM) if "JITRule-" in name]


def written_by_a_newer_version(broker, prefix, vm):
    """Let a newer version have written the rows of a VM."""
    machine = machine_key(vm).removeprefix("v|")
    rows = [row for row in broker.state.rows(prefix) if machine in row.key]
    assert rows
    ops = [Op(Verb.REPLACE, replace(row, values={**row.values, "Format": 99})) for row in rows]
    broker.state.write(ops)


def test_other_vms_open_and_close_while_one_cannot_be_read(it, caplog):
    """Both are in one policy, and have one worker."""
    it.opened(farm(1))
    written_by_a_newer_version(it.broker, "g|", farm(1))

    second = it.broker.ask(wish(farm(2), source=THERE), DAVE)
    it.broker.live(3)
    opened = it.broker.status(second)
    it.broker.revoke(second, DAVE)
    it.broker.live(3)

    assert (opened, it.broker.status(second)) == ("open", "closed")
    assert it.broker.reachable(farm(1))
    assert told(caplog, "row.unreadable") != []


def test_rules_of_a_vm_that_cannot_be_read_are_not_orphans(it):
    """They may belong to a live grant."""
    it.opened(farm(1))
    written_by_a_newer_version(it.broker, "g|", farm(1))

    planned = it.planned()
    it.run()

    assert planned == []
    assert it.broker.reachable(farm(1))
    assert len(allows(it)) == 1


def test_leftovers_of_other_vms_go_while_one_cannot_be_read(it):
    """A tombstone in a newer format protects its own VM alone."""
    it.closed(farm(1))
    it.closed(farm(2))
    kept = it.leave(1)
    gone = it.leave(2, destinationAddressPrefix=it.address(farm(2)))
    written_by_a_newer_version(it.broker, "t|", farm(1))

    it.run()

    assert kept in allows(it)
    assert gone not in allows(it)


def test_rows_that_cannot_be_read_send_no_messages(it):
    """They stay due for ever: the timer would else wake their worker each minute."""
    it.opened(farm(1))
    written_by_a_newer_version(it.broker, "g|", farm(1))
    it.broker.live(5)
    before = it.broker.calls.count("queues.send")

    it.broker.live(90)

    assert it.broker.calls.count("queues.send") == before


def test_a_due_row_with_an_unknown_word_sends_no_messages(it):
    """Its columns can be read, its document cannot: a pass can do nothing for it."""
    it.opened(farm(1))
    it.broker.live(10)
    rows = it.broker.state.rows("g|")
    doc, due = rows[0].values["Doc"], write_stamp(it.broker.now)
    spoilt = {"Doc": doc.replace('"open"', '"napping"'), "DueAt": due}
    before = it.broker.calls.count("queues.send")
    ops = [Op(Verb.REPLACE, replace(row, values={**row.values, **spoilt})) for row in rows]
    it.broker.state.write(ops)

    it.broker.live(10)

    assert spoilt["Doc"] != doc
    assert it.broker.calls.count("queues.send") - before < 30


def test_a_row_with_an_unknown_word_that_is_not_due_sends_no_messages_for_a_due_one(it):
    """A pass leaves out the whole VM, so it can do nothing for the due row either."""
    it.opened(farm(1), duration="PT2H")
    it.broker.live(1)
    (row,) = it.broker.state.rows("g|")
    spoilt = {
        "Doc": row.values["Doc"].replace('"open"', '"napping"'),
        "DueAt": write_stamp(it.broker.now + timedelta(hours=1)),
    }
    it.broker.state.write([Op(Verb.REPLACE, replace(row, values={**row.values, **spoilt}))])
    it.broker.ask(wish(farm(1)), DAVE)
    before = it.broker.calls.count("queues.send")

    it.broker.live(10)

    assert spoilt["Doc"] != row.values["Doc"]
    assert it.broker.calls.count("queues.send") - before < 30


# ---- tombstones ----------------------------------------------------------------------------------


def test_nothing_new_opens_on_a_vm_with_a_tombstone_that_cannot_be_read(it):
    """Our own old request in Defender would look like somebody else's."""
    first = it.opened(farm(1), duration="PT3H")
    it.broker.revoke(first)
    it.broker.live(5)
    written_by_a_newer_version(it.broker, "t|", farm(1))
    before = it.broker.calls.count("queues.send")

    second = it.broker.ask(wish(farm(1), source=THERE), DAVE)
    it.broker.live(10)

    assert it.broker.status(second) == "pending"
    assert it.broker.calls.count("queues.send") - before < 30


def test_a_grant_that_waits_for_a_readable_tombstone_fails_at_its_deadline(it):
    """Nothing accepted hangs for ever, and the request goes to history."""
    it.closed(farm(1))
    written_by_a_newer_version(it.broker, "t|", farm(1))
    request_id = it.broker.ask(wish(farm(1), source=THERE), DAVE)

    it.broker.live(130)

    grant = it.broker.grant(request_id)
    assert (grant.status, grant.close_reason) == ("closed", "failed")
    assert not it.broker.requests.has_grants(DEVELOPMENT)


def test_closing_goes_on_although_a_tombstone_cannot_be_read(it):
    """Doubt keeps closing."""
    it.closed(farm(1))
    it.broker.live(10)
    second = it.opened(farm(1), source=THERE)
    written_by_a_newer_version(it.broker, "t|", farm(1))

    it.broker.revoke(second)
    it.broker.live(5)

    assert it.broker.status(second) == "closed"
    assert not it.broker.reachable(farm(1), source=THERE)


# ---- two networks with the same addresses --------------------------------------------------------


NSG_FARM_2 = NSG_FARM.replace("farm-1", "farm-2")


def give_address_of(it, vm, other):
    """Let *vm*, in another network, have the private address of *other*."""
    nic_id = it.broker.sim.get(vm)["properties"]["networkProfile"]["networkInterfaces"][0]["id"]
    nic = it.broker.sim.get(nic_id)
    nic["properties"]["ipConfigurations"][0]["properties"]["privateIPAddress"] = it.address(other)
    it.edit(**{nic["id"]: nic})


def test_a_leftover_of_a_vm_goes_although_one_with_its_address_cannot_be_read(it):
    """They are in two networks, behind two NSGs."""
    give_address_of(it, farm(11), farm(1))
    it.closed(farm(11))
    it.opened(farm(1), duration="PT3H")
    left = it.leave(1, nsg=NSG_FARM_2)
    written_by_a_newer_version(it.broker, "g|", farm(1))

    it.run()
    it.broker.live(1)

    assert left not in it.broker.sim.rules(NSG_FARM_2)


def test_a_rule_to_a_vm_that_cannot_be_read_is_nobody_elses_leftover(it):
    """A deleted VM had the same address, behind the same NSG: its tombstone fits the rule."""
    give_address_of(it, farm(2), farm(1))
    it.closed(farm(2))
    it.edit(**{farm(2): None})
    left = it.leave(1)
    it.broker.ask(wish(farm(1)))
    written_by_a_newer_version(it.broker, "g|", farm(1))

    it.run()

    assert left in allows(it)


def test_a_tombstone_stays_while_its_rule_stands_although_another_vm_cannot_be_read(it):
    """Without it, the rule would be an orphan, and stay."""
    it.reconciler = it.broker.use_cases.reconciler(
        it.audit, it.broker.idempotency, remove_orphans=False
    )
    give_address_of(it, farm(11), farm(1))
    it.closed(farm(11))
    left = it.leave(1, nsg=NSG_FARM_2)
    it.broker.ask(wish(farm(1)))
    it.broker.live(3)
    written_by_a_newer_version(it.broker, "g|", farm(1))
    it.broker.advance(timedelta(days=8))

    for _ in range(3):
        it.run()
        it.broker.live(5)

    assert left not in it.broker.sim.rules(NSG_FARM_2)


# ---- control rows --------------------------------------------------------------------------------


def rows_of_a_newer_version(broker, prefix):
    """
    Let a newer version have written the rows below *prefix*; return their number.

    The row of the last look that a caller caused stays.
    """
    rows = [row for row in broker.state.rows(prefix) if row.key != keys.LOOK]
    assert rows
    ops = [Op(Verb.REPLACE, replace(row, values={**row.values, "Format": 99})) for row in rows]
    broker.state.write(ops)
    return len(ops)


def test_a_policy_whose_row_cannot_be_read_is_left_alone(it, caplog):
    """No worker changes anything under it; the comparison goes on to its end."""
    it.closed(farm(1))
    left = it.leave(1)
    rows_of_a_newer_version(it.broker, "p|")

    it.run()
    it.broker.advance(10 * LEASE)
    it.run()
    last = it.broker.now

    assert left in allows(it)
    assert told(caplog, "row.unreadable") != []
    assert it.broker.subscription_rows.get(DEVELOPMENT).compared_at == last


def test_a_firewalls_row_that_a_newer_version_writes_meanwhile_is_not_overwritten(it):
    """Else the older version would write a holder that nobody is, and nobody could go on."""
    request_id = it.opened(WEB01, 15, port=3389)
    changed: list[int] = []

    def change(name, _):
        rows = it.broker.state.rows("f|")
        if name == "network.get_firewall" and rows[0].values["Holder"] and not changed:
            changed.append(rows_of_a_newer_version(it.broker, "f|"))

    it.broker.sim.faults({"match": {"path": "fw-prod"}, "times": None, "leaveRules": True})
    it.broker.calls.before = change
    it.broker.revoke(request_id)
    it.broker.live(60)

    assert changed == [1]
    assert [row.values["Format"] for row in it.broker.state.rows("f|")] == [99]


def test_a_subscription_whose_row_cannot_be_read_is_compared(it, caplog):
    """The row says when it was compared last; no rule is safe because of it."""
    it.closed(farm(1))
    left = it.leave(1)
    rows_of_a_newer_version(it.broker, "s|")

    it.run()
    it.due_work.tick(now=it.broker.now)

    assert left not in allows(it)
    assert told(caplog, "row.unreadable") != []


def test_health_does_not_judge_comparisons_by_a_row_that_cannot_be_read(it, caplog):
    """Only the newer version knows when the last one was; the row has its own alert."""
    for _ in range(8):
        it.due_work.tick(now=it.broker.now)
        it.run(DEVELOPMENT)
        it.run(PRODUCTION)
        rows_of_a_newer_version(it.broker, f"s|{DEVELOPMENT}")
        it.broker.advance(timedelta(minutes=5))
    rows, named = it.broker.subscription_rows, (PRODUCTION, DEVELOPMENT)

    caplog.clear()
    health = HealthCheck(lambda: rows, lambda: None, named).check(now=it.broker.now)

    assert health.is_well
    assert told(caplog, "row.unreadable") == []  # the route is open to anybody; tick raises it


def test_a_dropped_subscription_whose_row_cannot_be_read_is_still_looked_after(it):
    """The key of the row names it; the row stays as the newer version wrote it."""
    request_id = it.opened(farm(1))
    rows_of_a_newer_version(it.broker, "s|")
    it.broker.name(PRODUCTION)
    it = Reconciling(it.broker)

    it.due_work.enqueue_comparisons()
    compared = it.reconcile_messages()
    for _ in range(80):
        it.due_work.tick(now=it.broker.now)
        it.broker.live(1, ticks=False)

    assert compared == [PRODUCTION, DEVELOPMENT]
    assert it.broker.status(request_id) == "closed"
    assert [row.values["Format"] for row in it.broker.state.rows("s|")].count(99) == 1


def test_the_row_of_a_dropped_subscription_stays_while_events_cannot_be_read(it):
    """A version that can read them must find the subscription, and complete its chain."""
    it.closed(farm(1))
    it.broker.ask(wish(farm(2)))
    it.broker.live(3)
    events = rows_of_a_newer_version(it.broker, "a|")
    it.broker.advance(timedelta(days=10))
    it.broker.name(PRODUCTION)
    it = Reconciling(it.broker)
    for _ in range(3):
        it.due_work.tick(now=it.broker.now)
        it.broker.live(30, ticks=False)
        it.run(PRODUCTION)

    named = [item.subscription for item in it.broker.subscription_rows.read().subscriptions]

    assert not it.broker.requests.has_grants(DEVELOPMENT)
    assert len(it.broker.state.rows("a|")) == events
    assert DEVELOPMENT in named


# ---- audit ---------------------------------------------------------------------------------------


def test_an_event_with_a_broken_document_does_not_stop_its_chain(it, caplog):
    """The events after it are appended; it stays where it is."""
    it.opened()
    spoilt = it.broker.state.rows("a|")
    ops = [Op(Verb.REPLACE, replace(row, values={**row.values, "Doc": "{"})) for row in spoilt]
    it.broker.state.write(ops)
    with pytest.raises(AccessDenied):
        it.broker.accept(wish(farm(1), 443), DAVE)

    it.run()

    records = it.drainer.list_records(DEVELOPMENT)
    assert [record.event["what"] for record in records] == ["request.denied"]
    assert len(it.broker.state.rows("a|")) == len(spoilt)
    assert told(caplog, "row.unreadable") != []


def test_a_chain_that_cannot_be_read_does_not_stop_the_rest_of_housekeeping(it):
    """It is the chain of a dropped subscription; old keys still go."""
    with pytest.raises(AccessDenied):
        it.broker.accept(wish(farm(1), 443))
    it.run()
    heads = it.audit.rows("h")
    ops = [Op(Verb.REPLACE, replace(row, values={**row.values, "Format": 99})) for row in heads]
    it.audit.write(ops)
    with pytest.raises(AccessDenied):
        it.broker.accept(wish(farm(1), 443), DAVE)
    it.broker.accept(wish(WEB01, 3389))
    it.broker.name(PRODUCTION)
    it.reconciler = it.broker.use_cases.reconciler(it.audit, it.broker.idempotency)
    it.broker.advance(timedelta(minutes=11))
    before = len(it.broker.state.rows("i|"))

    with pytest.raises(Defect):
        it.run(PRODUCTION)

    assert (before, it.broker.state.rows("i|")) == (1, ())
