"""The commands ``audit export`` and ``audit verify``."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote

from jit.cli.api_client import ApiClient, Outage, WrongUse
from jit.domain.audit.verification import Anchor, Verdict, parse_anchor, verify_lines

DONE, BROKEN = 0, 1
STANDARD = "-"
"""In the place of a file: standard input or output."""

_LONGEST_LINE = 8 * 1024 * 1024  # bytes; a row of the table takes less
Say = Callable[[str], None]


def verify_file(file: str, *, start: Anchor, known: Anchor | None, say: Say) -> int:
    """
    Verify an exported chain, offline.

    Returns:
        0 if everything fits, 1 at a break.

    Raises:
        WrongUse: The file cannot be read.
    """
    try:
        with _open_input(file) as lines:
            verdict = verify_lines(_read_lines(lines), start=start, known=known)
    except OSError as error:
        raise WrongUse(f"{file} cannot be read: {error.strerror}") from error
    for line in _describe(verdict, known):
        say(line)
    return BROKEN if verdict.broken else DONE


def export_chain(client: ApiClient, chain: str, after: int, *, file: str, say: Say) -> int:
    """
    Write the lines of a chain to a file, part by part; the file is there once it is whole.

    Raises:
        Outage: A part cannot be read.
        Refused: The broker refuses the call.
        WrongUse: The file cannot be written.
    """
    place = Path(f"{file}.part")
    try:
        if file == STANDARD:
            head = _write_parts(client, chain, after, sys.stdout.buffer)
        else:
            with place.open("wb") as out:
                head = _write_parts(client, chain, after, out)
            place.replace(file)
    except OSError as error:
        raise WrongUse(f"{file} cannot be written: {error.strerror}") from error
    finally:
        if file != STANDARD:
            with suppress(OSError):
                place.unlink(missing_ok=True)
    say(f"head {head}")
    return DONE


def read_anchor(text: str) -> Anchor:
    """
    Return a head of the command line.

    Raises:
        WrongUse: It is malformed.
    """
    try:
        return parse_anchor(text)
    except ValueError as error:
        raise WrongUse(str(error)) from error


def _write_parts(client: ApiClient, chain: str, after: int, out: BinaryIO) -> str:
    """Write all parts; return the head that the last one has."""
    while True:
        answer = client.get(f"audit/chains/{quote(chain, safe='')}", after=str(after))
        out.write(answer.body)
        head, following = answer.headers.get("Jit-Audit-Head"), answer.headers.get("Jit-Audit-Next")
        if head is None or (following is not None and not following.isdecimal()):
            raise Outage("this is no answer of the broker")
        if following is None:
            out.flush()
            return head
        if int(following) <= after:
            raise Outage("the export does not go on")
        after = int(following)


def _open_input(file: str) -> BinaryIO:
    if file == STANDARD:
        return os.fdopen(os.dup(sys.stdin.fileno()), "rb")
    return Path(file).open("rb")


def _read_lines(source: BinaryIO) -> Iterator[bytes]:
    """Yield the lines; one that is too long comes in pieces, which are no lines of a chain."""
    while line := source.readline(_LONGEST_LINE):
        yield line


def _describe(verdict: Verdict, known: Anchor | None) -> Iterator[str]:
    name = verdict.chain or "an empty chain"
    head = f"{verdict.head.sequence}:{verdict.head.hash}"
    if verdict.broken is not None:
        broken = verdict.broken
        yield f"broken: {broken.kind} at record {broken.sequence}, line {broken.line}"
        yield f"  {broken.detail}"
        yield f"  whole up to {head}"
        return
    yield f"whole: {name}, {verdict.records} records, {verdict.erased} of them erased"
    yield f"  head {head}"
    if known is None:
        yield "  no head was given: nobody can tell if the end was cut off, or all written anew"
