"""Which terminal emulator is used: the best one that this machine can load."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from functools import cache
from typing import Protocol

from spawners.launch import Size
from spawners.screen.base import Screen

__all__ = ["ENGINES", "Engine", "engine_name", "engine_note", "open_screen", "replay_bytes"]

MIB = 1024 * 1024


class _Opens(Protocol):
    def __call__(self, size: Size, history_lines: int = 0) -> Screen: ...


@dataclass(frozen=True, slots=True)
class Engine:
    """One emulator. `replay_bytes` is how much output it may be given at once: about a second's worth,
    so that a whole spool of the default size for the fast one, and the end of it for the slow one."""

    name: str
    module: str
    kind: str
    replay_bytes: int


ENGINES: dict[str, Engine] = {
    "ghostty": Engine("ghostty", "spawners.screen.ghostty", "GhosttyScreen", 64 * MIB),
    "pyte": Engine("pyte", "spawners.screen.pyte_screen", "PyteScreen", MIB // 2),
}
"""By preference."""


@cache
def _load(name: str) -> _Opens | str:
    """The class of that engine's screens, or why it cannot be had."""
    engine = ENGINES[name]
    try:
        made: _Opens = getattr(importlib.import_module(engine.module), engine.kind)
    except (ImportError, OSError, AttributeError, AssertionError) as error:
        # The library itself may be missing, of the wrong kind, or of another version than its binding.
        return f"{type(error).__name__}: {error}"
    return made


@cache
def engine_name() -> str:
    """The engine in use. Raises RuntimeError if none can be loaded."""
    for name in ENGINES:
        if not isinstance(_load(name), str):
            return name
    raise RuntimeError("; ".join(f"{name}: {_load(name)}" for name in ENGINES))


def engine_note() -> str:
    """Why a better engine than the one in use is not, to be told once; empty if there is no better one."""
    better = []
    for name in ENGINES:
        loaded = _load(name)
        if not isinstance(loaded, str):
            break
        better.append(f"{name} cannot be loaded ({loaded})")
    if not better:
        return ""
    return f"{'; '.join(better)}: terminals are emulated by {engine_name()}, which is slower and less exact"


def replay_bytes(engine: str | None = None) -> int:
    """How many bytes of output that engine (None: the one in use) may replay at once."""
    return ENGINES[engine or engine_name()].replay_bytes


def open_screen(size: Size, *, history_lines: int = 0, engine: str | None = None) -> Screen:
    """An empty screen that keeps that many lines of history (0: none, and counts none).

    Raises ValueError for a size that is not valid or an engine that is not known, RuntimeError if the
    engine cannot be loaded.
    """
    name = engine or engine_name()
    if name not in ENGINES:
        raise ValueError(f"no terminal emulator {name!r}; there are {', '.join(ENGINES)}")
    loaded = _load(name)
    if not isinstance(loaded, str):
        return loaded(size, history_lines)
    raise RuntimeError(f"the terminal emulator {name} cannot be loaded: {loaded}")
