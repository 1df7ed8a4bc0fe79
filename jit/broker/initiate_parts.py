"""
Parts of an initiate: how to go on after Azure refused several VM ports, or a text, together.

Azure does not say which VM port or which justification it refuses. A part that holds ports of
several texts is divided between them, so that one person's text never costs another their access.
A part of one text is asked for once more with the mark alone, and then divided into halves. For
*n* VM ports that makes fewer than 4 *n* calls.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain

from jit.domain.azure.initiate_body import PortToOpen
from jit.domain.errors import Gone, PermissionLost, Refused, VersionRefused
from jit.domain.model.machine import VmPort

_CONFLICT = 409

Ids = tuple[str, ...]
"""Ids of requests, without repetition."""


@dataclass(frozen=True, slots=True)
class Reasons:
    """
    The reasons behind an initiate.

    Attributes:
        requests: The ids of the requests behind each VM port.
        write: Gets ids of requests and returns the justification that names them and our initiate;
            for no ids, the mark of our initiate alone.
    """

    requests: Mapping[VmPort, Ids]
    write: Callable[[Ids], str]

    def list_requests(self, asks: Iterable[PortToOpen]) -> Ids:
        """Return the ids of the requests behind *asks*."""
        ids = (id_ for ask in asks for id_ in self.requests.get(ask.vm_port, ()))
        return tuple(dict.fromkeys(ids))


@dataclass(frozen=True, slots=True)
class Part:
    """
    VM ports to ask for in one call.

    Attributes:
        asks: At least one.
        reasons: The ids of the requests that the justification names; none for the mark alone.
        code: Azure's code for the justification that was left out; None if none was.
        doubts_text: True if the text may be left out before the ports are divided.
    """

    asks: tuple[PortToOpen, ...]
    reasons: Ids
    code: str | None = None
    doubts_text: bool = True


@dataclass(slots=True)
class Parts:
    """
    The parts that are still to be asked for.

    Attributes:
        reasons: The reasons behind the whole initiate.
    """

    reasons: Reasons
    _waiting: deque[Part] = field(default_factory=deque)
    _taken: set[Ids] = field(default_factory=set)
    _refused: dict[Ids, str] = field(default_factory=dict)

    def add(self, asks: Sequence[PortToOpen]) -> None:
        """Let *asks* be the first part."""
        self._waiting.append(self._form(asks))

    def take(self) -> Part | None:
        """Return the next part, and forget it; None if there is none."""
        part = self._waiting.popleft() if self._waiting else None
        code = self._refused.get(part.reasons) if part else None
        return replace(part, reasons=(), code=code) if part and code is not None else part

    def list_rest(self) -> list[PortToOpen]:
        """Return the VM ports of the parts that nobody has taken yet."""
        return [ask for part in self._waiting for ask in part.asks]

    def accept(self, part: Part) -> None:
        """Remember that Azure took *part*, with its text or without it."""
        ids = self.reasons.list_requests(part.asks)
        if part.code is None:
            self._taken.add(ids)
        else:
            self._refused[ids] = part.code

    def refuse(self, part: Part, error: Refused) -> PortToOpen | None:
        """Go on after *error*; return the VM port that Azure refuses alone, with any text."""
        groups = self._group(part.asks)
        if len(groups) > 1:
            middle = len(groups) // 2
            self._divide(chain(*groups[:middle]), chain(*groups[middle:]))
        elif self._may_be_the_text(part, error):
            code = error.code or str(error.azure_status)
            self._waiting.appendleft(replace(part, reasons=(), code=code))
        elif len(part.asks) > 1:
            middle = len(part.asks) // 2
            self._divide(part.asks[:middle], part.asks[middle:], doubts_text=False)
        else:
            return part.asks[0]
        return None

    def _group(self, asks: Iterable[PortToOpen]) -> list[list[PortToOpen]]:
        """Return *asks*, those with the same text together."""
        groups: dict[Ids, list[PortToOpen]] = {}
        for ask in asks:
            groups.setdefault(self.reasons.list_requests([ask]), []).append(ask)
        return list(groups.values())

    def _may_be_the_text(self, part: Part, error: Refused) -> bool:
        """
        Return True if Azure may take *part*, all of one text, without that text.

        If a text was left out before the ports were divided, and Azure refused them still, it is
        left out again for single ports only.
        """
        is_known = not part.reasons or part.reasons in self._taken
        is_turn = part.doubts_text or len(part.asks) == 1
        return is_turn and not is_known and _may_be_about_text(error)

    def _divide(
        self, first: Iterable[PortToOpen], second: Iterable[PortToOpen], *, doubts_text: bool = True
    ) -> None:
        parts = [self._form(tuple(asks), doubts_text=doubts_text) for asks in (first, second)]
        self._waiting.extendleft(reversed(parts))

    def _form(self, asks: Sequence[PortToOpen], *, doubts_text: bool = True) -> Part:
        return Part(tuple(asks), self.reasons.list_requests(asks), doubts_text=doubts_text)


def _may_be_about_text(error: Refused) -> bool:
    """
    Return False if Azure says that it is about a resource, a permission or a version.

    A refusal without a code of Azure Resource Manager is a proxy's, and may be about anything.
    """
    is_known = isinstance(error, Gone | PermissionLost | VersionRefused)
    return not error.code or not (is_known or error.azure_status == _CONFLICT)
