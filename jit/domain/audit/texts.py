"""
Texts of people in the trail: the chain holds salted hashes, the texts stand beside it.

A text is a name, a justification, a reason, a ticket. Each has a salt of its own. The hash is the
SHA-256, in lower-case hexadecimal, of the 16 bytes of the salt followed by the text in UTF-8. If
text and salt are erased, nobody can find the text by guessing, and the chain is still whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

SALT_BYTES = 16

Texts = Mapping[str, Mapping[str, str]]
"""Texts by their names, each as ``{"salt": …, "text": …}``, the salt in lower-case hexadecimal."""


def hash_text(salt: str, text: str) -> str:
    """
    Return the salted hash of a text.

    Raises:
        ValueError: The salt is not hexadecimal.
    """
    return sha256(bytes.fromhex(salt) + text.encode("utf-8", "surrogatepass")).hexdigest()


def split_texts(event: Mapping[str, Any]) -> tuple[dict[str, Any], Texts]:
    """
    Return the event that is hashed, and its texts, which stand beside the chain.

    Args:
        event: As it waits in the outbox: ``texts`` has each text with its salt. An event of an
            earlier version has no ``texts``. It is hashed as it is, with the texts among its facts.

    Raises:
        LookupError, TypeError, ValueError: A text or a salt is missing or malformed.
    """
    texts: Texts = event.get("texts") or {}
    if not texts:
        return dict(event), {}
    hashes = {name: hash_text(each["salt"], each["text"]) for name, each in texts.items()}
    return {**event, "texts": hashes}, texts
