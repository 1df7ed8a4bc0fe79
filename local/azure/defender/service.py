"""
Defender for Cloud: it opens requested ports, and closes them at the end.

Defender acts under its own identity, some time after the call that asked for
it. A VM port belongs to its latest request; the access of older requests is
revoked.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from local.azure.arm.operations import Effects
from local.azure.arm.store import Store
from local.azure.control.faults import Faults, Subject
from local.azure.defender import jit_rules
from local.azure.defender.access import Access, WantedPort, group_by_machine
from local.azure.defender.access_rules import AccessRules
from local.azure.defender.deny_rules import DenyRules
from local.azure.defender.write_queues import WriteQueues
from local.azure.network import security_rules
from local.azure.options import Options
from local.azure.timeline import Action, Timeline
from local.azure.values import ids
from local.azure.values.http import ArmError, Json


@dataclass
class Defender:
    """
    Defender's memory of the requests that are not over.

    Attributes:
        timeline: Wakes it.
        store: Holds the policies.
        options: Its delays.
        faults: The planned faults.
        turns: Its writes.
    """

    timeline: Timeline
    store: Store
    options: Options
    faults: Faults
    turns: WriteQueues
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    _live: defaultdict[tuple[str, int], list[Access]] = field(
        default_factory=lambda: defaultdict(list)
    )

    def __post_init__(self) -> None:
        self.protection = DenyRules(self.store, self.turns, self.options)
        self._access_rules = AccessRules(self.store, self.turns, self.faults, self._is_taken)

    def initiate(
        self,
        policy: str,
        wanted: list[WantedPort],
        request: Json,
        subject: Subject,
        effects: Effects,
    ) -> Json:
        """
        Take a request that has been found valid.

        Args:
            policy: Id of its policy.
            wanted: Its VM ports; every VM exists.
            request: ``startTimeUtc, requestor, justification`` of the entry.
            subject: The call, for faults that strike later.
            effects: The effects of the fault that strikes now.

        Returns:
            The entry that will stand in the policy's ``requests``.
        """
        accesses = [self._add_access(policy, each, subject, effects) for each in wanted]
        entry = {"virtualMachines": group_by_machine(accesses), **request}
        self._run_soon(self.options.entry_delay_seconds, lambda: self._list_entry(policy, entry))
        delay = self.options.initiate_seconds + effects.delay.total_seconds()
        self.timeline.after(delay, lambda: self._open(accesses))
        ends = {each.wanted.end for each in accesses}
        for end in sorted(ends):
            self._schedule_end([each for each in accesses if each.wanted.end == end], end)
        late = max(ends) + timedelta(days=self.options.request_days)
        self.timeline.at(late, lambda: self._forget_entry(policy, entry))
        return entry

    def abandon(self, policy: str) -> None:
        """Forget the open requests of a deleted policy: nobody will remove their rules."""
        for access in self._live_accesses_of(policy):
            self._abandon(access)

    def abandon_unlisted(self, policy: Json) -> None:
        """Follow the open requests that *policy* lists, and forget the others."""
        self.adopt(policy)
        requests = policy["properties"]["requests"]
        machines = [each for request in requests for each in request.get("virtualMachines", ())]
        listed = [id(port) for machine in machines for port in machine.get("ports", ())]
        for access in self._live_accesses_of(policy["id"]):
            if id(access.entry) not in listed:
                self._abandon(access)

    def abandon_outside(self, policy: Json) -> None:
        """Forget the open requests for VM ports that *policy* does not name any more."""
        machines = policy["properties"]["virtualMachines"]
        named = {(ids.key(vm["id"]), port["number"]) for vm in machines for port in vm["ports"]}
        for access in self._live_accesses_of(policy["id"]):
            if access.key not in named:
                self._abandon(access)

    def _abandon(self, access: Access) -> None:
        access.live = False
        self._live[access.key].remove(access)

    def adopt(self, policy: Json) -> None:
        """Keep track of live requests after somebody has replaced *policy* from outside."""
        for access in self._live_accesses_of(policy["id"]):
            access.adopt(policy)

    def _is_taken(self, key: tuple[str, int]) -> bool:
        return any(each.opened for each in self._live[key])

    def _live_accesses_of(self, policy: str) -> list[Access]:
        everything = itertools.chain.from_iterable(self._live.values())
        return [each for each in everything if ids.key(each.policy) == ids.key(policy)]

    def _add_access(
        self, policy: str, wanted: WantedPort, subject: Subject, effects: Effects
    ) -> Access:
        machine = self.store.get(wanted.machine)
        if machine is None:
            raise KeyError(wanted.machine)
        number = next(self._numbers)
        entry = wanted.entry(self.options.initiating_status)
        never = effects.never_rule or not _is_rule_possible(wanted)
        access = Access(number, policy, machine, wanted, entry, subject, never)
        self._live[access.key].append(access)
        return access

    def _run_soon(self, seconds: float, action: Action) -> None:
        if seconds:
            self.timeline.after(seconds, action)
        else:
            action()

    def _schedule_end(self, accesses: list[Access], end: datetime) -> None:
        late = timedelta(seconds=self.options.expiry_seconds)
        self.timeline.at(end + late, lambda: self._expire(accesses))

    def _open(self, accesses: list[Access]) -> None:
        opening = [each for each in accesses if each.live and not each.never]
        for each in opening:
            each.opened = True
        overtaken = [each for each in opening if self._has_newer(each)]
        opening = [each for each in opening if each not in overtaken]
        older = [old for each in opening for old in self._find_older(each)]
        for each in (*older, *overtaken):
            self._end_access(each, "NewerRequestInitiated")
        for each in opening:
            each.set_status("Initiated", "UserRequested")
        self._access_rules.change(opening, older)

    def _has_newer(self, access: Access) -> bool:
        return any(each.number > access.number and each.opened for each in self._live[access.key])

    def _find_older(self, access: Access) -> list[Access]:
        return [each for each in self._live[access.key] if each.number < access.number]

    def _expire(self, accesses: list[Access]) -> None:
        ending = [each for each in accesses if each.live]
        for each in ending:
            self._end_access(each, "Expired")
        self._access_rules.change([], ending)

    def _end_access(self, access: Access, reason: str) -> None:
        access.live = False
        access.set_status("Revoked", reason)
        self._live[access.key].remove(access)

    def _list_entry(self, policy_id: str, entry: Json) -> None:
        policy = self.store.get(policy_id)
        if policy is not None:
            policy["properties"].setdefault("requests", []).append(entry)

    def _forget_entry(self, policy_id: str, entry: Json) -> None:
        policy = self.store.get(policy_id)
        if policy is not None:
            requests = policy["properties"].get("requests", [])
            policy["properties"]["requests"] = [each for each in requests if each is not entry]


def _is_rule_possible(wanted: WantedPort) -> bool:
    """Return False if no NSG takes such a rule; Defender answers 202 all the same."""
    if wanted.protocol.upper() not in jit_rules.PROTOCOLS:
        return False
    try:
        security_rules.check_prefixes("", list(wanted.sources))
    except ArmError:
        return False
    return True
