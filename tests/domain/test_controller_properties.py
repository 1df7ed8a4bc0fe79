"""
The step against a small Azure: laws hold through all acts of people, Defender and accidents.

Grants come and go on one VM, alone or behind a firewall; strangers use the portal; somebody wipes
rules; Defender forgets to remove them, or never writes them; answers are lost. A customer publishes
a port through the firewall, and takes that back.
"""

from datetime import timedelta
from ipaddress import ip_network

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from jit.domain.grants import lifetime, timing
from jit.domain.grants.step import Step
from jit.domain.model.grant import CloseReason, Grant, Status
from jit.domain.model.machine import Via
from jit.domain.values.prefixes import are_all_inside
from tests.builders.grants import a_grant
from tests.builders.values import ELSEWHERE, FIREWALL_ID, HOME, MINUTE, NOW, OFFICE
from tests.domain.azure_model import ADMIN, Azure, Request
from tests.domain.azure_worker import Broker
from tests.sizes import examples

DESK = ip_network("198.51.100.9/32")
"""Inside of OFFICE: one person of a network, while somebody else has all of it."""

sources = st.lists(
    st.sampled_from([HOME, OFFICE, ELSEWHERE, DESK]), min_size=1, max_size=2, unique=True
).filter(lambda found: not {OFFICE, DESK} <= set(found))  # refused in one request
ports = st.sampled_from([22, 3389])


class Laws(RuleBasedStateMachine):
    """People, Defender and accidents, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.azure = Azure(NOW)
        self.broker = Broker(self.azure)
        self.wiped = False

    @initialize(walled=st.booleans())
    def begin(self, walled):
        self.azure.walled = walled

    # ---- acts of people --------------------------------------------------------------------------

    @rule(where=sources, port=ports, minutes=st.integers(15, 90))
    def ask(self, where, port, minutes):
        """Somebody is granted access, and the worker comes by."""
        now = self.azure.now
        name = f"g{len(self.broker.grants)}"
        self.broker.grants[name] = a_grant(
            name,
            port=port,
            sources=tuple(where),
            starts_at=now,
            duration=minutes * MINUTE,
            latest_end=now + (minutes + 60) * MINUTE,
            next_check_at=now,
            via=Via.FIREWALL if self.azure.walled else Via.PUBLIC_IP,
            firewall_id=FIREWALL_ID if self.azure.walled else None,
        )
        self._work()

    @precondition(lambda self: self._wanting())
    @rule(data=st.data())
    def revoke(self, data):
        """Somebody leaves early."""
        grant = data.draw(st.sampled_from(self._wanting()))
        gone = lifetime.begin_closing(grant, CloseReason.REVOKED, self.azure.now)
        self.broker.grants[grant.id] = gone
        self._work()

    @rule(where=sources, port=ports, minutes=st.integers(5, 60))
    def stranger(self, where, port, minutes):
        """Somebody uses the portal."""
        self.azure.take(port, where, self.azure.now + minutes * MINUTE)

    @rule(port=ports, on=st.booleans())
    def publish(self, port, on):
        """A customer's NAT rule leads everybody to a port, or no more."""
        self.azure.publish(port, on=on)

    # ---- accidents -------------------------------------------------------------------------------

    @rule(port=ports)
    def wipe(self, port):
        """Somebody's template removes the NSG's rules."""
        names = [name for name, item in self.azure.allows.items() if item.port == port]
        for name in names:
            del self.azure.allows[name]
        self.azure.companions.clear()
        self.wiped = True

    @rule(on=st.booleans())
    def forget(self, on):
        """Defender forgets to remove its rules, or remembers again."""
        self.azure.forgetful = on

    @rule(on=st.booleans())
    def fall_silent(self, on):
        """Defender never writes a rule, or does again."""
        self.azure.silent = on

    @rule(admin=st.sampled_from(sorted(ADMIN)))
    def manage(self, admin):
        """The owner of a network manager deploys other security admin rules."""
        self.azure.admin = admin

    @rule(lost=st.sampled_from(["call", "answer"]))
    def lose(self, lost):
        """The next initiate, or its answer, is lost on the way."""
        self._work(lost=lost)

    @rule(minutes=st.sampled_from([0, 1, 4, 9, 30]))
    def wait(self, minutes):
        """Time passes; the worker comes whenever it is due."""
        end = self.azure.now + minutes * MINUTE
        while (due := self.broker.due) is not None and due <= end:
            self.azure.advance(max(due, self.azure.now))
            self._work()
        self.azure.advance(end)

    @rule()
    def compare(self):
        """The timer compares everything."""
        self.broker.reconcile()

    # ---- the laws --------------------------------------------------------------------------------

    def _work(self, lost: str = "") -> None:
        planned = self.broker.look()
        assert (planned.unreadable, planned.defects) == ((), {}), "a step failed"
        self._check_asks(planned.asks, planned.grants)
        self._check_removals(planned)
        places = [(wish.nsg_id, wish.priority) for wish in planned.companions]
        assert len(places) == len(set(places)), "two companions on one priority"
        assert planned.companions == () or self.azure.busy_until is None, "others may still come in"
        before, was = self._served(), dict(self.broker.grants)
        self.broker.work(lost=lost)
        self._check_opened_and_closed(was)
        assert not self.azure.list_accompanied_ports() & self.azure.published, (
            "others come by a companion"
        )
        wanting = {grant.id for grant in self._wanting()} - self._stranded(planned)
        assert before & wanting <= self._served(), "a live grant's path was removed"
        again = self.broker.look()
        assert lost or again.asks == (), "stepping twice asked twice"
        assert again.companions == () or lost or self.azure.busy_until, "a companion was made twice"

    def _check_opened_and_closed(self, was: dict[str, Grant]) -> None:
        """No path becomes open on rules that nobody read, and a closed grant says what stays."""
        for grant in self.broker.grants.values():
            before = was[grant.id]
            if before.live and not grant.live and grant.initiate.ids:
                says = "at any time" in (grant.note or "")
                assert says == (self.azure.admin == "always allow" and not self.azure.walled)
            if grant.status is Status.OPEN and before.status is not Status.OPEN:
                assert self.azure.admin in {"nothing", "allow", "always allow"}

    def _check_asks(self, asks, grants) -> None:
        for ask in asks:
            mine = [g for g in grants if g.port == ask.port and g.wants_path]
            granted = {source for grant in mine for source in grant.sources}
            asked = set(ask.sources)
            assert asked <= granted, "other sources than were granted"
            assert are_all_inside(granted, asked), "left out"
            assert {OFFICE, DESK} - asked, "prefixes that overlap"
            last = max(grant.expires_at for grant in mine) + timing.TIMES[mine[0].via].lead
            assert ask.until <= max(last, self.azure.now + timing.SHORTEST), "beyond every end"
            assert not self._strangers(ask.port), "a stranger would have been superseded"

    def _check_removals(self, planned: Step) -> None:
        for item in planned.removals:
            doors = self.azure.doors(item.port)
            named = [d for d in doors if set(map(str, d.sources)) == set(item.sources)] or doors
            touched = [d for d in named if d.initiate_id is None and d.in_force(self.azure.now)]
            assert touched == [], "a stranger's rule would have been removed"

    def _served(self) -> set[str]:
        """Grants that want a path and have one."""
        return {
            grant.id
            for grant in self.broker.grants.values()
            if grant.wants_path and all(self.azure.lets_in(s, grant.port) for s in grant.sources)
        }

    def _stranded(self, planned: Step) -> set[str]:
        """
        Grants whose path goes because an end comes first (P2 before P6).

        Defender never wrote their own rule. They stand on the rule of a grant that is over, and
        that rule had its time to be replaced.
        """
        never = {item.initiate_id for item in self.azure.requests if item.never}
        over = {
            grant.port
            for grant in planned.grants
            if grant.closing_at is not None
            and self.azure.now >= grant.closing_at + timing.TIMES[grant.via].shrinks_within
        }
        removed = over & {item.port for item in planned.removals}
        return {
            grant.id
            for grant in self._wanting()
            if grant.port in removed and grant.initiate.newest in never
        }

    def _wanting(self) -> list[Grant]:
        return [grant for grant in self.broker.grants.values() if grant.wants_path]

    def _strangers(self, port: int) -> list[Request]:
        return [
            item
            for item in self.azure.requests
            if item.port == port and item.initiate_id is None and item.in_force(self.azure.now)
        ]

    @invariant()
    def an_open_path_lets_everybody_in_who_was_granted_it(self):
        """P4, at the moment of the look."""
        looked = self.broker.look()
        claimed = [grant for grant in looked.grants if grant.status is Status.OPEN]
        assert all(
            self.azure.lets_in(source, grant.port) for grant in claimed for source in grant.sources
        )

    @invariant()
    def nobody_is_open_by_a_companion_that_others_come_through(self):
        """P7: the port of an open grant is published by nobody. Here it needs its companion."""
        opened = {grant.port for grant in self.broker.look().grants if grant.status is Status.OPEN}
        assert not opened & self.azure.published

    @invariant()
    def every_end_is_known_before_anything_is_asked(self):
        """P2: an initiate without a stored end would be a path without one."""
        asked = [grant for grant in self.broker.grants.values() if grant.initiate.ids]
        assert all(grant.expires_at is not None for grant in asked)

    @invariant()
    def what_is_closed_cannot_open_any_more(self):
        """P2: absence counts only once presence was possible."""
        grants = self.broker.grants.values()
        carried = {i for grant in grants if grant.live for i in grant.initiate.ids}
        over = {i for grant in grants if not grant.live for i in grant.initiate.ids} - carried
        late = [item for item in self.azure.requests if item.stage == "waiting" and not item.never]
        assert not over & {item.initiate_id for item in late}

    def teardown(self) -> None:
        """P2: after every end nothing of ours is left, and nothing hangs."""
        self.azure.silent = False
        ends = [grant.latest_end for grant in self.broker.grants.values()]
        end = max([self.azure.now, *ends]) + timedelta(hours=3)
        self.broker.live_until(end)
        assert {grant.status for grant in self.broker.grants.values()} <= {Status.CLOSED}
        assert self.azure.companions == {}
        ours = [d for port in (22, 3389) for d in self.azure.doors(port) if d.initiate_id]
        assert ours == [], "a path of ours outlived everything"


TestLaws = Laws.TestCase
TestLaws.settings = settings(max_examples=examples(30, 600), stateful_step_count=25, deadline=None)
