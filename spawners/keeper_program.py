"""The keeper as a program: its byte code, made once."""

from __future__ import annotations

import hashlib
import os
import py_compile
import sys

__all__ = ["compiled_keeper"]


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
