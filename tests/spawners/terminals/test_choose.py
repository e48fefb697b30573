"""Which terminal is taken, and why: the order of wishes, and what is left out."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest

from spawners.terminals.base import Desktop, Display
from spawners.terminals.choose import Choice, UnknownTerminal, Wishes, choose, named
from spawners.terminals.linux import TERMINALS
from spawners.terminals.preferences import preferred_entries

ALL = ("gnome-terminal", "konsole", "kitty", "foot", "xterm", "tmux")


@pytest.fixture
def path(tmp_path: Path) -> str:
    return installed(tmp_path, ALL)


def installed(folder: Path, names: Iterable[str]) -> str:
    place = folder / "bin"
    place.mkdir(exist_ok=True)
    for name in names:
        (place / name).touch(mode=0o755)
    return str(place)


def chosen(path: str, *, kind: Display | None = Display.EITHER, desktop: Mapping[str, str] | None = None,
           **wishes: str | Mapping[str, str]) -> Choice:  # fmt: skip
    env = {"HOME": "/nowhere", "XDG_DATA_DIRS": "/nowhere", "XDG_CONFIG_DIRS": "/nowhere", **(desktop or {})}
    found = Desktop(env, kind, problem="" if kind else "no desktop here")
    return choose(Wishes(**wishes), TERMINALS, found, path)  # type: ignore[arg-type]


def first(choice: Choice) -> tuple[str, str]:
    return choice.candidates[0].terminal.name, choice.candidates[0].reason


def test_each_wish_comes_before_the_next(path: str, tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.mkdir()
    (config / "xdg-terminals.list").write_text("foot.desktop\n")
    environ = {"TERMINAL": "/usr/bin/xterm -fg red", "KONSOLE_VERSION": "221203"}
    desktop = {"XDG_CURRENT_DESKTOP": "ubuntu:GNOME", "XDG_CONFIG_HOME": str(config)}
    choice = chosen(path, explicit="kitty", configured="konsole", environ=environ, desktop=desktop)

    assert [(one.terminal.name, one.reason) for one in choice.candidates] == [
        ("kitty", "asked for"),
        ("konsole", "config terminal.app"),
        ("xterm", "$TERMINAL"),
        ("foot", f"{config}/xdg-terminals.list"),
        ("gnome-terminal", "GNOME's own"),
        ("tmux", "needs no display"),
    ]
    assert choice.candidates[0].program == f"{path}/kitty"
    assert dict(choice.left_out)["ptyxis"] == "not installed (GNOME's own)"
    assert dict(choice.left_out)["alacritty"] == "not installed"
    assert choice.terminals[0].name == "kitty"


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"KITTY_PID": "1"}, ("kitty", "muster runs in it (KITTY_PID)")),
        ({"TERM": "foot"}, ("foot", "muster runs in it (TERM=foot)")),
        ({"XTERM_VERSION": "XTerm(379)"}, ("xterm", "muster runs in it (XTERM_VERSION)")),
        ({"TMUX": "/tmp/x,1,0", "KITTY_PID": "1"}, ("tmux", "muster runs in it (TMUX)")),
        ({"TERM": "xterm-256color", "KITTY_PID": ""}, ("gnome-terminal", "installed")),
    ],
)
def test_the_terminal_that_we_run_in(
    path: str, environ: Mapping[str, str], expected: tuple[str, str]
) -> None:
    assert first(chosen(path, environ=environ)) == expected


def test_inside_tmux_a_window_of_that_one_is_opened(path: str) -> None:
    """And if nobody looks at that, a desktop comes next, and a server of ours at last."""
    choice = chosen(path, environ={"TMUX": "/tmp/x,1,0"})
    assert [one.name for one in choice.terminals] == ["tmux", *ALL]
    assert "new-window" in choice.terminals[0].argv("tmux", ("/bin/sh", "/x"), "", "")
    assert "new-session" in choice.terminals[-1].argv("tmux", ("/bin/sh", "/x"), "", "")
    assert "tmux" not in dict(choice.left_out)


@pytest.mark.parametrize("wish", ["explicit", "configured", "TERMINAL"])
def test_who_names_the_multiplexer_that_they_are_in_means_that_one(path: str, wish: str) -> None:
    inside = {"TMUX": "/tmp/x,1,0"}
    if wish == "TERMINAL":
        choice = chosen(path, environ={**inside, wish: "tmux"})
    else:
        choice = chosen(path, environ=inside, **{wish: "tmux"})
    assert [one.name for one in choice.terminals[:2]] == ["tmux", "tmux"]
    assert "new-window" in choice.terminals[0].argv("tmux", ("/bin/sh", "/x"), "", "")
    assert "new-session" in choice.terminals[1].argv("tmux", ("/bin/sh", "/x"), "", "")


def test_a_tab_of_the_kitty_that_one_is_in_is_asked_of_its_own_socket(path: str) -> None:
    environ = {"KITTY_PID": "1", "KITTY_LISTEN_ON": "unix:/tmp/k"}
    choice = chosen(path, environ=environ, explicit="kitty")
    assert [one.name for one in choice.terminals].count("kitty") == 1
    assert "unix:/tmp/k" in choice.terminals[0].argv("kitty", ("/bin/sh", "/x"), "", "", tab=True)


@pytest.mark.parametrize(
    ("name", "terminal"),
    [("KDE", "konsole"), ("X-Cinnamon", "gnome-terminal"), ("sway", "foot"), ("unknown", "gnome-terminal")],
)
def test_the_terminal_of_the_desktop(path: str, name: str, terminal: str) -> None:
    assert first(chosen(path, desktop={"XDG_CURRENT_DESKTOP": name}))[0] == terminal


def test_the_alternative_of_the_system_is_called_by_its_own_name(path: str) -> None:
    os.symlink(f"{path}/xterm", f"{path}/x-terminal-emulator")
    assert first(chosen(path)) == ("xterm", "x-terminal-emulator is xterm")


@pytest.mark.parametrize(
    ("kind", "without"), [(Display.X11, {"foot"}), (Display.WAYLAND, {"xterm"}), (Display.EITHER, set())]
)
def test_what_cannot_draw_here_is_left_out(path: str, kind: Display, without: set[str]) -> None:
    choice = chosen(path, kind=kind)
    assert {one.name for one in choice.terminals} == {*ALL} - without
    for name in without:
        assert f"this session is {kind.value}" in dict(choice.left_out)[name]


def test_without_a_desktop_only_multiplexers_are_left_and_the_reason_is_told(path: str) -> None:
    choice = chosen(path, kind=None, explicit="kitty")
    assert [one.name for one in choice.terminals] == ["tmux"]
    assert dict(choice.left_out)["kitty"] == "no desktop here (asked for)"
    assert choice.missed == (("kitty", "no desktop here (asked for)"),)
    assert chosen(path, explicit="kitty", configured="ghostty").missed == (
        ("ghostty", "not installed (config terminal.app)"),
    )


@pytest.mark.parametrize("wish", ["explicit", "configured"])
def test_an_unknown_name_is_an_error_that_lists_what_there_is(path: str, wish: str) -> None:
    with pytest.raises(UnknownTerminal) as caught:
        chosen(path, **{wish: "kity"})
    said = str(caught.value)
    assert "no terminal is called 'kity'" in said
    assert "Installed here: gnome-terminal, konsole, kitty, foot, xterm, tmux." in said
    assert "ghostty" in said
    assert said.startswith("config terminal.app: ") == (wish == "configured")


@pytest.mark.parametrize("name", ["footclient -N", "/usr/bin/xterm"])
def test_who_has_written_an_argv_without_a_place_for_the_command_is_told(path: str, name: str) -> None:
    with pytest.raises(UnknownTerminal, match=r"\(an argv has \{command\} where its command goes\)"):
        chosen(path, explicit=name)


def test_an_unknown_terminal_in_the_environment_is_only_left_out(path: str) -> None:
    choice = chosen(path, environ={"TERMINAL": "i3-sensible-terminal"})
    assert first(choice)[0] == "gnome-terminal"
    assert dict(choice.left_out)["i3-sensible-terminal"] == "$TERMINAL names it, and it is not known here"


def test_a_terminal_may_be_named_by_its_program(path: str) -> None:
    assert named("stterm", TERMINALS, path).name == "st"
    assert named("gnome-console", TERMINALS, path).name == "kgx"


def test_a_preferred_terminal_that_is_unknown_is_opened_by_who_reads_the_list(
    path: str, tmp_path: Path
) -> None:
    config = tmp_path / "config"
    config.mkdir()
    (config / "xdg-terminals.list").write_text("rio.desktop\nkitty.desktop\n")
    desktop = {"XDG_CONFIG_HOME": str(config)}
    assert first(chosen(path, desktop=desktop))[0] == "kitty"
    installed(tmp_path, ["xdg-terminal-exec"])
    reason = f"{config}/xdg-terminals.list names rio.desktop"
    assert first(chosen(path, desktop=desktop)) == ("xdg-terminal-exec", reason)


def test_lists_of_preferred_terminals(tmp_path: Path) -> None:
    user, system = tmp_path / "user", tmp_path / "system"
    for folder in (user, system):
        folder.mkdir()
    (user / "gnome-xdg-terminals.list").write_text(
        "# mine\n\norg.gnome.Ptyxis.desktop:new-window\n-kitty.desktop\n"
    )
    (user / "xdg-terminals.list").write_text("/execarg_default:foot.desktop:-e\nfoot.desktop\n")
    (system / "xdg-terminals.list").write_text("kitty.desktop\nfoot.desktop\n+xterm.desktop\n")
    environ = {
        "XDG_CONFIG_HOME": str(user),
        "XDG_CONFIG_DIRS": str(system),
        "XDG_DATA_HOME": "relative",
        "XDG_DATA_DIRS": str(tmp_path),
        "XDG_CURRENT_DESKTOP": "GNOME",
    }
    assert [entry for entry, _ in preferred_entries(environ)] == [
        "org.gnome.Ptyxis.desktop",
        "foot.desktop",
        "xterm.desktop",
    ]
