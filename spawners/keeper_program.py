"""The keeper as a program: its byte code, made once, and its start."""

from __future__ import annotations

import hashlib
import importlib.util
import marshal
import os
import struct
import subprocess
import sys
import types
from collections.abc import Mapping, Sequence

from spawners import _os, failpoint

__all__ = ["compiled_keeper", "start_program"]

_ENV = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "PYTHONHOME", failpoint.VARIABLE)
"""All a keeper inherits: what its Python needs to start. Above all not the mark of another agent."""

_SHARED = (
    *("host", "spool", "keys", "modes", "queries", "terminal", "state", "wire", "output", "input", "viewers"),
    *("answers", "ladder", "record", "birth", "keeper"),
)
POSIX_MODULES = (
    *("system", "files", "protocol", "connection", "processes", "memory", "execute", "tree"),
    *("tty", "listener", "stdio", *_os.keeper_modules, *_SHARED, "sharing", "program"),
)
WINDOWS_MODULES = (
    *("windows.api", "windows.pipes", "windows.system", "system", "files", "protocol", "connection"),
    *("windows.identity", "windows.execute", "windows.job", "windows.console", "windows.listener"),
    *("windows.stdio", *_SHARED, "windows.program"),
)
MODULES = WINDOWS_MODULES if _os.has_job_objects else POSIX_MODULES
"""The package `spawners.keeper` in the order in which its modules import each other."""

_SOURCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "keeper")
_LOADER = """
import sys
from marshal import loads
for name, code in loads({data!r}):
    module = sys.modules[name] = type(sys)(name)
    module.__path__ = []
    exec(code, module.__dict__)
module.main()
"""


def compiled_keeper(cache: str) -> str:
    """The path of the keeper's byte code, bundled once per source and Python; its source if that fails.

    Compiling two thousand lines at every start would cost each spawn twenty milliseconds, finding twenty
    files two. And a keeper that is one file cannot be half of an old version and half of a new one.
    """
    sources = {name: _read(f"{_SOURCE}/{name.replace('.', '/')}.py") for name in MODULES}
    known = repr(sources) + _LOADER + sys.version
    digest = hashlib.sha256(known.encode()).hexdigest()[:16]
    target = os.path.join(cache, f"keeper-{digest}.{sys.implementation.cache_tag}.pyc")
    if os.path.exists(target):
        return target
    try:
        with open(f"{target}.{os.getpid()}", "wb") as file:
            file.write(_bundle(sources))
        os.replace(f"{target}.{os.getpid()}", target)
    except OSError:
        return os.path.join(_SOURCE, "__main__.py")
    return target


def _read(path: str) -> str:
    with open(path, encoding="utf-8") as file:
        return file.read()


def _bundle(sources: Mapping[str, str]) -> bytes:
    """A .pyc file (PEP 552, never checked against a source) that brings all modules and runs `main`."""
    folders = ("spawners", "spawners.keeper", *({"spawners.keeper.windows"} if _os.has_job_objects else ()))
    package = [(name, _code("", name)) for name in folders]
    modules = [(f"spawners.keeper.{name}", _code(text, name)) for name, text in sources.items()]
    loader = _LOADER.format(data=marshal.dumps([*package, *modules]))
    return importlib.util.MAGIC_NUMBER + struct.pack("<IQ", 1, 0) + marshal.dumps(_code(loader, "loader"))


def _code(text: str, name: str) -> types.CodeType:
    return compile(text, f"<keeper: {name}>", "exec", dont_inherit=True)


def start_program(
    program: str, words: Sequence[str], *, fds: tuple[int, ...], log: str
) -> subprocess.Popen[bytes]:
    """Execute the keeper with these words and files, detached. Raises OSError."""
    env = {name: os.environ[name] for name in _ENV if name in os.environ}
    flags = ("-I", "-S", "-E", "-X", "utf8")
    return _os.start_detached([*flags, program, *words], env, log=log, fds=fds)
