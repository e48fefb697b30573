"""The words that open a window in each terminal, spelled out: they were found by trying the real ones."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path

import pytest

from spawners.terminals.base import SAFE, Desktop, Display, Opener, Terminal
from spawners.terminals.linux import TERMINALS

COMMAND = ("/bin/sh", "/run/u/m/w-0123456789ab")
RUN = shlex.join(COMMAND)
KITTY = "kitty -o confirm_os_window_close=0 -o allow_remote_control=socket-only --listen-on unix:/run/u/m"

WINDOWS = {
    "gnome-terminal": f"gnome-terminal --window --title=ag-1 --working-directory=/work -- {RUN}",
    "ptyxis": f"ptyxis --standalone -d /work -- {RUN}",
    "kgx": f"kgx --working-directory=/work -- {RUN}",
    "konsole": f"konsole --separate -p LocalTabTitleFormat=%w --workdir /work -e {RUN}",
    "xfce4-terminal": "xfce4-terminal --disable-server --initial-title=ag-1 "
    f"--working-directory=/work -x {RUN}",
    "mate-terminal": f"mate-terminal --disable-factory --working-directory=/work -x {RUN}",
    "lxterminal": f"lxterminal --no-remote --working-directory=/work -e {RUN}",
    "tilix": f"tilix --new-process --working-directory=/work -e '{RUN}'",
    "terminator": f"terminator --no-dbus --working-directory=/work -x {RUN}",
    "xterm": f"xterm -T ag-1 -e {RUN}",
    "urxvt": f"urxvt -title ag-1 -cd /work -e {RUN}",
    "st": f"st -T ag-1 -e {RUN}",
    "kitty": f"{KITTY}/w-0123456789ab.kitty -d /work {RUN}",
    "alacritty": f"alacritty --working-directory /work -e {RUN}",
    "wezterm": f"wezterm start --always-new-process --cwd /work -- {RUN}",
    "foot": f"foot --title=ag-1 --working-directory=/work {RUN}",
    "ghostty": "ghostty --gtk-single-instance=false --quit-after-last-window-closed=true "
    f"--confirm-close-surface=false --wait-after-command=false --working-directory=/work -e {RUN}",
    "qterminal": f"qterminal -w /work -e '{RUN}'",
    "xdg-terminal-exec": f"xdg-terminal-exec --dir=/work {RUN}",
    "x-terminal-emulator": f"x-terminal-emulator -e {RUN}",
    "tmux": "tmux -S /run/u/m/w-tmux -f /dev/null start-server ';' set-option -s escape-time 10 ';' "
    "set-option -g default-terminal screen-256color ';' new-session -d -s w-0123456789ab -x 80 -y 24 "
    f"-n ag-1 -c /work -- {RUN}",
    "screen": f"screen -c /dev/null -d -m -S w-0123456789ab -t ag-1 {RUN}",
    "zellij": """/bin/sh -c '"$0" attach --create-background "$1" && shift && exec "$@"' zellij """
    "w-0123456789ab zellij --session w-0123456789ab run --close-on-exit "
    f"--name ag-1 --cwd /work -- {RUN}",
}
EITHER = '"${1}" "${2}" "${3}" "${4}" "${5}" "${6}" "${7}" "${8}" "${9}"'
ASK_XFCE = (
    "dbus-send --session --print-reply --dest=org.freedesktop.DBus / org.freedesktop.DBus.NameHasOwner "
    "string:org.xfce.Terminal5 | grep -q true"
)
TABS = {
    "gnome-terminal": f"gnome-terminal --tab --title=ag-1 --working-directory=/work -- {RUN}",
    "ptyxis": f"ptyxis --tab -d /work -x '{RUN}'",
    "kgx": f"kgx --tab --working-directory=/work -- {RUN}",
    "konsole": f"konsole --new-tab -p LocalTabTitleFormat=%w --workdir /work -e {RUN}",
    "xfce4-terminal": f"""/bin/sh -c '{ASK_XFCE} && exec "$0" --tab "$@"; exec "$0" "$@"' """
    f"xfce4-terminal --initial-title=ag-1 --working-directory=/work -x {RUN}",
    "mate-terminal": f"mate-terminal --tab --working-directory=/work -x {RUN}",
    "tilix": f"tilix --action app-new-session --working-directory=/work -e '{RUN}'",
    "kitty": f"""/bin/sh -c '{EITHER} >/dev/null 2>&1 && exit; rm -f -- "$0"; shift 9; exec "$@"' """
    f"/run/u/m/w-kitty kitty @ --to unix:/run/u/m/w-kitty launch --type=tab --cwd=/work {RUN} "
    f"{KITTY}/w-kitty -d /work {RUN}",
    "wezterm": f"""/bin/sh -c '{EITHER} >/dev/null 2>&1 && exit; shift 9; exec "$@"' """
    f"sh wezterm cli --no-auto-start spawn --cwd /work -- {RUN} "
    f"wezterm start --always-new-process --cwd /work -- {RUN}",
}
LOOKED_AT = (
    'test -n "$("$0" -S "$1" list-clients -t "$2" 2>/dev/null)" && shift 2 && exec "$@"; '
    'echo "nobody is attached to session $2 of the tmux at $1" >&2; exit 1'
)
SEEN = (
    'LC_ALL=C "$0" -ls "$1" | grep -q -i "attached)" && shift && exec "$@"; '
    'echo "nobody is attached to the screen $1" >&2; exit 1'
)
INSIDE: dict[str, tuple[dict[str, str], bool, str]] = {
    "tmux": ({"TMUX": "/tmp/t,1/default,77,5"}, False,
             f"/bin/sh -c {shlex.quote(LOOKED_AT)} tmux /tmp/t,1/default '$5' "
             f"tmux -S /tmp/t,1/default new-window -t '$5:' -n ag-1 -c /work -- {RUN}"),
    "screen": ({"STY": "77.pts-0.host"}, False,
               f"/bin/sh -c {shlex.quote(SEEN)} screen 77.pts-0.host "
               f"screen -S 77.pts-0.host -X screen -t ag-1 {RUN}"),
    "zellij": ({"ZELLIJ_SESSION_NAME": "main"}, False,
               f"zellij --session main run --close-on-exit --name ag-1 --cwd /work -- {RUN}"),
    "kitty": ({"KITTY_LISTEN_ON": "unix:/tmp/k"}, True,
              f"""/bin/sh -c '{EITHER} >/dev/null 2>&1 && exit; shift 9; exec "$@"' """
              f"sh kitty @ --to unix:/tmp/k launch --type=tab --cwd=/work {RUN} "
              f"{KITTY}/w-0123456789ab.kitty -d /work {RUN}"),
    "gnome-terminal": ({"GNOME_TERMINAL_SCREEN": "/s/1", "GNOME_TERMINAL_SERVICE": ":1.2"}, True,
                       "/usr/bin/env GNOME_TERMINAL_SERVICE=:1.2 GNOME_TERMINAL_SCREEN=/s/1 "
                       f"gnome-terminal --tab --title=ag-1 --working-directory=/work -- {RUN}"),
}  # fmt: skip
FOCUS: dict[str, tuple[Mapping[str, str], str]] = {
    "xterm": ({"WINDOWID": "77"}, "wmctrl -i -a 77"),
    "kitty": (
        {"WINDOWID": "77", "KITTY_LISTEN_ON": "unix:/k", "KITTY_WINDOW_ID": "2"},
        "kitty @ --to unix:/k focus-window --match id:2",
    ),
    "wezterm": (
        {"WEZTERM_PANE": "3", "WEZTERM_UNIX_SOCKET": "/w"},
        "/usr/bin/env WEZTERM_UNIX_SOCKET=/w wezterm cli --no-auto-start activate-pane --pane-id 3",
    ),
    "tmux": (
        {"TMUX": "/t,77,0", "TMUX_PANE": "%4"},
        "tmux -S /t select-window -t %4 ';' select-pane -t %4 ';' switch-client -t %4",
    ),
    "screen": ({"STY": "77.x", "WINDOW": "2"}, "screen -S 77.x -X select 2"),
    "konsole": (
        {
            "WINDOWID": "77",
            "KONSOLE_DBUS_SERVICE": ":1.5",
            "KONSOLE_DBUS_WINDOW": "/Windows/1",
            "KONSOLE_DBUS_SESSION": "/Sessions/3",
        },
        """/bin/sh -c 'n=$1; shift; wmctrl -i -a "$n" && "$@"' sh 77 dbus-send --session --print-reply """
        "--dest=:1.5 /Windows/1 org.kde.konsole.Window.setCurrentSession int32:3",
    ),
}
BY_NAME = {one.name: one for one in TERMINALS}
UNSAFE = ("-e", "$HOME", "a b", "two\nlines", "", "é", "a;b", "%s", "'")


def words(one: Terminal, title: str = "ag-1", cwd: str = "/work", *, tab: bool = False) -> tuple[str, ...]:
    return one.argv(one.name, COMMAND, title, cwd, tab=tab)


def test_every_terminal_is_known_by_one_name() -> None:
    assert len(BY_NAME) == len(TERMINALS)
    assert set(BY_NAME) == set(WINDOWS)
    assert {one.name for one in TERMINALS if one.tabs} == set(TABS) | {"tmux", "screen"}


@pytest.mark.parametrize("name", WINDOWS)
def test_a_window_is_opened_by_these_words(name: str) -> None:
    assert shlex.join(words(BY_NAME[name])) == shlex.join(shlex.split(WINDOWS[name]))


@pytest.mark.parametrize("name", TABS)
def test_a_tab_is_opened_by_these_words(name: str) -> None:
    assert shlex.join(words(BY_NAME[name], tab=True)) == shlex.join(shlex.split(TABS[name]))


@pytest.mark.parametrize("name", INSIDE)
def test_inside_of_a_running_one_its_own_is_used(name: str) -> None:
    environ, tab, expected = INSIDE[name]
    assert shlex.join(words(BY_NAME[name].inside(environ), tab=tab)) == shlex.join(shlex.split(expected))


@pytest.mark.parametrize("name", FOCUS)
def test_a_window_is_focused_by_these_words(name: str) -> None:
    handles, expected = FOCUS[name]
    assert BY_NAME[name].focus(name, handles) == Opener(tuple(shlex.split(expected)))


@pytest.mark.parametrize("one", TERMINALS, ids=lambda one: one.name)
def test_hints_that_could_be_mistaken_are_left_out(one: Terminal) -> None:
    for tab in (False, True):
        bare = words(one, "", "", tab=tab)
        for unsafe in UNSAFE:
            assert words(one, unsafe, unsafe, tab=tab) == bare


@pytest.mark.parametrize("one", TERMINALS, ids=lambda one: one.name)
def test_a_window_without_handles_cannot_be_focused(one: Terminal) -> None:
    assert one.focus(one.name, {}) is None
    assert one.focus(one.name, {"WINDOWID": "0"}) is None
    assert one.focus(one.name, {"WINDOWID": "93852685321296"}) is None


FOCUSES = {"kitty", "wezterm", "tmux", "screen"}
"""By a way of their own, on any desktop."""
NEVER = {"gnome-terminal", "kgx", "xdg-terminal-exec", "x-terminal-emulator", "zellij", "foot"}


@pytest.mark.parametrize("one", TERMINALS, ids=lambda one: one.name)
def test_whether_a_terminal_can_bring_a_window_to_the_front_depends_on_the_desktop(
    one: Terminal, tmp_path: Path
) -> None:
    (tmp_path / "wmctrl").touch(mode=0o755)
    path = str(tmp_path)
    own, by_number = one.name in FOCUSES, one.name not in NEVER
    assert one.focuses(Desktop({}, Display.X11), path) is by_number
    assert one.focuses(Desktop({}, Display.X11), "/nowhere") is own
    assert one.focuses(Desktop({}, Display.WAYLAND), path) is own
    assert one.focuses(Desktop({}, Display.EITHER), path) is (own or one.display is Display.X11)
    assert one.focuses(Desktop({}, None), path) is own


def test_a_socket_for_remote_control_lies_nowhere_but_beside_what_is_executed() -> None:
    kitty = BY_NAME["kitty"]
    bare = ("kitty", "-o", "confirm_os_window_close=0")
    assert kitty.argv("kitty", ("/bin/sh", "w"), "", "") == (*bare, "/bin/sh", "w")
    far = "/" + "x" * 100 + "/w"
    assert kitty.argv("kitty", ("/bin/sh", far), "", "") == (*bare, "/bin/sh", far)
    assert BY_NAME["tmux"].argv("tmux", ("/bin/sh", far), "", "")[1:3] == ("-L", "muster")


def test_one_word_alone_is_not_given_to_a_shell_of_tmux() -> None:
    assert BY_NAME["tmux"].argv("tmux", ("/x",), "", "")[-3:] == ("--", "env", "/x")


def test_the_words_of_the_command_are_safe_ones() -> None:
    assert all(SAFE.fullmatch(word) for word in COMMAND)


def test_what_a_terminal_draws_on() -> None:
    drawn = {kind: {one.name for one in TERMINALS if one.display is kind} for kind in Display}
    assert drawn[Display.X11] == {"xterm", "urxvt", "st"}
    assert drawn[Display.WAYLAND] == {"foot"}
    assert drawn[Display.NONE] == {"tmux", "screen", "zellij"}
    assert not drawn[Display.DESKTOP]
