"""The removal of rules of closing grants: recorded first, and decided again just before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from jit.broker.azure_changes import Actions
from jit.broker.policy_worker.pass_state import Pass
from jit.domain.audit.event import Event, build_removal_event
from jit.domain.errors import BrokerError, Gone, Refused
from jit.domain.model.grant import Grant, Status
from jit.domain.model.machine import VmPort
from jit.domain.paths.rules import PathRule
from jit.domain.values import arm_ids
from jit.storage.outbox import Outbox


@dataclass(frozen=True, slots=True)
class RuleRemover:
    """Removes Defender's rules for a pass."""

    outbox: Outbox
    actions: Actions

    def remove(self, removals: Sequence[PathRule], state: Pass) -> list[BrokerError]:
        """
        Remove the rules that no request of others needs by now; return the errors.

        Raises:
            Unavailable: The removal could not be recorded, or Defender did not list its requests.
        """
        if not removals:
            return []
        try:
            rules = self.actions.keep_removable(
                state.policy_id, removals, state.initiate_ids, now=state.now
            )
        except Gone:
            rules = list(removals)  # without the policy there are no requests of others
        except Refused as error:
            return [error]
        self._record(rules, state)
        singles = (rule.id for rule in rules if rule.collection is None)
        errors = self.actions.remove_rules(singles, state.busy)
        return errors + self.actions.remove_nat_rules(
            [rule for rule in rules if rule.collection], state.busy
        )

    def _record(self, rules: Sequence[PathRule], state: Pass) -> None:
        """Write the rules that are about to be removed into the trail, with their grants."""
        closing = [grant for grant in state.grants if grant.status is Status.CLOSING]
        events = [_removal_event(rule, closing, state) for rule in rules]
        self.outbox.add(arm_ids.subscription(state.policy_id), events)


def _removal_event(rule: PathRule, closing: Sequence[Grant], state: Pass) -> Event:
    port = VmPort.of(rule.vm_id, rule.port)
    grant = next((grant for grant in closing if grant.vm_port == port), None)
    return build_removal_event(
        grant,
        {"resource": rule.holder_id, "rule": rule.name, "sources": list(rule.sources)},
        now=state.now,
    )
