"""Bastions inside the documents of virtual machines and of grants."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jit.domain.model.bastion import Bastion
from jit.storage.documents import INSTANT, TEXTS, Column, ColumnMap, optional

_DOUBT = optional(INSTANT)

BASTION = ColumnMap(
    Bastion,
    Column("id", "id"),
    Column("from", "prefixes", TEXTS),
    Column("native", "native"),
    Column("lacked", "lacked_since", _DOUBT, default=None, is_sparse=True),
    Column("unread", "unread_since", _DOUBT, default=None, is_sparse=True),
)
"""A Bastion inside another document."""

_IN_GRANT = "bastion"
GRANT_COLUMN = Column(_IN_GRANT, "bastion", optional(BASTION.form), default=None, is_sparse=True)
"""The column of a grant's document with its Bastion."""


def drop_repeated_bastion(documents: Sequence[dict[str, Any]]) -> Sequence[dict[str, Any]]:
    """
    Return *documents* of grants on one VM: ``true`` stands for the Bastion of the first one.

    90 rows of ten grants each must fit one transaction.
    """
    for document in documents[1:]:
        bastion = document.get(_IN_GRANT)
        if bastion is not None and bastion == documents[0].get(_IN_GRANT):
            document[_IN_GRANT] = True
    return documents


def add_repeated_bastion(documents: Sequence[dict[str, Any]]) -> Sequence[dict[str, Any]]:
    """Return the documents that `drop_repeated_bastion` returned, each with its Bastion."""
    for document in documents:
        if document.get(_IN_GRANT) is True:
            document[_IN_GRANT] = documents[0][_IN_GRANT]
    return documents
