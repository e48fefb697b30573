"""What is wished of a native window, and where whoever wishes it sits."""

from __future__ import annotations

import os

from orchestrator.cli.failures import CliError, Exit
from orchestrator.cli.spawn_options import SpawnOptions
from relay.wire.agents import Mode, SpawnRequest
from relay.wire.errors import ApiError
from relay.wire.opening import DESKTOP_NAMES, FALLBACKS, HOLDS, ON_CLOSE, check_window

__all__ = ["check_wishes", "own_desktop"]


def own_desktop() -> dict[str, str]:
    """Return the variables that tell which display and terminal this process has."""
    return {name: os.environ[name] for name in DESKTOP_NAMES if os.environ.get(name)}


def check_wishes(options: SpawnOptions, mode: Mode) -> None:
    """Refuse what no window can be, before anything is started. Raises `CliError` (usage)."""
    given = {
        "--terminal": options.terminal,
        "--tab": options.tab or None,
        "--hold": options.hold,
        "--on-window-close": options.on_window_close,
        "--terminal-fallback": options.terminal_fallback,
    }
    if mode is not Mode.TERMINAL:
        names = [name for name, value in given.items() if value is not None]
        if names:
            raise CliError(f"{' and '.join(names)}: only --mode terminal opens a window", Exit.USAGE)
        return
    for name, known in (
        ("--hold", HOLDS),
        ("--on-window-close", ON_CLOSE),
        ("--terminal-fallback", FALLBACKS),
    ):
        if given[name] not in (None, *known):
            raise CliError(f"{name} must be one of {', '.join(known)}, not {given[name]!r}", Exit.USAGE)
    if options.size is not None:
        raise CliError("--size goes with --mode embedded: a window has its own", Exit.USAGE)
    try:
        check_window(SpawnRequest(mode=mode, terminal=options.terminal))
    except ApiError as error:
        raise CliError(str(error), Exit.USAGE) from None
