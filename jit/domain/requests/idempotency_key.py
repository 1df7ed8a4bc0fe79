"""The header ``Idempotency-Key``."""

from __future__ import annotations

import re

from jit.domain.errors import Violation
from jit.domain.values.json_pointer import ROOT

KEY_MALFORMED = "idempotency-key-malformed"

_KEY = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,253}[\x21-\x7e])?")


def read_idempotency_key(header: str | None) -> tuple[str | None, tuple[Violation, ...]]:
    """
    Read the header: 1 to 255 printable ASCII characters, no space at its ends.

    None without a violation if the caller sent no header. An empty header is a fault: the caller
    believes to be protected.
    """
    if header is None or _KEY.fullmatch(header):
        return header, ()
    detail = "Idempotency-Key takes 1 to 255 printable ASCII characters"
    return None, (Violation(ROOT, KEY_MALFORMED, detail),)
