"""The process dies, or a call fails, at any point of a pass: another pass comes to the same end."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

import pytest

from jit.domain.errors import Unavailable, Unknown
from tests.broker.inprocess import DAVE, HERE, THERE, InProcess, farm, wish
from tests.fakes.calls import Crash
from tests.local.azure.sim import FW_PROD, WEB01
from tests.sizes import sample

pytestmark = pytest.mark.scaled
KEY = "one key"
Act = Callable[[InProcess], None]
Holds = Callable[[InProcess], bool]


@dataclass(frozen=True)
class Blow:
    """A blow to a call: *error* is raised before the call acts, or after, so its answer is lost."""

    when: str
    error: Callable[[], BaseException]
    first: int


DIES = Blow("before", Crash, 0)  # after a call is the same as before the next
FAILS = Blow("before", partial(Unavailable, "it did not answer"), 1)
LOSES = Blow("after", partial(Unknown, "its answer was lost"), 2)
every_blow = pytest.mark.parametrize("blow", [DIES, FAILS, LOSES], ids=["dies", "fails", "loses"])


def broken_points(blow: Blow, prepare: Act, act: Act, holds: Holds, minutes: float) -> list[int]:
    """
    Strike each call of *act* in turn; return the calls after which *holds* does not hold.

    After the blow every message is lost and the clock runs for *minutes*: the timer alone must
    bring the broker to where *holds* is true. ``make test`` strikes every third call.
    """
    calls = sample(range(1, _calls(prepare, act) + 1), 3, first=blow.first)
    return [number for number in calls if not holds(_struck(blow, prepare, act, minutes, number))]


def _calls(prepare: Act, act: Act) -> int:
    broker = InProcess()
    prepare(broker)
    before = broker.calls.count()
    act(broker)
    return broker.calls.count() - before


def _struck(blow: Blow, prepare: Act, act: Act, minutes: float, number: int) -> InProcess:
    broker = InProcess()
    prepare(broker)
    first = broker.calls.count()

    def strike(_name: str, now: int) -> None:
        if now == first + number:
            raise blow.error()

    setattr(broker.calls, blow.when, strike)
    with suppress(Crash, Unavailable):
        act(broker)
    broker.queues.lose()
    broker.live(minutes)
    return broker


def _only(broker: InProcess) -> str:
    """Return the id of the one request that is stored, live or finished."""
    rows = [*broker.state.rows("r|"), *(r for r in broker.history.rows() if r.key.endswith("|"))]
    (found,) = {row.key.removeprefix("r|").removesuffix("|") for row in rows}
    return found


def _asked(broker: InProcess) -> None:
    broker.ask(wish(farm(1)), key=KEY)


def _passed(broker: InProcess) -> None:
    broker.work(farm(1))


# ---- accepting -----------------------------------------------------------------------------------


def _nothing(_: InProcess) -> None:
    return


def _stored_once_when_repeated(broker: InProcess) -> bool:
    request_id = broker.ask(wish(farm(1)), key=KEY)
    broker.live(2)
    return len(broker.state.rows("g|")) == 1 and broker.status(request_id) == "open"


@every_blow
def test_a_post_that_broke_off_at_any_call_is_finished_by_its_repetition(blow):
    """The same key again: one request, and it opens."""
    assert broken_points(blow, _nothing, _asked, _stored_once_when_repeated, 0.6) == []


# ---- opening -------------------------------------------------------------------------------------


def _open_to_its_source_alone(broker: InProcess) -> bool:
    inside = [broker.reachable(farm(1), 22, source) for source in (HERE, THERE)]
    grant = broker.grant(_only(broker))
    return inside == [True, False] and grant.status == "open" and grant.connection is not None


@every_blow
def test_a_pass_that_broke_off_while_it_opened_a_path_is_repaired(blow):
    """The end was stored before Azure was asked; whether it was asked is read from Azure."""
    assert broken_points(blow, _asked, _passed, _open_to_its_source_alone, 4) == []


def _appeared(broker: InProcess) -> None:
    _asked(broker)
    broker.work(farm(1))
    broker.sim.advance("PT20S")


def test_a_pass_that_died_while_it_looked_at_a_path_is_made_good():
    """Looking changes nothing: the next look sees the same."""
    assert broken_points(DIES, _appeared, _passed, _open_to_its_source_alone, 3) == []


def _second_asked(broker: InProcess) -> None:
    _asked(broker)
    broker.live(1)
    broker.ask(wish(farm(1), source=THERE), DAVE, key=KEY)


def _open_to_both(broker: InProcess) -> bool:
    return broker.reachable(farm(1), 22, HERE) and broker.reachable(farm(1), 22, THERE)


def test_a_pass_that_died_while_somebody_joined_leaves_both_with_a_path():
    """The first one's path survives every half of the hand-over."""
    assert broken_points(DIES, _second_asked, _passed, _open_to_both, 4) == []


def test_the_end_of_a_path_is_durable_before_its_beginning(broker):
    """A process that dies when it is about to ask Azure has stored when the path ends."""
    _asked(broker)

    def die(name: str, _: int) -> None:
        if name == "policies.initiate":
            raise Crash

    broker.calls.before = die
    with pytest.raises(Crash):
        broker.work(farm(1))

    assert broker.grant(_only(broker)).expires_at is not None


# ---- closing -------------------------------------------------------------------------------------


def _revoked(broker: InProcess) -> None:
    _asked(broker)
    broker.live(1)
    broker.revoke(_only(broker))


def _closed(broker: InProcess) -> bool:
    finished = broker.status(_only(broker)) == "closed" and broker.state.rows("g|") == ()
    return finished and not broker.reachable(farm(1)) and len(broker.history.rows()) == 2


@every_blow
def test_a_pass_that_broke_off_while_it_removed_a_rule_is_repaired(blow):
    """Removed or not: the next pass sees which."""
    assert broken_points(blow, _revoked, _passed, _closed, 4) == []


def _gone(broker: InProcess) -> None:
    _revoked(broker)
    broker.work(farm(1))
    broker.sim.advance("PT10S")


@every_blow
def test_a_pass_that_broke_off_while_it_finished_a_request_is_repaired(blow):
    """A move to history that stopped half-way is completed: no request twice, none lost."""
    assert broken_points(blow, _gone, _passed, _closed, 4) == []


# ---- behind a firewall ---------------------------------------------------------------------------


def _asked_behind_firewall(broker: InProcess) -> None:
    broker.ask(wish(WEB01, 3389), key=KEY)


def _passed_behind_firewall(broker: InProcess) -> None:
    broker.work(WEB01)


def _open_through_firewall(broker: InProcess) -> bool:
    return broker.status(_only(broker)) == "open" and broker.reachable(WEB01, 3389)


def test_a_pass_that_died_while_it_opened_a_firewall_is_made_good():
    """The firewall's turn that the dead pass held comes back."""
    broken = broken_points(
        DIES, _asked_behind_firewall, _passed_behind_firewall, _open_through_firewall, 9
    )

    assert broken == []


def _revoked_behind_firewall(broker: InProcess) -> None:
    _asked_behind_firewall(broker)
    broker.live(6)
    broker.revoke(_only(broker))


def _firewall_as_before(broker: InProcess) -> bool:
    collections = broker.sim.get(FW_PROD)["properties"]["natRuleCollections"]
    customer = [rule["name"] for rule in collections[0]["properties"]["rules"]]
    untouched = customer == ["https-web01", "reporting"] and not broker.sim.nat()
    return untouched and broker.status(_only(broker)) == "closed"


@pytest.mark.parametrize("blow", [DIES, LOSES], ids=["dies", "loses"])
def test_a_pass_that_broke_off_while_it_changed_a_firewall_is_repaired(blow):
    """Its PUT happened or did not; the customer's rules are as they were."""
    broken = broken_points(
        blow, _revoked_behind_firewall, _passed_behind_firewall, _firewall_as_before, 12
    )

    assert broken == []
