"""What is left of an agent whose keeper is gone, found by proof."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from muster_processes import until

from spawners import _os
from spawners.tree import PLACE, end_survivors

posix_spawn = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no posix_spawn")


def executed(directory: Path) -> int:
    """A program of the agent in `directory`, as a keeper starts it: looked at before it has done anything."""
    return os.posix_spawn("/bin/sleep", ["sleep", "1000"], {PLACE: str(directory)}, setsid=True)


@posix_spawn
def test_a_program_in_the_middle_of_its_exec_is_not_told_to_be_a_stranger(tmp_path: Path) -> None:
    """Its parent goes on before the kernel has laid out the environment by which it is known."""
    for _ in range(50):
        pid = executed(tmp_path)
        told = _os.has_mark(pid, f"{PLACE}={tmp_path}")
        os.kill(pid, 9)
        os.waitpid(pid, 0)
        assert told is not False


@posix_spawn
def test_what_cannot_be_told_yet_is_looked_at_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pid = executed(tmp_path)
    process = _os.process(pid)
    assert process is not None
    looks = iter([None, None, None])  # as the kernel answers for a moment, here for three passes
    has_mark = _os.has_mark
    monkeypatch.setattr(
        _os, "has_mark", lambda of, mark: next(looks, True) if of == pid else has_mark(of, mark)
    )

    ended = end_survivors(str(tmp_path), None, process.started)

    os.kill(pid, 9)
    os.waitpid(pid, 0)
    assert [item.pid for item in ended] == [pid]


@posix_spawn
@pytest.mark.needs("linux")
def test_a_program_without_any_environment_is_a_stranger(tmp_path: Path) -> None:
    pid = os.posix_spawn("/bin/sleep", ["sleep", "1000"], {})
    try:
        mark = f"{PLACE}={tmp_path}"
        until(lambda: _os.has_mark(pid, mark) is not None, "the end of its exec")
        assert _os.has_mark(pid, mark) is False
    finally:
        os.kill(pid, 9)
        os.waitpid(pid, 0)
