"""The entry point: finds the command that was typed, and turns every failure into a line and an exit code."""

from __future__ import annotations

import atexit
import gc
import os
import sys
from collections.abc import Sequence

__all__ = ["COMMANDS", "main"]

COMMANDS: tuple[str, ...] = (
    "up",
    "down",
    "spawn",
    "run",
    "ps",
    "show",
    "logs",
    "attach",
    "open",
    "screen",
    "send",
    "approvals",
    "approve",
    "deny",
    "interrupt",
    "set",
    "resize",
    "export",
    "wait",
    "resume",
    "stop",
    "kill",
    "hosts",
    "providers",
    "trust",
    "doctor",
    "service",
    "token",
    "config",
    "relay",
    "orchestrator",
    "hook",
    "window",
)
"""In the order of `muster --help`. Each is a module here with a `command` to run or an `app` of its own."""

TAKES_ARGV = frozenset({"spawn", "run"})


def main() -> None:
    """Run `muster` with `sys.argv` and exit."""
    if sys.argv[1:2] == ["hook"] and sys.argv[2:3] not in (["--help"], ["-h"]):
        from spawners.hook import program

        program.main()  # in milliseconds, so before anything else is imported
    sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type] # its own command line: 25 ms
    atexit.register(gc.freeze)  # else everything is looked through once more at the end: 50 ms
    arguments = sys.argv[1:]
    command = _command(arguments)
    argv: list[str] | None = None
    if command in TAKES_ARGV and "--" in arguments:
        position = arguments.index("--")
        arguments, argv = arguments[:position], arguments[position + 1 :]
    from orchestrator.cli.assemble import build

    app = build([command] if command else COMMANDS)
    try:
        app(args=arguments, prog_name="muster", obj=argv)
    except BrokenPipeError:
        _abandon_stdout()
        sys.exit(141)
    except Exception as error:  # noqa: BLE001 - the edge of the program
        from orchestrator.cli.failures import explain

        sys.exit(explain(error))


def _abandon_stdout() -> None:
    """Point stdout nowhere, so that the interpreter's last flush does not complain."""
    descriptor = os.open(os.devnull, os.O_WRONLY)
    os.dup2(descriptor, sys.stdout.fileno())


def _command(arguments: Sequence[str]) -> str | None:
    """Return the command that was typed (or is being completed), or None to load all of them."""
    words = arguments
    if "_MUSTER_COMPLETE" in os.environ:
        typed = os.environ.get("_TYPER_COMPLETE_ARGS") or os.environ.get("COMP_WORDS") or ""
        words = typed.split()[1:]
        if len(words) < 2 and not typed.endswith((" ", "\n")):
            return None
    return words[0] if words and words[0] in COMMANDS else None


if __name__ == "__main__":
    main()
