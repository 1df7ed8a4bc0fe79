"""
Verification of an exported chain: its CPU, against reading the same lines as JSON and hashing them.

Each line has a record with three texts, which are compared with their salted hashes, too.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from hashlib import sha256
from statistics import median

from bench.measures.figures import Figure, Goal, round_value
from bench.measures.processes import MeasurementFailed
from jit.domain.audit import chain
from jit.domain.audit.chain import Head, Record
from jit.domain.audit.export_line import write_line
from jit.domain.audit.texts import split_texts
from jit.domain.audit.verification import Anchor, verify_lines

RECORDS, RUNS = 20_000, 5
CHAIN = "5c0ffee0-0000-4000-8000-000000000001"
_AT = "2026-11-22T12:00:00.000000Z"
_VM = f"/subscriptions/{CHAIN}/resourceGroups/rg-prod/providers/Microsoft.Compute"


def audit_verify_ratio(records: int = RECORDS, runs: int = RUNS) -> Iterator[Figure]:
    """Yield the CPU of ``json.loads`` and SHA-256 over the lines, to that of a verification."""
    made = list(make_trail(records))
    lines = [write_line(record).encode("ascii") for record in made]
    hashed = [line.partition(b"\t")[0] for line in lines]
    head = Anchor(made[-1].sequence, made[-1].hash)
    bare, whole = list[float](), list[float]()
    for _ in range(runs):
        bare.append(_measure_reading(hashed))
        whole.append(_measure_verification(lines, head))
    yield Figure(
        name="audit_verify_ratio",
        value=median(bare) / median(whole),
        unit="CPU of json.loads and SHA-256, to CPU of the verification of the same lines",
        goal=Goal(at_least=0.4),
        details={
            "records": records,
            "textsOfARecord": 3,
            "bytesOfALine": round_value(sum(map(len, lines)) / records),
            "verifySeconds": round_value(median(whole)),
            "recordsPerSecond": round_value(records / median(whole)),
        },
    )


def make_trail(count: int) -> Iterator[Record]:
    """Yield the records of a chain, each with a name, a justification and a ticket."""
    head = Head(chain=CHAIN)
    for number in range(count):
        hashed, texts = split_texts(_make_event(number))
        record = replace(chain.append(head, hashed, recorded_at=_AT), texts=texts)
        head = chain.head_of(record)
        yield record


def _make_event(number: int) -> dict[str, object]:
    grants = [{"virtualMachineId": f"{_VM}/virtualMachines/web{number % 50:02d}", "ports": [3389]}]
    texts = {
        "actorName": "alice@example.com",
        "justification": f"CHG{number:07d} monthly patch of the web servers",
        "ticket": f"servicenow CHG{number:07d}",
    }
    salts = ((name, sha256(f"{name} {number}".encode()).hexdigest()[:32]) for name in texts)
    return {
        "at": "2026-11-22T12:00:00Z",
        "what": "request.accepted",
        "actor": "a11ce000-0000-4000-8000-000000000001",
        "requestId": f"lqh75yaaabaabaaaaaaaaaaaae06h08qhp{number:018d}",
        "grantId": None,
        "facts": {"rule": "jit-policy", "sources": ["203.0.113.7/32"], "grants": grants},
        "texts": {name: {"salt": salt, "text": texts[name]} for name, salt in salts},
    }


def _measure_reading(hashed: Iterable[bytes]) -> float:
    began = time.process_time()
    for part in hashed:
        json.loads(part)
        sha256(part).hexdigest()
    return time.process_time() - began


def _measure_verification(lines: Iterable[bytes], head: Anchor) -> float:
    began = time.process_time()
    verdict = verify_lines(lines, known=head)
    spent = time.process_time() - began
    if verdict.broken is not None or verdict.head != head:
        raise MeasurementFailed(f"the chain is broken: {verdict.broken}")
    return spent
