"""The commands ``audit export`` and ``audit verify``: their files, and their words."""

import pytest

from jit.cli.api_client import ApiClient, Outage, Refused, WrongUse
from jit.cli.audit_commands import BROKEN, DONE, export_chain, read_anchor, verify_file
from jit.domain.audit.verification import BEGINNING, Anchor
from tests.builders.exports import CHAIN, a_trail, write_lines
from tests.cli.served import serve

TRAIL = a_trail(6)
LINES = write_lines(TRAIL)
HEAD = f"6:{TRAIL[-1].hash}"
KNOWN = Anchor(6, TRAIL[-1].hash)


@pytest.fixture
def said():
    """The lines that a command said."""
    return list[str]()


def verify(file, **places):
    """Return the exit code and the lines that were said."""
    said: list[str] = []
    code = verify_file(str(file), **{"start": BEGINNING, "known": KNOWN} | places, say=said.append)
    return code, "\n".join(said)


def parts(*following):
    """The parts of an export with two lines each."""
    places = [0, *following]
    return {
        f"/api/audit/chains/{CHAIN}?after={after}": (
            200,
            {"Jit-Audit-Head": HEAD} | ({"Jit-Audit-Next": str(after + 2)} if after < 4 else {}),
            b"".join(LINES[after : after + 2]),
        )
        for after in places
    }


def test_a_whole_export_is_said_to_be_whole(tmp_path):
    file = tmp_path / "chain"
    file.write_bytes(b"".join(LINES))

    code, said = verify(file)

    assert code == DONE
    assert f"whole: {CHAIN}, 6 records" in said
    assert f"head {HEAD}" in said
    assert "no head" not in said


def test_without_a_head_the_limits_of_the_proof_are_said(tmp_path):
    file = tmp_path / "chain"
    file.write_bytes(b"".join(LINES[:3]))

    assert "no head was given" in verify(file, known=None)[1]


def test_a_break_is_said_with_its_kind_and_its_place(tmp_path):
    file = tmp_path / "chain"
    file.write_bytes(b"".join([*LINES[:2], *LINES[3:]]))

    code, said = verify(file)

    assert code == BROKEN
    assert "broken: deletion at record 3, line 3" in said
    assert f"whole up to 2:{TRAIL[1].hash}" in said


@pytest.mark.parametrize("content", [b"", b"\x00" * 100, b"x\n", b"\n", LINES[0][:-1]])
def test_a_file_that_is_no_export_is_broken(tmp_path, content):
    file = tmp_path / "chain"
    file.write_bytes(content)

    assert verify(file)[0] == BROKEN


def test_a_file_that_is_not_there_is_wrong_use(tmp_path):
    with pytest.raises(WrongUse, match="cannot be read"):
        verify(tmp_path / "nothing")


def test_the_parts_of_an_export_are_one_file(tmp_path):
    file, said = tmp_path / "chain", list[str]()

    with serve(parts(2, 4)) as place:
        code = export_chain(ApiClient(place.url, {}), CHAIN, 0, file=str(file), say=said.append)

    assert (code, said) == (DONE, [f"head {HEAD}"])
    assert verify(file)[0] == DONE
    assert [each.name for each in tmp_path.iterdir()] == ["chain"]


@pytest.mark.parametrize(
    ("answers", "error"),
    [
        (parts(2), Refused),
        ({}, Refused),
        ({f"/api/audit/chains/{CHAIN}?after=0": (200, {}, b"<html>")}, Outage),
        (
            {
                f"/api/audit/chains/{CHAIN}?after=0": (
                    200,
                    {"Jit-Audit-Head": HEAD, "Jit-Audit-Next": "0"},
                    b"",
                )
            },
            Outage,
        ),
    ],
    ids=["breaks off", "nothing", "another server", "goes round in circles"],
)
def test_an_export_that_is_not_whole_leaves_no_file(tmp_path, answers, error, said):
    """A file that was there before stays."""
    file = tmp_path / "chain"
    file.write_bytes(b"before")

    with serve(answers) as place, pytest.raises(error):
        export_chain(ApiClient(place.url, {}), CHAIN, 0, file=str(file), say=said.append)

    assert file.read_bytes() == b"before"
    assert [each.name for each in tmp_path.iterdir()] == ["chain"]


def test_an_export_is_printed(capfdbinary, said):
    with serve(parts(2, 4)) as place:
        export_chain(ApiClient(place.url, {}), CHAIN, 0, file="-", say=said.append)

    assert capfdbinary.readouterr().out == b"".join(LINES)


def test_a_file_in_no_folder_is_wrong_use(tmp_path, said):
    with serve(parts(2, 4)) as place, pytest.raises(WrongUse, match="cannot be written"):
        export_chain(
            ApiClient(place.url, {}), CHAIN, 0, file=str(tmp_path / "no" / "x"), say=said.append
        )


def test_a_head_of_the_command_line_is_read():
    assert read_anchor(HEAD) == KNOWN
    with pytest.raises(WrongUse, match="head"):
        read_anchor("6")
