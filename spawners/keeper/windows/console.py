# ruff: noqa: E402
import sys

assert sys.platform == "win32"

"""A pseudo console (ConPTY): what a terminal is on Windows since 10.1809."""

import _winapi
import errno
import os
import threading
from ctypes import wintypes

from spawners.keeper.windows import api
from spawners.keeper.windows.system import Reader, Writer

END_OF_FILE = b"\x1a\r"  # ^Z and Enter
REJECT_REMOTE = 8  # PIPE_REJECT_REMOTE_CLIENTS; the rest of the mode is 0: bytes, and reads that wait


class Tty:
    """The two pipes of a pseudo console. What the program has set its console to cannot be asked here."""

    def __init__(self, rows: int, columns: int) -> None:
        self.inner: list[int] = []
        inner_input, keyboard = make_pipe()
        screen, inner_output = make_output()
        self.inner = [inner_input, inner_output]
        made = wintypes.HANDLE()
        code = api.create_console(api.COORD(columns, rows), inner_input, inner_output, 0, made)
        if code != 0:
            text = "there is no pseudo console (0x%08X); Windows 10 1809 is the first to have them"
            raise OSError(errno.ENOSYS, text % (code & 0xFFFFFFFF))
        self.console = made.value or 0
        self.open = True
        self.line_begun = False  # never: there is no line editor that is known
        self.master, self.keyboard = Reader(screen).number, Writer(keyboard).number

    def is_used(self) -> None:
        """The program runs: it holds the other ends now."""
        for handle in self.inner:
            api.close_handle(handle)
        self.inner = []

    def set_size(self, rows: int, columns: int) -> bool:
        """Whether the console has taken it."""
        return self.open and bool(api.resize_console(self.console, api.COORD(columns, rows)) == 0)

    def settings(self) -> "tuple[bool, bool, bool]":
        """Whether the line editor is on, whether it echoes, whether ^C is a signal: unknown, so no."""
        return False, False, False

    def unread(self) -> int:
        return 0

    def put_in(self, data: bytes) -> None:
        """Nothing has to be known of what goes in."""

    def end_of_file(self) -> bytes:
        return END_OF_FILE

    def drop_unread(self) -> None:
        """The console has taken it long ago."""

    def is_signal(self, _: bytes) -> bool:
        return False

    def close_slave(self) -> bool:
        """Close the console: whoever is left in it is told so, and what it still shows comes out.

        In a thread: until Windows 11 24H2 it waits for that to be read.
        """
        if self.open:
            self.open = False
            threading.Thread(target=api.close_console, args=(self.console,), daemon=True).start()
        return True


def make_pipe() -> "tuple[int, int]":
    """Read end and write end, which no child inherits. Raises OSError."""
    read, write = wintypes.HANDLE(), wintypes.HANDLE()
    if not api.create_pipe(read, write, None, 65536):
        raise api.failure()
    return read.value or 0, write.value or 0


def make_output() -> "tuple[int, int]":
    """As `make_pipe`; its read end is for a `Reader`."""
    name = r"\\.\pipe\muster-%d-%s" % (os.getpid(), os.urandom(16).hex())
    mode = _winapi.PIPE_ACCESS_INBOUND | _winapi.FILE_FLAG_OVERLAPPED | _winapi.FILE_FLAG_FIRST_PIPE_INSTANCE
    read = _winapi.CreateNamedPipe(name, mode, REJECT_REMOTE, 1, 0, 65536, 0, _winapi.NULL)
    return read, _winapi.CreateFile(
        name, _winapi.GENERIC_WRITE, 0, _winapi.NULL, _winapi.OPEN_EXISTING, 0, _winapi.NULL
    )
