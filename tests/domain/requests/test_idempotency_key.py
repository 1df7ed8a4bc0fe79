"""The header that makes a repetition safe."""

import pytest

from jit.domain.requests.idempotency_key import read_idempotency_key
from tests.builders.bodies import faults


@pytest.mark.parametrize("header", [None, "x", "a b", '"8e03978e"', "~" * 255, "!"])
def test_an_idempotency_key_is_read_as_it_is(header):
    """1 to 255 printable ASCII characters, or none sent at all."""
    assert read_idempotency_key(header) == (header, ())


@pytest.mark.parametrize("header", ["", " ", " x", "x ", "x" * 256, "caf\u00e9", "a\tb", "a\n"])
def test_another_idempotency_key_is_refused(header):
    """A caller who sent one believes to be protected."""
    key, violations = read_idempotency_key(header)

    assert (key, faults(violations)) == (None, [("#", "idempotency-key-malformed")])
