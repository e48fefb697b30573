"""The one file that is executed in a window: it holds what must stand in no terminal's argv."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping, Sequence

__all__ = ["KINDS", "command_of", "source"]

KINDS = {"sh": "", "command": ".command", "py": ".py"}
"""Kind of script → how its name ends. `command` is what Terminal.app takes for something to execute."""


def command_of(kind: str, path: str) -> tuple[str, ...]:
    """The words that execute the script at `path`."""
    return (sys.executable, "-I", path) if kind == "py" else ("/bin/sh", path)


def source(kind: str, path: str, variables: Mapping[str, str | None], argv: Sequence[str]) -> str:
    """The text of a script that removes itself, sets `variables` (None: takes it away), and executes `argv`:
    a Python, `-I`, `-m`, the name of a module and its arguments.

    Whatever the values hold, they arrive as they are.
    """
    return _python(path, variables, argv[3:]) if kind == "py" else _shell(path, variables, argv)


def _shell(path: str, variables: Mapping[str, str | None], argv: Sequence[str]) -> str:
    lines = ["#!/bin/sh", f"rm -f -- {shlex.quote(path)}"]
    for name, value in variables.items():
        lines.append(f"unset {name}" if value is None else f"export {name}={shlex.quote(value)}")
    lines.append(f"exec {shlex.join(argv)}")
    return "\n".join(lines) + "\n"


def _python(path: str, variables: Mapping[str, str | None], module: Sequence[str]) -> str:
    """Windows has no exec, and another process would be one that closing the console ends first: the
    interpreter that reads this, the same and isolated already, runs the module itself."""
    return "\n".join(
        [
            "import os, runpy, sys",
            f"os.unlink({path!r})",
            f"for name, value in {dict(variables)!r}.items():",
            "    os.environ.pop(name, None) if value is None else os.environ.__setitem__(name, value)",
            f"sys.argv = {list(module)!r}",
            "runpy.run_module(sys.argv[0], run_name='__main__', alter_sys=True)",
            "",
        ]
    )
