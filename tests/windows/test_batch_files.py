"""A real attempt to inject a command through a batch file, against what is executed instead of one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from spawners._os.shims import BatchRefused, resolve

pytestmark = pytest.mark.needs("windows")

INJECTION = '"&echo INJ'
SHIM = r"""@ECHO off
GOTO start
:find_dp0
SET dp0=%~dp0
EXIT /b
:start
SETLOCAL
CALL :find_dp0

IF EXIST "%dp0%\python.exe" (
  SET "_prog=%dp0%\python.exe"
) ELSE (
  SET "_prog=python"
  SET PATHEXT=%PATHEXT:;.JS;=;%
)

endLocal & goto #_undefined_# 2>NUL || title %COMSPEC% & "%_prog%"  "%dp0%\node_modules\tool\cli.js" %*
"""
"""npm's own, for a tool that is run by Python: there is no node here."""


@pytest.fixture
def shim(tmp_path: Path) -> str:
    package = tmp_path / "node_modules" / "tool"
    package.mkdir(parents=True)
    (package / "cli.js").write_text("import json, sys; print(json.dumps(sys.argv[1:]))")
    file = tmp_path / "tool.cmd"
    file.write_bytes(SHIM.replace("\n", "\r\n").encode())
    return str(file)


def path() -> str:
    return os.path.dirname(sys.executable)


def output(argv: tuple[str, ...]) -> str:
    done = subprocess.run(argv, capture_output=True, stdin=subprocess.DEVNULL, timeout=60, check=False)
    return done.stdout.decode()


def test_a_batch_file_itself_would_run_what_is_in_its_arguments(tmp_path: Path) -> None:
    file = tmp_path / "plain.cmd"
    file.write_bytes(b"@echo got %*\r\n")

    assert "INJ" in output((str(file), INJECTION)).splitlines()[-1]


def test_a_shim_gets_every_argument_as_it_is(shim: str) -> None:
    hostile = [INJECTION, "%OS%", "a b", "", "^&|<>", "\xe9", "!x!", "tail\\"]

    for name in (shim, shim[: -len(".cmd")], shim.upper(), shim + ". ."):
        argv = resolve((name, *hostile), path())

        assert argv[0].lower() == sys.executable.lower()
        assert json.loads(output(argv)) == hostile


@pytest.mark.parametrize("spelled", ["plain.cmd", "PLAIN.CMD", "plain.cmd.", "plain.cmd  ", "plain"])
def test_a_batch_file_that_is_no_shim_is_refused_however_it_is_spelled(tmp_path: Path, spelled: str) -> None:
    (tmp_path / "plain.cmd").write_bytes(b"@echo got %*\r\n")

    with pytest.raises(BatchRefused):
        resolve((str(tmp_path / spelled), INJECTION), path())
    assert "got plain words" in output(resolve((str(tmp_path / spelled), "plain", "words"), path()))
