"""The program that opens a window: started apart from us, its complaints kept, and collected when it ends.

It is mostly the terminal itself and lives as long as the window, which may be longer than we do.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import tempfile
from collections.abc import Awaitable, Callable, Mapping

from spawners import _os
from spawners.terminals.base import Opener

__all__ = ["Launcher", "LauncherFailed"]

MAX_ERRORS = 64 * 1024
"""Bytes of complaints that are kept on disk."""
SHOWN_ERRORS = 2000
"""Characters of them in a message: the end, where the reason is."""
LOOK_S = 60.0
"""Between looks at how much has been complained: a terminal says a line now and then."""
_GATE = ("/bin/sh", "-c", 'read -r _ || exit 1; exec "$@"', "sh")
"""Waits for a line, so that nothing is executed, or forked, before the process is where it belongs."""
_NEW_CONSOLE = getattr(subprocess, "CREATE_NEW_CONSOLE", 0)
_NO_WINDOW = getattr(subprocess, "CREATE_NO_WINDOW", 0)
"""Of Windows. A launcher without a console would flash up one, and it is not to have the daemon's."""


class LauncherFailed(Exception):
    """It cannot open a window; the message says why, in its own words where it had any."""


class Launcher:
    """A started one. `ended` is done when it has ended; `failure` is then what it says of an error."""

    def __init__(self, name: str, process: subprocess.Popen[bytes], errors: int) -> None:
        self._name = name
        self._process = process
        self._errors = errors
        self._loop = asyncio.get_running_loop()
        self._looking: asyncio.TimerHandle | None = None
        self.ended: asyncio.Future[None] = self._loop.create_future()
        self.failure = ""
        self._complaint = ""
        _os.on_exit(process.pid, self._collect)

    @classmethod
    async def start(
        cls,
        opener: Opener,
        cwd: str,
        env: Mapping[str, str],
        shelter: Callable[[int], Awaitable[None]] | None = None,
    ) -> Launcher:
        """Execute it in a session of its own, with `shelter` only once that has returned.

        Raises `LauncherFailed` if it cannot be executed.
        """
        name = os.path.basename(opener.argv[0])
        errors = _errors_file()
        stdin = subprocess.PIPE if shelter or opener.stdin else subprocess.DEVNULL
        own = None if opener.new_console else subprocess.DEVNULL  # a console's program reads and writes that
        try:
            process = subprocess.Popen(  # noqa: ASYNC220  (vfork: a millisecond)
                [*(_GATE if shelter else ()), *opener.argv],
                env=dict(env),
                cwd=cwd if os.path.isdir(cwd) and os.access(cwd, os.X_OK) else os.path.abspath(os.sep),
                stdin=None if opener.new_console else stdin,
                stdout=own,
                stderr=None if opener.new_console else errors,
                start_new_session=True,
                creationflags=_NEW_CONSOLE if opener.new_console else _NO_WINDOW,
                bufsize=0,
            )
        except OSError as error:
            os.close(errors)
            raise LauncherFailed(f"{opener.argv[0]} cannot be executed: {error.strerror}") from error
        launcher = cls(name, process, errors)
        try:
            if shelter is not None:
                await shelter(process.pid)
        except BaseException:
            launcher.end()
            raise
        launcher._feed((b"\n" if shelter else b"") + opener.stdin)
        return launcher

    @property
    def pid(self) -> int | None:
        """None once it has ended."""
        return None if self.ended.done() else self._process.pid

    def opened(self) -> None:
        """Its window is there: what it complains about from now on is not wanted, and kept small."""
        if not self.ended.done():
            self._looking = self._loop.call_later(LOOK_S, self._keep_small)

    def end(self) -> None:
        """Have it end: a window that is given up goes with the program that has opened only this one."""
        if not self.ended.done():
            with contextlib.suppress(OSError):
                self._process.terminate()

    def silence(self, timeout_s: float) -> str:
        """What to say when no window has reported within that time."""
        state = "has ended without an error" if self.ended.done() else "still runs"
        said = self._said()
        return f"no window has reported within {timeout_s:g} s; {self._name} {state}{said and f': {said}'}"

    def _feed(self, data: bytes) -> None:
        if self._process.stdin is not None:
            with contextlib.suppress(OSError), self._process.stdin as pipe:
                pipe.write(data)

    def _collect(self) -> None:
        if self._process.poll() is None:
            self._loop.call_later(0.1, self._collect)
            return
        self._complaint = said = self._said()
        code = self._process.returncode
        if code:
            how = f"exit code {code}" if code > 0 else f"signal {-code}"
            self.failure = f"{self._name} ended with {how}{said and f': {said}'}"
        if self._looking is not None:
            self._looking.cancel()
        os.close(self._errors)
        if not self.ended.done():
            self.ended.set_result(None)

    def _said(self) -> str:
        if self.ended.done():
            return self._complaint
        size = os.fstat(self._errors).st_size
        os.lseek(self._errors, max(0, size - 4 * SHOWN_ERRORS), os.SEEK_SET)
        text = os.read(self._errors, 4 * SHOWN_ERRORS).decode("utf-8", "replace")
        printable = "".join(char if char.isprintable() else " " for char in text)
        return " ".join(printable.split())[-SHOWN_ERRORS:]

    def _keep_small(self) -> None:
        if self.ended.done():
            return
        if os.fstat(self._errors).st_size > MAX_ERRORS:
            os.ftruncate(self._errors, 0)
        self._looking = self._loop.call_later(LOOK_S, self._keep_small)


def _errors_file() -> int:
    """A file without a name. Not a pipe: one who writes into that after our end would be killed for it.

    Appended to, so that it can be emptied while it is written.
    """
    made, path = tempfile.mkstemp(prefix="muster-window-")
    os.close(made)
    flags = os.O_RDWR | os.O_APPEND | getattr(os, "O_TEMPORARY", 0)
    try:
        return os.open(path, flags)
    finally:
        if not hasattr(os, "O_TEMPORARY"):  # there the file goes with its last handle
            os.unlink(path)
