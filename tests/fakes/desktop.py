"""Graphical sessions to open real windows in: an X server without a screen, and a Wayland compositor.

Each has a home, a runtime folder and a session bus of its own, so that nothing of this machine's user is read
or written, and all that was started in it is ended with it.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from muster_processes import living_with, until

SHOTS = "MUSTER_TEST_SHOTS"
"""The folder that screenshots are kept in; unset: they go with the test's own folder."""
SIZE = "1024x768"
TERMINALS = (
    *("gnome-terminal", "konsole", "xfce4-terminal", "mate-terminal", "kitty", "alacritty", "foot", "tilix"),
    *("qterminal", "lxterminal", "terminator", "kgx", "urxvt", "xterm", "st", "x-terminal-emulator"),
    *("ptyxis", "ghostty", "wezterm", "xdg-terminal-exec", "screen", "zellij"),
)
"""Programs that the `needs` marker knows by name."""
X11_PROGRAMS = ("Xvfb", "openbox", "wmctrl", "xprop", "import", "convert", "dbus-daemon")
WAYLAND_PROGRAMS = ("sway", "swaymsg", "grim", "convert", "setpriv", "dbus-daemon")
NOBODY = 65534


@dataclass(frozen=True)
class Window:
    """What the desktop knows of a window: `handle` is its own name for it, `pid` that of its terminal."""

    handle: str
    pid: int
    title: str


class Desktop:
    """A running session. `env` is what a program in it is given."""

    def __init__(self, kind: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix=f"mu-{kind}-", dir="/tmp"))
        os.chmod(self.folder, 0o755)
        for name in ("home", "run"):
            (self.folder / name).mkdir(mode=0o700)
        self._started: list[subprocess.Popen[bytes]] = []
        self.env: dict[str, str] = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder / "home"),
            "XDG_RUNTIME_DIR": str(self.folder / "run"),
            "LANG": "C.UTF-8",
            "SHELL": "/bin/sh",
            "NO_AT_BRIDGE": "1",  # GTK waits for a bus of accessibility
            "GSETTINGS_BACKEND": "memory",
            "LIBGL_ALWAYS_SOFTWARE": "1",
        }

    def start(self, argv: Sequence[str], *, fds: tuple[int, ...] = ()) -> subprocess.Popen[bytes]:
        """Run a program of the session in the background; what it says goes to a file of its name."""
        with open(self.folder / f"{os.path.basename(argv[0])}.log", "ab") as log:
            process = subprocess.Popen(
                argv, env=self.env, cwd=self.folder, pass_fds=fds, start_new_session=True,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        self._started.append(process)
        return process

    def says_on_fd(self, *argv: str) -> str:
        """Start a program that prints a line to the file descriptor in the place of `{}`, and return that."""
        ours, theirs = os.pipe()
        try:
            process = self.start([word.replace("{}", str(theirs)) for word in argv], fds=(theirs,))
        finally:
            os.close(theirs)
        with open(ours) as line:
            said = line.readline().strip()
        log = (self.folder / f"{argv[0]}.log").read_text()
        assert said, f"{argv[0]} ended: {process.poll()} {log[-2000:]}"
        return said

    def start_bus(self) -> None:
        """A session bus that starts programs with our environment, so that they find the display."""
        address = f"--address=unix:path={self.folder}/run/bus"
        self.env["DBUS_SESSION_BUS_ADDRESS"] = self.says_on_fd(
            "dbus-daemon", "--session", "--nofork", address, "--print-address={}"
        )

    def run(self, *argv: str) -> str:
        """Run a program in the session; what it prints."""
        done = subprocess.run(
            argv, env=self.env, check=False, timeout=30, text=True,
            stdin=subprocess.DEVNULL, capture_output=True,
        )  # fmt: skip
        assert done.returncode == 0, f"{argv}: {done.returncode} {done.stderr}"
        return done.stdout

    def windows(self) -> list[Window]:
        raise NotImplementedError

    def close(self, window: Window) -> None:
        """Ask the window to close, as a person does with its button."""
        raise NotImplementedError

    def screenshot(self, path: Path) -> None:
        raise NotImplementedError

    def window(self, title: str) -> Window:
        """The window with this title, once there is one."""
        until(lambda: any(title in one.title for one in self.windows()), f"a window {title}", 30)
        return next(one for one in self.windows() if title in one.title)

    def all_closed(self) -> None:
        """Wait until no window is left; fails with what the last ones are and what runs in them."""
        try:
            until(lambda: not self.windows(), "all windows to close")
        except AssertionError as error:
            left = [(window, tree_of(window.pid)) for window in self.windows()]
            raise AssertionError(f"{error}: {left}") from None

    def clear(self) -> None:
        """End every terminal that still has a window."""

        def clear() -> bool:
            found = self.windows()
            for window in found:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(window.pid, signal.SIGKILL)
            return not found

        until(clear, "the windows to go", 30)

    def end(self) -> None:
        """End all that was started in it, and remove it."""

        def gone() -> bool:
            found = living_with(str(self.folder / "run"))
            for pid in found:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            return not found

        until(gone, "the session to end")
        for process in self._started:
            process.wait(30)
        shutil.rmtree(self.folder, ignore_errors=True)


class XDesktop(Desktop):
    """Xvfb with openbox. With `cookie`, only those who have it are let in."""

    def __init__(self, *, cookie: bool = False, manager: bool = True) -> None:
        super().__init__("x")
        words = ["Xvfb", "-screen", "0", f"{SIZE}x24", "-nolisten", "tcp", "-noreset"]
        if cookie:
            self.cookies = self.folder / "cookies"
            write_cookie(self.cookies, secrets.token_bytes(16))
            words += ["-auth", str(self.cookies)]
            self.env["XAUTHORITY"] = str(self.cookies)
        self.env["DISPLAY"] = ":" + self.says_on_fd(*words, "-displayfd", "{}")
        if manager:
            self.start_bus()
            _ask_nothing(self.folder / "home")
            self.start(["openbox", "--sm-disable"])
            until(self._is_managed, "openbox to manage windows", 30)

    def _is_managed(self) -> bool:
        done = subprocess.run(["wmctrl", "-m"], env=self.env, capture_output=True, check=False, timeout=30)
        return done.returncode == 0

    def windows(self) -> list[Window]:
        found = []
        argv = ("wmctrl", "-l", "-p")
        done = subprocess.run(argv, env=self.env, check=False, timeout=30, capture_output=True, text=True)
        if done.returncode != 0:  # a window has gone while it was looked at
            return self.windows()
        for line in done.stdout.splitlines():
            handle, _, pid, _, title = (*line.split(None, 4), "")[:5]
            found.append(Window(handle, int(pid), title))
        return found

    def active(self) -> int:
        """The number of the window in front."""
        said = self.run("xprop", "-root", "_NET_ACTIVE_WINDOW")
        return int(said.rpartition("#")[2].split(",")[0], 16)

    def close(self, window: Window) -> None:
        self.run("wmctrl", "-i", "-c", window.handle)

    def screenshot(self, path: Path) -> None:
        self.run("import", "-window", "root", str(path))


class WaylandDesktop(Desktop):
    """sway without an output to see. It refuses to run as root, so it runs as nobody then."""

    def __init__(self) -> None:
        super().__init__("w")
        config = self.folder / "config"
        config.write_text(f"output HEADLESS-1 resolution {SIZE}\nxwayland disable\n")
        self.env |= {"WLR_BACKENDS": "headless", "WLR_RENDERER": "pixman", "WLR_LIBINPUT_NO_DEVICES": "1"}
        as_nobody: list[str] = []
        if os.geteuid() == 0:
            for name in ("home", "run"):
                os.chown(self.folder / name, NOBODY, NOBODY)
            as_nobody = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
        self.start([*as_nobody, "sway", "--config", str(config)])
        runtime = self.folder / "run"
        until(lambda: self._sockets(runtime) is not None, "sway to listen", 30)
        self.env["WAYLAND_DISPLAY"], self.env["SWAYSOCK"] = self._sockets(runtime) or ("", "")
        self.start_bus()

    @staticmethod
    def _sockets(runtime: Path) -> tuple[str, str] | None:
        displays = [path.name for path in runtime.glob("wayland-*") if path.is_socket()]
        control = [str(path) for path in runtime.glob("sway-ipc.*.sock")]
        return (displays[0], control[0]) if displays and control else None

    def windows(self) -> list[Window]:
        found, tree = [], [json.loads(self.run("swaymsg", "-t", "get_tree", "-r"))]
        while tree:
            node = tree.pop()
            tree += [*node["nodes"], *node["floating_nodes"]]
            if node.get("pid"):
                found.append(Window(str(node["id"]), node["pid"], node["name"] or ""))
        return found

    def close(self, window: Window) -> None:
        self.run("swaymsg", f"[con_id={window.handle}] kill")

    def screenshot(self, path: Path) -> None:
        self.run("grim", str(path))


def tree_of(pid: int) -> list[str]:
    """The words of a process and of all below it."""
    words = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
    below = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [f"{pid} {words}", *(line for child in below for line in tree_of(int(child)))]


def write_cookie(path: Path, secret: bytes) -> None:
    """An .Xauthority file for any display of any host."""

    def string(data: bytes) -> bytes:
        return len(data).to_bytes(2, "big") + data

    path.write_bytes(b"\xff\xff" + string(b"") + string(b"") + string(b"MIT-MAGIC-COOKIE-1") + string(secret))
    path.chmod(0o600)


def _ask_nothing(home: Path) -> None:
    """Settings that a user may have: qterminal has no other way not to ask before a window is closed."""
    folder = home / ".config" / "qterminal.org"
    folder.mkdir(parents=True)
    (folder / "qterminal.ini").write_text("[General]\nAskOnExit=false\n")


def missing(*programs: str) -> str:
    """Which of the programs are not here, in words; empty: all are."""
    absent = [name for name in programs if not shutil.which(name)]
    return f"not on PATH: {', '.join(absent)}" if absent else ""


@pytest.fixture(scope="session")
def x_session() -> Iterator[XDesktop]:
    desktop = XDesktop()
    yield desktop
    desktop.end()


@pytest.fixture(scope="session")
def wayland_session() -> Iterator[WaylandDesktop]:
    desktop = WaylandDesktop()
    yield desktop
    desktop.end()


@pytest.fixture
def x_desktop(x_session: XDesktop) -> Iterator[XDesktop]:
    """One X session for all tests of a process, without windows at the start of each."""
    yield x_session
    x_session.clear()


@pytest.fixture
def wayland_desktop(wayland_session: WaylandDesktop) -> Iterator[WaylandDesktop]:
    """One Wayland session for all tests of a process, without windows at the start of each."""
    yield wayland_session
    wayland_session.clear()


@pytest.fixture
def shots(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """Where this test's screenshot goes."""
    folder = Path(os.environ.get(SHOTS) or tmp_path)
    folder.mkdir(parents=True, exist_ok=True)
    name = "".join(char if char.isalnum() else "-" for char in request.node.name).strip("-")
    return folder / f"{name}.png"
