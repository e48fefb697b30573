# ruff: noqa: E402
import sys

assert sys.platform != "win32"

"""A pseudo-terminal of the kernel: the master side that we hold, and what can be asked through it."""

import _struct
import fcntl
import posix
import select
import termios

IUTF8 = 0o40000  # asm-generic/termbits.h and macOS alike; `termios` does not name it


class Tty:
    """The other side is held open too while the program runs: it tells what input is still unread, and a
    program that closes its own files for a while does not end the output."""

    def __init__(self, rows: int, columns: int) -> None:
        self.master, self.slave = posix.openpty()
        self.path = posix.ttyname(self.slave)
        posix.set_blocking(self.master, False)
        attributes = termios.tcgetattr(self.slave)
        attributes[0] |= IUTF8  # the line editor deletes characters, not bytes
        termios.tcsetattr(self.slave, termios.TCSANOW, attributes)
        self.keyboard = posix.dup(self.master)  # so that each direction is watched by itself
        self.line_begun = False  # whether the line editor holds the beginning of a line
        self.set_size(rows, columns)

    def set_size(self, rows: int, columns: int) -> bool:
        """Whether the terminal has taken it. The kernel tells the program's foreground group."""
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, _struct.pack("HHHH", rows, columns, 0, 0))
        return True

    def settings(self) -> "tuple[bool, bool, bool]":
        """Whether the line editor is on, whether it echoes, whether ^C is a signal."""
        try:
            local = termios.tcgetattr(self.master)[3]
        except OSError:
            return False, False, False
        return bool(local & termios.ICANON), bool(local & termios.ECHO), bool(local & termios.ISIG)

    def special(self, index: int) -> bytes:
        """The control character of this index, as of now."""
        try:
            return bytes(termios.tcgetattr(self.master)[6][index])
        except (OSError, TypeError):
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
        if self.slave >= 0 and not termios.tcgetattr(self.master)[3] & termios.NOFLSH:
            termios.tcflush(self.slave, termios.TCIFLUSH)

    def is_signal(self, data: bytes) -> bool:
        """Whether these keys are, with the settings of now, one that signals the foreground group."""
        keys = (termios.VINTR, termios.VQUIT, termios.VSUSP)
        disabled = b"\0"  # _POSIX_VDISABLE
        return self.settings()[2] and data != disabled and data in [self.special(key) for key in keys]

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
