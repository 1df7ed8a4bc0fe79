"""The documentation of problem types that is deployed with the broker."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from jit.domain.errors import NotFound

_PAGE = Path(__file__).resolve().parents[2] / "docs/problems.md"
_TYPE = re.compile(r"^### (.+)$", re.MULTILINE)


def find_problem(slug: str) -> str:
    """
    Return the Markdown about one type of problem, from its heading on.

    Args:
        slug: The end of the ``type`` of a problem: ``invalid-request``.

    Raises:
        NotFound: No type has this slug.
    """
    text = _read_types().get(slug)
    if text is None:
        raise NotFound("there is no such type of problem")
    return f"### {slug}\n\n{text.strip()}\n"


@cache
def _read_types() -> Mapping[str, str]:
    types = _PAGE.read_text(encoding="utf-8").partition("\n## Types\n")[2].partition("\n## ")[0]
    _, *parts = _TYPE.split(types)
    return dict(zip(parts[::2], parts[1::2], strict=True))
