"""The body of an extension: its good parts, and every fault."""

from datetime import timedelta

import pytest

from jit.domain.requests.extension_body import Extension, read_extend
from tests.builders.bodies import faults


@pytest.mark.parametrize(
    ("value", "extension"),
    [
        ({"duration": "PT1H"}, (timedelta(hours=1), None)),
        (
            {"duration": "PT5M", "reason": "not done yet"},
            (timedelta(minutes=5), "not done yet"),
        ),
    ],
)
def test_an_extension_is_read(value, extension):
    """How long from now, and maybe why; the body and the key tell a repetition."""
    duration, reason = extension
    expected = Extension(duration=duration, reason=reason, body=value, key="k")

    assert read_extend(value, key="k") == (expected, ())


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ({}, [("#/duration", "missing-field")]),
        ({"duration": "PT1M"}, [("#/duration", "duration-too-short")]),
        ({"duration": "P2D"}, [("#/duration", "duration-too-long")]),
        ({"duration": "PT1H", "reason": ""}, [("#/reason", "text-too-short")]),
        (
            {"duration": 1, "reason": 1, "until": 1},
            [
                ("#/until", "unknown-field"),
                ("#/duration", "wrong-type"),
                ("#/reason", "wrong-type"),
            ],
        ),
    ],
)
def test_a_faulty_extension_is_refused(value, found):
    """Nothing is extended by half a body."""
    extension, violations = read_extend(value)

    assert (extension, faults(violations)) == (None, found)
