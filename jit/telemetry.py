"""
Events: a constant name and fields, as one line of JSON.

The Functions worker forwards only the formatted message of a log record, so ``extra`` would never
reach Application Insights (https://github.com/Azure/azure-functions-python-worker/issues/694).
"""

from __future__ import annotations

import json
import logging

_log = logging.getLogger("jit")
logging.getLogger("azure").setLevel(logging.WARNING)  # its INFO is every request and its headers


def event(name: str, /, *, level: int = logging.INFO, **fields: object) -> None:
    """
    Log that *name* happened.

    Args:
        name: Dotted, past tense, constant: ``grant.opened``.
        level: INFO for a state change, WARNING for handled, ERROR for a person to act.
        fields: Identifiers and numbers; no bodies, no tokens, no free text.
    """
    _log.log(level, "%s", json.dumps({"event": name, **fields}, default=str))


def warning(name: str, /, **fields: object) -> None:
    """Log something handled but unwanted."""
    event(name, level=logging.WARNING, **fields)


def alert(name: str, /, **fields: object) -> None:
    """Log something that a person must act on."""
    event(name, level=logging.ERROR, **fields)
