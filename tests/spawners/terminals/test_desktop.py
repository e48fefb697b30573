"""Finding the graphical session: real displays, and programs that say what systemctl and loginctl would."""

from __future__ import annotations

import json
import os
import shlex
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from desktop import NOBODY, WaylandDesktop, XDesktop, write_cookie
from systemd_user import UserManager

from spawners import _os
from spawners._os.displays import X11_SOCKETS
from spawners.terminals.base import Desktop, Display
from spawners.terminals.desktop import find_desktop

pytestmark = pytest.mark.needs("linux")
Program = Callable[[str, str], None]


@pytest.fixture
def bare(folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The environment of a service: no display, no bus, and only our own programs on PATH.

    X servers that run here, perhaps those of who runs the tests, are not looked for.
    """
    monkeypatch.setattr("spawners._os.desktop.X11_SOCKETS", str(folder / "X11"))
    for name in ("bin", "run", "home"):
        (folder / name).mkdir(mode=0o700)
    return {
        "PATH": str(folder / "bin"),
        "XDG_RUNTIME_DIR": str(folder / "run"),
        "HOME": str(folder / "home"),
    }


@pytest.fixture
def program(bare: dict[str, str]) -> Program:
    """Makes a program of this name that prints what a shell `case` on all its words says."""

    def make(name: str, cases: str) -> None:
        path = Path(bare["PATH"], name)
        path.write_text(f'#!/bin/sh\ncase "$*" in\n{cases}\n*) exit 1;;\nesac\n')
        path.chmod(0o755)

    return make


@pytest.fixture
def as_nobody(folder: Path) -> Iterator[None]:
    """Root has no desktop, so as one who may have: the whole process, for the time of a test."""
    if os.getuid() != 0:
        yield
        return
    for path in (folder, *folder.iterdir()):
        os.chown(path, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, 0)
    try:
        yield
    finally:
        os.setresuid(0, 0, 0)


@pytest.fixture
def on_a_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Even where the tests themselves run in a container."""
    monkeypatch.setattr("spawners._os.desktop.CONTAINER_MARKS", ())


@pytest.fixture(scope="module")
def guarded() -> Iterator[XDesktop]:
    """An X server that lets only those in who have its cookie."""
    desktop = XDesktop(cookie=True, manager=False)
    yield desktop
    desktop.end()


def display_of(desktop: XDesktop) -> str:
    return desktop.env["DISPLAY"]


# -- our own environment


@pytest.mark.needs("xvfb")
async def test_a_display_of_our_own_environment_is_greeted(x_desktop: XDesktop) -> None:
    found = await find_desktop(x_desktop.env)
    assert (found.kind, found.source, found.problem) == (Display.X11, "muster's own environment", "")
    assert found.env["DISPLAY"] == display_of(x_desktop)
    assert found.env["DBUS_SESSION_BUS_ADDRESS"] == x_desktop.env["DBUS_SESSION_BUS_ADDRESS"]


@pytest.mark.needs("wayland")
async def test_a_compositor_is_greeted_and_a_dead_display_left_out(wayland_desktop: WaylandDesktop) -> None:
    found = await find_desktop({**wayland_desktop.env, "DISPLAY": ":4999"})
    assert found.kind is Display.WAYLAND
    assert "DISPLAY" not in found.env


@pytest.mark.needs("xvfb", "wayland")
async def test_a_session_with_both_shows_both(x_desktop: XDesktop, wayland_desktop: WaylandDesktop) -> None:
    found = await find_desktop({**wayland_desktop.env, "DISPLAY": display_of(x_desktop)})
    assert found.kind is Display.EITHER


async def test_a_display_that_nobody_serves_is_none_and_says_so(bare: dict[str, str]) -> None:
    found = await find_desktop({**bare, "DISPLAY": ":4999", "WAYLAND_DISPLAY": "wayland-7"})
    assert found.kind is None
    assert "no X server at DISPLAY=:4999: " in found.problem
    assert f"no compositor at {bare['XDG_RUNTIME_DIR']}/wayland-7: no such file or directory" in found.problem


async def test_what_is_no_display_says_so(bare: dict[str, str]) -> None:
    assert (
        "DISPLAY=nonsense is not a display's name"
        in (await find_desktop({**bare, "DISPLAY": "nonsense"})).problem
    )


async def test_a_compositor_that_does_not_answer_is_none(bare: dict[str, str]) -> None:
    with socket.socket(socket.AF_UNIX) as hangs:
        hangs.bind(f"{bare['XDG_RUNTIME_DIR']}/wayland-0")
        hangs.listen()
        found = await find_desktop({**bare, "WAYLAND_DISPLAY": "wayland-0"})
    assert "does not answer" in found.problem


async def test_nothing_of_our_window_service_and_tokens_is_handed_on(bare: dict[str, str]) -> None:
    about_us = {"WINDOWID": "7", "KITTY_LISTEN_ON": "unix:/k", "TMUX": "/t,1,0", "NOTIFY_SOCKET": "/n"}
    found = await find_desktop({**bare, **about_us, "MUSTER_AGENT_TOKEN": "secret", "EDITOR": "vim"})
    assert not {*about_us, "MUSTER_AGENT_TOKEN"} & {*found.env}
    assert found.env["EDITOR"] == "vim"


# -- who is let in


@pytest.mark.needs("xvfb")
async def test_the_cookie_of_xauthority_lets_us_in(guarded: XDesktop) -> None:
    found = await find_desktop(guarded.env)
    assert found.kind is Display.X11


@pytest.mark.needs("xvfb")
async def test_without_the_cookie_we_are_refused_and_told_of_the_file(
    guarded: XDesktop, bare: dict[str, str]
) -> None:
    wrong = Path(bare["HOME"], "cookies")
    write_cookie(wrong, b"x" * 16)
    for file in ({}, {"XAUTHORITY": str(wrong)}, {"XAUTHORITY": "/nowhere"}):
        found = await find_desktop({**bare, "DISPLAY": display_of(guarded), **file})
        assert found.kind is None
        assert f"the X server of DISPLAY={display_of(guarded)} refuses: " in found.problem
        assert f"(XAUTHORITY={file.get('XAUTHORITY', bare['HOME'] + '/.Xauthority')})" in found.problem


@pytest.mark.needs("xvfb")
@pytest.mark.parametrize("name", [".mutter-Xwaylandauth.AB12", "xauth_x", "gdm/Xauthority"])
async def test_a_cookie_where_display_managers_put_it_is_found(
    guarded: XDesktop, bare: dict[str, str], name: str
) -> None:
    path = Path(bare["XDG_RUNTIME_DIR"], name)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(guarded.cookies.read_bytes())
    found = await find_desktop({**bare, "DISPLAY": display_of(guarded)})
    assert found.kind is Display.X11
    assert found.env["XAUTHORITY"] == str(path)


@pytest.mark.needs("xvfb")
async def test_only_a_cookie_for_this_host_and_display_is_shown(
    guarded: XDesktop, bare: dict[str, str]
) -> None:
    """As Xlib does it: a program that we start could not enter with another one either."""
    secret = guarded.cookies.read_bytes()[-16:]
    number = display_of(guarded)[1:].encode()

    def entry(host: str, display: bytes) -> bytes:
        strings = (host.encode(), display, b"MIT-MAGIC-COOKIE-1", secret)
        return struct.pack(">H", 256) + b"".join(struct.pack(">H", len(text)) + text for text in strings)

    file = Path(bare["HOME"], ".Xauthority")
    for entries, kind in (
        (entry("elsewhere", number), None),
        (entry(socket.gethostname(), number + b"1"), None),
        (entry("elsewhere", number) + entry(socket.gethostname(), number), Display.X11),
    ):
        file.write_bytes(entries)
        assert (await find_desktop({**bare, "DISPLAY": display_of(guarded)})).kind is kind


# -- what the session has told others


@pytest.mark.needs("xvfb")
async def test_what_the_session_has_told_systemd_is_asked_at_each_opening(
    x_desktop: XDesktop, bare: dict[str, str], program: Program
) -> None:
    assert (await find_desktop(bare)).kind is None
    Path(bare["XDG_RUNTIME_DIR"], "systemd").mkdir()
    Path(bare["XDG_RUNTIME_DIR"], "systemd", "private").touch()
    says = f"DISPLAY={display_of(x_desktop)}\\nXDG_CURRENT_DESKTOP=$'a\\\\'b'\\nEDITOR=vi\\nGTK_THEME=\\n"
    program("systemctl", f"'--user show-environment') printf '%b' {shlex.quote(says)};;")

    found = await find_desktop({**bare, "DISPLAY": ":4999", "XDG_CURRENT_DESKTOP": "old"})

    assert (found.kind, found.source) == (Display.X11, "systemctl --user show-environment")
    assert found.env["DISPLAY"] == display_of(x_desktop)
    assert found.env["XDG_CURRENT_DESKTOP"] == "a'b"
    assert "EDITOR" not in found.env


@pytest.mark.slow
@pytest.mark.needs("xvfb", "systemd")
async def test_a_real_manager_tells_of_a_session_that_came_later(
    x_desktop: XDesktop, user_manager: UserManager
) -> None:
    service = {"PATH": os.environ["PATH"], **user_manager.environment}
    assert (await find_desktop(service)).kind is None
    user_manager.ctl("set-environment", f"DISPLAY={display_of(x_desktop)}", "XDG_CURRENT_DESKTOP=it's é")
    found = await find_desktop(service)
    assert (found.kind, found.source) == (Display.X11, "systemctl --user show-environment")
    assert found.env["XDG_CURRENT_DESKTOP"] == "it's é"
    assert found.env["DBUS_SESSION_BUS_ADDRESS"] == f"unix:path={user_manager.runtime}/bus"


SESSION = "Type=x11\\nState={state}\\nDisplay={display}\\nRemote={remote}\\nClass={kind}\\n"


@pytest.mark.needs("xvfb")
@pytest.mark.parametrize(
    ("facts", "seen"),
    [
        ({}, True),
        ({"remote": "yes"}, False),
        ({"state": "closing"}, False),
        ({"kind": "greeter"}, False),
        ({"display": ":4999"}, False),
    ],
)
async def test_logind_tells_of_the_sessions_of_this_user(
    x_desktop: XDesktop, bare: dict[str, str], program: Program, facts: Mapping[str, str], seen: bool
) -> None:
    whole = {"display": display_of(x_desktop), "state": "active", "remote": "no", "kind": "user", **facts}
    mine, other = {"session": "3", "uid": os.getuid()}, {"session": "c9", "uid": os.getuid() + 1}
    sessions = json.dumps([other, mine])
    one = SESSION.format(**whole)
    program("loginctl", f"list-sessions*) echo '{sessions}';; 'show-session '*) printf '{one}';;")
    found = await find_desktop(bare)
    assert (found.kind is Display.X11) is seen
    if seen:
        assert found.source == "session 3 of loginctl"


@pytest.mark.parametrize("answer", ["echo nonsense", "echo '[{}]'", "echo '[]'", "exit 1", "kill -9 $$"])
async def test_nonsense_of_logind_is_no_session(bare: dict[str, str], program: Program, answer: str) -> None:
    program("loginctl", f"*) {answer};;")
    assert (await find_desktop(bare)).kind is None


# -- sockets


@pytest.mark.usefixtures("on_a_machine", "as_nobody")
@pytest.mark.needs("wayland", "xvfb")
async def test_sockets_of_our_own_are_found_and_those_of_others_left_alone(
    wayland_desktop: WaylandDesktop,
    x_session: XDesktop,
    bare: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An X server of root is there as well."""
    monkeypatch.setattr("spawners._os.desktop.X11_SOCKETS", X11_SOCKETS)
    runtime = wayland_desktop.env["XDG_RUNTIME_DIR"]
    found = await find_desktop({**bare, "XDG_RUNTIME_DIR": runtime})
    assert (found.kind, found.source) == (
        Display.WAYLAND,
        f"{runtime}/{wayland_desktop.env['WAYLAND_DISPLAY']}",
    )
    assert (await find_desktop(bare)).problem.startswith(
        "no graphical session of this user was found: log in"
    )


# -- rules


@pytest.mark.needs("xvfb")
async def test_a_display_that_ssh_forwards_is_not_taken(bare: dict[str, str]) -> None:
    forwarded = {**bare, "DISPLAY": "localhost:10.0", "SSH_CONNECTION": "192.0.2.1 50000 192.0.2.2 22"}
    found = await find_desktop(forwarded)
    assert "DISPLAY=localhost:10.0 is forwarded by ssh" in found.problem
    assert "tmux" in found.problem


@pytest.mark.needs("xvfb")
async def test_over_ssh_no_screen_of_this_machine_is_looked_for(
    x_desktop: XDesktop, bare: dict[str, str], program: Program
) -> None:
    Path(bare["XDG_RUNTIME_DIR"], "systemd").mkdir()
    Path(bare["XDG_RUNTIME_DIR"], "systemd", "private").touch()
    program("systemctl", f"*) echo DISPLAY={display_of(x_desktop)};;")
    assert (await find_desktop(bare)).kind is Display.X11
    found = await find_desktop({**bare, "SSH_CONNECTION": "192.0.2.1 50000 192.0.2.2 22"})
    assert found.kind is None
    assert found.problem.startswith("muster was started over ssh")


async def test_a_display_over_tcp_is_greeted_where_it_is(bare: dict[str, str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        def answer() -> None:
            line, _ = server.accept()
            with line:
                line.recv(100)
                line.sendall(b"\x01" + bytes(7))

        thread = threading.Thread(target=answer)
        thread.start()
        found = await find_desktop({**bare, "DISPLAY": f"127.0.0.1:{port - 6000}"})
        thread.join(10)
    assert found.kind is Display.X11


@pytest.mark.needs("root")
@pytest.mark.parametrize("name", ["SUDO_UID", "PKEXEC_UID"])
async def test_root_for_another_user_opens_nothing(x_session: XDesktop, name: str) -> None:
    found = await find_desktop({**x_session.env, name: "1000", "SUDO_USER": "ann"})
    assert found.kind is None
    assert f"muster runs as root for ann ({name})" in found.problem
    assert "run it as ann, without sudo" in found.problem


async def test_in_a_container_the_way_out_is_told(bare: dict[str, str]) -> None:
    found = await find_desktop({**bare, "container": "podman"})
    assert found.problem.startswith("muster runs in a container: give it a display")


@pytest.mark.usefixtures("on_a_machine")
@pytest.mark.needs("root")
async def test_root_is_told_whose_desktop_it_takes(bare: dict[str, str]) -> None:
    assert (await find_desktop(bare)).problem.startswith("muster runs as root, who has no desktop here")


@pytest.mark.usefixtures("on_a_machine")
@pytest.mark.needs("root", "xvfb")
@pytest.mark.parametrize("more", [{}, {"container": "podman"}])
async def test_a_socket_alone_is_no_session_of_root_or_of_a_container(
    x_session: XDesktop, bare: dict[str, str], monkeypatch: pytest.MonkeyPatch, more: dict[str, str]
) -> None:
    """It may be the desktop of anybody, or of the machine around it."""
    monkeypatch.setattr("spawners._os.desktop.X11_SOCKETS", X11_SOCKETS)
    assert (await find_desktop({**bare, **more})).kind is None


@pytest.mark.parametrize(
    ("kind", "shown"),
    [
        (Display.X11, {Display.X11, Display.EITHER, Display.NONE}),
        (Display.WAYLAND, {Display.WAYLAND, Display.EITHER, Display.NONE}),
        (Display.EITHER, {Display.X11, Display.WAYLAND, Display.EITHER, Display.NONE}),
        (Display.DESKTOP, {Display.DESKTOP, Display.EITHER, Display.NONE}),
        (None, {Display.NONE}),
    ],
)
def test_what_a_session_shows(kind: Display | None, shown: set[Display]) -> None:
    assert {display for display in Display if Desktop({}, kind).shows(display)} == shown


def test_the_terminals_of_this_system_are_known() -> None:
    assert _os.terminals == "spawners.terminals.linux"
