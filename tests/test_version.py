"""The version of the code."""

import re

from jit.version import VERSION


def test_the_version_is_one_of_semantic_versioning():
    """Callers compare it; three numbers, no text."""
    assert re.fullmatch(r"\d+\.\d+\.\d+", VERSION)
