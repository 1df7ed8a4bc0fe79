"""
Changes in Azure: initiate, companion rules, removals.

Each action reports its outcome, and decides nothing. An initiate that Azure refuses is repeated in
parts down to one VM port and one text, so that only the one at fault fails.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

from jit import telemetry
from jit.broker.busy_resources import BusyResources
from jit.broker.firewall_turns import FirewallTurns
from jit.broker.initiate_parts import Part, Parts, Reasons
from jit.domain.azure import arm_json, defender_requests, firewall, policy_json, read_only
from jit.domain.azure.initiate_body import PortToOpen, build_initiate_body
from jit.domain.errors import (
    BrokerError,
    Busy,
    PermissionLost,
    Refused,
    StateConflict,
    Throttled,
    Unavailable,
)
from jit.domain.grants import removal
from jit.domain.grants.companions import Companion
from jit.domain.model.machine import VmPort
from jit.domain.paths.rules import PathRule
from jit.domain.values import arm_ids
from jit.interfaces import JitPolicies, Network

TIME_TO_ASK = timedelta(seconds=20)
"""
After this time a pass begins no further part of an initiate: an end may wait for the next pass.

It is a third of the lease, so a pass that asks in parts stores their answers before another one
takes over.
"""


@dataclass(slots=True)
class Outcome:
    """
    The outcome of an initiate.

    Attributes:
        answered: VM ports that Azure accepted (202).
        refused: VM ports that Azure refused for good, with its code.
        untaken: VM ports that Azure put off by its answer, or that it was not asked for: nothing of
            them is on its way.
        wait: How long to stay away, if Azure asked for it or did not answer.
        note: Why, for people.
        forbidden: Azure's code where the broker's identity may not open something.
    """

    answered: set[VmPort] = field(default_factory=set)
    refused: dict[VmPort, str] = field(default_factory=dict)
    untaken: set[VmPort] = field(default_factory=set)
    wait: timedelta | None = None
    note: str = ""
    forbidden: str = ""

    def is_enough(self, age: timedelta) -> bool:
        """
        Return True if a pass that is *age* old leaves the rest for the next one.

        If Azure has decided about some port, the next pass has fewer to ask for. If Azure only put
        off or did not answer, the other parts get as long again. Then the pass must end before its
        lease does: else its outcome is forgotten.
        """
        if self.answered or self.refused:
            return age >= TIME_TO_ASK
        return self.wait is not None and age >= 2 * TIME_TO_ASK

    def put_off(self, asks: Iterable[PortToOpen]) -> None:
        """Note *asks* for which Azure was not asked in this pass."""
        self.untaken |= {ask.vm_port for ask in asks}
        self.note = self.note or "other access of its JIT policy is asked for first"


class Actions:
    """Calls Azure on behalf of the worker."""

    def __init__(
        self,
        policies: Callable[[], JitPolicies],
        network: Callable[[], Network],
        turns: FirewallTurns,
    ) -> None:
        """The clients are built when first needed."""
        self._policies = policies
        self._network = network
        self._turns = turns

    def initiate(
        self,
        policy_id: str,
        asks: Sequence[PortToOpen],
        reasons: Reasons,
        find_age: Callable[[], timedelta | None],
    ) -> Outcome:
        """
        Ask Defender for all of *asks* in one call; in parts if it refuses them together.

        Parts take time, and an end that came meanwhile waits for this pass. After `TIME_TO_ASK`
        the rest is left for the next pass, if Azure has decided about some port by then; after
        twice that time also if it has not answered about some.

        Args:
            policy_id: The JIT policy.
            asks: At least one.
            reasons: The reasons behind them.
            find_age: Called before each part: how long ago the pass claimed the policy, or None if
                another pass has taken it over.

        Raises:
            StateConflict: Another pass has taken the policy over.
        """
        outcome, parts = Outcome(), Parts(reasons)
        parts.add(asks)
        while (part := parts.take()) is not None:
            age = find_age()
            if age is None:
                raise StateConflict("the pass took too long: another one has taken over")
            if outcome.is_enough(age):
                outcome.put_off((*part.asks, *parts.list_rest()))
                break
            self._initiate(policy_id, part, parts, outcome)
        if outcome.forbidden:
            telemetry.alert("permission.lost", policy_id=policy_id, code=outcome.forbidden)
        return outcome

    def _initiate(self, policy_id: str, part: Part, parts: Parts, outcome: Outcome) -> None:
        """Ask once, and note the answer."""
        ports = {ask.vm_port for ask in part.asks}
        body = build_initiate_body(part.asks, parts.reasons.write(part.reasons))
        try:
            self._policies().initiate(policy_id, body)
        except Unavailable as error:
            wait = timedelta(seconds=error.retry_after_seconds)
            outcome.wait = max(wait, outcome.wait or wait)
            outcome.note = str(error)
            if isinstance(error, Throttled | Busy):
                outcome.untaken |= ports
        except Refused as error:
            alone = parts.refuse(part, error)
            if alone is not None:
                _refuse(policy_id, alone, error, outcome)
        else:
            parts.accept(part)
            outcome.answered |= ports
            if part.code is not None:
                vm_id = part.asks[0].vm_id
                telemetry.warning(
                    "initiate.text_refused", policy_id=policy_id, vm_id=vm_id, code=part.code
                )

    def add_companions(
        self, companions: Iterable[Companion], busy: BusyResources | None = None
    ) -> list[BrokerError]:
        """Create companion rules; a rule that is there already is simply written again."""
        return _try_each(
            ("companion.added", "companion.postponed"),
            [(c.rule_id, partial(self._network().put_rule, c.rule_id, c.body)) for c in companions],
            busy or BusyResources(),
        )

    def remove_rules(
        self, rule_ids: Iterable[str], busy: BusyResources | None = None
    ) -> list[BrokerError]:
        """Delete single NSG rules."""
        return _try_each(
            ("rule.removed", "rule.postponed"),
            [(r, partial(self._network().delete_rule, r)) for r in rule_ids],
            busy or BusyResources(),
        )

    def remove_nat_rules(
        self, rules: Sequence[PathRule], busy: BusyResources | None = None
    ) -> list[BrokerError]:
        """Remove NAT rules, all of one firewall in one PUT."""
        by_firewall: dict[str, set[tuple[str, str]]] = {}
        ids: dict[str, str] = {}
        for rule in rules:
            ids[arm_ids.key(rule.holder_id)] = rule.holder_id
            pair = (rule.collection or "", rule.name)
            by_firewall.setdefault(arm_ids.key(rule.holder_id), set()).add(pair)
        return _try_each(
            ("nat_rules.removed", "nat_rules.postponed"),
            [(ids[k], partial(self._put, ids[k], doomed)) for k, doomed in by_firewall.items()],
            busy or BusyResources(),
        )

    def _put(self, firewall_id: str, doomed: set[tuple[str, str]]) -> None:
        """GET, only from ``Succeeded``, take out our rules, PUT under the ETag just read."""
        body = self._network().get_firewall(firewall_id)
        etag = arm_json.read_etag(body)
        if arm_json.read_provisioning_state(body) != "Succeeded" or not etag:
            raise StateConflict("the firewall is being updated")
        changed = firewall.remove_nat_rules(body, doomed)
        if changed == body:
            return
        self._turns.note_update(firewall_id, firewall.digest_foreign_parts(body))
        try:
            self._network().put_firewall(firewall_id, read_only.drop_read_only(changed), etag=etag)
        except StateConflict:
            self._note_conflict(firewall_id, doomed)
            raise

    def _note_conflict(self, firewall_id: str, doomed: set[tuple[str, str]]) -> None:
        """
        After a 412, forget the update that was noted, if a rule that it removes is still there.

        Somebody else has changed the firewall, and no update of ours has changed their rules. If
        the rules are gone, the update may be ours: the answer to its first try was lost.
        """
        body = self._network().get_firewall(firewall_id)
        if firewall.remove_nat_rules(body, doomed) != body:
            self._turns.forget_update(firewall_id)

    def keep_removable(
        self, policy_id: str, rules: Sequence[PathRule], known: frozenset[str], *, now: datetime
    ) -> list[PathRule]:
        """
        Read Defender's requests once more and keep the rules that no stranger needs.

        Raises:
            Unavailable: The answer has no list of VMs, so nobody knows if its requests are all.
        """
        if not rules:
            return []
        policy = self._policies().get(policy_id)
        if not policy_json.is_readable(policy):
            raise Unavailable("Azure's answer about a JIT policy cannot be read")
        requests = defender_requests.parse_requests(policy)
        return removal.keep_free_rules(rules, requests, known, now=now)


def _try_each(
    names: tuple[str, str],
    acts: Iterable[tuple[str, Callable[[], None]]],
    busy: BusyResources,
) -> list[BrokerError]:
    """
    Do each act; one that fails does not stop the others, and is looked at again later.

    A resource that is *busy* with one change takes no other: the rest is left for the next pass.
    *names* are the events of an act that was done, and of one that was not.
    """
    done, postponed = names
    errors: list[BrokerError] = []
    lost: list[tuple[str, str]] = []
    for resource_id, act in acts:
        if (known := busy.find(resource_id)) is not None:
            telemetry.warning(postponed, resource_id=resource_id)
            errors.append(known)
            continue
        try:
            act()
        except PermissionLost as error:
            lost.append((resource_id, error.code))
            errors.append(error)
        except (Unavailable, Refused) as error:
            telemetry.warning(postponed, resource_id=resource_id)
            errors.append(error)
            busy.note(resource_id, error)
        else:
            busy.took_change = True
            telemetry.event(done, resource_id=resource_id)
    if lost:
        resource_id, code = lost[0]
        telemetry.alert("permission.lost", resource_id=resource_id, code=code, count=len(lost))
    return errors


def _refuse(policy_id: str, ask: PortToOpen, error: Refused, outcome: Outcome) -> None:
    """Note that one VM port was refused alone."""
    code = error.code or str(error.azure_status)
    telemetry.warning("initiate.refused", policy_id=policy_id, vm_id=ask.vm_id, code=error.code)
    outcome.refused[ask.vm_port] = code
    if isinstance(error, PermissionLost):  # one VM's may be missing: no reason to stop
        outcome.forbidden = code
