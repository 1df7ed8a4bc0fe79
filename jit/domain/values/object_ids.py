"""Object ids of Microsoft Entra ID: reading them."""

from __future__ import annotations

import re

from jit.domain.errors import Malformed

OBJECT_ID_MALFORMED = "object-id-malformed"

_FORM = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE | re.ASCII)
_NOBODY = "00000000-0000-0000-0000-000000000000"


def parse_object_id(text: str) -> str:
    """
    Return an object id in lower case, as the broker stores and compares it.

    Raises:
        Malformed: The text is no object id, or the one of nobody, all zeros.
    """
    found = text.lower()
    if _FORM.fullmatch(text) is None or found == _NOBODY:
        detail = "name a person by the Entra object id, 8-4-4-4-12 hexadecimal digits"
        raise Malformed(OBJECT_ID_MALFORMED, detail)
    return found
