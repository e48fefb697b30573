# ruff: noqa: E402
import sys

assert sys.platform != "win32"

"""The master side of a program's terminal."""

import _struct
import fcntl
import posix
import select
import termios
import time

from spawners.keeper.connection import Refusal
from spawners.keeper.files import read_file, unlink, write_all
from spawners.keeper.modes import ModeScan
from spawners.keeper.protocol import SIZES
from spawners.keeper.queries import Queries
from spawners.keeper.system import LINUX, now_ms

MYPY = False
if MYPY:
    from typing import Any

IUTF8 = 0o40000  # asm-generic/termbits.h and macOS alike; `termios` does not name it
SIZES_KEPT = 32768  # records; half of them stay when the file is cut
TYPING_S = 2.0  # how long a person keeps the keyboard after a line is finished
DRAFT_S = 30.0  # and after a key that left a line unfinished
MAX_NAME = 128  # characters of a viewer's name; all of them stand in HELLO


class Viewer:
    """One who looks at the terminal; `active` orders them by who did something last."""

    __slots__ = ("active", "columns", "name", "read_only", "rows")

    def __init__(self, asked: "dict[str, Any]") -> None:
        self.name = str(asked["name"])[:MAX_NAME]
        self.rows, self.columns = checked_size(asked)
        self.read_only = bool(asked["readOnly"])
        self.active = time.monotonic()

    def shown(self) -> "dict[str, Any]":
        return {"name": self.name, "rows": self.rows, "columns": self.columns, "readOnly": self.read_only}


def checked_size(asked: "dict[str, Any]") -> "tuple[int, int]":
    rows, columns = asked["rows"], asked["columns"]
    if not (0 < rows <= 1000 and 0 < columns <= 1000):
        raise Refusal("failed", "a terminal has 1 to 1000 rows and columns")
    return rows, columns


class Terminal:
    """The master side of the program's terminal, and what is to be known about it.

    The other side is held open too while the program runs: it tells what input is still unread, and a
    program that closes its own files for a while does not end the output.
    """

    def __init__(self, directory: str, size: "dict[str, int]") -> None:
        self.directory = directory
        self.master, self.slave = posix.openpty()
        self.path = posix.ttyname(self.slave)
        posix.set_blocking(self.master, False)
        if not LINUX:  # else our closing it would wait until somebody has read what was written: we
            posix.set_blocking(self.slave, False)
        attributes = termios.tcgetattr(self.slave)
        attributes[0] |= IUTF8  # the line editor deletes characters, not bytes
        termios.tcsetattr(self.slave, termios.TCSANOW, attributes)
        flags = posix.O_WRONLY | posix.O_CREAT | posix.O_APPEND | posix.O_CLOEXEC
        self.sizes_fd = posix.open(directory + "/sizes", flags, 0o600)
        self.recorded = 0
        self.rows = self.columns = 0
        self.typed_by, self.free_at = "", 0.0
        self.line_begun = False  # whether the line editor holds the beginning of a line
        self.queries = Queries()
        self.modes = ModeScan()
        self.resize(size["rows"], size["columns"], 0)

    def resize(self, rows: int, columns: int, offset: int) -> bool:
        """Whether that changed anything. The kernel tells the program's foreground group."""
        if (rows, columns) == (self.rows, self.columns):
            return False
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, _struct.pack("HHHH", rows, columns, 0, 0))
        self.rows, self.columns = rows, columns
        try:
            if self.recorded >= SIZES_KEPT:
                self.cut_sizes()
            write_all(self.sizes_fd, SIZES.pack(offset, now_ms(), rows, columns))
            self.recorded += 1
        except OSError:  # a full disk: the screen of a later viewer may be wrapped wrongly for a while
            try:
                posix.ftruncate(self.sizes_fd, self.recorded * SIZES.size)  # part of it would shift the next
            except OSError:
                pass
        return True

    def cut_sizes(self) -> None:
        path = self.directory + "/sizes"
        kept = read_file(path)[-SIZES_KEPT // 2 * SIZES.size :]
        flags = posix.O_WRONLY | posix.O_CREAT | posix.O_TRUNC | posix.O_APPEND | posix.O_CLOEXEC
        fd = posix.open(path + ".tmp", flags, 0o600)
        try:
            write_all(fd, kept)
            posix.rename(path + ".tmp", path)
        except OSError:
            posix.close(fd)
            raise
        posix.close(self.sizes_fd)
        self.sizes_fd, self.recorded = fd, len(kept) // SIZES.size

    def settings(self) -> "tuple[bool, bool, bool]":
        """Whether the line editor is on, whether it echoes, whether ^C is a signal."""
        try:
            local = termios.tcgetattr(self.master)[3]
        except (OSError, termios.error):
            return False, False, False
        return bool(local & termios.ICANON), bool(local & termios.ECHO), bool(local & termios.ISIG)

    def special(self, index: int) -> bytes:
        """The control character of this index, as of now."""
        try:
            return bytes(termios.tcgetattr(self.master)[6][index])
        except (OSError, TypeError, termios.error):
            return b""

    def unread(self) -> int:
        """Bytes of input that the program has not read yet."""
        if self.slave < 0:
            return 0
        try:
            select.select([self.slave], [], [], 0)  # has the kernel hand over what was just written
            return int.from_bytes(fcntl.ioctl(self.slave, termios.FIONREAD, bytes(4)), sys.byteorder)
        except OSError:
            return 0

    def put_in(self, data: bytes) -> None:
        """These bytes go into the terminal next."""
        ends = (b"\n", b"\r", self.special(termios.VEOF), self.special(termios.VKILL))
        self.line_begun = self.settings()[0] and not data.endswith(ends)

    def end_of_file(self) -> bytes:
        """What has the program read end of file; behind part of a line the first only hands that over."""
        return self.special(termios.VEOF) * (2 if self.line_begun and self.settings()[0] else 1)

    def drop_unread(self) -> None:
        """As the kernel does at ^C, which would not reach it while the program does not read."""
        try:
            if self.slave >= 0 and not termios.tcgetattr(self.master)[3] & termios.NOFLSH:
                termios.tcflush(self.slave, termios.TCIFLUSH)
        except termios.error:
            pass  # macOS takes a terminal away from all when the leader of its session has ended

    def is_signal(self, data: bytes) -> bool:
        """Whether these keys are, with the settings of now, one that signals the foreground group."""
        keys = (termios.VINTR, termios.VQUIT, termios.VSUSP)
        disabled = b"\0"  # _POSIX_VDISABLE
        return self.settings()[2] and data != disabled and data in [self.special(key) for key in keys]

    def typed(self, name: str, data: bytes) -> None:
        """A person has typed: nothing automatic may come between their keys."""
        finished = data.endswith((b"\r", b"\n", b"\x03", b"\x04", b"\x1b", b"\x15"))
        self.typed_by = name or "somebody"
        self.free_at = time.monotonic() + (TYPING_S if finished else DRAFT_S)

    def free_in_ms(self) -> int:
        return max(0, int((self.free_at - time.monotonic()) * 1000))

    def interrupt_group(self) -> int:
        """The group in the foreground, 0 if there is none."""
        try:
            return posix.tcgetpgrp(self.master)
        except OSError:
            return 0

    def close_slave(self) -> None:
        if self.slave >= 0:
            posix.close(self.slave)
            self.slave = -1

    def before_delete(self, start: int, following: int) -> None:
        """Note which modes a segment of the spool has left the terminal in, before it is deleted.

        `prelude.<offset>` is what an emulator is to be fed before the first byte that is left.
        """
        try:
            self.modes.scan(read_file("%s/spool.%d" % (self.directory, start)))
            flags = posix.O_WRONLY | posix.O_CREAT | posix.O_TRUNC | posix.O_CLOEXEC
            fd = posix.open("%s/prelude.%d" % (self.directory, following), flags, 0o600)
            try:
                write_all(fd, self.modes.prelude())
            finally:
                posix.close(fd)
        except OSError:
            pass
        unlink("%s/prelude.%d" % (self.directory, start))
