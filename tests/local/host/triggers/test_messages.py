"""Queue messages between the wire and the function."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.host.triggers import messages


@given(st.binary())
def test_base64_brings_back_the_sent_body(body):
    """Any bytes survive."""
    assert messages.decode(messages.encode(body, "base64"), "base64") == body


@given(st.text())
def test_no_encoding_brings_back_text(body):
    """Any text survives as UTF-8."""
    assert messages.decode(messages.encode(body, "none"), "none") == body.encode()


@pytest.mark.parametrize("content", ["not base64!", "YQ", "YQ==\n", "é"])
def test_a_text_that_is_not_base64_has_no_body(content):
    """Such a message goes to the poison queue unseen, as in the real host."""
    assert messages.decode(content, "base64") is None
