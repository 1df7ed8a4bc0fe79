"""Pointers: they lead back to the tokens, and they are safe to answer."""

from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jit.domain.values.json_pointer import ROOT, at


@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=64)))
def test_a_pointer_leads_back_to_its_tokens(tokens):
    """RFC 6901: percent-decode, split at slashes, undo ~1, then ~0."""
    pointer = ROOT + "".join(at("", token) for token in tokens)
    found = [
        token.replace("~1", "/").replace("~0", "~")
        for token in unquote(pointer, errors="strict").split("/")
    ]

    assert found == ["#", *tokens]


@given(st.text())
def test_a_pointer_is_plain_ascii(token):
    """It is answered, stored and shown, and callers choose the names of fields."""
    assert at(ROOT, token).isascii()
    assert at(ROOT, token).isprintable()


def test_a_hostile_name_is_cut():
    """64 characters of a name are enough to find it."""
    assert at(ROOT, "a" * 60_000) == "#/" + "a" * 64


@pytest.mark.parametrize(
    ("token", "pointer"),
    [
        (0, "#/0"),
        ("", "#/"),
        ("a b", "#/a%20b"),
        ("a/b", "#/a~1b"),
        ("m~n", "#/m~0n"),
        ("c%d", "#/c%25d"),
        ('k"l', "#/k%22l"),
        ("\u00e9", "#/%C3%A9"),
    ],
)
def test_a_pointer_reads_as_rfc_6901_has_it(token, pointer):
    """The examples of its section 6, in upper-case hexadecimal."""
    assert at(ROOT, token) == pointer
