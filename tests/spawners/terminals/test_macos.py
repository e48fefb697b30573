"""The terminals of macOS: what they are handed, word by word, and fake `open` and `osascript` that take it.

No Mac has seen any of it. The golden files are what a person with one can try by hand.
"""

from __future__ import annotations

import asyncio
import os
import plistlib
import shlex
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
from muster_processes import until

from spawners.launch import Size
from spawners.terminals import applications
from spawners.terminals.applescript import EVENT_S, explained
from spawners.terminals.base import SAFE, Desktop, Display, Opener, Report, Terminal, Wanted
from spawners.terminals.choose import Wishes, choose
from spawners.terminals.macos import TERMINALS, TTY, Application
from spawners.terminals.window import FOCUS_S, REPORT_S, NotFocused, NoWindow, focus_window, open_window

pytestmark = pytest.mark.needs("linux")

GOLDEN = Path(__file__).parents[2] / "golden" / "macos"
COMMAND = ("/bin/sh", "/tmp/muster-501-0123456789ab/w-0123456789ab.command")
APPLICATIONS = [terminal for terminal in TERMINALS if isinstance(terminal, Application)]
HANDLES = {
    TTY: "/dev/ttys003",
    "TERM_PROGRAM": "iTerm.app",
    "ITERM_SESSION_ID": "w0t1p0:5A3D1B6C-0000-4E1F-8000-0123456789AB",
    "KITTY_LISTEN_ON": "unix:/tmp/muster-501-0123456789ab/w-0123456789ab.command.kitty",
    "KITTY_WINDOW_ID": "1",
    "WEZTERM_PANE": "0",
    "WEZTERM_UNIX_SOCKET": "/tmp/wezterm/gui-sock-1234",
}


def by_name(name: str) -> Terminal:
    return next(terminal for terminal in TERMINALS if terminal.name == name)


def program_of(terminal: Application) -> str:
    if terminal.name == "default":
        return "/usr/bin/open"
    bundle = f"/Applications/{terminal.application}.app"
    return f"{bundle}/Contents/MacOS/{terminal.inner}" if terminal.inner else bundle


def written(what: str, opener: Opener | None) -> str:
    """The form of the golden files."""
    if opener is None:
        return f"# {what}: cannot\n"
    text = f"# {what}\n{shlex.join(opener.argv)}\n"
    return text + (f"# which reads\n{opener.stdin.decode()}" if opener.stdin else "")


@pytest.mark.parametrize("terminal", APPLICATIONS, ids=lambda terminal: terminal.name)
def test_what_it_is_handed_is_what_the_golden_file_says(terminal: Application) -> None:
    program = program_of(terminal)
    text = written("a window", terminal.opener(program, COMMAND, "an agent", "/Users/me/a project"))
    text += written("a window, in a folder", terminal.opener(program, COMMAND, "agent", "/Users/me/src"))
    if terminal.tabs:
        text += written("a tab", terminal.opener(program, COMMAND, "agent", "/Users/me/src", tab=True))
    text += written("to the front", terminal.focus(program, HANDLES))
    golden = GOLDEN / f"{terminal.name}.txt"
    if os.environ.get("MUSTER_TEST_REWRITE"):
        golden.write_text(text)
    assert text == golden.read_text()


@pytest.mark.parametrize("terminal", APPLICATIONS, ids=lambda terminal: terminal.name)
def test_nothing_that_could_be_mistaken_is_handed_on(terminal: Application) -> None:
    """Title and folder are the user's; a quote in them must not become code of a script or a shell."""
    evil = 'x"; do shell script "id'
    for tab in {False, terminal.tabs}:
        opener = terminal.opener(program_of(terminal), COMMAND, evil, f"/{evil}", tab=tab)
        plain = terminal.opener(program_of(terminal), COMMAND, "", "", tab=tab)
        assert opener == plain
        assert COMMAND[-1] not in opener.stdin.decode()


def test_the_words_in_a_script_are_no_part_of_it() -> None:
    opener = by_name("iterm2").opener("/x", ("/bin/sh", "$(id)"), "", "", tab=True)
    assert opener.argv == ("osascript", "-", "/bin/sh $(id)")
    assert b"$(id)" not in opener.stdin


def test_a_mac_s_terminals_have_names_of_their_own() -> None:
    assert len({terminal.name for terminal in TERMINALS}) == len(TERMINALS)
    assert all(SAFE.fullmatch(terminal.name) for terminal in TERMINALS)


# ---- found


def bundle(folder: Path, name: str, identifier: str, inner: str = "") -> Path:
    made = folder / f"{name}.app"
    (made / "Contents" / "MacOS").mkdir(parents=True)
    (made / "Contents" / "Info.plist").write_bytes(plistlib.dumps({"CFBundleIdentifier": identifier}))
    if inner:
        program(made / "Contents" / "MacOS" / inner, "exit 0")
    return made


def program(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def mac(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with an `Applications`, and `bin`, where fake programs are found."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(applications, "FOLDERS", ("~/Applications",))
    monkeypatch.setattr(applications, "_ANSWERS", {})
    for name in ("bin", "Applications"):
        (tmp_path / name).mkdir()
    return tmp_path


def test_an_application_is_known_by_its_identifier(mac: Path) -> None:
    path = str(mac / "bin")
    assert by_name("iterm2").installed(path) is None
    wrong = bundle(mac / "Applications", "iTerm", "org.example.other")
    assert by_name("iterm2").installed(path) is None
    shutil.rmtree(wrong)
    right = bundle(mac / "Applications", "iTerm", "com.googlecode.iterm2")
    assert by_name("iterm2").installed(path) == str(right)


def test_one_that_lies_elsewhere_is_asked_of_spotlight_once(mac: Path) -> None:
    there = bundle(mac / "else where", "Ghostty", "com.mitchellh.ghostty")
    asked = mac / "asked"
    program(mac / "bin" / "mdfind", f'echo "$1" >>{shlex.quote(str(asked))}; echo /gone; echo "{there}"')
    path = f"{mac / 'bin'}:/bin:/usr/bin"
    assert by_name("ghostty").installed(path) == by_name("ghostty").installed(path) == str(there)
    assert asked.read_text() == "kMDItemCFBundleIdentifier == 'com.mitchellh.ghostty'\n"


def test_a_spotlight_that_hangs_is_not_waited_for_by_each(mac: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(applications, "ASK_S", 0.2)
    asked = mac / "asked"
    program(mac / "bin" / "mdfind", f"echo x >>{asked}; exec sleep 1000")
    path = str(mac / "bin")
    assert not [one for one in APPLICATIONS if one.name != "default" and one.installed(path)]
    assert asked.read_text() == "x\n"


def test_the_program_inside_is_taken_or_the_one_on_path(mac: Path) -> None:
    on_path = program(mac / "bin" / "kitty", "exit 0")
    assert by_name("kitty").installed(str(mac / "bin")) == str(on_path)
    inside = bundle(mac / "Applications", "kitty", "net.kovidgoyal.kitty", "kitty")
    assert by_name("kitty").installed(str(mac / "bin")) == f"{inside}/Contents/MacOS/kitty"


def test_the_one_that_muster_runs_in_goes_before_the_default(mac: Path) -> None:
    program(mac / "bin" / "open", "exit 0")
    bundle(mac / "Applications", "Ghostty", "com.mitchellh.ghostty")
    desktop = Desktop({}, Display.DESKTOP)
    path = str(mac / "bin")
    chosen = choose(Wishes(environ={"TERM_PROGRAM": "ghostty"}), TERMINALS, desktop, path)
    assert [one.name for one in chosen.terminals] == ["ghostty", "default"]
    chosen = choose(Wishes(), TERMINALS, desktop, path)
    assert [one.name for one in chosen.terminals] == ["default", "ghostty"]
    nowhere = choose(Wishes(), TERMINALS, Desktop({}, None, problem="over ssh"), path)
    assert not nowhere.terminals


# ---- opened, by fakes


class Try:
    """An attempt whose script says into a FIFO which terminal it has."""

    def __init__(self, folder: Path) -> None:
        self.voided = ""
        self.fifo = folder / "report"
        self.script = program(folder / "w-0123456789ab.command", f'echo "$$ $0" >{self.fifo}')
        self.silent = False

    @property
    def command(self) -> tuple[str, ...]:
        return ("/bin/sh", str(self.script))

    async def reported(self) -> Report:
        if self.silent:
            await asyncio.Event().wait()
        pid, name = (await asyncio.to_thread(self.fifo.read_text)).split()
        return Report(int(pid), "/dev/ttys001", Size(), {"NAME": name})

    def void(self, why: str) -> None:
        self.voided = why


@pytest.fixture
def attempt(mac: Path) -> Try:
    made = Try(mac)
    os.mkfifo(made.fifo)
    return made


def environment(mac: Path) -> Mapping[str, str]:
    return {"PATH": f"{mac / 'bin'}:/usr/bin:/bin", "HOME": str(mac)}


async def test_open_is_handed_the_application_and_the_file(mac: Path, attempt: Try) -> None:
    """And the file can be executed, as LaunchServices has it done."""
    program(mac / "bin" / "open", f'printf "%s\\n" "$@" >{mac}/opened; "$3" &')
    there = bundle(mac / "Applications", "iTerm", "com.googlecode.iterm2")

    opened = await open_window(
        [by_name("iterm2")], lambda _: attempt, Wanted("title", "/"), environment(mac), timeout_s=20
    )

    assert opened.terminal == "iterm2"
    assert opened.report.handles["NAME"] == str(attempt.script)
    assert (mac / "opened").read_text().splitlines() == ["-a", str(there), str(attempt.script)]


async def test_a_tab_is_asked_for_by_a_script_on_stdin(mac: Path, attempt: Try) -> None:
    program(mac / "bin" / "osascript", f'printf "%s\\n" "$@" >{mac}/asked; cat >{mac}/script; $2 &')
    bundle(mac / "Applications", "Ghostty", "com.mitchellh.ghostty")
    ghostty = by_name("ghostty")

    await open_window([ghostty], lambda _: attempt, Wanted("t", "/", tab=True), environment(mac))

    assert (mac / "asked").read_text().splitlines() == ["-", " ".join(attempt.command)]
    assert (mac / "script").read_bytes() == ghostty.opener("", attempt.command, "", "", tab=True).stdin


async def test_a_denied_permission_is_told_with_what_to_do(mac: Path, attempt: Try) -> None:
    denied = "271:289: execution error: Not authorized to send Apple events to iTerm. (-1743)"
    program(mac / "bin" / "osascript", f"cat >/dev/null; echo {shlex.quote(denied)} >&2; exit 1")
    bundle(mac / "Applications", "iTerm", "com.googlecode.iterm2")
    attempt.silent = True

    with pytest.raises(NoWindow) as failed:
        await open_window(
            [by_name("iterm2")], lambda _: attempt, Wanted("t", "/", tab=True), environment(mac)
        )

    ((name, why),) = failed.value.tries
    assert name == "iterm2"
    assert "Privacy & Security > Automation" in why and denied in why and attempt.voided


async def test_a_window_that_is_not_there_any_more_is_not_in_front(mac: Path) -> None:
    gone = "1:2: execution error: Terminal has no such window. (-1728)"
    program(mac / "bin" / "osascript", f"cat >/dev/null; echo {shlex.quote(gone)} >&2; exit 1")
    bundle(mac / "Applications", "Terminal", "com.apple.Terminal")
    with pytest.raises(NotFocused, match="not there any more"):
        await focus_window(by_name("terminal"), {TTY: "/dev/ttys009"}, environment(mac))


def test_a_script_that_nobody_answers_may_say_so_itself() -> None:
    assert FOCUS_S > EVENT_S < REPORT_S


@pytest.mark.parametrize("number", [-1743, -1744, -600, -1712, -1728, -1708, -10000, -10004, -10810])
def test_every_error_that_is_known_says_what_it_means(number: int) -> None:
    said = f"osascript ended with exit code 1: 1:2: execution error: something ({number})"
    assert said in explained(said, "Ghostty") and explained(said, "Ghostty") != said


def test_an_error_that_is_not_known_is_shown_as_it_is() -> None:
    for said in ("execution error: odd (-99)", "no number", ""):
        assert explained(said, "iTerm") == said


async def test_warp_gets_a_launch_configuration_and_loses_old_ones(mac: Path, attempt: Try) -> None:
    """The fake `open` runs its line as Warp does: typed into a shell."""
    folder = mac / ".warp" / "launch_configurations"
    folder.mkdir(parents=True)
    old, other = folder / "muster-w-ba9876543210.yaml", folder / "mine.yaml"
    for file in (old, other):
        file.write_text("---\n")
        os.utime(file, (0, 0))
    program(mac / "bin" / "open", f'echo "$1" >{mac}/url; sh -c "$(sed -n \'s/.*exec: "\\(.*\\)"/\\1/p\' '
            f'{folder}/muster-w-0123456789ab.yaml)" &')  # fmt: skip
    bundle(mac / "Applications", "Warp", "dev.warp.Warp-Stable")

    opened = await open_window(
        [by_name("warp")], lambda _: attempt, Wanted("title", "/"), environment(mac), timeout_s=20
    )

    assert opened.report.handles["NAME"] == str(attempt.script)
    assert (mac / "url").read_text() == "warp://launch/muster-w-0123456789ab\n"
    assert sorted(folder.iterdir()) == [other, folder / "muster-w-0123456789ab.yaml"]


# ---- the file


SHELLS = [
    pytest.param(shell, marks=pytest.mark.skipif(not shutil.which(shell), reason=f"{shell} is not on PATH"))
    for shell in ("sh", "bash", "zsh")
]
NASTY = "a b'\"$HOME;%`id`\\\n\N{SNOWMAN}"


@pytest.mark.parametrize("shell", SHELLS)
def test_a_login_shell_executes_the_file_by_its_path(shell: str, tmp_path: Path) -> None:
    """Terminal types the path and `; exit;`; what is in the file arrives as it was meant."""
    script = pytest.importorskip("spawners.terminals.script", reason="belongs to the part that writes it")
    folder = tmp_path / "s"
    path = folder / "w-0123456789ab.command"
    said = tmp_path / "said"
    argv = (shutil.which("python3") or "python3", "-c", "import os,sys; open(sys.argv[1],'w').write(repr("
            "[sys.argv[2], os.environ['A'], os.environ.get('GONE')]))", str(said), NASTY)  # fmt: skip
    folder.mkdir()
    path.write_text(script.source("command", str(path), {"A": NASTY, "GONE": None}, argv))
    path.chmod(0o700)

    subprocess.run(
        [shell, "-l"],
        input=f"{path} ; exit;\n",
        text=True,
        env={**os.environ, "GONE": "1"},
        timeout=60,
        check=True,
    )

    assert said.read_text() == repr([NASTY, NASTY, None])
    until(lambda: not path.exists(), "the file to be gone")


def test_the_file_is_what_the_golden_file_says() -> None:
    script = pytest.importorskip("spawners.terminals.script", reason="belongs to the part that writes it")
    path = "/tmp/muster-501-0123456789ab/w-0123456789ab.command"
    text = script.source(
        "command",
        path,
        {"MUSTER_HOME": "/Users/me/Library/Application Support/muster", "XDG_STATE_HOME": None},
        ("/opt/homebrew/bin/python3", "-I", "-m", "orchestrator.cli.main", "window", "w-0123456789ab"),
    )
    golden = GOLDEN / "w.command"
    if os.environ.get("MUSTER_TEST_REWRITE"):
        golden.write_text(text)
    assert text == golden.read_text()
