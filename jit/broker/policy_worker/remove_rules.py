"""Removing what is left of a path that is over: on record first, then as it is at that moment."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from jit.broker.azure_changes import Actions
from jit.broker.policy_worker.pass_state import Pass
from jit.domain.audit.event import BROKER, Event
from jit.domain.errors import BrokerError, Gone, Refused
from jit.domain.model.grant import Grant, Status
from jit.domain.model.machine import VmPort
from jit.domain.paths.rules import PathRule
from jit.domain.values import arm_ids
from jit.storage.outbox import Outbox

_TOGETHER = 100  # the most that a transaction takes


@dataclass(frozen=True, slots=True)
class Remover:
    """Removes Defender's rules for a pass."""

    outbox: Outbox
    actions: Actions

    def remove(self, removals: Sequence[PathRule], state: Pass) -> list[BrokerError]:
        """
        Remove those of *removals* that nobody else needs by now; return what went wrong.

        Raises:
            Unavailable: It could not be put on record, or is not known who needs it.
        """
        if not removals:
            return []
        try:
            rules = self.actions.still_removable(state.policy_id, removals, state.known, state.now)
        except Gone:
            rules = list(removals)  # no policy, so no request of anybody's
        except Refused as error:
            return [error]
        self._note(rules, state)
        errors = self.actions.remove_rules(r.id for r in rules if r.collection is None)
        return errors + self.actions.remove_nat_rules([r for r in rules if r.collection])

    def _note(self, rules: Sequence[PathRule], state: Pass) -> None:
        """Write down what is about to be removed, and for which grant that is over."""
        closing = [grant for grant in state.grants if grant.status is Status.CLOSING]
        events = [_event(rule, closing, state) for rule in rules]
        for start in range(0, len(events), _TOGETHER):
            partition = arm_ids.subscription(state.policy_id)
            self.outbox.add(partition, events[start : start + _TOGETHER])


def _event(rule: PathRule, closing: Iterable[Grant], state: Pass) -> Event:
    port = VmPort.of(rule.vm_id, rule.port)
    owners = (g for g in closing if g.vm_port == port)
    grant = next(owners, None)
    return Event(
        at=state.now,
        what="rule.removal_began",
        actor=BROKER,
        request_id=grant.request_id if grant is not None else "",
        grant_id=grant.id if grant is not None else None,
        facts={"resource": rule.holder_id, "rule": rule.name, "sources": list(rule.sources)},
    )
