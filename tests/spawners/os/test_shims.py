"""The files that package managers install on Windows, word for word, and what is executed instead of them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from spawners._os.shims import BatchRefused, find, is_batch, resolve

NPM = r"""@ECHO off
GOTO start
:find_dp0
SET dp0=%~dp0
EXIT /b
:start
SETLOCAL
CALL :find_dp0

IF EXIST "%dp0%\node.exe" (
  SET "_prog=%dp0%\node.exe"
) ELSE (
  SET "_prog=node"
  SET PATHEXT=%PATHEXT:;.JS;=;%
)

endLocal & goto #_undefined_# 2>NUL || title %COMSPEC% & "%_prog%"  "%dp0%\node_modules\@acme\tool\cli.js" %*
"""
"""cmd-shim of npm 7 and later."""

NPM_WITH_FLAGS = NPM.replace('"%_prog%" ', '"%_prog%" --no-warnings --max-old-space-size=4096 ')

NPM_NATIVE = r"""@ECHO off
GOTO start
:find_dp0
SET dp0=%~dp0
EXIT /b
:start
SETLOCAL
CALL :find_dp0
"%dp0%\node_modules\@acme\tool\bin\tool.exe"   %*
"""

NPM_6 = r"""@ECHO off
SETLOCAL
CALL :find_dp0

IF EXIST "%dp0%\node.exe" (
  SET "_prog=%dp0%\node.exe"
) ELSE (
  SET "_prog=node"
  SET PATHEXT=%PATHEXT:;.JS;=;%
)

"%_prog%"  "%dp0%\node_modules\@acme\tool\cli.js" %*
ENDLOCAL
EXIT /b %errorlevel%
:find_dp0
SET dp0=%~dp0
EXIT /b
"""

NPM_3 = r"""@IF EXIST "%~dp0\node.exe" (
  "%~dp0\node.exe"  "%~dp0\node_modules\@acme\tool\cli.js" %*
) ELSE (
  @SETLOCAL
  @SET PATHEXT=%PATHEXT:;.JS;=;%
  node  "%~dp0\node_modules\@acme\tool\cli.js" %*
)
"""
"""Of npm 3 to 5, and of yarn 1."""

PNPM = r"""@SETLOCAL
@IF NOT DEFINED NODE_PATH (
  @SET "NODE_PATH=C:\pnpm\global\5\.pnpm\node_modules"
) ELSE (
  @SET "NODE_PATH=C:\pnpm\global\5\.pnpm\node_modules;%NODE_PATH%"
)
@IF EXIST "%~dp0\node.exe" (
  "%~dp0\node.exe"  "%~dp0\node_modules\@acme\tool\cli.js" %*
) ELSE (
  @SET PATHEXT=%PATHEXT:;.JS;=;%
  node  "%~dp0\node_modules\@acme\tool\cli.js" %*
)
"""

POWERSHELL = r"""#!/usr/bin/env pwsh
$basedir=Split-Path $MyInvocation.MyCommand.Definition -Parent

$exe=""
if ($PSVersionTable.PSVersion -lt "6.0" -or $IsWindows) {
  # Fix case when both the Windows and Linux builds of Node
  # are installed in the same directory
  $exe=".exe"
}
$ret=0
if (Test-Path "$basedir/node$exe") {
  # Support pipeline input
  if ($MyInvocation.ExpectingInput) {
    $input | & "$basedir/node$exe"  "$basedir/node_modules/@acme/tool/cli.js" $args
  } else {
    & "$basedir/node$exe"  "$basedir/node_modules/@acme/tool/cli.js" $args
  }
  $ret=$LASTEXITCODE
} else {
  # Support pipeline input
  if ($MyInvocation.ExpectingInput) {
    $input | & "node$exe"  "$basedir/node_modules/@acme/tool/cli.js" $args
  } else {
    & "node$exe"  "$basedir/node_modules/@acme/tool/cli.js" $args
  }
  $ret=$LASTEXITCODE
}
exit $ret
"""

HOSTILE = ('"&echo INJ', "%OS%", "a b", "", "^&|<>", "two\r\nlines", "é")


class Installed:
    """A folder as `npm install --global` leaves it, and a node on PATH."""

    def __init__(self, root: Path) -> None:
        self.folder = root / "npm"
        self.package = self.folder / "node_modules" / "@acme" / "tool"
        self.script = self.package / "cli.js"
        self.native = self.package / "bin" / "tool.exe"
        self.node = root / "node js" / "node.exe"
        for file, text in ((self.script, "#!/usr/bin/env node\n"), (self.native, "MZ"), (self.node, "MZ")):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        self.path = os.pathsep.join([str(self.node.parent), str(self.folder)])

    def shim(self, text: str, name: str = "tool.cmd") -> str:
        file = self.folder / name
        file.write_bytes(text.replace("\n", "\r\n").encode())
        return str(file)

    def resolve(self, *argv: str) -> tuple[str, ...]:
        return resolve(argv, self.path)


@pytest.fixture
def npm(tmp_path: Path) -> Installed:
    return Installed(tmp_path)


@pytest.mark.parametrize("text", [NPM, NPM_6, NPM_3, PNPM])
def test_a_shim_is_the_script_that_it_names_under_node(npm: Installed, text: str) -> None:
    assert npm.resolve(npm.shim(text), *HOSTILE) == (str(npm.node), str(npm.script), *HOSTILE)


@pytest.mark.parametrize("text", [NPM, NPM_6, NPM_3, PNPM])
def test_the_node_beside_the_shim_is_taken_before_that_on_path(npm: Installed, text: str) -> None:
    beside = npm.folder / "node.exe"
    beside.write_text("MZ")

    assert npm.resolve(npm.shim(text), "x") == (str(beside), str(npm.script), "x")


def test_flags_of_the_first_line_are_kept(npm: Installed) -> None:
    flags = ("--no-warnings", "--max-old-space-size=4096")

    assert npm.resolve(npm.shim(NPM_WITH_FLAGS), "x") == (str(npm.node), *flags, str(npm.script), "x")


def test_a_program_that_needs_no_node_is_run_itself(npm: Installed) -> None:
    assert npm.resolve(npm.shim(NPM_NATIVE), *HOSTILE) == (str(npm.native), *HOSTILE)


def test_the_powershell_sibling_names_the_same(npm: Installed) -> None:
    assert npm.resolve(npm.shim(POWERSHELL, "tool.ps1"), *HOSTILE) == (
        *(str(npm.node), str(npm.script)),
        *HOSTILE,
    )


def test_a_name_is_found_by_its_shim_and_never_by_the_shell_script_beside_it(npm: Installed) -> None:
    npm.shim("#!/bin/sh\n", "tool")
    npm.shim(NPM)

    assert npm.resolve("tool", "x") == (str(npm.node), str(npm.script), "x")
    assert npm.resolve("other", "x") == ("other", "x")


def test_an_exe_comes_before_a_shim(npm: Installed) -> None:
    npm.shim(NPM)
    npm.shim("MZ", "tool.exe")

    assert npm.resolve("tool") == (str(npm.folder / "tool.exe"),)


def test_a_folder_of_path_that_is_relative_is_not_searched(
    npm: Installed, monkeypatch: pytest.MonkeyPatch
) -> None:
    npm.shim(NPM)
    monkeypatch.chdir(npm.folder)

    assert find("tool", ".", separator=os.pathsep) is None
    assert find("tool", "", separator=os.pathsep) is None


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(NPM.replace("SETLOCAL", "SETLOCAL\nSET NODE_ENV=production"), id="sets a variable"),
        pytest.param(NPM.replace("SETLOCAL", "SETLOCAL\ndel /q C:\\x"), id="does something else"),
        pytest.param(NPM.replace("SETLOCAL", "SETLOCAL\nif not defined KEY call key.cmd"), id="does it if"),
        pytest.param(NPM.replace("SETLOCAL", "SETLOCAL\nset dp0=%~dp0 & call key.cmd"), id="does it besides"),
        pytest.param(NPM.replace(";=;%\n)", ";=;%\n) & call key.cmd"), id="does it at last"),
        pytest.param(NPM + '"%_prog%" "%dp0%\\node_modules\\@acme\\tool\\bin\\tool.exe" %*\n', id="runs two"),
        pytest.param('@node "%~dp0\\gone.js" %*\n', id="names what is gone"),
        pytest.param("@echo %*\n", id="echo"),
        pytest.param('@call "%~dp0\\other.cmd" %*\n', id="calls another"),
        pytest.param('@cmd /c "%~dp0\\node_modules\\@acme\\tool\\cli.js" %*\n', id="cmd itself"),
        pytest.param("@node %1 %*\n", id="an argument as the script"),
        pytest.param("x" * 100_000, id="very long"),
    ],
)
def test_what_is_no_shim_gets_no_argument_that_could_be_a_command(npm: Installed, text: str) -> None:
    file = npm.shim(text)

    assert npm.resolve(file, "plain", "two words") == (file, "plain", "two words")
    for argument in ('"&echo INJ', "%OS%", "a&b", "a|b", "a<b", "a>b", "a^b", "!x!", "a\rb", "a\nb", 'a"b'):
        with pytest.raises(BatchRefused, match="could become a command"):
            npm.resolve(file, argument)


@pytest.mark.parametrize("name", ["X.CMD", "x.Bat", "x.cmd.", "x.bat . .", "x.cmd   ", "x.cmd::$DATA"])
def test_every_spelling_of_a_batch_file_is_one(npm: Installed, name: str) -> None:
    assert is_batch(name)
    assert is_batch(f"C:\\some where\\{name}")
    with pytest.raises(BatchRefused):
        npm.resolve(npm.shim("@echo %*\n", name), '"&echo INJ')


@pytest.mark.parametrize("name", ["x.exe", "cmd", "x.cmd.exe", "C:\\x.cmd\\y", "x.com", ""])
def test_nothing_else_is(name: str) -> None:
    assert not is_batch(name)


def test_a_batch_file_in_a_folder_that_cmd_would_misread_is_refused(npm: Installed) -> None:
    folder = npm.folder / "R&D"
    folder.mkdir()

    with pytest.raises(BatchRefused):
        npm.resolve(npm.shim("@echo %*\n", "R&D/x.cmd"), "plain")


@pytest.mark.parametrize("named", ['"bin": {"tool": "./cli.js"}', '"name": "@acme/tool", "bin": "cli.js"'])
def test_a_shim_that_cannot_be_read_is_looked_up_in_its_package(npm: Installed, named: str) -> None:
    (npm.package / "package.json").write_text(f"{{{named}}}")

    assert npm.resolve(npm.shim("@rem of a later npm\n@something %*\n"), '"&echo INJ') == (
        *(str(npm.node), str(npm.script)),
        '"&echo INJ',
    )


def test_a_package_names_nothing_outside_of_itself(npm: Installed) -> None:
    (npm.package / "package.json").write_text('{"bin": {"tool": "../../../tool.cmd"}}')

    with pytest.raises(BatchRefused):
        npm.resolve(npm.shim("@something %*\n"), '"&echo INJ')


def test_an_interpreter_that_is_missing_is_named(npm: Installed) -> None:
    shim = npm.shim(NPM)

    with pytest.raises(FileNotFoundError, match=r"tool\.cmd needs node, which is not on PATH"):
        resolve((shim,), "")


def test_a_script_of_powershell_that_is_no_shim_is_refused(npm: Installed) -> None:
    with pytest.raises(BatchRefused, match="PowerShell"):
        npm.resolve(npm.shim("Write-Host $args\n", "own.ps1"))
