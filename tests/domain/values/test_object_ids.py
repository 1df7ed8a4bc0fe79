"""Object ids: one spelling, and nobody is no person."""

import pytest

from jit.domain.errors import Malformed
from jit.domain.values.object_ids import parse_object_id

ID = "a11ce000-0000-4000-8000-000000000001"


@pytest.mark.parametrize("text", [ID, ID.upper()])
def test_an_object_id_is_read_in_lower_case(text):
    """A principal's id is kept in lower case, too."""
    assert parse_object_id(text) == ID


@pytest.mark.parametrize(
    "text",
    [
        "",
        "alice",
        "alice@example.com",
        ID[:-1],
        f"{ID}0",
        f" {ID}",
        f"{{{ID}}}",
        ID.replace("-", ""),
        ID.replace("0", "\u0660"),
        f"{ID}\n",
        "00000000-0000-0000-0000-000000000000",
    ],
)
def test_another_text_names_nobody(text):
    """A bar on a wrong id would stop nobody."""
    with pytest.raises(Malformed):
        parse_object_id(text)
