"""What is written for each system, letter by letter: `tests/golden/services/`."""

from __future__ import annotations

import os
import plistlib
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
from muster_processes import until
from systemd_user import UserManager, user_manager

from orchestrator.services import Program, ServiceError, foreground, launchd, logon, systemd
from orchestrator.services.base import check_own, refresh
from relay.wire.home import Home

__all__ = ["user_manager"]

GOLDEN = Path(__file__).parents[2] / "golden" / "services"
UP = ("-P", "-m", "orchestrator.cli.main", "up")
PLAIN = Program(("/opt/muster/bin/python", *UP), None, "/var/muster/logs/service.out")
AWKWARD = Program(
    ("/opt/$HOME ${A} %h; #\xe9/bin/python", *UP),
    '/srv/${A} 50% "b\'s" c\\d \xe9 <&>\t',
    "/srv/<&> \xe9/logs/service.out",
)


@pytest.mark.parametrize(("name", "program"), [("plain", PLAIN), ("awkward", AWKWARD)])
def test_the_unit_of_systemd(name: str, program: Program) -> None:
    assert systemd.unit(program) == (GOLDEN / f"{name}.service").read_text(encoding="utf-8")


@pytest.mark.parametrize(("name", "program"), [("plain", PLAIN), ("awkward", AWKWARD)])
def test_the_plist_of_launchd(name: str, program: Program) -> None:
    text = launchd.plist(program)

    assert text == (GOLDEN / f"{name}.plist").read_text(encoding="utf-8")
    read = plistlib.loads(text.encode())
    assert read["ProgramArguments"] == list(program.argv)
    assert read.get("EnvironmentVariables") == (program.home and {"MUSTER_HOME": program.home})
    assert read["StandardOutPath"] == read["StandardErrorPath"] == program.log


@pytest.mark.parametrize("program", [PLAIN, AWKWARD])
@pytest.mark.parametrize("service", [systemd, launchd])
def test_the_home_that_is_written_down_is_read_again(
    service: Any, program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    assert service.home() is None
    refresh(service.place(), (systemd.unit if service is systemd else launchd.plist)(program))
    assert service.home() == (program.home or "")
    Path(service.place()).write_bytes(b"\xff")
    assert service.home() is None


@pytest.mark.parametrize(
    ("said", "home"),
    [
        (r'"C:\py thon\pythonw.exe" -P -m orchestrator.services.at_logon "C:\a b"', "C:\\a b"),
        (r"C:\python\pythonw.exe -P -m orchestrator.services.at_logon C:\a", "C:\\a"),
        (r"C:\python\pythonw.exe -P -m orchestrator.services.at_logon", ""),
        (r"C:\python\pythonw.exe -P -m orchestrator.services.at_logon C:\�", None),
        ("something else", None),
    ],
)
def test_the_home_of_what_windows_starts_is_known_as_far_as_reg_says_it(said: str, home: str | None) -> None:
    assert logon.home_in(f"\r\n{logon.KEY}\r\n    muster    REG_SZ    {said}\r\n\r\n") == home


@pytest.mark.parametrize("text", ["[Service]\nExecStart=/usr/bin/muster up\n", "\udcff"])
def test_what_somebody_else_has_written_is_left_alone(tmp_path: Path, text: str) -> None:
    path = tmp_path / systemd.UNIT
    check_own(str(path))
    path.write_text(systemd.unit(PLAIN))
    check_own(str(path))
    path.write_text(text, errors="surrogateescape")
    with pytest.raises(ServiceError, match="move it"):
        check_own(str(path))


@pytest.mark.needs("systemd")
def test_systemd_hands_on_every_word_as_it_is(user_manager: UserManager, tmp_path: Path) -> None:
    """A shell, by a name as awkward as its folder, writes down what it was given."""
    shell = tmp_path / AWKWARD.argv[0].lstrip("/")
    shell.parent.mkdir(parents=True)
    shell.symlink_to("/bin/sh")
    told = tmp_path / "told"
    script = 'printf "%s\\0" "$0" "$@" "$MUSTER_HOME" > "$0.new"; mv "$0.new" "$0"'
    words = (str(told), "$HOME", "${HOME}", "$$", "%h%%", "a  b", "", "'\"\\", "\xe9\n")
    program = Program((str(shell), "-c", script, *words), AWKWARD.home, "")
    units = user_manager.home / ".config/systemd/user"
    units.mkdir(parents=True)
    (units / systemd.UNIT).write_text(systemd.unit(program))

    checked = subprocess.run(
        ["systemd-analyze", "--user", "verify", str(units / systemd.UNIT)],
        env={**os.environ, **user_manager.environment}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (checked.returncode, checked.stderr) == (0, "")
    user_manager.ctl("daemon-reload")
    user_manager.ctl("start", systemd.UNIT)
    until(told.exists, "its words")
    assert told.read_text().split("\0") == [*words, AWKWARD.home, ""]


@pytest.mark.parametrize("path", ["/a'b/python", '/a"b/python', "/a\\b/python", "/a\nb/python"])
def test_a_path_that_systemd_would_refuse_is_refused_before(path: str) -> None:
    with pytest.raises(ServiceError, match="another folder"):
        systemd.unit(Program((path, *UP), None, ""))


def test_windows_starts_a_program_without_a_console() -> None:
    python = "/py thon/python.exe"  # the separator of the system that the test runs on
    assert logon.command(Program((python, *UP), "C:\\a b", "")).endswith(
        'pythonw.exe" -P -m orchestrator.services.at_logon "C:\\a b"'
    )
    assert logon.command(Program((python, *UP), None, "")).endswith(" orchestrator.services.at_logon")


def test_a_command_that_windows_would_not_start_is_refused() -> None:
    with pytest.raises(ServiceError, match="260"):
        logon.command(Program(("/python.exe", *UP), "C:\\" + "a" * 250, ""))


def test_only_a_chosen_home_is_written_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = Home(str(tmp_path), str(tmp_path), str(tmp_path / "run"))
    monkeypatch.delenv("MUSTER_HOME", raising=False)
    assert foreground(home).home is None
    monkeypatch.setenv("MUSTER_HOME", "somewhere/else")
    program = foreground(home)
    assert program.home == home.state
    assert os.path.isabs(program.argv[0])
    assert program.argv[1:] == UP
    assert os.path.isdir(os.path.dirname(program.log))


def test_a_file_is_replaced_in_one_step_and_only_when_it_differs(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b"
    assert refresh(str(path), "one\n")
    first = path.stat()
    assert not refresh(str(path), "one\n")
    assert path.stat().st_ino == first.st_ino
    assert refresh(str(path), "two\n")
    assert path.stat().st_ino != first.st_ino
    assert not stat.S_IMODE(path.stat().st_mode) & 0o022
    assert os.listdir(path.parent) == ["b"]
