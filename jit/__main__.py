"""The command line: ``python -m jit``. It needs the standard library alone."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence

from jit.cli import audit_commands
from jit.cli.api_client import ApiClient, Outage, Refused, WrongUse
from jit.domain.audit.verification import BEGINNING

DONE, REFUSED, WRONG_USE, OUTAGE = range(4)
"""Exit codes: done; refused, or broken; wrong use; no answer."""


def run(words: Sequence[str], environment: Mapping[str, str]) -> int:
    """
    Do one command.

    Args:
        words: The command line without its program.
        environment: A token is read from the variable that the command names.

    Returns:
        The exit code.
    """
    try:
        asked = _make_parser().parse_args(words)
    except SystemExit as end:  # argparse has printed the usage
        return int(end.code or 0)
    try:
        if asked.act == "verify":
            return _verify(asked)
        return _export(asked, environment)
    except Refused as error:
        return _fail(REFUSED, f"refused: {error}")
    except WrongUse as error:
        return _fail(WRONG_USE, f"wrong use: {error}")
    except Outage as error:
        return _fail(OUTAGE, f"outage: {error}")


def _verify(asked: argparse.Namespace) -> int:
    known = audit_commands.read_anchor(asked.head) if asked.head else None
    start = audit_commands.read_anchor(asked.start) if asked.start else BEGINNING
    if known is not None and known.sequence < start.sequence:
        raise WrongUse("--head is before --start")
    return audit_commands.verify_file(asked.file, start=start, known=known, say=_say)


def _export(asked: argparse.Namespace, environment: Mapping[str, str]) -> int:
    if asked.token_from_env:
        token = environment.get(asked.token_from_env, "")
        if not token or not token.isprintable():
            raise WrongUse(f"the variable {asked.token_from_env} holds no token")
        headers = {"Authorization": f"Bearer {token}"}
    else:
        headers = {"X-Local-User": asked.local_user}
    client = ApiClient(asked.url, headers)
    return audit_commands.export_chain(
        client, asked.subscription, asked.after, file=asked.output, say=_tell
    )


def _make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m jit", description=__doc__)
    audit = parser.add_subparsers(required=True, metavar="audit").add_parser(
        "audit", help="the audit trail"
    )
    acts = audit.add_subparsers(dest="act", required=True, metavar="export|verify")
    export = acts.add_parser("export", help="write a chain to a file")
    export.add_argument("--url", required=True, help="address of the app: https://…")
    export.add_argument("--subscription", required=True, help="id of the chain, or people")
    export.add_argument("--after", type=_read_sequence, default=0, help="begin after this record")
    export.add_argument("--output", default=audit_commands.STANDARD, help="the file; - prints")
    who = export.add_mutually_exclusive_group(required=True)
    who.add_argument("--token-from-env", metavar="NAME", help="variable with an access token")
    who.add_argument("--as", dest="local_user", metavar="NAME", help="person of the local stack")
    verify = acts.add_parser("verify", help="verify an exported chain, offline")
    verify.add_argument("file", help="the export; - reads standard input")
    verify.add_argument("--head", metavar="SEQUENCE:HASH", help="a head that was kept elsewhere")
    verify.add_argument("--start", metavar="SEQUENCE:HASH", help="the place before the first line")
    return parser


def _read_sequence(text: str) -> int:
    number = int(text)
    if number < 0:
        raise ValueError(text)
    return number


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


def _tell(line: str) -> None:
    sys.stderr.write(f"{line}\n")


def _fail(code: int, line: str) -> int:
    _tell(line)
    return code


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:], os.environ))  # noqa: TID251 - a program of its own, not the app
