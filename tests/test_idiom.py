"""The counter of idioms: sentences with an idiom are found, plain sentences are not."""

from pathlib import Path

import pytest

from tests import idiom
from tests.idiom import Sentence

HERE = Path(__file__)

MODULE = '''
"""
Close grants.

It closes a grant at its end. A second sentence
goes on here; see https://example.com/What.

Args:
    now: The present instant. It has a zone.
    first, second: Two *rules*.

* An item with ``code``
* Another item

A block is no prose::

    Whoever(reads, this)

The text goes on.
"""

# A comment of
# two lines. And a third sentence.
VALUE = 1  # noqa: S105 - not a secret
OTHER = 2  # type: ignore[misc]
NUMBER = 7  # beside the code
# ---- a heading -----------------------------------------------------------


def test_a_rule_is_closed():
    """Return nothing."""
'''

DOCUMENT = """# The title

A paragraph with [a link](https://example.com/what.html) and `what` in code.
It has two sentences.

- First item
- Second item. With two.

<!-- Whoever reads this -->

| head | what |
|---|---|
| `code` | A cell |

```
Whatever stands here is no prose.
```

The end.
"""


def write(folder, name, text):
    path = folder / name
    path.write_text(text)
    return path


def texts(*paths):
    return [sentence.text for sentence in idiom.sentences(paths)]


def found(text, *, is_test_name=False):
    return idiom.idioms(Sentence(HERE, 1, text, is_test_name))


# ---- sentences -----------------------------------------------------------------------------------


def test_a_module_gives_docstrings_comments_and_test_names(tmp_path):
    """Code, addresses, pragmas and rulers are left out."""
    path = write(tmp_path, "module.py", MODULE)

    assert texts(path) == [
        "Close grants.",
        "It closes a grant at its end.",
        "A second sentence goes on here; see",
        "The present instant.",
        "It has a zone.",
        "Two *rules*.",
        "An item with `code`",
        "Another item",
        "A block is no prose",
        "The text goes on.",
        "A comment of two lines.",
        "And a third sentence.",
        "not a secret",
        "beside the code",
        "a heading",
        "a rule is closed",
        "Return nothing.",
    ]


def test_a_document_gives_paragraphs_items_and_cells(tmp_path):
    """Blocks of code and remarks are left out; the text of a link stays."""
    path = write(tmp_path, "document.md", DOCUMENT)

    assert texts(path) == [
        "The title",
        "A paragraph with a link and `code` in code.",
        "It has two sentences.",
        "First item",
        "Second item.",
        "With two.",
        "head",
        "what",
        "A cell",
        "The end.",
    ]


def test_a_sentence_knows_its_line(tmp_path):
    """The line in which its paragraph begins."""
    path = write(tmp_path, "module.py", MODULE)
    lines = {each.text: each.line for each in idiom.sentences([path])}

    assert lines["Close grants."] == 3
    assert lines["Another item"] == 13
    assert lines["And a third sentence."] == 22
    assert lines["a rule is closed"] == 30


def test_lines_of_a_document_keep_their_numbers(tmp_path):
    """Also after a block of code."""
    path = write(tmp_path, "document.md", DOCUMENT)

    assert idiom.sentences([path])[-1].line == 19


def test_a_folder_gives_its_python_and_markdown_files(tmp_path):
    """Files of other kinds are left out, files of folders inside are not."""
    inside = tmp_path / "inside"
    inside.mkdir()
    write(tmp_path, "b.md", "Document.")
    write(inside, "a.py", '"""Module."""')
    write(inside, "a.txt", "Text.")

    assert texts(tmp_path) == ["Document.", "Module."]


def test_a_file_that_is_named_twice_counts_once(tmp_path):
    """Once by itself, once by its folder."""
    path = write(tmp_path, "a.md", "Document.")

    assert texts(path, tmp_path) == ["Document."]


# ---- idioms --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("what", "What stood there before its initiate is another's."),
        ("what", "Return what is left."),
        ("what", "Nothing new is decided, even where *machines* tells what is known."),
        ("whoever", "The grant ends for whoever asked first."),
        ("whoever", "Whatever Azure says is kept."),
        ("whoever", "Whichever comes first."),
        ("who first", "Who is called in meanwhile is soon cut."),
        ("who first", "And who asks twice waits."),
        ("who as a noun", "It depends on who asks."),
        ("who as a noun", "It shows who may decide."),
        ("those that", "Those that Azure lists no more."),
        ("those that", "Return those whose end is near."),
        ("that which", "That which was read is kept."),
        ("none of", "None of the rules is ours."),
        ("of which", "Rules of which one is ours."),
        ("of first", "Of three requests at once, the second is over."),
        ("all the same", "It is closed all the same."),
        ("but for", "Every route but for the last."),
        ("but as except", "Before every route but one."),
        ("but as except", "Anything but 202."),
        ("where first", "Where the operator names none, all of them."),
        ("where first", "It waits; where it may not wait, it ends."),
        ("where as if", "Only where Azure refuses."),
        ("where unnamed", "The rule goes where nobody needs it."),
        ("whether first", "Whether a rule is ours."),
        ("whether first", "Tell whether a rule is ours."),
        ("whether first", "Return whether a rule is ours."),
        ("asked first", "Return where the rule lies."),
        ("asked first", "Say why the VM was not read."),
        ("inversion", "Nor does it wait."),
        ("inversion", "It does not wait, nor is it closed."),
        ("inversion", "Never is a rule removed."),
        ("inversion", "The platform strips headers and so does this."),
        ("bear", "The VM bears the name of its group."),
        ("told", "The caller is told of it."),
        ("lest", "It waits lest a rule be lost."),
        ("metaphor", "Strictness at the door."),
        ("metaphor", "The book of grants."),
    ],
)
def test_an_idiom_is_found(name, text):
    """Each pattern has a name, and the report uses it."""
    assert name in found(text)


@pytest.mark.parametrize(
    "text",
    [
        "What if Azure does not answer?",
        "What does a pass cost?",
        "Who may approve?",
        "Where is the Jira signature?",
        "If the operator names no subscription, add all of them.",
        "The folder where the app is stored.",
        "True if the rule is ours.",
        "Return True if a rule is ours and the grant is closed.",
        "People who have the role may decide.",
        "It asks Azure whether the rule exists.",
        "The rules of the first group and those in the second.",
        "It is read, but not written.",
        "All rules are read but only ours are removed.",
        "Neither the rule nor the grant has an end.",
        "A somewhat longer sentence about a whatnot.",
        "The host is slower than the simulator is.",
        "The gateway is not a playbook.",
        "The caller tells the broker a reason.",
        "",
    ],
)
def test_a_plain_sentence_is_not_found(text):
    """Questions, places, conditions and whole words that only look alike."""
    assert found(text) == []


@pytest.mark.parametrize("first", ["what", "who", "whose", "where", "nobody", "somebody"])
def test_a_test_is_not_named_for_somebody_unnamed(first):
    """The subject of a test's name is the thing under test."""
    text = f"{first} asks twice waits"

    assert "subject without a name" in found(text, is_test_name=True)
    assert "subject without a name" not in found(text)


# ---- the count -----------------------------------------------------------------------------------


def test_the_share_is_offenders_by_sentences(tmp_path):
    """A sentence with two idioms is one offender."""
    path = write(tmp_path, "a.md", "Whoever asks what is left. It is plain. It goes on. It ends.")

    counted = idiom.count([path])

    assert counted.total == 4
    assert [each.text for each in counted.offenders] == ["Whoever asks what is left."]
    assert counted.share == 0.25


def test_nothing_has_a_share_of_nothing(tmp_path):
    """A folder without prose is plain."""
    assert idiom.count([tmp_path]).share == 0


def test_the_report_names_each_offender(tmp_path):
    """File, line, idioms and text: enough to find and to mend it."""
    write(tmp_path, "a.md", "It is plain.\n\nWhoever asks what is left.\n")

    head, line = idiom.count([tmp_path]).report(tmp_path).splitlines()

    assert head == "1 of 2 sentences (50.0%)"
    assert line == "a.md:3: what, whoever: Whoever asks what is left."
