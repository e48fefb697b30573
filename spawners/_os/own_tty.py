# ruff: noqa: E402
import sys

assert sys.platform != "win32"

"""The terminal that a person sits at: opened for ourselves, made raw, and put back as it was."""

import asyncio
import contextlib
import errno
import fcntl
import os
import select
import signal
import struct
import termios
import time
from collections.abc import Callable

__all__ = ["OwnTty", "drop_typed", "name_window", "take_console"]

READ = 64 * 1024
_SIZE = struct.Struct("HHHH")


def take_console() -> None:
    """Nothing: what a terminal starts has it for its streams."""


def name_window(title: str) -> None:
    """Give the terminal on stdout a title; it must hold no control characters."""
    sys.stdout.write(f"\x1b]2;{title}\x07")
    sys.stdout.flush()


def drop_typed() -> None:
    """Drop what was typed into the terminal on stdin and not read."""
    with contextlib.suppress(termios.error):
        termios.tcflush(0, termios.TCIFLUSH)


class OwnTty:
    """A terminal of this process, read and written without ever blocking.

    It is opened anew: blocking is a property of the open file, which a shell shares with its children,
    so that of stdin is left alone.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._before = termios.tcgetattr(fd)

    @classmethod
    def open(cls, descriptor: int) -> "OwnTty":
        """Open the terminal that `descriptor` is connected to. Raises `OSError` if it is none."""
        if not os.isatty(descriptor):
            raise OSError(errno.ENOTTY, "it is not connected to a terminal")
        flags = os.O_RDWR | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
        try:
            return cls(os.open(os.ttyname(descriptor), flags))
        except OSError:
            return cls(os.open("/dev/tty", flags))  # its name is one of another container's

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns; zeros where nobody has said."""
        rows, columns, _, _ = _SIZE.unpack(fcntl.ioctl(self._fd, termios.TIOCGWINSZ, bytes(_SIZE.size)))
        return rows, columns

    def make_raw(self) -> None:
        """Let every key through as it is, `^C` and `^S` too, and every byte of output.

        In the background it stops this process, as any use of a terminal does, until it is in front.
        """
        mode = termios.tcgetattr(self._fd)
        mode[0] &= ~(
            termios.IGNBRK | termios.BRKINT | termios.PARMRK | termios.ISTRIP | termios.INPCK
            | termios.INLCR | termios.IGNCR | termios.ICRNL | termios.IXON
        )  # fmt: skip
        mode[1] &= ~termios.OPOST
        mode[2] = mode[2] & ~(termios.CSIZE | termios.PARENB) | termios.CS8
        mode[3] &= ~(termios.ECHO | termios.ECHONL | termios.ICANON | termios.ISIG | termios.IEXTEN)
        mode[6] = [*mode[6]]
        mode[6][termios.VMIN], mode[6][termios.VTIME] = 1, 0
        termios.tcsetattr(self._fd, termios.TCSANOW, mode)

    def restore(self) -> None:
        """Put back the settings found at the beginning, and drop what was typed and not read: it was
        not meant for whoever reads next. Never raises; the terminal may be gone."""
        before = signal.signal(signal.SIGTTOU, signal.SIG_IGN)  # it would stop us in the background
        with contextlib.suppress(termios.error):
            termios.tcsetattr(self._fd, termios.TCSANOW, self._before)
            termios.tcflush(self._fd, termios.TCIFLUSH)
        signal.signal(signal.SIGTTOU, before)

    def on_resize(self, tell: Callable[[], None]) -> None:
        """Nothing: SIGWINCH tells."""

    async def read(self) -> bytes:
        """Return what was typed; nothing once the terminal is gone."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                return os.read(self._fd, READ)
            except BlockingIOError:
                await self._ready(loop.add_reader, loop.remove_reader)
            except OSError as error:
                if error.errno == errno.EIO:
                    return b""
                raise

    async def write(self, data: bytes | memoryview) -> None:
        """Return when the terminal has taken `data`, or is gone."""
        loop, view = asyncio.get_running_loop(), memoryview(data)
        while view:
            try:
                view = view[os.write(self._fd, view) :]
            except BlockingIOError:
                await self._ready(loop.add_writer, loop.remove_writer)
            except OSError as error:
                if error.errno == errno.EIO:
                    return
                raise

    def say(self, data: bytes, timeout_s: float) -> None:
        """Write outside of the loop; gives up on a terminal that takes nothing."""
        deadline = time.monotonic() + timeout_s
        while data and (left := deadline - time.monotonic()) > 0:
            try:
                data = data[os.write(self._fd, data) :]
            except BlockingIOError:
                select.select([], [self._fd], [], left)
            except OSError:
                return

    async def _ready(self, watch: Callable[..., None], unwatch: Callable[[int], bool]) -> None:
        ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def settle() -> None:
            if not ready.done():
                ready.set_result(None)

        watch(self._fd, settle)
        try:
            await ready
        finally:
            unwatch(self._fd)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            os.close(self._fd)
