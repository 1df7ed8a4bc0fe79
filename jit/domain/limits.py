"""The numbers that the HTTP contract promises."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from jit.domain.errors import Violation
from jit.domain.values.json_pointer import ROOT

TOO_MANY_VIOLATIONS = "too-many-violations"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """
    The largest and the smallest values that a caller may ask for.

    Attributes:
        machines: VMs a request; a table transaction of 100 rows must hold one row each.
        ports: Ports a VM.
        sources: Sources a request, allowed sources a port.
        widest_source_v4: Shortest IPv4 prefix a caller may name (``JIT_WIDEST_SOURCE``). All
            sources of a request, and all live ones of a person on one VM port, cover together no
            more addresses than one such prefix.
        widest_source_v6: The same for IPv6: /64 is one link, the prefix of one household.
        shortest: Shortest access, through an NSG.
        shortest_behind_firewall: An update of a firewall takes three to five minutes.
        longest: Longest access; Defender's own bound for ``maxRequestAccessDuration``.
        longest_access: Extensions keep access no longer than this after its opening
            (``JIT_LONGEST_ACCESS``), or than its first duration if that is longer.
        start_horizon: How far ahead a start may lie (``JIT_START_HORIZON``).
        furthest_start: The most that ``JIT_START_HORIZON`` may be.
        start_grace: How far a start may lie in the past: the caller's clock is not ours.
        justification: Characters, at least and at most.
        reason: Characters of a decision's reason, at least and at most.
        bar_reason: Characters of the reason of a bar, at least and at most.
        bars: People who are barred at a time: one query of storage returns all bars.
        ticket_system: Characters, at least and at most.
        ticket_id: Characters, at least and at most.
        reads_per_minute: Calls of one caller that change nothing, at one instance
            (``JIT_READS_PER_MINUTE``).
        changes_per_minute: All other calls of one caller, dry runs too, at one instance
            (``JIT_CHANGES_PER_MINUTE``).
        denials_per_hour: Denials of one caller that are recorded (``JIT_DENIALS_PER_HOUR``).
        live_requests: Requests of one person in one subscription that are not closed
            (``JIT_LIVE_REQUESTS``).
        live_on_one_port: Live grants of one person on one VM port (``JIT_LIVE_ON_ONE_PORT``).
        requests_per_day: Accepted requests of one person in one subscription in the last 24 hours
            (``JIT_REQUESTS_PER_DAY``).
        violations: How many are named; a hostile body of 64 KiB can break rules 10,000 times.
        subscriptions: The ids that ``JIT_SUBSCRIPTIONS`` names, in lower case. Nothing opens in
            another one. Empty means any: the settings name at least one.
    """

    machines: int = 90
    ports: int = 10
    sources: int = 10
    widest_source_v4: int = 24
    widest_source_v6: int = 64
    shortest: timedelta = timedelta(minutes=5)
    shortest_behind_firewall: timedelta = timedelta(minutes=15)
    longest: timedelta = timedelta(hours=24)
    longest_access: timedelta = timedelta(hours=8)
    start_horizon: timedelta = timedelta(days=7)
    furthest_start: timedelta = timedelta(days=30)
    start_grace: timedelta = timedelta(seconds=60)
    justification: tuple[int, int] = (5, 500)
    reason: tuple[int, int] = (1, 500)
    bar_reason: tuple[int, int] = (5, 500)
    bars: int = 1000
    ticket_system: tuple[int, int] = (1, 64)
    ticket_id: tuple[int, int] = (1, 128)
    reads_per_minute: int = 300
    changes_per_minute: int = 60
    denials_per_hour: int = 30
    live_requests: int = 20
    live_on_one_port: int = 2
    requests_per_day: int = 50
    violations: int = 1000
    subscriptions: tuple[str, ...] = ()

    def allows_subscription(self, subscription: str) -> bool:
        """Return True if access may open in *subscription*."""
        return not self.subscriptions or subscription in self.subscriptions


LIMITS = Limits()
"""The contract's own numbers; settings may move some of them."""


def bound_violations(
    violations: Sequence[Violation], limits: Limits = LIMITS
) -> tuple[Violation, ...]:
    """Return *violations*, cut after `Limits.violations` with a last one that says so."""
    if len(violations) <= limits.violations:
        return tuple(violations)
    rest = len(violations) - limits.violations
    last = Violation(ROOT, TOO_MANY_VIOLATIONS, f"{rest} more faults are not listed")
    return (*violations[: limits.violations], last)
