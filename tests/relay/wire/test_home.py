"""Folders that only their owner can reach."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

import pytest

from relay.wire.home import SOCKET_PATH_MAX, Home


def home_at(folder: Path) -> Home:
    return Home(str(folder), str(folder), str(folder / "run"))


def test_what_it_makes_is_private(tmp_path: Path) -> None:
    home = home_at(tmp_path / "m")
    home.prepare()
    for folder in (home.state, home.sockets):
        assert stat.S_IMODE(os.stat(folder).st_mode) == 0o700


def test_a_long_path_gets_a_short_folder_for_its_sockets(tmp_path: Path) -> None:
    deep = tmp_path / ("x" * 120)
    home = home_at(deep)
    assert len(os.path.join(home.sockets, "ag-0123456789ab.sock")) <= SOCKET_PATH_MAX
    assert home.sockets == home_at(deep).sockets
    assert home.sockets != home_at(tmp_path / ("y" * 120)).sockets


def test_a_folder_open_to_others_is_closed(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir(mode=0o755)
    home_at(tmp_path).prepare()
    assert stat.S_IMODE((tmp_path / "run").stat().st_mode) == 0o700


MAC = "/var/folders/zz/zyxvpxvq6csfxvn_n0000000000000/T/"


@pytest.mark.parametrize("tmpdir", [MAC, "/tmp", None])
def test_on_macos_ssh_and_services_find_the_same_sockets(
    tmpdir: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each has its own idea of TMPDIR there; what the system says of the user is one."""
    monkeypatch.setattr(os, "confstr", lambda number: MAC if number == 65537 else None)
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.delenv("TMPDIR", raising=False) if tmpdir is None else monkeypatch.setenv("TMPDIR", tmpdir)
    home = home_at(Path("/Users/me/Library/Application Support") / ("y" * 60))
    longest = os.path.join(home.sockets, "ag-0123456789ab.sock")
    assert os.path.dirname(home.sockets) == MAC.rstrip("/")
    assert len(longest) < 104


def test_a_link_planted_for_the_sockets_is_refused(tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    (tmp_path / "run").symlink_to(tmp_path / "theirs")
    with pytest.raises(PermissionError, match="somebody else"):
        home_at(tmp_path).prepare()


@pytest.mark.needs("root")
def test_a_folder_of_another_user_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    os.chown(tmp_path / "run", 65534, 65534)
    with pytest.raises(PermissionError, match="somebody else"):
        home_at(tmp_path).prepare()


def test_half_written_records_are_no_records(tmp_path: Path) -> None:
    home = home_at(tmp_path)
    (tmp_path / "relay.json").write_text('{"url": "htt')
    assert home.read_record(home.relay_record) is None
    home.write_private(home.relay_record, '{"url": "x"}')
    assert home.read_record(home.relay_record) == {"url": "x"}
    assert stat.S_IMODE(os.stat(home.relay_record).st_mode) == 0o600
