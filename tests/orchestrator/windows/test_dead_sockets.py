"""Sockets of terminals that are gone are cleared away at the start of a daemon, and of none that lives."""

from __future__ import annotations

import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.windows.dead_sockets import remove_dead_sockets

pytestmark = pytest.mark.needs("posix")


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="mu-l-", dir="/tmp") as made:
        yield Path(made)


def listening(path: Path) -> socket.socket:
    line = socket.socket(socket.AF_UNIX)
    line.bind(str(path))
    line.listen(0)
    return line


def test_a_socket_is_removed_when_its_terminal_is_gone_and_no_sooner(folder: Path) -> None:
    living = {"w-0123456789ab.kitty", "w-tmux"}
    with listening(folder / "w-0123456789ab.kitty"), listening(folder / "w-tmux"):
        for name in ("w-ba9876543210.kitty", "w-kitty", "daemon.sock"):
            listening(folder / name).close()
        for _ in range(5):  # the second time nobody has answered the first one yet
            remove_dead_sockets(str(folder))
            assert {path.name for path in folder.iterdir()} == {*living, "daemon.sock"}


def test_what_is_no_socket_stays_and_no_folder_is_no_error(folder: Path) -> None:
    (folder / "w-kitty").touch()
    remove_dead_sockets(str(folder))
    assert (folder / "w-kitty").exists()
    remove_dead_sockets(str(folder / "none"))
