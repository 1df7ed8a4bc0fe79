"""Decision about an extension: may a grant stay open for that long from now?"""

from dataclasses import replace
from datetime import timedelta

import pytest

from jit.domain.decision.extension import (
    check_extension,
    explain_no_change,
    explain_unlisted,
    find_latest_end,
    find_new_end,
    is_step,
)
from jit.domain.limits import LIMITS
from jit.domain.model.absence import Absence
from jit.domain.model.grant import Status
from jit.domain.model.machine import PortRule
from jit.domain.values import arm_ids
from tests.builders.grants import a_grant
from tests.builders.machines import a_vm
from tests.builders.values import HOUR, MINUTE, NOW

RULE = PortRule(number=22, protocol="TCP", allowed_sources=("*",), max_duration=3 * HOUR)


def opened(**changes):
    """A grant of two hours that was admitted at NOW and seen open a minute later."""
    fields = {
        "status": Status.OPEN,
        "admitted_at": NOW,
        "opened_at": NOW + MINUTE,
        "expires_at": NOW + 2 * HOUR,
        **changes,
    }
    return a_grant(**fields)


def refused(duration, *, grant=None, rule=RULE, now=NOW + HOUR, limits=LIMITS):
    """The codes of the reasons against an extension."""
    found = check_extension(grant or opened(), rule, duration, now=now, limits=limits)
    return [violation.code for violation in found]


def test_the_new_end_counts_from_now_in_whole_seconds():
    """Defender's ends have no fraction."""
    now = NOW + timedelta(microseconds=999_999)

    assert find_new_end(HOUR, now=now) == NOW + HOUR


@pytest.mark.parametrize(
    ("duration", "codes"), [(3 * HOUR, []), (3 * HOUR + MINUTE, ["over-maximum"])]
)
def test_an_extension_may_last_as_long_as_a_new_request(duration, codes):
    """The maximum of the port counts from now."""
    assert refused(duration) == codes


@pytest.mark.parametrize(
    ("now", "codes"),
    [
        (NOW + 6 * HOUR + MINUTE, []),
        (NOW + 6 * HOUR + 2 * MINUTE, ["longest-access"]),
    ],
)
def test_access_ends_at_the_latest_so_long_after_its_opening(now, codes):
    """However often it is extended."""
    assert refused(2 * HOUR, now=now) == codes


def test_all_reasons_are_named_at_once():
    """The caller needs one round trip."""
    assert refused(9 * HOUR) == ["over-maximum", "longest-access"]


def test_a_longer_first_duration_bounds_extensions():
    """A policy may allow ten hours at once: an extension takes nothing of them away."""
    long = opened(duration=10 * HOUR, expires_at=NOW + 10 * HOUR)
    rule = replace(RULE, max_duration=10 * HOUR)

    assert find_latest_end(long, LIMITS) == NOW + MINUTE + 10 * HOUR
    assert refused(9 * HOUR, grant=long, rule=rule) == []
    assert refused(9 * HOUR + 2 * MINUTE, grant=long, rule=rule) == ["longest-access"]


@pytest.mark.parametrize(
    ("changes", "begin"),
    [
        ({}, NOW + MINUTE),
        ({"opened_at": None}, NOW),
        ({"opened_at": None, "admitted_at": None, "starts_at": NOW - MINUTE}, NOW - MINUTE),
    ],
    ids=["open", "not seen open yet", "row of an older version"],
)
def test_without_an_opening_the_time_counts_from_an_earlier_instant(changes, begin):
    """Doubt shortens access."""
    assert find_latest_end(opened(**changes), LIMITS) == begin + LIMITS.longest_access


def test_a_port_without_a_rule_has_no_maximum_here():
    """The decision about the whole access refuses it."""
    assert refused(3 * HOUR + MINUTE, rule=None) == []


@pytest.mark.parametrize(
    ("others", "words"),
    [
        ([], "until 2026-11-22T20:00:00Z already"),
        ([NOW + 3 * HOUR], "until 2026-11-22T20:00:00Z and 2026-11-22T21:00:00Z already"),
    ],
)
def test_an_extension_without_effect_names_the_ends(others, words):
    """One, or the first and the last."""
    grants = [opened(), *(opened(expires_at=end) for end in others)]

    (violation,) = explain_no_change(grants, 10 * MINUTE, now=NOW + HOUR)

    assert (violation.pointer, violation.code) == ("#/duration", "no-change")
    assert words in violation.detail
    assert "PT10M would end at 2026-11-22T19:10:00Z" in violation.detail


@pytest.mark.parametrize(
    ("duration", "is_taken"),
    [(HOUR, False), (HOUR + 5 * MINUTE - timedelta(seconds=1), False), (HOUR + 5 * MINUTE, True)],
)
def test_a_step_is_five_minutes_for_one_end_at_least(duration, is_taken):
    """The earliest end decides; a grant without an end was not admitted yet."""
    grants = [opened(), opened(expires_at=NOW + 9 * HOUR), opened(expires_at=None)]

    assert is_step(grants, duration, now=NOW + HOUR) == is_taken


@pytest.mark.parametrize(
    ("lacked", "name"),
    [
        (None, ""),
        ("id", "web01"),
        ("policy_id", "the JIT policy of web01"),
        ("firewall_id", ""),
    ],
)
def test_what_the_last_lists_lacked_is_named(lacked, name):
    """The VM or its JIT policy; a firewall decides about no extension."""
    vm = replace(a_vm(), name="web01", policy_id=f"{a_vm().id}/p", firewall_id=f"{a_vm().id}/f")
    keys = [arm_ids.key(getattr(vm, lacked))] if lacked else []
    vm = replace(vm, absences=tuple(Absence(key=key, since=NOW) for key in keys))

    told = f"Azure did not list {name}" if name else ""
    assert explain_unlisted(vm) == told
