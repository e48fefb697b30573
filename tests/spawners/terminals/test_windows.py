"""What the terminals of Windows are told, and that each one's own reading of it gives the words back."""

from __future__ import annotations

import base64
import re
import shlex
import subprocess

import pytest

from spawners.errors import SpawnerError
from spawners.terminals.base import Terminal
from spawners.terminals.windows import (
    TERMINALS,
    Alacritty,
    Cmd,
    NewConsole,
    PowerShell,
    Pwsh,
    WezTerm,
    WindowsTerminal,
    Wsl,
)

PYTHON = r"C:\Program Files\Python312\python.exe"
SCRIPT = r"C:\Users\Zoë O'Neil\AppData\Local\muster\run\w-0123456789ab.py"
COMMAND = (PYTHON, "-I", SCRIPT)
SIMPLE = (r"C:\Python312\python.exe", "-I", r"C:\m\run\w-0123456789ab.py")
HOSTILE = ["x;calc", 'x" & calc & "', "%OS%", "-x", "$(calc)", "a\nb", "!x!", "^x", "'x'"]


def windows_terminal(words: tuple[str, ...]) -> list[list[str]]:
    """The commands that wt.exe makes of its words: cut at each `;` that no backslash precedes, within words
    too, and `\\;` is `;` then (its `_addCommandsForArg` and `AddArg`)."""
    commands: list[list[str]] = [[]]
    for word in words:
        parts = re.split(r"(?<!\\);", word)
        for number, part in enumerate(parts):
            if number:
                commands.append([])
            if part or len(parts) == 1:
                commands[-1].append(part.replace("\\;", ";"))
    return commands


def cmd_words(words: tuple[str, ...]) -> list[str]:
    """The line of `subprocess` as cmd and then the C runtime read it; nothing special is outside quotes."""
    line = subprocess.list2cmdline(words)
    outside = re.sub(r'"[^"]*"', "", line)
    assert not re.search(r"[%!]", line)
    assert not re.search(r"[&|<>^;,=]", outside)
    return shlex.split(line.replace("\\", "\\\\"), posix=True)


def test_a_new_console_is_given_the_command_itself() -> None:
    opener = NewConsole().opener("conhost.exe", COMMAND, "t", r"C:\w")

    assert opener.argv == COMMAND
    assert opener.new_console


def test_windows_terminal_opens_a_window_or_a_tab() -> None:
    wt = WindowsTerminal()

    assert wt.argv("wt.exe", COMMAND, "my agent", r"C:\my work") == (
        *("wt.exe", "-w", "-1", "new-tab", "--title", "my agent", "-d", r"C:\my work", "--"),
        *COMMAND,
    )
    assert wt.argv("wt.exe", COMMAND, "", "", tab=True)[:5] == ("wt.exe", "-w", "0", "new-tab", "--")


@pytest.mark.parametrize(
    "path", [r"C:\a;b\w.py", r"C:\a\;b\w.py", r"C:\a;;b\w;.py", r"C:\R&D\'x'\w.py", "C:\\a b\\w.py"]
)
def test_windows_terminal_sees_one_command_whatever_semicolons_are_in_it(path: str) -> None:
    words = WindowsTerminal().argv("wt.exe", (PYTHON, "-I", path), "", "")

    (command,) = windows_terminal(words[1:])

    assert command[-3:] == [PYTHON, "-I", path]


def test_windows_terminal_is_not_given_what_it_would_expand() -> None:
    with pytest.raises(SpawnerError, match="expands variables"):
        WindowsTerminal().argv("wt.exe", (PYTHON, r"C:\100%\a%\w.py"), "", "")


@pytest.mark.parametrize("terminal", [PowerShell(), Pwsh()])
def test_powershell_gets_its_command_encoded(terminal: Terminal) -> None:
    hard = (PYTHON, "-I", "C:\\it's ‘here’ $x `n;&|\\w.py")

    opener = terminal.opener("p.exe", hard, "t", "")

    assert opener.new_console
    assert opener.argv[:-1] == ("p.exe", "-NoLogo", "-NoProfile", "-EncodedCommand")
    script = base64.b64decode(opener.argv[-1]).decode("utf-16-le")
    assert script == (
        "& 'C:\\Program Files\\Python312\\python.exe' '-I' "
        "'C:\\it''s ‘‘here’’ $x `n;&|\\w.py'; exit $LASTEXITCODE"
    )


def test_powershell_is_not_given_quotes_which_version_5_loses() -> None:
    with pytest.raises(SpawnerError, match="loses quotes"):
        PowerShell().opener("p.exe", (PYTHON, 'a"b'), "", "")


def test_cmd_has_a_title_in_quotes_before_the_program() -> None:
    command = (PYTHON, "-I", r"C:\Users\me\w-0123456789ab.py")

    words = Cmd().argv("cmd.exe", command, "fix", r"C:\my work (x86)\\")

    assert words == (
        *("cmd.exe", "/d", "/c", "start", "agent fix", "/D", r"C:\my work (x86)"),
        *command,
    )
    assert '"agent fix"' in subprocess.list2cmdline(words)
    assert cmd_words(words) == list(words)


@pytest.mark.parametrize(
    "path", [r"C:\100%\w.py", r"C:\R&D\w.py", r"C:\a^b", "C:\\a!b", 'C:\\a"b', "C:\\a;b", "C:\\é"]
)
def test_cmd_is_not_given_what_it_would_read_otherwise(path: str) -> None:
    with pytest.raises(SpawnerError, match="cmd would read"):
        Cmd().argv("cmd.exe", (PYTHON, path), "", "")


def test_wsl_runs_the_program_by_its_place_below_mnt() -> None:
    opener = Wsl("Ubuntu-24.04").opener("wsl.exe", COMMAND, "t", r"C:\my work")

    assert opener.new_console
    assert opener.argv == (
        *("wsl.exe", "-d", "Ubuntu-24.04", "--cd", r"C:\my work", "-e"),
        *("/mnt/c/Program Files/Python312/python.exe", "-I", SCRIPT),
    )
    assert Wsl().argv("wsl.exe", COMMAND, "", "")[1] == "-e"


def test_alacritty_is_not_given_words_with_spaces() -> None:
    assert Alacritty().argv("alacritty.exe", SIMPLE, "my agent", r"C:\my work") == (
        *("alacritty.exe", "-T", "my agent", "--working-directory", r"C:\my work", "-e"),
        *SIMPLE,
    )
    with pytest.raises(SpawnerError, match="loses the bounds"):
        Alacritty().argv("alacritty.exe", COMMAND, "", "")


def test_wezterm_starts_a_process_of_its_own_and_focuses_a_pane() -> None:
    wezterm = WezTerm()

    assert wezterm.argv("C:/w/wezterm-gui.exe", COMMAND, "t", r"C:\w") == (
        *("C:/w/wezterm-gui.exe", "start", "--always-new-process", "--cwd", r"C:\w", "--"),
        *COMMAND,
    )
    focus = wezterm.focus("C:/w/wezterm-gui.exe", {"WEZTERM_PANE": "3"})
    assert focus is not None
    assert focus.argv == ("C:/w/wezterm.exe", "cli", "activate-pane", "--pane-id", "3")
    assert wezterm.focus("C:/w/wezterm-gui.exe", {"WEZTERM_PANE": "3 & calc"}) is None


@pytest.mark.parametrize("terminal", TERMINALS, ids=lambda terminal: terminal.name)
@pytest.mark.parametrize("hostile", HOSTILE)
def test_a_title_or_folder_that_could_be_mistaken_is_left_out(terminal: Terminal, hostile: str) -> None:
    plain = terminal.opener("t.exe", SIMPLE, "", "")

    assert terminal.opener("t.exe", SIMPLE, hostile, hostile) == plain
    assert terminal.opener("t.exe", SIMPLE, hostile, "C:\\" + hostile).argv[-3:] == plain.argv[-3:]


def test_each_terminal_has_a_name_of_its_own() -> None:
    assert len({terminal.name for terminal in TERMINALS}) == len(TERMINALS)
