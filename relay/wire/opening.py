"""What of a request concerns native windows. Pure: relay and host ask the same."""

from __future__ import annotations

from collections.abc import Mapping

from relay.wire.agents import Mode, SpawnRequest
from relay.wire.errors import ApiError, Code

__all__ = [
    "DESKTOP_NAMES",
    "FALLBACKS",
    "HOLDS",
    "ON_CLOSE",
    "check_desktop",
    "check_terminal",
    "check_window",
]

HOLDS = ("always", "error", "never")
ON_CLOSE = ("detach", "stop")
FALLBACKS = ("embedded", "error")
MAX_TERMINAL = 1024
MAX_VALUE = 4096

DESKTOP_NAMES = (
    *("DISPLAY", "WAYLAND_DISPLAY", "XAUTHORITY", "XDG_RUNTIME_DIR", "XDG_SESSION_TYPE"),
    *("XDG_CURRENT_DESKTOP", "DBUS_SESSION_BUS_ADDRESS", "SWAYSOCK", "TERMINAL", "TERM_PROGRAM"),
    *("TMUX", "TMUX_PANE", "STY", "ZELLIJ", "ZELLIJ_SESSION_NAME", "KITTY_PID", "KITTY_WINDOW_ID"),
    *("KITTY_LISTEN_ON", "WEZTERM_PANE", "WEZTERM_UNIX_SOCKET", "ALACRITTY_SOCKET", "ALACRITTY_WINDOW_ID"),
    *("KONSOLE_VERSION", "GNOME_TERMINAL_SCREEN", "PTYXIS_VERSION", "TILIX_ID", "TERMINATOR_UUID"),
    *("GHOSTTY_RESOURCES_DIR", "VTE_VERSION", "XTERM_VERSION", "WT_SESSION", "ITERM_SESSION_ID"),
    *("SSH_CONNECTION", "SSH_TTY"),
)
"""Variables that tell which display and terminal somebody sits at. No others are taken: what opens a window
is a program of the user's, and is given the desktop's environment by the host."""


def check_window(request: SpawnRequest) -> None:
    """Raise `ApiError` `invalid` for wishes about a window that cannot be met, or that there is none for."""
    given = {
        "terminal": request.terminal,
        "tab": request.tab or None,
        "hold": request.hold,
        "onWindowClose": request.on_window_close,
        "terminalFallback": request.terminal_fallback,
        "desktop": request.desktop or None,
    }
    if request.mode is not Mode.TERMINAL:
        for name, value in given.items():
            if value is not None:
                raise _refuse(f"{name} is for mode terminal; mode {request.mode} opens no window")
        return
    if request.size is not None:
        raise _refuse("size is for mode embedded; in mode terminal the window has one")
    for name, value, known in (
        ("hold", request.hold, HOLDS),
        ("onWindowClose", request.on_window_close, ON_CLOSE),
        ("terminalFallback", request.terminal_fallback, FALLBACKS),
    ):
        if value is not None and value not in known:
            raise _refuse(f"{name} must be one of {', '.join(known)}, not {value!r}")
    check_terminal(request.terminal)
    check_desktop(request.desktop)


def check_terminal(terminal: str | None) -> None:
    """Raise `ApiError` `invalid` for what cannot be a terminal's name or argv."""
    if terminal is None:
        return
    if not terminal.strip() or len(terminal) > MAX_TERMINAL or not terminal.isprintable():
        raise _refuse(f"terminal is a name, or an argv with {{command}}, of 1 to {MAX_TERMINAL} characters")


def check_desktop(desktop: Mapping[str, str]) -> None:
    """Raise `ApiError` `invalid` for other variables than those of display and terminal."""
    for name, value in desktop.items():
        if name not in DESKTOP_NAMES:
            raise _refuse(f"desktop takes no {name}; it takes {', '.join(DESKTOP_NAMES)}")
        if "\0" in value or len(value) > MAX_VALUE:
            raise _refuse(f"the value of {name} in desktop holds a NUL character or is too long")


def _refuse(message: str) -> ApiError:
    return ApiError(Code.INVALID, message)
