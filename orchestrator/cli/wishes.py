"""What is wished of an agent and its native window, in the words of who wishes it, and where they sit."""

from __future__ import annotations

import os
import re
from dataclasses import fields

from orchestrator.cli.failures import CliError, Exit
from orchestrator.cli.spawn_options import SpawnOptions
from relay.wire.agents import Mode, SpawnRequest
from relay.wire.errors import ApiError
from relay.wire.opening import DESKTOP_NAMES, check_window

__all__ = ["check_wishes", "own_desktop", "with_option"]

_FIELD = re.compile(r"([a-z][a-zA-Z]*?)(?:Ms|Bytes|Usd)? must ")


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
    if options.size is not None:
        raise CliError("--size goes with --mode embedded: a window has its own", Exit.USAGE)
    try:
        check_window(
            SpawnRequest(
                mode=mode,
                terminal=options.terminal,
                hold=options.hold,
                on_window_close=options.on_window_close,
                terminal_fallback=options.terminal_fallback,
            )
        )
    except ApiError as error:
        raise CliError(with_option(error.message), Exit.USAGE) from None


def with_option(message: str) -> str:
    """The message with the option that was typed in the place of the field that it became."""
    named = _FIELD.match(message)
    option = re.sub("[A-Z]", lambda letter: "_" + letter[0].lower(), named[1]) if named else ""
    if named is None or option not in {field.name for field in fields(SpawnOptions)}:
        return message
    return f"--{option.replace('_', '-')} must {message[named.end() :]}"
