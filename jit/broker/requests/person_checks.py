"""Checks of the people of a request that is open, before it may last longer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from jit.broker.asked_bars import AskedBars
from jit.domain.errors import Violation
from jit.domain.model.machine import VirtualMachine
from jit.domain.model.people import Person
from jit.domain.model.request import Request
from jit.domain.values.json_pointer import ROOT

if TYPE_CHECKING:  # loaded only if the rights of people in Azure count
    from jit.broker.rights.asked_rights import AskedRights


@dataclass(frozen=True, slots=True)
class PersonChecks:
    """
    Asks for bars, and for rights in Azure.

    Attributes:
        rights: None if the rights of people in Azure do not count.
    """

    bars: AskedBars
    rights: Callable[[], AskedRights] | None = None

    def find_denials(
        self,
        request: Request,
        caller: Person,
        machines: Mapping[str, VirtualMachine],
        now: datetime,
    ) -> tuple[Violation, ...]:
        """
        Return the reasons why the people of *request* may not keep access to *machines*.

        Bars are as they are now, and rights of the last minute.

        Raises:
            CannotTell: Bars or rights could not be read.
        """
        requester = request.requester
        people = (caller, requester, request.asked_by)
        barred = [each.violation for each in self.bars.find_fresh(people, now)]
        asked = [(vm, ROOT) for vm in machines.values()]
        if self.rights is None or not asked:
            return tuple(barred)
        return (*barred, *self.rights().find_denials(requester.id, asked, now))
