"""
App settings: the environment, local settings files, ``%NAME%`` expressions, connections.

The environment wins over ``local.settings.json``, as with Core Tools; without
that file the sample's harmless values are used.
https://learn.microsoft.com/azure/azure-functions/functions-develop-local
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

_EXPRESSION = re.compile(r"%([^%\s]+)%")
_FILES = ("local.settings.json", "local.settings.sample.json")
# Identity-based connections: https://learn.microsoft.com/azure/azure-functions/functions-reference
_IDENTITY_SUFFIXES = ("__accountName", "__queueServiceUri", "__serviceUri")


class MissingSetting(Exception):
    """A binding names a setting that does not exist."""


def read(folder: Path, environment: Mapping[str, str]) -> dict[str, str]:
    """Return the settings of the app in *folder*: the files' values under the environment's."""
    file = next((folder / name for name in _FILES if (folder / name).is_file()), None)
    values = {} if file is None else json.loads(file.read_text())["Values"]
    return {name: str(value) for name, value in values.items()} | dict(environment)


def resolve(text: str, settings: Mapping[str, str]) -> str:
    """
    Return *text* with each ``%NAME%`` replaced by that setting.

    Raises:
        MissingSetting: One of them does not exist.
    """
    for name in names(text):
        if name not in settings:
            raise MissingSetting(f"%{name}% names a setting that does not exist")
        text = text.replace(f"%{name}%", settings[name])
    return text


def names(text: str) -> Iterator[str]:
    """Yield the settings that *text* names as ``%NAME%``."""
    return (match[1] for match in _EXPRESSION.finditer(text))


def connection(name: str, settings: Mapping[str, str]) -> str | None:
    """Return the connection string that the binding property *name* refers to, if there is one."""
    return settings.get(name) or settings.get(f"AzureWebJobs{name}")


def has_connection(name: str, settings: Mapping[str, str]) -> bool:
    """Return True if *name* is configured in a way that the real host accepts."""
    by_identity = any(settings.get(name + suffix) for suffix in _IDENTITY_SUFFIXES)
    return by_identity or connection(name, settings) is not None
