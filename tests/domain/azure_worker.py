"""The worker's loop over a small Azure, without tables: look, decide, store, act."""

from dataclasses import dataclass, field, replace
from datetime import datetime

from jit.domain.grants import lifetime
from jit.domain.grants.step import Step, run_step
from jit.domain.limits import LIMITS
from jit.domain.model.grant import CloseReason, Grant
from jit.domain.paths.rules import PathRule
from jit.domain.reconcile.plan import make_plan
from jit.domain.reconcile.plan_item import PlanAction
from tests.builders.grants import changed
from tests.builders.values import MINUTE
from tests.domain.azure_model import Azure

ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"


@dataclass
class Broker:
    """
    The worker's loop without tables: look, decide, store, act.

    Attributes:
        dies: The next pass that acts dies ``before`` its first call, or ``after`` its initiate.
    """

    azure: Azure
    grants: dict[str, Grant] = field(default_factory=dict)
    known: set[str] = field(default_factory=set)
    passes: int = 0
    dies: str = ""

    def look(self) -> Step:
        """Decide once, without storing or acting."""
        live = [grant for grant in self.grants.values() if grant.live]
        return run_step(
            live,
            self.azure.world(self.known),
            now=self.azure.now,
            initiate_id=self._id(),
            limits=LIMITS,
        )

    def work(self, *, lost: str = "") -> Step:
        """Make one pass; the initiate's call or its answer may be *lost*."""
        done = self.look()
        self.passes += 1
        self.grants |= {grant.id: grant for grant in done.grants}
        self.known |= {i for grant in done.grants for i in grant.initiate.ids}
        if not self._died(done):
            self._act(done, lost)
        return done

    def _died(self, done: Step) -> bool:
        """True if the process ends in the middle of this pass, with everything stored."""
        if not self.dies or not (done.asks or done.removals or done.companion_removals):
            return False
        if self.dies == "after" and done.asks:
            self._initiate(done)
        self.dies = ""
        return True

    def reconcile(self) -> None:
        """Compare everything with everything, as the timer does; remove the leftovers."""
        grants = list(self.grants.values())
        live = {grant.id for grant in grants if grant.live}
        over = [grant for grant in grants if not grant.live]
        for item in make_plan(
            self.azure.observed(),
            [grant for grant in grants if grant.live],
            over,
            now=self.azure.now,
            remove_orphans=False,
        ):
            if item.action is PlanAction.REMOVE_RULE and item.path and item.grant not in live:
                self._remove(item.path)
            if item.action in {PlanAction.REOPEN, PlanAction.CLOSE} and item.grant:
                self._wake(self.grants[item.grant], closing=item.action is PlanAction.CLOSE)

    def _wake(self, grant: Grant, *, closing: bool) -> None:
        now = self.azure.now
        if closing and grant.wants_path:
            grant = lifetime.begin_closing(grant, CloseReason.FAILED, now)
        self.grants[grant.id] = replace(grant, next_check_at=now)

    def _remove(self, path: PathRule) -> None:
        if path.collection is None:
            self.azure.delete(path.id)
        elif self.azure.busy_until is None:
            self.azure.take_out(int(path.name.rpartition("-")[2]))

    def _id(self) -> str:
        number, text = self.passes, ""
        for _ in range(26):
            number, digit = divmod(number, 32)
            text += ALPHABET[digit]
        return text

    def _act(self, done: Step, lost: str) -> None:
        for rule_id in done.companion_removals:
            self.azure.delete(rule_id)
        if done.asks and lost != "call":
            self._initiate(done)
        if done.asks and not lost:
            self._answer(done)
        for wish in done.companions:
            self.azure.add_companion(wish.rule_id, wish.body)
        for path in done.removals:
            self._remove(path)

    def _initiate(self, done: Step) -> None:
        newest = {g.initiate.ids[-1] for g in done.grants if g.initiate.at == self.azure.now}
        self.azure.initiate(done.asks, newest.pop())

    def _answer(self, done: Step) -> None:
        asked = {ask.port for ask in done.asks}
        for grant in done.grants:
            if grant.port in asked and grant.wants_path:
                self.grants[grant.id] = changed(grant, answered=True)

    @property
    def due(self) -> datetime | None:
        """When the first live grant needs a pass."""
        return min((g.next_check_at for g in self.grants.values() if g.live), default=None)

    def live_until(self, end: datetime) -> None:
        """Pass whenever a grant is due, reconcile every five minutes, until *end*."""
        while self.azure.now < end:
            until = min(self.azure.now + 5 * MINUTE, end)
            while (due := self.due) is not None and due <= until:
                self.azure.advance(max(due, self.azure.now))
                self.work()
            self.azure.advance(until)
            self.reconcile()
