"""
Texts that people can read: the visible characters of a text, and those that hide something.

The classes are those of Unicode, as this Python knows them (`unicodedata.unidata_version`): a
character of a newer Unicode counts as unassigned.

Source:
    Unicode Standard Annex 44, "General Category Values"; "Default_Ignorable_Code_Point" in
    DerivedCoreProperties.txt of the Unicode Character Database
    (https://www.unicode.org/Public/UCD/latest/ucd/DerivedCoreProperties.txt).
"""

from __future__ import annotations

import unicodedata

CONTROLS = "\x00-\x1f\x7f-\x9f\u2028\u2029"
"""Control characters and line breaks, as a class of a regular expression."""

_BREAKS = {"Cc", "Zl", "Zp"}
_HIDDEN = {"Cf", "Cn", "Co", "Cs"}  # format, unassigned, private use, half a surrogate pair
_JOINERS = "\u200c\u200d"
_BLANK = "\u2800\U0001d159"  # symbols without ink: an empty pattern of Braille, an empty note
_NOT_DRAWN = (  # of visible classes, and drawn as nothing: joiners of marks, fillers, selectors
    (0x034F, 0x034F),
    (0x115F, 0x1160),
    (0x17B4, 0x17B5),
    (0x180B, 0x180F),
    (0x3164, 0x3164),
    (0x16FE4, 0x16FE4),
    (0xFE00, 0xFE0F),
    (0xFFA0, 0xFFA0),
    (0xE0100, 0xE01EF),
)
_IGNORED = frozenset(chr(code) for low, high in _NOT_DRAWN for code in range(low, high + 1))


def count_visible(text: str) -> int:
    """
    Return how many letters, digits, signs and symbols *text* has.

    Spaces, marks on a letter, and hidden characters do not count.
    """
    return sum(map(_has_ink, text))


def find_breaks(text: str) -> list[int]:
    """Return the places of control characters and line breaks of any kind."""
    return [place for place, char in enumerate(text) if unicodedata.category(char) in _BREAKS]


def find_hidden(text: str) -> list[int]:
    """
    Return the places of characters that nobody sees, or that change how others are shown.

    These are format, private-use and unassigned characters, halves of surrogate pairs, fillers and
    variation selectors. A joiner (U+200C, U+200D) is none if it is between two visible ones, not
    both ASCII: Persian, Indic scripts and emoji need it there.
    """
    return [place for place, char in enumerate(text) if _is_hidden(char, text, place)]


def make_line(text: str) -> str:
    """
    Return *text* as one line that people can read; empty if nobody would see anything.

    A space stands for each run of spaces, breaks and hidden characters inside, and nothing for
    those at both ends.
    """
    if not count_visible(text):
        return ""
    gone = {*find_breaks(text), *find_hidden(text)}
    kept = (" " if place in gone else char for place, char in enumerate(text))
    return " ".join("".join(kept).split())


def name_character(char: str) -> str:
    """Return the number of *char* in Unicode, and its name if it has one; ASCII only."""
    name = unicodedata.name(char, "")
    return f"U+{ord(char):04X} ({name})" if name else f"U+{ord(char):04X}"


def _is_hidden(char: str, text: str, place: int) -> bool:
    if char in _JOINERS:
        around = (text[max(place - 1, 0)], text[min(place + 1, len(text) - 1)])
        return "".join(around).isascii() or not all(map(_is_visible, around))
    return unicodedata.category(char) in _HIDDEN or char in _IGNORED


def _is_visible(char: str) -> bool:
    """Return True if *char* has ink, or is a mark on a character that has."""
    return _has_ink(char) or (unicodedata.category(char)[0] == "M" and char not in _IGNORED)


def _has_ink(char: str) -> bool:
    is_blank = char in _BLANK or char in _IGNORED
    return unicodedata.category(char)[0] in "LNPS" and not is_blank
