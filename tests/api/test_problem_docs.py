"""The documentation of problem types: each type that a caller can get has its text."""

import pytest

from jit.api.problem_docs import find_problem
from jit.domain.errors import BrokerError, NotFound


def list_slugs(kind=BrokerError):
    """Yield the slug of each error below *kind*."""
    for below in kind.__subclasses__():
        if below.__module__.startswith("jit."):
            yield below.slug
            yield from list_slugs(below)


@pytest.mark.parametrize("slug", sorted(set(list_slugs())))
def test_every_type_of_problem_has_its_text(slug):
    """A caller who follows the type of a problem reads about it, and about no other one."""
    text = find_problem(slug)

    assert text.startswith(f"### {slug}\n\n")
    assert text.count("\n#") == 0
    assert len(text.split()) > 10


@pytest.mark.parametrize(
    "slug", ["", "x", "Types", "any-body", "Any body", "../README", "Conflict"]
)
def test_no_other_text_is_served(slug):
    """404: the slug is a name of a type, and no path."""
    with pytest.raises(NotFound):
        find_problem(slug)
