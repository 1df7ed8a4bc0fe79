"""The body of a bar: a reason, an end that lies ahead."""

from datetime import timedelta

import pytest

from jit.domain.limits import LIMITS
from jit.domain.model.bar import WantedBar
from jit.domain.requests.bar_body import FUTURE_TIME, read_bar
from jit.domain.requests.fields import ReadContext
from jit.domain.requests.json_node import Node
from jit.domain.values.times import format_instant
from tests.builders.values import HOUR, NOW

REASON = "left the company"


def test_a_bar_needs_a_reason_alone():
    """Then it has no end, and open paths stay open."""
    assert read_bar({"reason": REASON}, now=NOW) == (WantedBar(reason=REASON), ())


def test_a_bar_may_end_and_may_revoke():
    body = {"reason": REASON, "until": format_instant(NOW + HOUR), "revoke": True}

    wanted, _ = read_bar(body, now=NOW)

    assert wanted == WantedBar(reason=REASON, until=NOW + HOUR, revoke=True)


@pytest.mark.parametrize(
    ("body", "faults"),
    [
        ({}, [("#/reason", "missing-field")]),
        ({"reason": "gone"}, [("#/reason", "text-too-short")]),
        ({"reason": "x" * 501}, [("#/reason", "text-too-long")]),
        ({"reason": REASON, "until": None}, [("#/until", "wrong-type")]),
        ({"reason": REASON, "until": format_instant(NOW)}, [("#/until", "until-in-past")]),
        ({"reason": REASON, "until": "2026-11-22T18:00:00"}, [("#/until", "time-without-zone")]),
        ({"reason": REASON, "revoke": 1}, [("#/revoke", "wrong-type")]),
        ({"reason": REASON, "id": "x"}, [("#/id", "unknown-field")]),
    ],
)
def test_a_faulty_bar_is_refused_with_its_faults(body, faults):
    """Each with its place and its code."""
    wanted, found = read_bar(body, now=NOW)

    assert wanted is None
    assert [(each.pointer, each.code) for each in found] == faults


def test_the_end_lies_after_the_present():
    """A microsecond is enough."""
    wanted, _ = read_bar(
        {"reason": REASON, "until": (NOW + timedelta(0, 0, 1)).isoformat()}, now=NOW
    )

    assert wanted is not None


def test_an_end_cannot_be_read_without_the_present():
    """A reader that forgot to ask for the time must not accept any end."""
    with pytest.raises(ValueError, match="present"):
        FUTURE_TIME.read(Node("2026-11-22T18:00:00Z", "#", []), ReadContext(LIMITS))
