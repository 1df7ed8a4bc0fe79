"""
Verification of an exported chain, offline: the first break, and its kind.

A chain proves that nothing in its middle was changed. Only a head that was kept elsewhere proves
that nothing was cut off its end, and that the chain was not written anew as a whole. Texts may be
missing: then the chain must have the record of an erasure that is later than the event.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from jit.domain.audit.export_line import ExportLine, parse_line

ERASURE = "audit.erased"
"""Name of the event of an erasure; ``facts.person`` is the object id."""

_ANCHOR = re.compile(r"(?P<sequence>0|[1-9][0-9]{0,11}):(?P<hash>[0-9a-f]{64})")


class Anchor(NamedTuple):
    """A place in a chain that was kept: the sequence of a record, and its hash."""

    sequence: int
    hash: str


BEGINNING = Anchor(0, "0" * 64)
"""The place before the first record of each chain."""


class BreakKind(StrEnum):
    """How a chain was changed, as far as its lines tell."""

    EDIT = "edit"
    DELETION = "deletion"
    INSERTION = "insertion"
    REORDERING = "reordering"
    CUT_TAIL = "cut tail"
    ERASURE = "erasure without a record"


@dataclass(frozen=True, slots=True)
class Break:
    """
    The first break of a chain.

    Attributes:
        kind: The change, as far as the lines show it.
        sequence: The first record that is not as it was written.
        line: The line of the export at which it shows, from 1 on.
        detail: A sentence for people.
    """

    kind: BreakKind
    sequence: int
    line: int
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """
    The result of a verification.

    Attributes:
        chain: The name in the first line; empty for an export without a line.
        head: The last record up to which everything fits.
        records: Records up to there.
        erased: Those of them whose texts were erased.
        broken: None if nothing is broken.
    """

    chain: str
    head: Anchor
    records: int
    erased: int
    broken: Break | None


def parse_anchor(text: str) -> Anchor:
    """
    Read ``<sequence>:<hash>``, as the header ``Jit-Audit-Head`` has it.

    Raises:
        ValueError: It is something else.
    """
    found = _ANCHOR.fullmatch(text)
    if found is None:
        raise ValueError(
            "a head is <sequence>:<hash>, the hash in 64 lower-case hexadecimal digits"
        )
    return Anchor(int(found["sequence"]), found["hash"])


def verify_lines(
    lines: Iterable[bytes], *, start: Anchor = BEGINNING, known: Anchor | None = None
) -> Verdict:
    """
    Verify the lines of an export, in one pass and in little memory.

    Args:
        lines: Each with its newline.
        start: The place after which the export begins.
        known: A head that was kept elsewhere. Without it nobody notices a cut tail, or a chain
            that was written anew.
    """
    walk, rest = _Walk(start, known), iter(lines)
    broken = next((found for line in rest if (found := walk.take_line(line, rest))), None)
    return Verdict(
        chain=walk.chain,
        head=walk.head,
        records=walk.head.sequence - start.sequence,
        erased=walk.erased,
        broken=broken or walk.find_break_at_end(),
    )


@dataclass(slots=True)
class _Walk:
    """The walk through an export: the head so far, and the erasures seen."""

    start: Anchor
    known: Anchor | None
    head: Anchor = field(init=False)
    chain: str = ""
    lines: int = 0
    erased: int = 0
    last_erased: dict[str, tuple[str, int]] = field(default_factory=dict)  # by actor
    erasures: dict[str, str] = field(default_factory=dict)  # by person: the time of the last one

    def __post_init__(self) -> None:
        self.head = self.start

    def take_line(self, line: bytes, rest: Iterator[bytes]) -> Break | None:
        """Take one line; if the chain breaks there, look through the *rest* for the kind."""
        self.lines += 1
        after = self.head.sequence + 1
        try:
            found = parse_line(line)
        except ValueError as error:
            return self._break(BreakKind.EDIT, after, str(error))
        if found.previous != self.head.hash or found.sequence != after or self._is_other(found):
            return self._explain(found, rest)
        self.chain, self.head = found.chain, Anchor(found.sequence, found.hash)
        if self.known and self.known.sequence == after and self.known != self.head:
            return self._break(BreakKind.EDIT, after, "the record is not that of the known head")
        self._note(found)
        return None

    def find_break_at_end(self) -> Break | None:
        """Return the break that shows at the end: a cut tail, or an erasure without a record."""
        if self.known is not None and self.known.sequence > self.head.sequence:
            detail = f"the known head is record {self.known.sequence}"
            return self._break(BreakKind.CUT_TAIL, self.head.sequence + 1, detail)
        for actor, (at, sequence) in self.last_erased.items():
            if at > self.erasures.get(actor, ""):
                detail = f"no later record says that the texts of {actor} were erased"
                return self._break(BreakKind.ERASURE, sequence, detail)
        return None

    def _is_other(self, found: ExportLine) -> bool:
        return found.chain != self.chain and self.lines > 1

    def _note(self, found: ExportLine) -> None:
        """Note an erasure, and a record whose texts are gone."""
        event, facts = found.event, found.event.get("facts")
        if event.get("what") == ERASURE and isinstance(facts, dict):
            person = str(facts.get("person"))
            self.erasures[person] = max(_make_comparable(event), self.erasures.get(person, ""))
        if found.is_erased:
            self.erased += 1
            actor, at = str(event.get("actor")), _make_comparable(event)
            if at >= self.last_erased.get(actor, ("", 0))[0]:
                self.last_erased[actor] = (at, found.sequence)

    def _explain(self, found: ExportLine, rest: Iterator[bytes]) -> Break:
        """Return the break at a line that is whole and does not follow the one before."""
        after, here = self.head.sequence + 1, found.sequence
        if self._is_other(found):
            return self._break(BreakKind.INSERTION, after, f"a record of the chain {found.chain}")
        if here < after:
            return self._break(BreakKind.INSERTION, here, f"there is a second record {here}")
        later = (each for line in rest if (each := _read(line)) and each.sequence == after)
        if here == after:
            if any(each.previous == self.head.hash for each in later):
                return self._break(BreakKind.INSERTION, here, "it follows no record before it")
            changed = max(self.head.sequence, self.start.sequence + 1)
            return self._break(BreakKind.EDIT, changed, f"record {here} follows another one")
        if next(later, None) is not None:
            return self._break(BreakKind.REORDERING, after, f"record {here} stands before it")
        return self._break(BreakKind.DELETION, after, f"the next record is {here}")

    def _break(self, kind: BreakKind, sequence: int, detail: str) -> Break:
        return Break(kind, sequence, self.lines, detail)


def _read(line: bytes) -> ExportLine | None:
    try:
        return parse_line(line)
    except ValueError:
        return None


def _make_comparable(event: dict[str, object]) -> str:
    """Return the time of *event* so that text order is time order: ``…00`` before ``…00.5``."""
    return str(event.get("at")).removesuffix("Z")
