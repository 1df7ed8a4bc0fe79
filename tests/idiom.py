"""
A counter of idioms that plain English avoids: in docstrings, comments, documents, test names.

``count(paths)`` reads Python and Markdown files, cuts their prose into sentences, and returns the
share of sentences with at least one idiom. It also returns these sentences, the offenders.

The sources of pytest, requests and urllib3 stay below 2 %.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

_AUXILIARY = r"(?:is|are|was|were|does|do|did|has|have|had|can|could|may|might|must|will|would)"
_UNNAMED = r"(?:no|none|nobody|nothing|somebody|something|someone|anybody|there|one|that|this)"
_ASKED = r"(?:tell|say|know|show|see|ask|decide|remember|name|learn|check|find)s?"

# Name of the idiom -> pattern, searched in one sentence without regard to case.
IDIOMS: dict[str, re.Pattern[str]] = {
    name: re.compile(pattern, re.IGNORECASE)
    for name, pattern in {
        # `What stood there is another's`: name the thing. A question may ask `what`.
        "what": r"\bwhat\b(?! if\b)(?!.*\?)",
        # `Whoever held it can free it`: name the one who can.
        "whoever": r"\b(?:who|what|which|where|whom)(?:so)?ever\b",
        # `Who is called in is soon cut`: a relative clause without its noun.
        "who first": r"^(?:\W*(?:and|but|or)\W+)?who(?:m|se)?\b(?!.*\?)",
        # `It says who may`: it names the people that may.
        "who as a noun": rf"\b(?:to|of|for|by|with|from|on|about|{_ASKED}) who\b(?!.*\?)",
        # `Those that were read`: name them.
        "those that": r"\bthose (?:that|who|whom|which|whose)\b",
        "that which": r"\bthat which\b",
        # `Rules, none of which is ours`: make it a second sentence.
        "none of": r"\bnone of\b",
        "of which": r"\b(?:of|than) wh(?:ich|om|ose)\b",
        # `Of three requests, the second is over`: the subject comes first.
        "of first": r"^of\b",
        # `All the same`, `every route but one`: still; every route except one.
        "all the same": r"\ball the same\b",
        "but for": r"\bbut for\b",
        "but as except": r"\b(?:all|any|anybody|anything|each|every|everybody|everything|no|nobody"
        r"|none|nothing) (?:\w+ )?but (?!not\b)",
        # `Where somebody stays, the entry goes on`: if. A place may still be `where`.
        "where first": r"(?:^|[;:] )where\b(?!.*\?)",
        "where as if": r"\b(?:only|even|except|also|but|not|save|and|or) where\b(?!.*\?)",
        "where unnamed": rf"\bwhere {_UNNAMED}\b(?!.*\?)",
        # `Whether it may`, `Tell whether it may`: true if it may.
        "whether first": rf"^(?:(?:{_ASKED}|returns?) )?whether\b(?!.*\?)",
        "asked first": rf"^(?:{_ASKED}|returns?) (?:who|where|which|when|why)\b",
        # `Nor does it wait`, `Never is it read`: subject, then verb.
        "inversion": rf"(?:^|\b)nor {_AUXILIARY}\b|^nor\b"
        rf"|^(?:never|only|not|neither|so|thus|such) {_AUXILIARY}\b"
        rf"|\b(?:as|so|than) {_AUXILIARY} (?:the|an?|this|it|that|its|ours)\b",
        # Words that stand for something else. The glossary has no such words.
        "bear": r"\b(?:bears?|bore|borne|bearing)\b",
        "told": r"\btold\b",
        "lest": r"\blest\b",
        "metaphor": r"\b(?:doors?|books?|sieves?|bury|buries|buried)\b",
    }.items()
}
# In the name of a test, somebody without a name does nothing: name the subject under test.
_NAMELESS_SUBJECT = re.compile(r"^(?:what|who|whoever|whose|where|nobody|somebody)\b")

_CODE = "`code`"
_FENCE = re.compile(r"^(```|~~~).*?^\1[^\n]*$", re.DOTALL | re.MULTILINE)
_HTML_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_BLOCK_AFTER_COLONS = re.compile(r"::\n(?:[ \t]*\n)+(?:[ \t]+\S[^\n]*\n?|[ \t]*\n)+")
_LINK = re.compile(r"!?\[([^\]]*)\]\([^)]*\)")
_SPAN = re.compile(r"(`+)[^`]+?\1")
_URL = re.compile(r"<?\bhttps?://\S+")
_PRAGMA = re.compile(r"^(?:ruff: |flake8: )?noqa(?:: ?[A-Z0-9, ]+)?|^type: ignore(?:\[[\w, -]+\])?")
# Lines that begin a new sentence, although the line before may have no full stop.
_ITEM = re.compile(r"^\s*(?:[*+-] |\d+\. |#+ |\||>|$|[-=~_ ]{4,}$)")
_ENTRY = re.compile(
    r"^\s*\*{0,2}[A-Za-z_][\w.]*(?:, [\w.*]+)*: (?=\S)"
    r"|^\s*(?:Args|Attributes|Example|Note|Raises|Returns|Source|Yields):$"
)
_RULER = re.compile(r"^(?:[\s+>#|=~-]|[*_](?=[\s*_])|\d+\. )+|[\s#|=~-]+$")
_END = re.compile(r"(?<=[.!?])[\"')*_]*\s+(?=[\"'(*_]*[A-Z0-9`])|\s*\|\s*")
_WORD = re.compile(r"[A-Za-z]{2,}")


@dataclass(frozen=True, slots=True)
class Sentence:
    """
    One sentence of prose.

    Attributes:
        path: The file.
        line: The line in which the paragraph of the sentence begins; 1 is the first.
        text: The words on one line; code spans and addresses are replaced.
        is_test_name: True for the words of a test function's name.
    """

    path: Path
    line: int
    text: str
    is_test_name: bool = False


@dataclass(frozen=True, slots=True)
class Count:
    """The number of sentences, and the sentences with at least one idiom: the offenders."""

    total: int
    offenders: tuple[Sentence, ...]

    @property
    def share(self) -> float:
        """The offenders as a part of all sentences: 0.02 is 2 %."""
        return len(self.offenders) / self.total if self.total else 0.0

    def report(self, root: Path) -> str:
        """Return one line for each offender: path below *root*, line, idioms, text."""
        head = f"{len(self.offenders)} of {self.total} sentences ({self.share:.1%})"
        return "\n".join([head, *(_shown(each, root) for each in self.offenders)])


def count(paths: Iterable[Path]) -> Count:
    """
    Count the idiom in files and in folders with all that is below them.

    Args:
        paths: Files named ``*.py`` or ``*.md``, and folders. Other files are left out.
    """
    found = sentences(paths)
    return Count(len(found), tuple(each for each in found if idioms(each)))


def idioms(sentence: Sentence) -> list[str]:
    """Return the names of the idioms in *sentence*; empty if it is plain."""
    found = [name for name, pattern in IDIOMS.items() if pattern.search(sentence.text)]
    if sentence.is_test_name and _NAMELESS_SUBJECT.search(sentence.text):
        found.append("subject without a name")
    return found


def sentences(paths: Iterable[Path]) -> list[Sentence]:
    """Return all sentences of files and folders, in the order of paths and lines."""
    return list(chain.from_iterable(_of_file(path) for path in _files(paths)))


def _files(paths: Iterable[Path]) -> list[Path]:
    below = (path.rglob("*") if path.is_dir() else [path] for path in paths)
    kinds = {".py", ".md"}
    return sorted({path for path in chain.from_iterable(below) if path.suffix in kinds})


def _of_file(path: Path) -> list[Sentence]:
    text = path.read_text()
    if path.suffix == ".md":
        return list(_of_markdown(path, text))
    nodes = list(ast.walk(ast.parse(text)))
    found = [*_of_docstrings(path, nodes), *_of_comments(path, text), *_of_test_names(path, nodes)]
    return sorted(found, key=lambda sentence: sentence.line)


def _shown(sentence: Sentence, root: Path) -> str:
    path = sentence.path.relative_to(root)
    return f"{path}:{sentence.line}: {', '.join(idioms(sentence))}: {sentence.text}"


# ---- sources of prose ----------------------------------------------------------------------------


def _of_markdown(path: Path, text: str) -> Iterator[Sentence]:
    for pattern in (_FENCE, _HTML_COMMENT):
        text = pattern.sub(_blank, text)
    yield from _cut(path, 1, text)


def _of_docstrings(path: Path, nodes: Iterable[ast.AST]) -> Iterator[Sentence]:
    for node in nodes:
        if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        docstring = ast.get_docstring(node, clean=False)
        if docstring is not None:
            plain = _BLOCK_AFTER_COLONS.sub(_blank, docstring)
            yield from _cut(path, node.body[0].lineno, plain)


def _of_comments(path: Path, text: str) -> Iterator[Sentence]:
    """Yield the sentences of comments; comments on lines that follow each other are one text."""
    block: list[str] = []
    first = last = 0
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type != tokenize.COMMENT:
            continue
        row, column = token.start
        stands_alone = not token.line[:column].strip()
        if not (block and stands_alone and row == last + 1):
            yield from _cut(path, first, "\n".join(block))
            block, first = [], row
        block.append(_PRAGMA.sub("", token.string.lstrip("#!").strip()))
        last = row if stands_alone else 0
    yield from _cut(path, first, "\n".join(block))


def _of_test_names(path: Path, nodes: Iterable[ast.AST]) -> Iterator[Sentence]:
    for node in nodes:
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            words = node.name.removeprefix("test_").replace("_", " ")
            yield Sentence(path, node.lineno, words, is_test_name=True)


def _blank(match: re.Match[str]) -> str:
    """Return as many line ends as *match* has, so that lines keep their numbers."""
    return "\n" * match[0].count("\n")


# ---- how prose is cut ----------------------------------------------------------------------------


def _cut(path: Path, line: int, text: str) -> Iterator[Sentence]:
    """Yield the sentences of *text*, which begins in *line*."""
    for offset, paragraph in _paragraphs(text):
        blank = paragraph[: -len(paragraph.lstrip()) or None].count("\n")
        for part in _END.split(_without_code(paragraph)):
            plain = " ".join(_RULER.sub("", part).split())
            if _WORD.search(plain.replace(_CODE, "")):
                yield Sentence(path, line + offset + blank, plain)


def _paragraphs(text: str) -> Iterator[tuple[int, str]]:
    """Yield (line offset, text) of each paragraph, list item, table row or argument's entry."""
    lines: list[str] = []
    first = 0
    for number, line in enumerate(text.split("\n")):
        entry = _ENTRY.match(line)
        if entry or _ITEM.match(line):
            yield first, "\n".join(lines)
            lines, first = [], number
        lines.append(line[entry.end() :] if entry else line)
    yield first, "\n".join(lines)


def _without_code(text: str) -> str:
    return _URL.sub("", _SPAN.sub(_CODE, _LINK.sub(r"\1", text)))
