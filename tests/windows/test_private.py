"""Files that are one user's, and replaced while others read them, as Windows has it."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from orchestrator.secrets import Secrets, SecretsError
from relay.wire import private
from relay.wire.home import Home

pytestmark = pytest.mark.needs("windows")


def test_folders_and_files_of_a_home_are_closed_to_others(tmp_path: Path) -> None:
    home = Home(str(tmp_path / "m"), str(tmp_path / "m"), str(tmp_path / "m" / "run"))
    open_file = tmp_path / "open"
    open_file.write_text("")

    home.prepare()
    home.write_private(home.host_record, "{}")

    assert home.tcp
    assert all(private.is_private(path) for path in (home.state, home.sockets, home.host_record))
    assert not private.is_private(str(open_file))
    private.make_private(str(open_file))
    assert private.is_private(str(open_file))


def test_keys_are_not_taken_from_a_file_that_others_can_read(tmp_path: Path) -> None:
    file = tmp_path / "secrets.env"
    file.write_text("A=1")

    with pytest.raises(SecretsError, match="icacls"):
        Secrets(str(file)).read()
    private.make_private(str(file))
    assert Secrets(str(file)).read() == {"A": "1"}


def test_a_file_is_replaced_and_removed_as_soon_as_its_readers_let_go(tmp_path: Path) -> None:
    path = str(tmp_path / "file")
    private.write_private(path, "old")
    for act in (lambda: private.write_private(path, "new"), lambda: private.remove_file(path)):
        reader = open(path)  # noqa: SIM115 # closed by another thread
        closing = threading.Timer(0.2, reader.close)
        closing.start()
        act()
        assert reader.closed
        closing.join()

    assert not Path(path).exists()
