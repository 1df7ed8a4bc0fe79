"""Patterns of actions: wildcards that match any text, compared with a naive model."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jit.domain.authorization.action_patterns import covers, overlaps

INITIATE = "Microsoft.Security/locations/jitNetworkAccessPolicies/initiate/action"
NICS = "Microsoft.Network/networkInterfaces/*/read"

PATTERNS = st.text("ab*", max_size=6)
ACTIONS = st.text("ab", max_size=7)


def matches(pattern, action):
    """The naive model: a regular expression."""
    parts = map(re.escape, pattern.lower().split("*"))
    return re.fullmatch(".*".join(parts), action.lower(), re.DOTALL) is not None


@pytest.mark.parametrize(
    "pattern",
    [
        "*",
        INITIATE.upper(),
        "Microsoft.Security/*",
        "*/action",
        "microsoft.security/locations/*/initiate/*",
        f"{INITIATE}*",
        f"*{INITIATE}",
    ],
)
def test_a_wildcard_stands_for_any_run_of_characters(pattern):
    """Nothing and slashes included; letter case does not matter."""
    assert covers(pattern, INITIATE)


@pytest.mark.parametrize(
    "pattern",
    ["", "*/read", "Microsoft.Compute/*", INITIATE[:-1], f"{INITIATE}s", "Microsoft.Security/*/*x"],
)
def test_another_text_is_not_covered(pattern):
    assert not covers(pattern, INITIATE)


@pytest.mark.parametrize(
    ("pattern", "covered"),
    [
        ("*/read", True),
        ("Microsoft.Network/networkInterfaces/*", True),
        (NICS, True),
        ("Microsoft.Network/networkInterfaces/read", False),
        ("Microsoft.Network/networkInterfaces/ipConfigurations/read", False),
        ("Microsoft.Network/*/ipConfigurations/read", False),
    ],
)
def test_a_needed_pattern_is_covered_if_all_its_actions_are(pattern, covered):
    """One of its actions alone is not enough."""
    assert covers(pattern, NICS) is covered


@pytest.mark.parametrize(
    ("pattern", "touched"),
    [
        ("Microsoft.Network/networkInterfaces/ipConfigurations/read", True),
        ("Microsoft.Network/*/ipConfigurations/read", True),
        ("Microsoft.Network/networkInterfaces/read", False),
        ("*/write", False),
        ("*/delete", False),
        ("Microsoft.Compute/*", False),
        ("*", True),
    ],
)
def test_patterns_overlap_if_one_action_matches_both(pattern, touched):
    assert (overlaps(pattern, NICS), overlaps(NICS, pattern)) == (touched, touched)


def test_letters_that_only_look_alike_are_others():
    """The Kelvin sign is no k, as in ids of resources."""
    assert not covers("Microsoft.\u212aubernetes/*", "Microsoft.kubernetes/read")


@given(PATTERNS, ACTIONS)
def test_an_action_is_covered_as_the_model_says(pattern, action):
    assert covers(pattern, action) is matches(pattern, action)
    assert overlaps(pattern, action) is matches(pattern, action)


@given(PATTERNS, PATTERNS, ACTIONS)
def test_a_covered_pattern_has_no_action_outside(pattern, needed, action):
    """And two patterns with one action in common overlap."""
    inside = matches(needed, action)

    assert not (covers(pattern, needed) and inside and not matches(pattern, action))
    assert overlaps(pattern, needed) or not (inside and matches(pattern, action))


@given(PATTERNS, PATTERNS)
def test_patterns_that_overlap_have_an_action_in_common(one, other):
    """The longest parts of both, one after the other, are such an action."""
    joined = {
        f"{max(one.split('*')[0], other.split('*')[0], key=len)}{middle}"
        f"{max(one.split('*')[-1], other.split('*')[-1], key=len)}"
        for middle in (
            "".join(one.split("*")[1:-1] + other.split("*")[1:-1]),
            "",
        )
    }
    common = {each for each in (*joined, one, other) if matches(one, each) and matches(other, each)}

    assert overlaps(one, other) is bool(common - {each for each in common if "*" in each})


@given(PATTERNS, PATTERNS)
def test_a_pattern_that_is_not_covered_has_an_action_outside(pattern, needed):
    """A sign that no pattern has stands for all that its wildcards match."""
    assert covers(pattern, needed) is matches(pattern, needed.replace("*", "#"))
