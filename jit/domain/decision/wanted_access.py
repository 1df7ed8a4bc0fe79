"""
The access that a decision is about: a whole request, or the good parts of a faulty one.

Every rule of the decision takes a `WantedAccess`. The broker asks the rules about bodies without
faults only; a rule leaves faulty parts out, so that it is safe for others too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from jit.domain.model.request import WantedMachine
from jit.domain.values.json_pointer import ROOT, at
from jit.domain.values.prefixes import Prefix

_SOURCES = at(ROOT, "sources")


class WantedAccess(Protocol):
    """
    The wanted access: an `AccessRequest`, or the good parts of a `Draft`.

    Attributes:
        machines: VMs with the wanted ports; there may be none.
        sources: In the order of the body; None for a faulty entry.
        by_bastion: True if the Bastion that reaches each VM is a source there, too.
        duration: None if faulty.
        starts_at: None means now.
    """

    @property
    def machines(self) -> tuple[WantedMachine, ...]:
        """The VMs, each with its ports."""

    @property
    def sources(self) -> Sequence[Prefix | None]:
        """The prefixes that traffic may come from."""

    @property
    def by_bastion(self) -> bool:
        """True if traffic may come from the subnet of the VM's Bastion."""

    @property
    def duration(self) -> timedelta | None:
        """Length of access."""

    @property
    def starts_at(self) -> datetime | None:
        """The earliest start."""


def list_sources(access: WantedAccess) -> Iterator[tuple[str, Prefix]]:
    """Yield the JSON pointer and the prefix of each source of *access* that is not faulty."""
    for index, source in enumerate(access.sources):
        if source is not None:
            yield at(_SOURCES, index), source
