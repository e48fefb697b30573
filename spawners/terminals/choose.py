"""Which terminals to try, in which order, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from spawners.errors import SpawnerError
from spawners.terminals.base import Desktop, Terminal

__all__ = ["Candidate", "Choice", "UnknownTerminal", "Wishes", "choose"]


@dataclass(frozen=True, slots=True)
class Wishes:
    """`explicit` was asked for now, `configured` by the owner; `environ` tells of the terminal that whoever
    asks sits in."""

    explicit: str | Terminal = ""
    configured: str | Terminal = ""
    environ: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Candidate:
    terminal: Terminal
    program: str
    reason: str


@dataclass(frozen=True, slots=True)
class Choice:
    """`left_out` are (terminal, why) of those that cannot be tried."""

    candidates: tuple[Candidate, ...]
    left_out: tuple[tuple[str, str], ...]

    @property
    def terminals(self) -> tuple[Terminal, ...]:
        return tuple(candidate.terminal for candidate in self.candidates)


class UnknownTerminal(SpawnerError, ValueError):
    """A terminal was asked for by a name that nothing here has."""


def choose(wishes: Wishes, terminals: Sequence[Terminal], desktop: Desktop, path: str) -> Choice:
    """Return the candidates, most wanted first. Raises `UnknownTerminal`."""
    by_name = {terminal.name: terminal for terminal in terminals}
    wanted: list[tuple[Terminal, str]] = []
    for wish, reason in ((wishes.explicit, "asked for"), (wishes.configured, "config terminal.app")):
        if isinstance(wish, Terminal):
            wanted.append((wish, reason))
        elif wish and wish not in by_name:
            raise UnknownTerminal(f"no terminal is called {wish!r}. Known: {', '.join(by_name)}")
        elif wish:
            wanted.append((by_name[wish], reason))
    candidates: dict[str, Candidate] = {}
    left_out: dict[str, str] = {}
    for terminal, reason in (*wanted, *((one, "installed") for one in terminals)):
        program = terminal.installed(path)
        if program is None:
            left_out[terminal.name] = "not installed"
        elif not desktop.shows(terminal.display):
            left_out[terminal.name] = desktop.problem
        else:
            candidates.setdefault(terminal.name, Candidate(terminal, program, reason))
    return Choice(tuple(candidates.values()), tuple(left_out.items()))
