"""What is cleared away at the start of a daemon, and what is still of use then."""

from __future__ import annotations

import os
import socket
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.windows.leftovers import STALE_S, sweep

ID, OTHER = "w-0123456789ab", "w-ba9876543210"
LONG_AGO = time.time() - 2 * STALE_S


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="mu-l-", dir="/tmp") as made:
        yield Path(made)


def left(path: Path, *, at: float = LONG_AGO) -> Path:
    if not path.exists():
        path.touch()
    os.utime(path, (at, at))
    return path


def listening(path: Path) -> socket.socket:
    line = socket.socket(socket.AF_UNIX)
    line.bind(str(path))
    line.listen()
    left(path)
    return line


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_script_that_nobody_has_executed_is_removed_once_nobody_will(folder: Path) -> None:
    left(folder / ID)
    left(folder / f"{ID}.command")
    left(folder / OTHER, at=time.time())
    left(folder / "daemon.sock")
    sweep([str(folder)], ())
    assert names(folder) == {OTHER, "daemon.sock"}


def test_the_last_word_of_a_window_waits_for_who_asks_for_it(folder: Path) -> None:
    left(folder / f"{ID}.gone")
    left(folder / f"{OTHER}.gone")
    sweep([str(folder), str(folder)], {ID})
    assert names(folder) == {f"{ID}.gone"}


@pytest.mark.needs("posix")
def test_a_socket_is_removed_when_its_terminal_is_gone_and_no_sooner(folder: Path) -> None:
    with listening(folder / f"{ID}.kitty"), listening(folder / "w-tmux"):
        for name in (f"{OTHER}.kitty", "w-kitty"):
            listening(folder / name).close()
        sweep([str(folder)], ())
        assert names(folder) == {f"{ID}.kitty", "w-tmux"}
        sweep([str(folder)], ())
        assert names(folder) == {f"{ID}.kitty", "w-tmux"}


def test_a_folder_that_is_not_there_is_nothing_to_clear(folder: Path) -> None:
    sweep([str(folder / "none")], ())
