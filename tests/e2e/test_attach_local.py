"""`muster attach` on the agent's own host, in a real terminal: as if the program ran right there."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from muster_command import MUSTER
from muster_processes import agent_argv, is_running
from running import Host, environment
from tmux import Pane, Tmux, same

from relay.wire.agents import Mode, Status

CLEAN = ("env", "-i", f"PATH={os.environ['PATH']}", "HOME=/", "TERM=xterm-256color", "LC_ALL=C.UTF-8")
"""In front of a program, so that it has the same surroundings wherever it runs."""
SIZE = {"rows": 24, "columns": 80}

pytestmark = pytest.mark.needs("tmux")


@pytest.fixture
def host(shared_host: Host) -> Host:
    """One for all tests here."""
    return shared_host


@pytest.fixture
def start(host: Host) -> Callable[..., str]:
    """Start an embedded agent and return its id."""

    def spawn(*argv: str, **facts: object) -> str:
        agent = host.spawn(*argv, mode=Mode.EMBEDDED, size=SIZE, **facts)
        return host.get(agent.id, "running").id

    return spawn


@pytest.fixture
def attach(host: Host, tmux: Tmux) -> Callable[..., Pane]:
    """Attach to an agent in a pane, and return it when the agent's screen is painted."""

    def run(agent_id: str, *options: str, columns: int = 80, rows: int = 24) -> Pane:
        variables = [f"{name}={value}" for name, value in environment(host.directory).items()]
        argv = ["env", "-i", *variables, "TERM=xterm-256color", *MUSTER, "attach", agent_id, *options]
        pane = tmux.pane(argv, columns=columns, rows=rows)
        pane.sees("attached to")
        pane.until(lambda: "attached to" not in pane.text())
        return pane

    return run


@pytest.fixture
def both(tmux: Tmux, start: Callable[..., str], attach: Callable[..., Pane]) -> Callable[..., list[Pane]]:
    """Run a program twice: right in a pane, and as an agent that another pane is attached to."""

    def run(*argv: str) -> list[Pane]:
        direct = tmux.pane([*CLEAN, *argv])
        return [direct, attach(start(*CLEAN, *argv))]

    return run


def press(panes: list[Pane], *names: str) -> None:
    for pane in panes:
        pane.keys(*names)


# -- programs as in any other terminal


@pytest.mark.needs("vim")
def test_vim_edits_a_file_and_saves_it(both: Callable[..., list[Pane]], tmp_path: Path) -> None:
    text = "".join(f"line {number} äöü 日本語 😀\n" for number in range(100))
    folders = [tmp_path / name for name in ("one", "two")]
    for folder in folders:
        folder.mkdir()
        (folder / "file.txt").write_text(text)
    script = 'cd "$0/$(test -e "$0/taken" && echo two || echo one)"; touch "$0/taken"; exec "$@"'
    vim = [
        "vim",
        "-u",
        "NONE",
        "-N",
        "-i",
        "NONE",
        "--cmd",
        "set number hlsearch background=dark",
        "file.txt",
    ]
    panes = both("sh", "-c", script, str(tmp_path), *vim)

    same(*panes)
    for pane in panes:
        pane.type("jjiinsertiert: é ü ")
    press(panes, "Escape")
    for pane in panes:
        pane.type("/語\r:vsplit\r")
    same(*panes)
    for pane in panes:
        pane.type(":w\r")
        pane.sees("written")
    same(*panes)
    assert panes[1].fact("#{alternate_on}") == "1"
    for pane in panes:
        pane.type(":qa\r")
    assert [pane.ends() for pane in panes] == [0, 0]

    assert "insertiert: é ü" in (folders[0] / "file.txt").read_text()
    assert (folders[0] / "file.txt").read_bytes() == (folders[1] / "file.txt").read_bytes()


@pytest.mark.needs("less")
def test_less_pages_through_wide_characters_emoji_and_bytes_that_are_none(
    both: Callable[..., list[Pane]], tmp_path: Path
) -> None:
    lines = [
        b"%03d \xe6\xbc\xa2\xe5\xad\x97 \xf0\x9f\x98\x80 e\xcc\x81 \xff\xfe\x1b[1;31mred\x1b[0m" % n
        for n in range(300)
    ]
    (tmp_path / "file").write_bytes(b"\n".join(lines) + b"\n")
    panes = both("less", "-Rf", str(tmp_path / "file"))

    same(*panes)
    for keys in (
        [" "],
        ["Down", "Down"],
        ["G"],
        ["/", "1", "2", "3", "Enter"],
        ["NPage"],
        ["?", "0", "Enter"],
    ):
        press(panes, *keys)
        same(*panes)
    press(panes, "q")
    assert [pane.ends() for pane in panes] == [0, 0]


@pytest.mark.needs("htop")
def test_htop_redraws_and_follows_its_keys(both: Callable[..., list[Pane]]) -> None:
    panes = both("htop", "-d", "2")

    for pane in panes:
        pane.sees("F10Quit")
    panes[0].until(lambda: panes[0].cells()[23] == panes[1].cells()[23])
    before = panes[1].cells()
    panes[1].until(lambda: panes[1].cells() != before)
    press(panes, "F2")
    for pane in panes:
        pane.sees("Setup")
    press(panes, "F10")
    press(panes, "q")
    assert [pane.ends() for pane in panes] == [0, 0]


def test_every_colour_and_attribute_is_the_same(both: Callable[..., list[Pane]], tmp_path: Path) -> None:
    codes = [
        *range(1, 10),
        21,
        *range(30, 38),
        *range(40, 48),
        *range(90, 108),
        "4:3",
        "38;5;208",
        "48;2;1;2;3",
    ]
    cells = " ".join(f"\x1b[{code}m{code}\x1b[0m" for code in codes)
    (tmp_path / "text").write_text(f"{cells}\r\n漢字 👩‍👩‍👧 🇩🇪 e\u0301 ｆｕｌｌ\r\n\x1b(0lqqk\x1b(B\r\n")

    panes = both("sh", "-c", f"cat '{tmp_path}/text'; sleep 600")

    panes[0].sees("ｆｕｌｌ")
    same(*panes)


# -- a shell: signals, jobs, hidden input, sizes, pastes


@pytest.fixture
def shell(start: Callable[..., str]) -> str:
    return start(*CLEAN, "PS1=$ ", "bash", "--norc", "--noediting")


def test_signals_jobs_and_hidden_input_work_as_in_any_shell(shell: str, attach: Callable[..., Pane]) -> None:
    pane = attach(shell)

    pane.type("echo run $((1 + 1)); sleep 600\r")
    pane.sees("run 2")
    pane.keys("C-c")
    pane.type("echo code $?\r")
    pane.sees("code 130")
    pane.type("cat\r")
    pane.type("to the cat\r")
    pane.until(lambda: pane.text().count("to the cat") == 2)
    pane.keys("C-z")
    pane.sees("Stopped")
    pane.type("fg\r")
    pane.type("back again\r")
    pane.until(lambda: pane.text().count("back again") == 2)
    pane.keys("C-d")
    pane.type("echo done $((3 + 4))\r")
    pane.sees("done 7")
    pane.type("read -s -p 'secret: ' word; echo; echo ${#word} letters\r")
    pane.sees("secret:")
    pane.type("hunter2\r")
    pane.sees("7 letters")
    assert "hunter2" not in pane.text()
    pane.type("exit 7\r")
    assert pane.ends() == 7


def test_its_size_is_that_of_the_viewers_terminal(shell: str, attach: Callable[..., Pane]) -> None:
    pane = attach(shell, columns=100, rows=30)

    pane.type("stty size\r")
    pane.sees("30 100")
    pane.resize(61, 17)
    pane.type("clear; stty size\r")
    pane.sees("17 61")


@pytest.mark.parametrize("brackets", [True, False])
def test_a_hundred_kilobytes_pasted_arrive_whole(
    start: Callable[..., str], attach: Callable[..., Pane], brackets: bool
) -> None:
    data = b"".join(b"%06d abcdefgh\n" % number for number in range(6_250))
    frame = 12 if brackets else 0
    on = "print:\x1b[?2004h" if brackets else "print:"
    pane = attach(start(*agent_argv("raw-mode", on, f"read:{len(data) + frame}", "sleep")))

    pane.paste(data)

    pane.sees(f"{len(data) + frame} ")


# -- leaving, and what goes on


def test_detaching_leaves_it_running_and_coming_back_shows_its_screen(
    shell: str, attach: Callable[..., Pane], host: Host
) -> None:
    pane = attach(shell)
    pane.type("echo here I am\r")
    pane.sees("\nhere I am")
    shown = pane.cells()

    pane.keys("C-]", "d")

    assert pane.ends() == 0
    assert host.get(shell).status is Status.RUNNING
    assert attach(shell).cells() == shown


def test_detaching_at_once_needs_no_second_attempt(shell: str, host: Host, tmux: Tmux) -> None:
    variables = [f"{name}={value}" for name, value in environment(host.directory).items()]
    pane = tmux.pane(["env", "-i", *variables, "TERM=xterm-256color", *MUSTER, "attach", shell])
    pane.sees("attached to")  # the hint stands there until a key is typed

    pane.paste(b"\x1dd")

    assert pane.ends() == 0


def test_the_detach_keys_can_be_chosen_and_the_first_is_sent_by_typing_it_twice(
    start: Callable[..., str], attach: Callable[..., Pane]
) -> None:
    pane = attach(start(*agent_argv("raw-mode", "keys")), "--detach-keys", "ctrl-a q")

    pane.keys("C-]", "d")
    pane.sees("64")
    pane.keys("C-a", "C-a")
    pane.sees("01")
    pane.keys("C-a", "q")

    assert pane.ends() == 0


def test_a_killed_daemon_is_not_noticed(shell: str, attach: Callable[..., Pane], host: Host) -> None:
    pane = attach(shell)

    host.kill()
    pane.type("echo still $((20 + 22))\r")

    pane.sees("still 42")
    again = attach(shell)
    again.sees("still 42")
    pane.type("exit 3\r")
    assert [pane.ends(), again.ends()] == [3, 3]


def test_a_killed_viewer_disturbs_neither_the_agent_nor_another_viewer(
    shell: str, attach: Callable[..., Pane], host: Host
) -> None:
    first, second = attach(shell), attach(shell)

    os.kill(first.pid, signal.SIGKILL)
    assert first.ends() == 128 + signal.SIGKILL
    second.type("echo still $((20 + 22))\r")

    second.sees("still 42")
    assert host.get(shell).status is Status.RUNNING


def test_a_read_only_viewer_sees_but_types_nothing_and_does_not_count(
    shell: str, attach: Callable[..., Pane]
) -> None:
    looker, typist = attach(shell, "--read-only", columns=40, rows=10), attach(shell)

    looker.type("echo from the looker\r")
    typist.type("stty size\r")

    typist.sees("24 80")
    looker.sees("24 80")
    assert "looker" not in typist.text()
    looker.keys("C-]", "d")
    assert looker.ends() == 0


def test_what_is_shown_survives_many_switches_between_the_two_screens(
    both: Callable[..., list[Pane]],
) -> None:
    """The viewer's own screen is on the other side of the switch, and must never come up."""
    script = """
        stty -echo; printf 'on the first\\n'; read x
        for i in 1 2 3; do
            printf '\\033[?1049h\\033[H\\033[2Jsecond %s' $i; read x
            printf '\\033[?1049lfirst again %s\\n' $i; read x
        done
        printf '\\033creset\\n'; read x
    """
    panes = both("sh", "-c", script)

    for _ in range(7):
        same(*panes)
        press(panes, "Enter")
    same(*panes)
    assert is_running(panes[1].pid)


def test_without_a_terminal_it_says_what_to_do(shell: str, host: Host) -> None:
    import subprocess

    said = subprocess.run(
        [*MUSTER, "attach", shell], stdin=subprocess.DEVNULL, capture_output=True, text=True,
        env=environment(host.directory), check=False, timeout=60,
    )  # fmt: skip

    assert said.returncode == 2
    assert "--read-only" in said.stderr
    assert sys.executable
