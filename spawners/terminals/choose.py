"""Which terminals to try, in which order, and why: nothing here opens one.

What was asked for comes first, then what the user has shown to prefer, then what is there. What cannot work
is left out, each with its reason, so that nobody has to guess why a terminal did not come up.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from spawners.errors import SpawnerError
from spawners.terminals.base import Desktop, Display, Terminal
from spawners.terminals.preferences import preferred_entries

__all__ = ["Candidate", "Choice", "UnknownTerminal", "Wishes", "choose", "named"]

ALTERNATIVE, RUNNER = "x-terminal-emulator", "xdg-terminal-exec"
"""What opens the terminal that an administrator has chosen, and the one of xdg-terminals.list."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """What is known of the user's will: `explicit` with the request, `configured` in the settings (names, or
    empty), and the environment of whoever asks: its TERMINAL, and marks of the terminal it runs in."""

    explicit: str | Terminal = ""
    configured: str | Terminal = ""
    environ: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A terminal to try, the program that it is here, and why it is in the list."""

    terminal: Terminal
    program: str
    reason: str


@dataclass(frozen=True, slots=True)
class Choice:
    """The terminals to try in order; `left_out` are the others, each with why, and `missed` those of them
    that were asked for or configured: whoever wanted them should hear of it."""

    candidates: tuple[Candidate, ...]
    left_out: tuple[tuple[str, str], ...]
    missed: tuple[tuple[str, str], ...] = ()

    @property
    def terminals(self) -> tuple[Terminal, ...]:
        return tuple(candidate.terminal for candidate in self.candidates)


class UnknownTerminal(SpawnerError, ValueError):
    """A terminal was asked for by a name that nothing here has."""


def named(name: str, terminals: Sequence[Terminal], path: str) -> Terminal:
    """The terminal with this name, or one of whose programs has it. Raises `UnknownTerminal`."""
    found = _by_program(name, terminals)
    if found is None:
        installed = [terminal.name for terminal in terminals if terminal.installed(path)]
        argv = " (an argv has {command} where its command goes)" if re.search(r"[\s/\\]", name) else ""
        raise UnknownTerminal(
            f"no terminal is called {name!r}{argv}. Installed here: {', '.join(installed) or 'none'}. "
            f"Known: {', '.join(terminal.name for terminal in terminals)}"
        )
    return found


def choose(wishes: Wishes, terminals: Sequence[Terminal], desktop: Desktop, path: str) -> Choice:
    """Order the terminals by the wishes; all are either candidates or left out. Only a multiplexer that we
    run in is there twice: itself, and at the end as one of our own.

    Raises `UnknownTerminal` for a name, asked for or configured, that none has: an unknown name is never
    taken for another. One that was asked for and cannot be opened here is left out like any other.
    """
    candidates: dict[tuple[str, bool], Candidate] = {}
    left_out: dict[str, str] = {}
    missed: dict[str, str] = {}
    for terminal, reason in _in_order(wishes, terminals, desktop, path):
        if isinstance(terminal, str):
            left_out.setdefault(terminal, reason)
            continue
        program = terminal.installed(path)
        why = _why_not(terminal, program, desktop)
        if why:
            left_out.setdefault(terminal.name, f"{why} ({reason})" if reason != _ANY else why)
            if reason in _WISHED:
                missed.setdefault(terminal.name, left_out[terminal.name])
        elif program:
            a_running_one = terminal.display is Display.NONE and terminal not in terminals
            candidates.setdefault((terminal.name, a_running_one), Candidate(terminal, program, reason))
    return Choice(
        tuple(candidates.values()),
        tuple(
            (name, why) for name, why in left_out.items() if not {(name, False), (name, True)} & {*candidates}
        ),
        tuple(missed.items()),
    )


_ANY = "installed"
_WISHED = _ASKED_FOR, _CONFIGURED = "asked for", "config terminal.app"
Wish = tuple[Terminal | str, str]
"""A terminal, or the name of one that is unknown here, and the reason."""


def _in_order(wishes: Wishes, terminals: Sequence[Terminal], desktop: Desktop, path: str) -> Iterator[Wish]:
    environ = wishes.environ
    for wish, reason in ((wishes.explicit, _ASKED_FOR), (wishes.configured, _CONFIGURED)):
        if wish:
            try:
                meant = named(wish, terminals, path) if isinstance(wish, str) else wish
            except UnknownTerminal as error:
                if reason != _CONFIGURED:
                    raise
                raise UnknownTerminal(f"{reason}: {error}") from None
            yield from ((one, reason) for one in _here_first(meant, environ))
    if words := environ.get("TERMINAL", "").split():
        name = os.path.basename(words[0])
        found = _by_program(name, terminals)
        if found:
            yield from ((one, "$TERMINAL") for one in _here_first(found, environ))
        else:
            yield name, "$TERMINAL names it, and it is not known here"
    yield from _around(environ, terminals)
    for entry, file in preferred_entries({**desktop.env, **environ}):
        if known := next((one for one in terminals if entry in one.entries), None):
            yield known, file
        elif runner := _by_program(RUNNER, terminals):
            yield runner, f"{file} names {entry}"
    for name in desktop.env.get("XDG_CURRENT_DESKTOP", "").split(":"):
        yield from ((one, f"{name}'s own") for one in terminals if name and name in one.desktops)
    yield from _alternative(terminals, path)
    yield from ((one, _ANY) for one in terminals if one.display is not Display.NONE)
    yield from ((one, "needs no display") for one in terminals if one.display is Display.NONE)


def _here_first(terminal: Terminal, environ: Mapping[str, str]) -> tuple[Terminal, ...]:
    """It, and before it the very one that we run in: who names tmux inside of tmux means that one."""
    return (terminal.inside(environ), terminal) if terminal.runs_around(environ) else (terminal,)


def _around(environ: Mapping[str, str], terminals: Sequence[Terminal]) -> Iterator[Wish]:
    """The one we run in. A multiplexer is asked first: its terminal's marks show through it."""
    for terminal in sorted(terminals, key=lambda one: one.display is not Display.NONE):
        if mark := terminal.runs_around(environ):
            yield terminal.inside(environ), f"muster runs in it ({mark})"


def _alternative(terminals: Sequence[Terminal], path: str) -> Iterator[Wish]:
    """What the system's alternative is in truth: through the link a terminal would get only `-e`."""
    link = next((one.installed(path) for one in terminals if one.name == ALTERNATIVE), None)
    if link:
        name = os.path.basename(os.path.realpath(link)).removesuffix(".wrapper")
        if found := _by_program(name, terminals):
            yield found, f"{ALTERNATIVE} is {name}"


def _by_program(name: str, terminals: Sequence[Terminal]) -> Terminal | None:
    exact = (one for one in terminals if name == one.name)
    return next(exact, None) or next((one for one in terminals if name in one.programs), None)


def _why_not(terminal: Terminal, program: str | None, desktop: Desktop) -> str:
    if not program:
        return "not installed"
    if desktop.shows(terminal.display):
        return ""
    if desktop.kind is None:
        return desktop.problem or "there is no graphical session"
    return f"draws on {terminal.display.value}, this session is {desktop.kind.value}"
