"""JSON pointers as URI fragments: the place of a value in a body."""

from __future__ import annotations

ROOT = "#"

_FRAGMENT = frozenset(
    b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~!$&'()*+,;=:@/?"
)
_LONGEST_TOKEN = 64


def at(pointer: str, token: str | int) -> str:
    """
    Return the pointer of *token* below *pointer*, as a URI fragment: ``#/sources/0``.

    A token of more than 64 characters is cut: it is a hostile name, and pointers are answered.

    Source:
        RFC 6901 sections 3 and 6; RFC 3986 section 3.5 lists the characters of a fragment.
    """
    escaped = str(token)[:_LONGEST_TOKEN].replace("~", "~0").replace("/", "~1")
    raw = escaped.encode(errors="replace")  # a lone surrogate has no UTF-8
    return f"{pointer}/" + "".join(
        chr(byte) if byte in _FRAGMENT else f"%{byte:02X}" for byte in raw
    )
