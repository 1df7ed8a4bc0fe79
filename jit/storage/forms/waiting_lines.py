"""The line for the turn on a firewall, as text in its row."""

from __future__ import annotations

from jit.domain.model.waiting_line import Line, Wait
from jit.storage.documents import INSTANT, Form

_CLOSES, _OPENS = "c", "o"


def _read_wait(holder: str, act: str, since: str, renewed_at: str) -> Wait:
    return Wait(
        holder=holder,
        closing=act == _CLOSES,
        since=INSTANT.read(since),
        renewed_at=INSTANT.read(renewed_at),
    )


def _write_line(line: Line) -> str:
    return " ".join(
        f"{each.holder}={_CLOSES if each.closing else _OPENS}"
        f"={INSTANT.write(each.since)}={INSTANT.write(each.renewed_at)}"
        for each in line
    )


LINE = Form(
    lambda stored: tuple(_read_wait(*item.split("=")) for item in stored.split()), _write_line
)
"""A wait is ``holder=act=since=renewed``; a space stands between two of them."""
