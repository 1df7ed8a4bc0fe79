"""Chains of the audit trail: which there are, their heads, and their export in parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from jit.domain.audit import chain as chains
from jit.domain.audit.chain import Head
from jit.domain.audit.export_line import write_line
from jit.storage import keys
from jit.storage.lists.query_budget import QueryBudget
from jit.storage.subscription_rows import SubscriptionRows
from jit.storage.trail.chain_reads import ChainReads

MOST_LINES = 5000
"""Lines of one part of an export."""

MOST_CHARACTERS = 4_000_000
"""Characters of one part, before its last line: an answer must fit the memory of an instance."""


@dataclass(frozen=True, slots=True)
class ShownHead:
    """
    The head of a chain.

    Attributes:
        broken_at: The sequence of the head, if the last record is not the one that it names.
    """

    head: Head
    broken_at: int | None


@dataclass(frozen=True, slots=True)
class ChainPart:
    """
    A part of an export.

    Attributes:
        head: The end of the chain when the part was read.
        lines: Ascending, each with its newline.
        after: The sequence after which the next part begins; None if there is none.
    """

    head: Head
    lines: Sequence[str]
    after: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Chains:
    """
    The chains of ``JitAudit``.

    Attributes:
        named: The subscriptions of the settings.
    """

    reads: ChainReads
    subscriptions: SubscriptionRows
    named: Sequence[str]

    def list_names(self) -> list[str]:
        """
        Return the names of the chains, sorted: subscriptions, and ``people``.

        A subscription that was dropped, and has no grants for an hour, is not among them. Its chain
        stays: an auditor can read it by the id.
        """
        rows = self.subscriptions.read().subscriptions
        return sorted({*self.named, *(row.subscription for row in rows), keys.PEOPLE})

    def list_heads(self) -> list[ShownHead]:
        """Return the head of each chain with records, compared with its last record."""
        budget = QueryBudget()
        found = (self.reads.find_head(name, budget) for name in self.list_names())
        return [self._check(head, budget) for head in found if head.sequence]

    def export(self, name: str, after: int) -> ChainPart:
        """
        Return the lines of a chain that follow the record *after*; none if there is no such chain.

        Raises:
            Unavailable: Storage did not answer.
        """
        budget = QueryBudget()
        head = self.reads.find_head(name, budget)
        end, token, lines, size = head.sequence + 1, None, list[str](), 0
        last = after
        while after < head.sequence:
            records, token = self.reads.list_page(name, after + 1, end, budget, token)
            for record in records:
                if len(lines) == MOST_LINES or size > MOST_CHARACTERS:
                    return ChainPart(head, lines, last)
                lines.append(write_line(record))
                size, last = size + len(lines[-1]), record.sequence
            if token is None:
                break
            if lines and budget.left <= 0:
                return ChainPart(head, lines, last)
        return ChainPart(head, lines, None)

    def _check(self, head: Head, budget: QueryBudget) -> ShownHead:
        record = self.reads.find_record(head.chain, head.sequence, budget)
        is_whole = record is not None and head.hash == record.hash == chains.digest(record)
        return ShownHead(head, None if is_whole else head.sequence)
