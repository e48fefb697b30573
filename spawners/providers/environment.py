"""Which environment variables an agent must not inherit: pure functions over names.

An agent that sees TMUX thinks that it owns a pane; one that sees another CLI's session id reports
into that session. Neither is true of an agent that a daemon started.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

__all__ = ["TERMINAL", "Names", "without"]


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split())


TERMINAL_MARKS = _names(
    """
    TERM TERM_PROGRAM TERM_PROGRAM_VERSION TERM_SESSION_ID COLORTERM COLUMNS LINES SSH_TTY WINDOWID
    TMUX TMUX_* STY ZELLIJ ZELLIJ_* KITTY_* WEZTERM_* VTE_* ITERM_* LC_TERMINAL LC_TERMINAL_VERSION
    ALACRITTY_* GHOSTTY_* KONSOLE_* GNOME_TERMINAL_* TERMINATOR_* TILIX_ID XTERM_* WT_SESSION
    WT_PROFILE_ID ConEmu* VSCODE_* TERMINAL_EMULATOR TERM_FEATURES TERMCAP COLORFGBG WARP_* RIO_*
    TABBY_* GUAKE_TAB_UUID TERMINOLOGY HYPER DTACH_* ABDUCO_SESSION INSIDE_EMACS NVIM VIM VIMRUNTIME
    """
)
"""Set by terminal emulators, multiplexers and editors for what runs in them."""

TERMINAL = {"TERM": "xterm-256color", "COLORTERM": "truecolor"}
"""What every agent with a terminal is told of it: ours emulates that, whoever looks at it."""

SHELL_MARKS = _names("PWD OLDPWD SHLVL _ PS1 PROMPT_COMMAND VIRTUAL_ENV VIRTUAL_ENV_PROMPT")
"""State of the shell or the Python environment that the daemon happened to be started from."""

OTHER_MARKS = _names("QWEN_CODE CURSOR_AGENT CURSOR_TRACE_ID")
"""Left in their children by CLIs that have no adapter here yet."""

OWN_MARKS = ("MUSTER_*",)
"""An agent's own ones are added by the daemon that starts it, for that agent."""


class Names:
    """A set of variable names, given as names and as prefixes with a final `*`; use it with `in`."""

    def __init__(self, patterns: Iterable[str]) -> None:
        listed = tuple(patterns)
        self._exact = frozenset(listed)
        self._prefixes = tuple(pattern[:-1] for pattern in listed if pattern.endswith("*"))

    def __contains__(self, name: str) -> bool:
        return name in self._exact or name.startswith(self._prefixes)


def without(env: Mapping[str, str], dropped: Names, *, keep: Names) -> dict[str, str]:
    """`env` without the variables in `dropped`, save those in `keep`."""
    return {name: value for name, value in env.items() if name in keep or name not in dropped}
