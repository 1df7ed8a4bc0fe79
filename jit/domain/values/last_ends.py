"""The last end of each prefix: until when somebody has it, or a wider one."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from ipaddress import IPv4Network, IPv6Network

_Prefix = IPv4Network | IPv6Network


class LastEnds:
    """Prefixes with the instants until which somebody has them; more may be added."""

    __slots__ = ("_ends", "_lengths")

    def __init__(self, held: Iterable[tuple[Iterable[_Prefix], datetime]] = ()) -> None:
        """Begin with prefixes that somebody has, each with their end."""
        self._ends: dict[_Prefix, datetime] = {}
        self._lengths: set[tuple[int, int]] = set()
        for prefixes, end in held:
            self.add(prefixes, end)

    def add(self, prefixes: Iterable[_Prefix], end: datetime) -> None:
        """Note that somebody has *prefixes* until *end*."""
        for each in prefixes:
            self._ends[each] = max(end, self._ends.get(each, end))
            self._lengths.add((each.version, each.prefixlen))

    def find(self, prefix: _Prefix) -> datetime | None:
        """Return the last end of *prefix* itself and of the wider ones; None without any."""
        wider = (
            self._ends.get(prefix.supernet(new_prefix=length))
            for version, length in self._lengths
            if version == prefix.version and length <= prefix.prefixlen
        )
        return max((end for end in wider if end is not None), default=None)

    def list_all(self) -> list[datetime]:
        """Return the last end of each prefix that was added."""
        return [end for each in self._ends if (end := self.find(each)) is not None]
