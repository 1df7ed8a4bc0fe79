"""The trail of calls that change no row: refusals, and comparisons that a person asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from jit import telemetry
from jit.broker.denial_limit import DenialLimit
from jit.domain.audit.event import Event
from jit.domain.audit.refusal import Refusal, build_refusal_event
from jit.domain.limits import Limits
from jit.domain.model.people import Person
from jit.storage.outbox import Outbox
from jit.storage.subscription_rows import SubscriptionRows


@dataclass(frozen=True, slots=True)
class Trail:
    """Records the acts that leave no other trace."""

    outbox: Outbox
    subscriptions: SubscriptionRows
    limits: Limits
    denials: DenialLimit

    def record_refusal(self, subscription: str, refusal: Refusal, *, now: datetime) -> str:
        """
        Record a refusal about a subscription, before it is answered; count a repetition.

        Returns:
            The request id under which it stands: a repetition has that of the first call.

        Raises:
            LimitReached: The caller was denied too often in this hour, and this is no repetition;
                nothing is recorded.
            Unavailable: Storage did not take the record, or the count of denials.
        """
        chain = self._choose_chain(subscription)
        self.subscriptions.ensure(chain, now)  # its outbox is found, even if it is dropped later
        event = build_refusal_event(refusal, now=now)
        if refusal.is_denial:
            admit = partial(self.denials.admit, refusal.caller, chain, now=now)
            request_id = self.outbox.add_once(chain, event, refusal.digest, admit)
        else:
            request_id = self.outbox.add_once(chain, event, refusal.digest)
        telemetry.event(refusal.what, request_id=request_id, reasons=len(refusal.violations))
        return request_id

    def record_comparison(
        self, caller: Person, subscriptions: Sequence[str], *, dry_run: bool, now: datetime
    ) -> None:
        """
        Record that a person asks for a comparison, in the chain of each subscription.

        A dry run is recorded too: its plan tells of other people's access.

        Raises:
            Unavailable: Storage did not take a record.
        """
        for subscription in subscriptions:
            self.subscriptions.ensure(subscription, now)
            event = Event(
                at=now,
                what="reconcile.requested",
                actor=caller.id,
                actor_name=caller.name,
                request_id="",
                facts={"subscription": subscription, "dryRun": dry_run},
            )
            self.outbox.add(subscription, [event])

    def _choose_chain(self, subscription: str) -> str:
        """
        Return the subscription whose chain records a refusal.

        A caller can name any subscription. All refusals about others stand in the chain of the
        first one that the operator named.
        """
        if self.limits.allows_subscription(subscription):
            return subscription
        return self.limits.subscriptions[0]
