"""Whether the broker can do its work: storage answers, Azure answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from time import monotonic

from jit.domain.errors import BrokerError
from jit.storage.table import Table

VERSION = "0.1.0"
_REMEMBERED = timedelta(seconds=10)
_OK = "ok"


@dataclass(frozen=True, slots=True)
class Health:
    """What works; each part is ``ok`` or a sentence."""

    storage: str
    azure: str

    @property
    def well(self) -> bool:
        """Whether everything works."""
        return self.storage == self.azure == _OK

    def doc(self) -> dict[str, str]:
        """Return the contract's shape."""
        status = _OK if self.well else "failing"
        return {
            "status": status,
            "version": VERSION,
            "storage": self.storage,
            "azure": self.azure,
        }


class HealthCheck:
    """
    Looks, and remembers for ten seconds what it saw.

    The route is open to anybody, so it must not be a way to make the broker call Azure.
    """

    def __init__(self, table: Callable[[], Table], azure: Callable[[], object]) -> None:
        """*azure* makes one cheap call to Azure Resource Manager."""
        self._table = table
        self._azure = azure
        self._seen: tuple[float, Health] | None = None

    def look(self) -> Health:
        """Return what works."""
        now = monotonic()
        if self._seen is None or now - self._seen[0] > _REMEMBERED.total_seconds():
            health = Health(
                storage=_tried(lambda: self._table().get("health", "health")),
                azure=_tried(self._azure),
            )
            self._seen = (now, health)
        return self._seen[1]


def _tried(act: Callable[[], object]) -> str:
    try:
        act()
    except BrokerError as error:
        return str(error) or type(error).__name__
    return _OK
