"""
Patterns of actions, as roles and deny assignments name them.

``*`` stands for any run of characters, ``/`` and nothing included. Letter case does not matter.
An action that a person needs may be a pattern, too: it stands for all actions that match it.

Source:
    "Understand Azure role definitions" (https://learn.microsoft.com/azure/role-based-access-control/role-definitions),
    sections "Actions" and "NotActions".
"""

from __future__ import annotations

from jit.domain.values import arm_ids

ANY = "*"


def covers(pattern: str, needed: str) -> bool:
    """
    Return True if *pattern* matches each action that *needed* stands for.

    A ``*`` in *needed* may be any text, so only a ``*`` of *pattern* matches it.

    Args:
        pattern: In any letter case.
        needed: An action, or a pattern of actions; in any letter case.
    """
    first, *others = arm_ids.lower_ascii(pattern).split(ANY)
    text = arm_ids.lower_ascii(needed)
    if not others:
        return text == first
    *middle, last = others
    if not text.startswith(first) or not text[len(first) :].endswith(last):
        return False
    place, end = len(first), len(text) - len(last)
    for part in middle:
        found = text.find(part, place, end)
        if found < 0:
            return False
        place = found + len(part)
    return True


def overlaps(one: str, other: str) -> bool:
    """
    Return True if some action matches both patterns.

    If both have a ``*``, their beginnings and their ends decide: all that lies between may stand
    one after the other in a long action.
    """
    if ANY not in one:
        return covers(other, one)
    if ANY not in other:
        return covers(one, other)
    here, there = (arm_ids.lower_ascii(each).split(ANY) for each in (one, other))
    begins = here[0].startswith(there[0]) or there[0].startswith(here[0])
    return begins and (here[-1].endswith(there[-1]) or there[-1].endswith(here[-1]))
