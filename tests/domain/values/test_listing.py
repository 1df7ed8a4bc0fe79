"""Lists of names in sentences for people."""

import pytest

from jit.domain.values.listing import list_few


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        ([], "none"),
        (["22"], "22"),
        (["22", "3389"], "22 and 3389"),
        (["a", "b", "c"], "a, b and c"),
        (["a", "b", "a"], "a and b"),
        (["a", "b", "c", "d"], "a, b and 2 more"),
        (map(str, range(10_000)), "0, 1 and 9998 more"),
    ],
)
def test_a_list_names_the_first_and_counts_the_others(texts, words):
    """A policy may have ten thousand prefixes; a person reads three."""
    assert list_few(texts, most=3) == words
