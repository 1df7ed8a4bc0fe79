"""
A process that writes audit events at a constant rate and drains them, as a drain message does.

Usage: ``python -m bench.programs.flood_drain <seconds> <events a second>``. One thread writes
refusals of one person, twenty in a transaction, so that the emulator can take the rate. Once a
second it writes the event of a change of another person. The other thread drains. It prints a JSON
object: ``events``, ``flood`` and ``after`` (seconds), and ``waits`` of the other person's events,
in seconds, by the clock of storage, which is that of this machine.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime

from bench.measures.processes import MeasurementFailed
from bench.stack import landscapes
from jit import wiring
from jit.domain.audit import chain
from jit.domain.audit.chain import Record
from jit.domain.audit.event import Event
from jit.storage.audit_chain import Drainer
from jit.storage.keys import key_range, read_stamp, write_stamp
from jit.storage.table import Row, Where, read_all
from jit.storage.trail.record_rows import read_record

_AT_ONCE = 20
_FLOOD, _OTHER = "flood", "other"


def main(seconds: int, rate: int) -> None:
    """Write for so many *seconds*, drain until nothing waits, and print the times."""
    drainer = Drainer(wiring.outbox(), wiring.table(wiring.AUDIT))
    ends: list[float] = []
    writer = threading.Thread(target=_write, args=(seconds, rate, ends))
    began = time.time()
    writer.start()
    while writer.is_alive() or drainer.has_more(landscapes.SUBSCRIPTION):
        wiring.reconciler().drain(landscapes.SUBSCRIPTION, now=datetime.now(UTC))
    drained, flooded = time.time(), ends[0]
    first, last = key_range("c")
    where = Where(partition=landscapes.SUBSCRIPTION, first=first, last=last)
    rows = list(read_all(wiring.table(wiring.AUDIT), where))
    records = list(map(read_record, rows))
    _check(records, drainer, events=seconds * (rate + 1))
    waits = list(_list_waits(rows, records))
    found = {"events": len(records), "flood": flooded - began, "after": max(0, drained - flooded)}
    print(json.dumps({**found, "waits": waits}), flush=True)


def _list_waits(rows: list[Row], records: list[Record]) -> Iterator[float]:
    """Yield how long each event of the other person waited for its place in the chain."""
    for row, record in zip(rows, records, strict=True):
        if record.event["actor"] == _OTHER and row.written_at is not None:
            written = read_stamp(record.event["facts"]["writtenAt"])
            yield (row.written_at - written).total_seconds()


def _write(seconds: int, rate: int, ends: list[float]) -> None:
    """Write *rate* events a second, and one of the other person; note the end in *ends*."""
    began = time.time()
    step = _AT_ONCE / rate
    for number in range(seconds * rate // _AT_ONCE):
        time.sleep(max(0.0, began + number * step - time.time()))
        events = [_make_event(_FLOOD, "request.denied") for _ in range(_AT_ONCE)]
        wiring.outbox().add_refusals(landscapes.SUBSCRIPTION, events)
        if number % (rate // _AT_ONCE) == 0:
            wiring.outbox().add(landscapes.SUBSCRIPTION, [_make_event(_OTHER, "grant.closed")])
    ends.append(time.time())


def _make_event(actor: str, what: str) -> Event:
    now = datetime.now(UTC)
    facts = {"writtenAt": write_stamp(now), "text": "x" * 1000}
    return Event(at=now, what=what, actor=actor, request_id="r", facts=facts)


def _check(records: list[Record], drainer: Drainer, *, events: int) -> None:
    end = drainer.find_head(landscapes.SUBSCRIPTION)
    start = chain.Head(chain=landscapes.SUBSCRIPTION)
    if len(records) != events or chain.verify(records, start=start, end=end) is not None:
        raise MeasurementFailed(f"{len(records)} records of {events}, or a broken chain")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
