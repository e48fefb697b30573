"""A terminal that Muster does not know, as its owner writes it: an argv with `{command}`."""

from __future__ import annotations

import os
import shlex
import shutil
from typing import ClassVar

from spawners.terminals.base import Display, Terminal

__all__ = ["COMMAND", "custom", "is_template"]

COMMAND = "{command}"
TITLE, CWD = "{title}", "{cwd}"


def is_template(text: str) -> bool:
    """Whether `text` is an argv, and no name."""
    return COMMAND in text


def custom(template: str, label: str = "custom") -> Terminal:
    """The terminal that opens by `template`, split as a shell would: `footclient -N {command}`. Its name is
    `label` and its program's.

    A word that is `{command}` becomes the words of the command, one in which it stands with others the
    command as a shell would read it. `{title}` and `{cwd}` are filled in. Raises `ValueError` that says what
    is wrong.
    """
    try:
        words = tuple(shlex.split(template))
    except ValueError as error:
        raise ValueError(f"the terminal {template!r} cannot be split into words: {error}") from None
    if not any(COMMAND in word for word in words[1:]):
        raise ValueError(f"the terminal {template!r} must name a program first, and {COMMAND} after it")

    class Made(_Custom):
        name = f"{label}-{os.path.basename(words[0])}"
        programs = (words[0],)
        template = words[1:]

    return Made()


class _Custom(Terminal):
    """It may draw on anything, so nothing is asked of the desktop."""

    display = Display.NONE
    handles = ("WINDOWID", "TMUX_PANE", "WEZTERM_PANE", "KITTY_WINDOW_ID")
    template: ClassVar[tuple[str, ...]] = ()

    def installed(self, path: str) -> str | None:
        return shutil.which(os.path.expanduser(self.programs[0]), path=path)

    def argv(
        self, program: str, command: tuple[str, ...], title: str, cwd: str, *, tab: bool = False
    ) -> tuple[str, ...]:
        words: list[str] = [program]
        for word in self.template:
            if word == COMMAND:
                words += command
            else:
                filled = word.replace(COMMAND, shlex.join(command))
                words.append(filled.replace(TITLE, title).replace(CWD, cwd))
        return tuple(words)
