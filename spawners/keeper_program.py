"""The keeper as a program: its byte code, made once, and its start."""

from __future__ import annotations

import hashlib
import os
import py_compile
import subprocess
import sys

from spawners import failpoint

__all__ = ["compiled_keeper", "start_program"]

_ENV = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "PYTHONHOME", failpoint.VARIABLE)
"""All a keeper inherits: what its Python needs to start. Above all not the mark of another agent."""


def compiled_keeper(cache: str) -> str:
    """The path of the keeper's byte code, compiled once per source and Python; its source if that fails.

    Compiling a thousand lines at every start would cost each spawn about ten milliseconds.
    """
    source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "keeper.py")
    with open(source, "rb") as file:
        digest = hashlib.sha256(file.read() + sys.version.encode()).hexdigest()[:16]
    target = os.path.join(cache, f"keeper-{digest}.{sys.implementation.cache_tag}.pyc")
    if os.path.exists(target):
        return target
    try:
        mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
        return py_compile.compile(source, target, doraise=True, invalidation_mode=mode) or source
    except (OSError, py_compile.PyCompileError):
        return source


def start_program(
    program: str, words: list[str], *, fds: tuple[int, ...], log: str
) -> subprocess.Popen[bytes]:
    """Execute the keeper with these words and file descriptors, detached, its complaints appended to `log`.

    Raises OSError. The vfork path of `Popen`: a fork would stall a large daemon.
    """
    errors = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        return subprocess.Popen(
            [sys.executable, "-I", "-S", "-E", "-X", "utf8", program, *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            cwd="/",
            env={name: os.environ[name] for name in _ENV if name in os.environ},
            pass_fds=fds,
            start_new_session=True,
        )
    finally:
        os.close(errors)
