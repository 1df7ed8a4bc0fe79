"""Access requests: the fields that a caller must not leave out."""

from dataclasses import MISSING, fields

from jit.domain.model.request import AccessRequest, Request


def test_the_sources_of_a_request_are_never_a_default():
    """An initiate without a source opens the port to the caller of the API: the broker."""
    defaults = {
        field.name: field.default
        for kind in (AccessRequest, Request)
        for field in fields(kind)
        if field.name in {"sources", "duration", "justification"}
    }

    assert set(defaults.values()) == {MISSING}
