"""Messages: a key, never state."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jit import messages
from jit.domain.errors import Defect


@given(st.text(max_size=500))
def test_a_policy_is_read_as_it_was_sent(policy_id):
    """An id may hold any characters."""
    assert messages.read(messages.policy(policy_id).encode(), "policy") == policy_id


@given(st.text(max_size=100))
def test_a_subscription_is_read_as_it_was_sent(subscription):
    """An id may hold any characters."""
    assert messages.read(messages.reconcile(subscription).encode(), "subscription") == subscription


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"null", b'{"other": 1}', b'{"policy": 7}', b"\xff", b"{" * 9000]
)
def test_a_message_that_is_not_ours_is_a_defect(body):
    """The host tries it five times, then it is poison and an alert: never silently dropped."""
    with pytest.raises(Defect):
        messages.read(body, "policy")


def test_a_message_holds_only_its_key():
    """Losing it, or getting it twice, changes nothing."""
    assert messages.policy("p") == '{"policy": "p"}'


def test_a_look_is_read_as_it_was_asked_for():
    """A message of an older version names none."""
    wanted = messages.policy("p", look="r1").encode()

    assert (messages.read(wanted, "policy"), messages.read_look(wanted)) == ("p", "r1")
    assert messages.read_look(messages.policy("p").encode()) is None


def test_a_message_may_want_the_audit_outbox_alone():
    """To an older version it names a subscription to compare: that drains the outbox too."""
    wanted, other = messages.drain("s").encode(), messages.reconcile("s").encode()

    assert messages.read(wanted, "subscription") == "s"
    assert [messages.has_part(each, messages.AUDIT) for each in (wanted, other, b"{")] == [
        True,
        False,
        False,
    ]


def test_a_message_may_want_the_access_of_barred_people_revoked():
    """To an older version it names a subscription to compare: that does no harm."""
    wanted = messages.revoke_barred("s").encode()

    assert messages.read(wanted, "subscription") == "s"
    assert messages.has_part(wanted, messages.BARS)
    assert not messages.has_part(messages.drain("s").encode(), messages.BARS)
