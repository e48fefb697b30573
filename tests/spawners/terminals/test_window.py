"""Opening a window where the terminals are small programs that do what real ones do, or fail to."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from muster_processes import PYTHON, is_running, until, zombies_of
from reporting import PLAIN_TERMINAL, Reporting
from systemd_user import UserManager

from spawners import _os
from spawners.scopes import Scopes
from spawners.terminals.base import Opener, Terminal, Wanted
from spawners.terminals.window import NotFocused, NoWindow, Opened, Shelter, focus_window, open_window

ENV = {"PATH": os.environ["PATH"]}
WANTED = Wanted("muster", "/")
PLAIN = f"{PYTHON} -I -S {PLAIN_TERMINAL}"


class Scripted(Terminal):
    """A terminal that is a shell script: `"$@"` is what it is to run in a window."""

    programs = ("sh",)
    tabs = True

    def __init__(self, name: str, script: str, focus: str = "") -> None:
        self.name = name  # type: ignore[misc]
        self._script = script
        self._focus = focus

    def argv(
        self, program: str, command: tuple[str, ...], title: str, cwd: str, *, tab: bool = False
    ) -> tuple[str, ...]:
        return (program, "-c", self._script, title, *command)

    def focus(self, program: str, handles: object) -> Opener | None:
        return Opener((program, "-c", self._focus)) if self._focus else None


def opens(name: str = "opens") -> Scripted:
    """One that gives its program a pseudo-terminal, and lives as long as that."""
    return Scripted(name, f'exec {PLAIN} "$@"')


class Tried:
    """Makes one attempt for each terminal that is tried, and keeps them."""

    def __init__(self, folder: Path) -> None:
        self.attempts: dict[str, Reporting] = {}
        self._folder = folder

    def __call__(self, terminal: Terminal) -> Reporting:
        attempt = self.attempts[terminal.name] = Reporting(self._folder)
        return attempt

    async def close(self) -> None:
        for attempt in self.attempts.values():
            if attempt.said and not attempt.gone.is_set():
                attempt.exit(0)
                await attempt.gone.wait()
            await attempt.__aexit__()


@pytest.fixture
async def tried(folder: Path) -> AsyncIterator[Tried]:
    made = Tried(folder)
    yield made
    await made.close()


async def opened(
    tried: Tried, *terminals: Terminal, timeout_s: float = 20.0, shelter: Shelter | None = None
) -> Opened:
    return await open_window(terminals, tried, WANTED, ENV, timeout_s=timeout_s, shelter=shelter)


async def ended(pid: int) -> None:
    """Wait until a process that is our child has ended and was collected."""
    async with asyncio.timeout(20):
        while os.path.exists(f"/proc/{pid}"):  # noqa: ASYNC110  (there is no event)
            await asyncio.sleep(0.01)


async def test_the_first_terminal_whose_window_reports_is_the_one(tried: Tried) -> None:
    result = await opened(tried, opens("one"), opens("two"))

    assert (result.terminal, result.failed) == ("one", ())
    assert list(tried.attempts) == ["one"]
    assert result.report.tty.startswith("/dev/pts/")
    assert result.launcher_pid is not None
    assert result.report.handles["TERMINAL_PID"] == str(result.launcher_pid)


async def test_a_launcher_that_fails_is_given_up_at_once_with_what_it_says(tried: Tried) -> None:
    broken = Scripted("broken", "echo cannot open display: >&2; printf '\\033[31m:7\\n' >&2; exit 3")
    result = await opened(tried, broken, opens())

    assert result.terminal == "opens"
    assert result.failed == (("broken", "sh ended with exit code 3: cannot open display: [31m:7"),)
    assert tried.attempts["broken"].voided == result.failed[0][1]
    assert not tried.attempts["opens"].voided


async def test_a_launcher_that_is_killed_has_failed(tried: Tried) -> None:
    with pytest.raises(NoWindow) as caught:
        await opened(tried, Scripted("killed", "kill -9 $$"))
    assert caught.value.tries == (("killed", "sh ended with signal 9"),)


async def test_a_launcher_that_leaves_without_an_error_may_still_have_opened_a_window(tried: Tried) -> None:
    serving = Scripted("serving", f'{PLAIN} "$@" & exit 0')
    result = await opened(tried, serving)

    assert result.terminal == "serving"
    if result.launcher_pid is not None:
        await ended(result.launcher_pid)


@pytest.mark.parametrize("code", [0, 1])
@pytest.mark.parametrize("how", ["served", "tab"])
async def test_a_launch_that_a_leaving_server_has_lost_is_made_once_more(
    tried: Tried, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, how: str
) -> None:
    """As gnome-terminal: "# Error creating terminal: The name :1.3 was not provided", and exit code 0."""
    monkeypatch.setattr("spawners.terminals.window.SERVED_S", 0.1)
    leaves = f"[ -e {tmp_path}/lost ] || {{ touch {tmp_path}/lost; exit {code}; }}"
    terminal = Scripted("leaving", f'{leaves}; exec {PLAIN} "$@"')
    terminal.served = how == "served"  # type: ignore[misc]
    lost: list[Reporting] = []

    def begin(one: Terminal) -> Reporting:
        lost.extend(tried.attempts.values())
        return tried(one)

    wanted = Wanted("muster", "/", tab=how == "tab")
    result = await open_window([terminal], begin, wanted, ENV, timeout_s=20.0)

    assert (result.terminal, result.failed) == ("leaving", ())
    assert lost and all(attempt.voided for attempt in lost)
    assert not tried.attempts["leaving"].voided


async def test_a_server_that_loses_every_launch_has_failed_once(
    tried: Tried, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("spawners.terminals.window.SERVED_S", 0.1)
    terminal = Scripted("lost", "echo no server >&2")
    terminal.served = True  # type: ignore[misc]
    result = await opened(tried, terminal, opens(), timeout_s=1.0)
    assert result.terminal == "opens"
    ((name, why),) = result.failed
    assert name == "lost"
    assert why.endswith("ended without an error: no server")


async def test_a_program_of_its_own_that_has_failed_is_not_tried_again(tried: Tried, tmp_path: Path) -> None:
    with pytest.raises(NoWindow):
        await opened(tried, Scripted("broken", f"echo tried >> {tmp_path}/tries; exit 1"))
    assert (tmp_path / "tries").read_text() == "tried\n"


@pytest.mark.slow
async def test_a_terminal_that_shows_no_window_in_time_is_voided_and_ended(tried: Tried) -> None:
    """As ptyxis where systemd-run finds no manager: it shows an error, and would for ever."""
    hangs = Scripted("hangs", "echo Failed to connect to user scope bus >&2; exec sleep 1000")
    pids: list[int] = []

    async def note(pid: int) -> None:
        pids.append(pid)

    result = await opened(tried, hangs, opens(), timeout_s=4.0, shelter=note)

    assert result.terminal == "opens"
    ((name, why),) = result.failed
    assert name == "hangs"
    assert why.startswith("no window has reported within 4 s; ")
    assert why.endswith("still runs: Failed to connect to user scope bus")
    assert tried.attempts["hangs"].voided
    await ended(pids[0])


async def test_when_all_fail_the_error_tells_of_each_in_order(tried: Tried) -> None:
    class Absent(Scripted):
        programs = ("no-such-terminal",)

    with pytest.raises(NoWindow) as caught:
        await opened(tried, Absent("absent", ""), Scripted("broken", "exit 1"))
    assert caught.value.tries == (
        ("absent", "none of no-such-terminal is on PATH"),
        ("broken", "sh ended with exit code 1"),
    )
    assert str(caught.value).startswith("no window could be opened: absent: none of")
    assert all(attempt.voided for attempt in tried.attempts.values())


async def test_with_no_terminal_there_is_no_window(tried: Tried) -> None:
    with pytest.raises(NoWindow, match="no terminal to try"):
        await opened(tried)


async def test_giving_up_the_opening_voids_it_and_ends_the_launcher(tried: Tried) -> None:
    pids: asyncio.Queue[int] = asyncio.Queue()
    task = asyncio.create_task(opened(tried, Scripted("hangs", "exec sleep 1000"), opens(), shelter=pids.put))
    pid = await pids.get()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert list(tried.attempts) == ["hangs"]
    assert tried.attempts["hangs"].voided
    await ended(pid)


async def test_no_launcher_stays_as_a_zombie(tried: Tried) -> None:
    before = zombies_of(os.getpid())
    result = await opened(tried, Scripted("broken", "exit 1"), opens())
    assert result.launcher_pid is not None
    tried.attempts["opens"].exit(0)
    await ended(result.launcher_pid)
    assert set(zombies_of(os.getpid())) <= set(before)


async def test_only_the_end_of_many_complaints_is_told(tried: Tried) -> None:
    noisy = "i=0; while [ $i -lt 3000 ]; do echo complaint $i >&2; i=$((i+1)); done; exit 1"
    with pytest.raises(NoWindow) as caught:
        await opened(tried, Scripted("noisy", noisy))
    ((_, why),) = caught.value.tries
    assert why.endswith("complaint 2999")
    assert len(why) < 2100


# -- where a launcher lives


async def test_nothing_is_executed_before_the_launcher_is_where_it_belongs(
    tried: Tried, tmp_path: Path
) -> None:
    mark = tmp_path / "executed"

    async def look(pid: int) -> None:
        assert is_running(pid)
        assert os.getsid(pid) == pid
        words = Path(f"/proc/{pid}/cmdline")
        until(lambda: words.read_bytes() != b"", "the words to be laid out, a moment after the exec", 10)
        assert b"read" in words.read_bytes()  # it waits, however long this takes
        raise RuntimeError("no shelter")

    with pytest.raises(RuntimeError, match="no shelter"):
        await opened(tried, Scripted("marks", f"touch {mark}"), shelter=look)
    assert tried.attempts["marks"].voided
    assert not mark.exists()


@pytest.mark.needs("systemd")
@pytest.mark.slow
async def test_a_window_lives_in_a_scope_of_its_own(tried: Tried, user_manager: UserManager) -> None:
    scopes = Scopes.find(user_manager.environment)
    assert scopes is not None

    async def shelter(pid: int) -> None:
        assert await scopes.put(pid, "muster-window-test.scope", "Muster window test")

    result = await opened(tried, opens(), shelter=shelter)

    assert result.launcher_pid is not None
    assert _os.unit_of(result.launcher_pid) == "muster-window-test.scope"
    assert _os.unit_of(result.report.pid) == "muster-window-test.scope"
    assert _os.unit_of("self") != "muster-window-test.scope"
    tried.attempts["opens"].exit(0)
    await ended(result.launcher_pid)


OPENER = """
import asyncio, sys
sys.path[:0] = {paths!r}
from pathlib import Path
from test_window import Scripted, Tried, opened
async def main():
    result = await opened(Tried(Path({folder!r})), Scripted("noisy", {script!r}))
    print(result.launcher_pid, result.report.pid, flush=True)
    await asyncio.sleep(1000)
asyncio.run(main())
"""


async def test_a_launcher_outlives_us_and_may_go_on_complaining(folder: Path) -> None:
    """One that wrote into a pipe of ours would be killed by its next word."""
    go, done = folder / "go", folder / "done"
    os.mkfifo(go)
    window = f'{PLAIN} "$@" &'
    script = f"{window} read -r _ <{go}; echo complaint >&2 && touch {done}; kill $!"
    here = Path(__file__).parent
    paths = [str(here), str(here.parents[1] / "fakes"), str(here.parents[2])]
    program = OPENER.format(paths=paths, folder=str(folder), script=script)
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)  # noqa: ASYNC220
    assert process.stdout is not None
    launcher, _ = map(int, process.stdout.readline().split())
    process.kill()
    process.wait()
    process.stdout.close()

    assert is_running(launcher)
    go.write_text("on\n")
    until(done.exists, "the launcher to have complained", 20)
    until(lambda: not is_running(launcher), "the launcher to end", 20)


# -- focus


async def test_focus_is_what_the_terminal_says_it_is(tmp_path: Path) -> None:
    await focus_window(Scripted("yes", "", focus=f"touch {tmp_path}/focused"), {}, ENV)
    assert (tmp_path / "focused").exists()

    with pytest.raises(NotFocused, match="sh ended with exit code 1: no such window"):
        await focus_window(Scripted("no", "", focus="echo no such window >&2; exit 1"), {}, ENV)
    with pytest.raises(NotFocused, match="cannot has no way"):
        await focus_window(Scripted("cannot", ""), {}, ENV)
