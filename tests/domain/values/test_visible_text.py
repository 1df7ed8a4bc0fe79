"""Texts that people can read: visible characters, hidden ones, line breaks."""

import sys
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jit.domain.values.visible_text import (
    count_visible,
    find_breaks,
    find_hidden,
    make_line,
    name_character,
)
from tests.sizes import examples

FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467"
KISS = "\U0001f469\U0001f3fd\u200d\U0001f680"  # an astronaut with a skin tone
READABLE = {
    "CHG0030001 monthly patch": 22,
    "Größe ändern": 11,
    "日本語 全角\u3000空白": 7,
    "Заменить диск №4": 14,
    "re\u0301parer": 7,  # a letter and its accent are one visible character
    FAMILY: 3,
    KISS: 3,
    "\U0001f1e9\U0001f1ea": 2,  # a flag of two letters
    "می\u200cخو\u0627\u0647م": 7,  # Persian: the joiner keeps two letters apart
    "PDF\u200c\u0647\u0627": 5,
    "क्\u200dष": 2,  # Hindi: the joiner follows a mark
    "র\u200d্য": 2,  # Bengali: a mark follows the joiner
    "ශ්\u200dරී": 2,
    "שלום": 4,
    "a\u00a0b": 2,
}
HIDDEN = {
    "bidi override": ("safe \u202etxet", [5]),
    "bidi isolate": ("\u2066text\u2069", [0, 5]),
    "bidi mark": ("a\u200fb\u061cc", [1, 3]),
    "zero-width space": ("a\u200bb", [1]),
    "byte order mark": ("\ufefftext", [0]),
    "soft hyphen": ("soft\u00adhyphen", [4]),
    "word joiner": ("a\u2060b", [1]),
    "tag characters": ("\U0001f3f4\U000e0067\U000e007f", [1, 2]),
    "Hangul fillers": ("\u3164\uffa0\u115f\u1160", [0, 1, 2, 3]),
    "joiner of marks": ("a\u034fb", [1]),
    "vowels of Khmer without ink": ("\u17b4\u17b5", [0, 1]),
    "Mongolian selectors": ("\u180b\u180c\u180d\u180e\u180f", [0, 1, 2, 3, 4]),
    "variation selector": ("\u2764\ufe0f", [1]),
    "selector of an ideograph": ("葛\U000e0100", [1]),
    "private use": ("\ue000\U000f0000\U0010fffd", [0, 1, 2]),
    "unassigned": ("\u0378\U000e0fff\uffff", [0, 1, 2]),
    "half a pair": ("half \ud800", [5]),
    "joiner in a number": ("CHG\u200d0030001", [3]),
    "filler of Khitan": ("a\U00016fe4", [1]),
    "joiner at the beginning": ("\u200dabc", [0]),
    "joiner at the end": ("abc\u200c", [3]),
    "joiner beside a space": ("a \u200db", [2]),
    "two joiners": ("a\u200d\u200cb", [1, 2]),
    "joiner beside a filler": ("\u3164\u200da", [0, 1]),
    "joiner beside a blank": ("\u2800\u200da", [1]),
    "a joiner alone": ("\u200d", [0]),
}
CHARACTERS = st.characters(max_codepoint=sys.maxunicode)
TEXTS = st.text(CHARACTERS | st.sampled_from("\u200c\u200d\ufe0f\u3164\u0301 a"), max_size=12)


@pytest.mark.parametrize(("text", "visible"), READABLE.items())
def test_a_text_of_any_script_is_readable(text, visible):
    """Joiners stand between visible characters; marks belong to their letters."""
    assert (find_hidden(text), find_breaks(text), count_visible(text)) == ([], [], visible)


@pytest.mark.parametrize(("text", "places"), HIDDEN.values(), ids=HIDDEN)
def test_a_character_that_nobody_sees_is_hidden(text, places):
    """So is one that changes how others are shown, and one that no reader's font has."""
    assert find_hidden(text) == places


@pytest.mark.parametrize(
    "text",
    ["", "     ", "\u3000\u00a0\u2003", "\u0301" * 9, "\u200d" * 9, "\u3164" * 9, "\u2800" * 9],
    ids=["empty", "spaces", "wide spaces", "marks", "joiners", "fillers", "empty Braille"],
)
def test_spaces_marks_and_fillers_alone_are_no_text(text):
    """Five of them are no justification."""
    assert count_visible(text) == 0


@pytest.mark.parametrize("char", "\n\r\t\x00\x1b\x7f\x85\u2028\u2029")
def test_a_line_break_or_control_character_breaks_a_line(char):
    """It is no hidden character as well: one fault tells it."""
    assert (find_breaks(f"a{char}b"), find_hidden(f"a{char}b")) == ([1], [])


@settings(max_examples=examples(50, 5_000))
@given(TEXTS)
def test_a_character_that_is_not_hidden_is_a_letter_a_mark_a_sign_or_a_space(text):
    """Of each text: what remains without hidden characters and breaks is seen by a reader."""
    gone = {*find_hidden(text), *find_breaks(text)}
    kept = [char for place, char in enumerate(text) if place not in gone]
    joiners = [place for place, char in enumerate(text) if char in "\u200c\u200d"]

    assert {unicodedata.category(char)[0] for char in kept if char not in "\u200c\u200d"} <= set(
        "LMNPSZ"
    )
    assert all({place - 1, place + 1}.isdisjoint(gone) for place in joiners if place not in gone)
    assert count_visible(text) <= len(kept)


@settings(max_examples=examples(50, 5_000))
@given(TEXTS)
def test_a_line_has_no_break_and_nothing_hidden_and_stays_as_it_is(text):
    """It is empty exactly if there is nothing to see."""
    line = make_line(text)

    assert (find_breaks(line), find_hidden(line)) == ([], [])
    assert count_visible(line) == count_visible(text)
    assert bool(line) == (count_visible(text) > 0)
    assert make_line(line) == line


@settings(max_examples=examples(50, 5_000))
@given(TEXTS, st.integers(0, 12), st.sampled_from("\u202e\ufeff\u200b\ufe0f\U000e0041\ue000\ud800"))
def test_a_hidden_character_is_found_wherever_it_is_put(text, place, char):
    """And it makes no text longer."""
    longer = text[:place] + char + text[place:]

    assert longer.index(char, min(place, len(text))) in find_hidden(longer)
    assert count_visible(longer) == count_visible(text)


@pytest.mark.parametrize(
    ("char", "name"),
    [
        ("\u202e", "U+202E (RIGHT-TO-LEFT OVERRIDE)"),
        ("\n", "U+000A"),
        ("\ud800", "U+D800"),
        ("\U000e0041", "U+E0041 (TAG LATIN CAPITAL LETTER A)"),
    ],
)
def test_a_character_that_nobody_sees_has_a_name_to_look_for(char, name):
    """In ASCII: a fault never repeats hostile text."""
    assert name_character(char) == name
