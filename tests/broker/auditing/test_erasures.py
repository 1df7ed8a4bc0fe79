"""Erasures: the texts go, the chain stays whole, and a crash at any point changes nothing."""

from datetime import timedelta

import pytest

from jit.broker.auditing import erasures
from jit.broker.auditing.erasures import ORDER_LASTS, Erasures, ErasureWork
from jit.domain.audit.erasure import WantedErasure
from jit.domain.audit.event import Event
from jit.domain.audit.verification import Anchor, verify_lines
from jit.domain.errors import BrokerError, Unavailable
from jit.domain.model.people import Person
from jit.storage.audit_chain import Drainer
from jit.storage.outbox import Outbox
from jit.storage.trail.erasure_rows import ErasureRows
from jit.storage.trail.history_texts import HistoryTexts
from tests.builders.trails import ELSEWHERE, HERE, NOON, StoredTrail
from tests.fakes.calls import Crash
from tests.fakes.tables import FakeTable

ALICE, BOB = "a11ce000-0000-4000-8000-000000000001", "b0b00000-0000-4000-8000-000000000002"
OLGA = Person(id="016a0000-0000-4000-8000-000000000005", name="olga@example.com")
WANTED = WantedErasure(person_id=ALICE, reason="asked for it")


class Erasing(StoredTrail):
    """Chains, their outboxes, and the work on both, at a time that a test moves."""

    def __init__(self):
        super().__init__()
        self.now = NOON
        self.parts = 0
        self.outbox = Outbox(self.state)
        self.rows = ErasureRows(self.state)
        self.orders = Erasures(self.rows, self.chains)
        self.past = FakeTable(lambda: self.now, calls=self.calls, name="history")
        texts = HistoryTexts(self.past)
        self.work = ErasureWork(self.rows, self.reads, self.outbox, texts)

    def act(self, person=ALICE, count=1, *, chain=HERE, what="x.done", at=None):
        """Let a person act so many times, each with a name and a reason."""
        for number in range(count):
            event = Event(
                at=at or self.now,
                what=what,
                actor=person,
                actor_name=f"{person[:3]}@example.com",
                request_id="r",
                texts={"reason": f"because of {number}"},
            )
            self.outbox.add(chain, [event])

    def order(self):
        return self.orders.write_orders(WANTED, OLGA, self.now)

    def go_on(self, minutes=0, chain=HERE):
        """Drain, and erase until a next call would get no further."""
        self.now += timedelta(minutes=minutes)
        Drainer(self.outbox, self.audit).drain(chain, now=self.now)
        while self.work.work(chain, now=self.now):
            self.parts += 1

    def records(self, chain=HERE):
        return list(Drainer(self.outbox, self.audit).list_records(chain))

    def told(self, chain=HERE):
        """The actors of records that have texts."""
        return [record.event["actor"] for record in self.records(chain) if record.texts]

    def verdict(self, chain=HERE):
        """Verify the export of a chain against its head."""
        part = self.chains.export(chain, 0)
        lines = [line.encode("ascii") for line in part.lines]
        return verify_lines(lines, known=Anchor(part.head.sequence, part.head.hash))


@pytest.fixture
def it():
    return Erasing()


def test_the_texts_of_the_person_go_and_the_chain_stays_whole(it):
    """The texts of others stay, and so do all object ids."""
    it.act(ALICE, 3)
    it.act(BOB, 2)
    it.go_on()
    before = [(record.hash, record.event) for record in it.records()]

    it.order()
    it.go_on()

    after = it.records()
    assert it.told() == [BOB, BOB, OLGA.id]
    assert [(record.hash, record.event) for record in after][:5] == before
    assert [record.erased for record in after] == [True] * 3 + [False] * 3
    assert (it.verdict().broken, it.verdict().erased) == (None, 3)


def test_nothing_of_an_erased_text_is_left_in_the_tables(it):
    """No salt, no name, no reason."""
    it.act(ALICE)
    it.order()
    it.go_on()

    left = str([dict(row.values) for row in (*it.audit.rows(), *it.state.rows())])
    assert "because of" not in left
    assert "a11@example.com" not in left


def test_an_order_stands_in_each_chain(it):
    """With its record in each: an export of one chain proves itself."""
    for chain in (HERE, ELSEWHERE, "people"):
        it.act(chain=chain)

    chains = it.order()
    for chain in chains:
        it.go_on(chain=chain)

    assert chains == [HERE, ELSEWHERE, "people"]
    assert [it.told(chain) for chain in chains] == [[OLGA.id]] * 3
    assert [it.verdict(chain).broken for chain in chains] == [None] * 3


def test_a_later_act_has_its_texts(it):
    """The order is about the past."""
    it.act()
    it.order()
    it.go_on(minutes=1)
    it.act()

    it.go_on(minutes=1)

    assert it.told() == [OLGA.id, ALICE]
    assert it.verdict().broken is None


def test_an_event_that_was_on_its_way_is_erased_too(it):
    """A call that began before the order writes its event minutes later."""
    it.order()
    it.go_on(minutes=9)
    it.act(at=NOON)

    it.go_on(minutes=5)

    assert it.told() == [OLGA.id]
    assert not it.work.has_orders(HERE)
    assert it.verdict().broken is None


def test_an_order_waits_for_a_refusal_that_is_counted(it):
    """Its number becomes a record with the name of its person."""
    event = Event(at=NOON, what="request.denied", actor=ALICE, actor_name="a", request_id="r")
    for _ in range(2):
        it.outbox.add_once(HERE, event, "digest")
    it.order()
    it.go_on(minutes=15)
    assert it.work.has_orders(HERE)

    it.outbox.sweep(HERE, now=it.now + timedelta(minutes=30))
    it.go_on(minutes=30)

    assert it.told() == [OLGA.id]
    assert not it.work.has_orders(HERE)


def test_no_text_goes_before_the_record_of_the_order_is_in_the_chain(it):
    """An export in between would show a break."""
    it.act()
    it.go_on()
    it.order()

    it.work.work(HERE, now=it.now)

    assert it.told() == [ALICE]


def test_an_order_is_over_after_some_minutes(it):
    it.act()
    it.order()

    it.go_on()
    assert it.work.has_orders(HERE)
    it.now += ORDER_LASTS
    it.go_on()

    assert not it.work.has_orders(HERE)


def test_the_work_is_done_in_bounded_parts(it, monkeypatch):
    """Each call says if a next one would get further."""
    monkeypatch.setattr(erasures, "WINDOW", 4)
    monkeypatch.setattr(erasures, "WINDOWS", 2)
    it.act(ALICE, 20)
    it.order()

    it.go_on()

    assert it.parts == (21 / 4 + erasures.MONTHS) // 2
    assert it.told() == [OLGA.id]


def test_two_orders_about_one_person_are_one(it):
    it.act()
    it.order()
    it.go_on(minutes=1)
    it.act()
    it.order()

    it.go_on()

    assert it.told() == [OLGA.id, OLGA.id]
    assert it.verdict().broken is None


def test_the_months_of_history_are_gone_through_back_from_the_order(it, monkeypatch):
    """Of a subscription; people have no history of their own."""
    asked: list[tuple[str, str]] = []
    monkeypatch.setattr(
        HistoryTexts,
        "erase_month",
        lambda _, name, month, _order: asked.append((name, f"{month:%Y-%m}")),
    )
    monkeypatch.setattr(erasures, "MONTHS", 12)
    it.order()

    for chain in (HERE, "people"):
        it.go_on(chain=chain)

    assert asked == [(HERE, f"2026-{month:02d}") for month in range(11, 0, -1)] + [
        (HERE, "2025-12")
    ]


CALLS = 40


def _die():
    raise Crash


def _fail():
    raise Unavailable("no answer")


@pytest.mark.scaled
@pytest.mark.parametrize("end", [_die, _fail])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_crash_at_any_call_changes_no_outcome(when, end, monkeypatch):
    """The next call goes on; nothing is lost, and nothing else is erased."""
    monkeypatch.setattr(erasures, "WINDOW", 3)
    monkeypatch.setattr(erasures, "MONTHS", 2)
    for number in range(1, CALLS):
        it = Erasing()
        it.act(ALICE, 3)
        it.act(BOB, 2)
        it.act(ALICE, 2)
        it.go_on()
        left = [number]

        def hook(_called, _number, left=left):
            left[0] -= 1
            if left[0] == 0:
                end()

        setattr(it.calls, when, hook)
        for _ in range(4):
            try:
                if not any(row.key.startswith("e|") for row in it.state.rows()):
                    it.order()
                it.go_on(minutes=15)
            except (Crash, BrokerError):
                continue

        setattr(it.calls, when, lambda *_: None)
        assert it.told()[:2] == [BOB, BOB], number
        assert set(it.told()) <= {BOB, OLGA.id}, number
        assert it.verdict().broken is None
