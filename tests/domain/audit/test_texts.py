"""Texts beside the chain: salted hashes, which anybody can check and nobody can guess from."""

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jit.domain.audit.texts import SALT_BYTES, hash_text, split_texts

SALT = "00112233445566778899aabbccddeeff"


def test_a_salted_hash_can_be_checked_with_the_documentation_alone():
    """The bytes of the salt, then the text in UTF-8."""
    assert len(bytes.fromhex(SALT)) == SALT_BYTES

    assert hash_text(SALT, "é") == sha256(bytes.fromhex(SALT) + b"\xc3\xa9").hexdigest()


@given(st.text(alphabet=st.characters(exclude_categories=())))
def test_every_text_has_a_hash_that_depends_on_its_salt(text):
    """Also text that UTF-8 cannot write: a token may have a lone surrogate in a name."""
    assert hash_text(SALT, text) != hash_text(SALT[::-1], text)


def test_the_hashed_event_has_no_text_and_no_salt():
    """The texts stand beside it."""
    texts = {"reason": {"salt": SALT, "text": "shift over"}}

    hashed, beside = split_texts({"what": "grant.closed", "texts": texts})

    assert hashed == {"what": "grant.closed", "texts": {"reason": hash_text(SALT, "shift over")}}
    assert beside == texts


def test_an_event_of_an_earlier_version_is_hashed_as_it_is():
    """Its texts stand among its facts; its record is verified in the same way."""
    event = {"what": "request.accepted", "facts": {"justification": "patch"}}

    assert split_texts(event) == (event, {})


@pytest.mark.parametrize("text", [{"text": "x"}, {"salt": SALT}, {"salt": "x", "text": "x"}, "x"])
def test_a_text_without_a_salt_is_refused(text):
    """A row that holds it is unreadable, and stays in the outbox."""
    with pytest.raises((LookupError, TypeError, ValueError)):
        split_texts({"texts": {"reason": text}})
