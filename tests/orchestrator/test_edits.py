"""A CLI's own file gets what it needs and loses nothing."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from orchestrator import edits as module
from orchestrator.edits import make_edits
from spawners.errors import SpawnFailed
from spawners.providers.base import Edit


def make(path: Path, *edits: tuple[tuple[str, ...], Any], **flags: bool) -> Any:
    """Make `edits` in `path` and return what it holds then."""
    made = [Edit(str(path), keys, value, **flags) for keys, value in edits]
    make_edits(made, str(path.parent / "locks"))
    return json.loads(path.read_text())


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_value_is_set_and_all_else_stays_in_its_order(tmp_path: Path) -> None:
    file = tmp_path / "c.json"
    file.write_text('{"z": [1.50, null, "ä"], "projects": {"/b": {"n": 12345678901234567890}}, "a": 1}')
    file.chmod(0o640)

    found = make(file, (("projects", "/w", "trusted"), True), (("a",), 2))

    assert found == {
        "z": [1.5, None, "ä"],
        "projects": {"/b": {"n": 12345678901234567890}, "/w": {"trusted": True}},
        "a": 2,
    }
    assert list(found) == ["z", "projects", "a"]
    assert mode(file) == 0o640


def test_comment_above_the_values_stays(tmp_path: Path) -> None:
    file = tmp_path / "c.json"
    comment = "// Mine.\n// This file is managed automatically.\n"
    file.write_text(comment + '{"a": 1}\n')

    make_edits([Edit(str(file), ("b",), 2)], str(tmp_path))

    assert file.read_text().startswith(comment)
    assert json.loads(file.read_text().removeprefix(comment)) == {"a": 1, "b": 2}


def test_a_new_file_and_its_folder_are_private(tmp_path: Path) -> None:
    file = tmp_path / "home" / ".cli" / "c.json"
    make_edits([Edit(str(file), ("a", "b"), 1)], str(tmp_path))
    assert json.loads(file.read_text()) == {"a": {"b": 1}}
    assert (mode(file), mode(file.parent)) == (0o600, 0o700)


def test_a_value_joins_a_list_once_and_one_that_is_there_can_stay(tmp_path: Path) -> None:
    file = tmp_path / "c.json"
    assert make(file, (("approved",), "k1"), append=True) == {"approved": ["k1"]}
    assert make(file, (("approved",), "k2"), (("approved",), "k1"), append=True)["approved"] == ["k1", "k2"]
    assert make(file, (("theme",), "dark"), only_absent=True)["theme"] == "dark"
    assert make(file, (("theme",), "light"), only_absent=True)["theme"] == "dark"


def test_what_is_there_already_is_not_written_again(tmp_path: Path) -> None:
    file = tmp_path / "c.json"
    file.write_text('{"a":{"b":1},"list":[1]}')
    before = file.stat()
    make(file, (("a", "b"), 1))
    make(file, (("list",), 1), append=True)
    assert (file.stat().st_ino, file.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "dotfiles").mkdir()
    real, link = tmp_path / "dotfiles" / "c.json", tmp_path / "c.json"
    real.write_text("{}")
    link.symlink_to(real)
    make(link, (("a",), 1))
    assert link.is_symlink()
    assert json.loads(real.read_text()) == {"a": 1}


def test_half_a_pair_of_surrogates_stays_what_it_is(tmp_path: Path) -> None:
    file = tmp_path / "c.json"
    file.write_text('{"s": "\\ud83d"}')
    assert make(file, (("a",), 1)) == {"s": "\ud83d", "a": 1}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'{"a": 1,}', "not valid JSON"),
        (b"{} // a comment", "not valid JSON"),
        (b"[" * 100_000, "not valid JSON"),
        (b"[]", "holds no JSON object"),
        (b'{"a.b": {"c": 1}}', '"a.b".c is no object'),
        (b"\xff", "not valid UTF-8"),
    ],
    ids=lambda value: str(value[:20]),
)
def test_what_it_cannot_edit_is_refused_and_left_as_it_is(tmp_path: Path, content: bytes, words: str) -> None:
    file = tmp_path / "c.json"
    file.write_bytes(content)

    with pytest.raises(SpawnFailed, match="mend that file") as refused:
        make_edits([Edit(str(file), ("x",), 1), Edit(str(file), ("a.b", "c", "d"), 1)], str(tmp_path))

    assert str(file) in str(refused.value)
    assert words in str(refused.value)
    assert file.read_bytes() == content
    assert sorted(os.listdir(tmp_path)) == sorted(
        ["c.json", *(n for n in os.listdir(tmp_path) if ".lock" in n)]
    )


def test_a_list_that_is_none_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "c.json"
    file.write_text('{"a": {"b": "text"}}')
    with pytest.raises(SpawnFailed, match=r"a\.b is no list"):
        make(file, (("a", "b"), 1), append=True)


def test_what_its_cli_writes_meanwhile_is_not_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "c.json"
    file.write_text('{"from": "before"}')
    real, calls = module.edited, iter((True, False, False))

    def interrupted(text: str, edits: Any) -> str | None:
        found = real(text, edits)
        if next(calls):
            file.write_text('{"from": "the CLI itself"}')
        return found

    monkeypatch.setattr(module, "edited", interrupted)
    assert make(file, (("a",), 1)) == {"from": "the CLI itself", "a": 1}


def test_two_starts_at_once_wait_for_each_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOCK_S", 0.1)
    file = tmp_path / "c.json"
    make(file, (("a",), 1))
    (lock,) = (tmp_path / "locks").iterdir()
    with FileLock(lock), pytest.raises(SpawnFailed, match="try again"):
        make(file, (("a",), 2))
    assert make(file, (("a",), 2)) == {"a": 2}


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SpawnFailed, match="Not a directory; make it yours to write"):
        make_edits([Edit(str(tmp_path / "file" / "c.json"), ("a",), 1)], str(tmp_path / "locks"))
