"""Events: one JSON line each, with identifiers, without anybody's words."""

import json
import logging
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jit import telemetry
from jit.domain.errors import AccessDenied
from tests.broker.inprocess import DAVE, OLGA, THERE, InProcess, farm, wish
from tests.local.azure.sim import DB01, WEB01

SECRET = "a-word-that-only-the-trail-may-hold"


@pytest.fixture(autouse=True)
def _everything(caplog):
    """Catch all log records, of any level."""
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, logger="jit")


@given(st.text(min_size=1), st.text())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_an_event_is_one_line_of_json(caplog, name, text):
    """The worker forwards only the formatted message; a field never breaks the line."""
    caplog.clear()

    telemetry.event(name, text=text)

    (record,) = caplog.records
    line = record.getMessage()
    assert line.splitlines() == [line]
    assert json.loads(line) == {"event": name, "text": text}


def test_an_event_may_carry_instants_and_spans(caplog):
    """Values that JSON does not know are written as text."""
    at = datetime(2026, 11, 22, tzinfo=UTC)

    telemetry.event("x.happened", at=at, span=timedelta(minutes=1))

    assert json.loads(caplog.messages[0])["at"] == "2026-11-22 00:00:00+00:00"


@pytest.mark.parametrize(
    ("say", "level"),
    [(telemetry.event, "INFO"), (telemetry.warning, "WARNING"), (telemetry.alert, "ERROR")],
)
def test_the_level_says_if_a_person_must_act(caplog, say, level):
    """Nobody, somebody tomorrow, a person now."""
    say("x.happened", count=1)

    (record,) = caplog.records
    assert (record.levelname, record.name) == (level, "jit")


def test_azures_clients_do_not_log_their_calls():
    """Their INFO is every request with its headers."""
    assert logging.getLogger("azure.core.pipeline").getEffectiveLevel() >= logging.WARNING


def _a_busy_day(broker: InProcess) -> None:
    """Requests that open, close, are extended, revoked, denied, refused, superseded."""
    said: dict[str, Any] = {
        "justification": SECRET,
        "ticket": {"system": "servicenow", "id": SECRET},
    }
    opened = broker.ask(wish(farm(1), **said), key=f"key-{SECRET}")
    behind = broker.ask(wish(WEB01, 3389, **said))
    broker.live(8)
    broker.ask(wish(farm(1), 22, THERE, **said), DAVE)
    with pytest.raises(AccessDenied):
        broker.accept(wish(DB01, 443, **said))
    broker.extend(opened, timedelta(hours=2))
    broker.revoke(behind, OLGA, SECRET)
    broker.live(15)
    slow = {"status": 429, "code": "TooManyRequests", "message": SECRET}
    wrong = {"status": 400, "code": "Bad", "message": SECRET}
    lost = {"status": 403, "code": "AuthorizationFailed", "message": SECRET}
    for answer in (slow, wrong, lost):
        initiate = {"method": "POST", "path": "/initiate"}
        broker.sim.faults({"match": initiate, "answer": answer})
        broker.ask(wish(farm(11), justification=SECRET + str(answer["status"])))
        broker.live(3)
    broker.live(200)


def test_nobodys_words_and_no_token_is_ever_logged(caplog):
    """Justifications, tickets, reasons, keys, names, Azure's own text: the trail has them."""
    broker = InProcess()

    _a_busy_day(broker)

    log = "\n".join(record.getMessage() for record in caplog.records if record.name == "jit")
    assert log.count("grant.opened") >= 3
    assert [word for word in (SECRET, "Ashdown", "Bearer", "eyJ") if word in log] == []


def test_every_line_of_a_busy_day_is_an_event(caplog):
    """A query over the log reads all of it."""
    _a_busy_day(InProcess())

    lines = [json.loads(each.getMessage()) for each in caplog.records if each.name == "jit"]
    assert [line for line in lines if "." not in line["event"]] == []
