"""
The table of packages and modules in ``docs/architecture.md``, made from the docstrings.

``python -m tests.packages`` writes it anew; a test fails if the document has another one.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
DOCUMENT = PROJECT / "docs" / "architecture.md"
HEADING = "## The packages"


def describe_packages() -> str:
    """Return a table for each package of ``jit``: its modules, each with its first sentence."""
    packages = sorted(path.parent for path in (PROJECT / "jit").rglob("__init__.py"))
    return "\n".join(chain for package in packages if (chain := _describe(package)))


def write_table(document: str) -> str:
    """Return *document* with the table as the code has it now."""
    before, _, after = document.partition(f"\n{HEADING}\n")
    section, _, rest = after.partition("\n## ")
    introduction = section.partition("\n### ")[0].rstrip()
    table = f"{before}\n{HEADING}\n{introduction}\n\n{describe_packages()}"
    return f"{table}\n## {rest}" if rest else table


def _describe(package: Path) -> str:
    rows = list(_rows(package))
    if not rows:
        return ""
    title = f"### `{package.relative_to(PROJECT)}/`: {_first_sentence(package / '__init__.py')}"
    return "\n".join((title, "", "| module | holds |", "|---|---|", *rows, ""))


def _rows(package: Path) -> Iterator[str]:
    for path in sorted(package.glob("*.py")):
        if path.stem != "__init__":
            yield f"| `{path.name}` | {_first_sentence(path)} |"


def _first_sentence(path: Path) -> str:
    text = ast.get_docstring(ast.parse(path.read_text())) or ""
    return text.partition("\n")[0].rstrip(".:").replace("|", "\\|")


if __name__ == "__main__":
    DOCUMENT.write_text(write_table(DOCUMENT.read_text()))
