# ruff: noqa: E402
import sys

assert sys.platform == "win32"

"""The console that a person sits at, on Windows: opened for ourselves, made raw, and put back as it was.

Nothing of it can be waited for in a loop: one thread reads keys and sees the size of the window, another one
writes, for a write takes as long as the person holds a selection.
"""

import asyncio
import codecs
import contextlib
import ctypes
import errno
import msvcrt
import os
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from ctypes import wintypes

__all__ = ["OwnTty", "name_window", "take_console"]

READ_WRITE, SHARE_ALL, EXISTING = 0xC0000000, 3, 3
INVALID = ctypes.c_void_p(-1).value
PROCESSED_OUTPUT, VT_OUTPUT, NO_AUTO_RETURN = 0x1, 0x4, 0x8
WINDOW_INPUT, VT_INPUT = 0x8, 0x200
KEPT_INPUT = 0x20 | 0x40 | 0x80
"""Insert mode, selecting with the mouse, and the flag by which these two count: the person's own choice."""
KEY_EVENT, ALT, SPACE, CONTROL_PRESSED = 1, 0x12, 0x20, 0x8 | 0x4
RECORDS = 256
LOOK_MS = 500
"""How often the size is looked at: a console may change its window without an event."""
PIECE = 8192
"""Characters in one write; older versions take no more than some 30,000."""
CLOSE_S = 1.0
FAILED, FIRST = 0xFFFFFFFF, 0


class _Key(ctypes.Structure):
    _fields_ = (
        ("down", wintypes.BOOL),
        ("repeated", wintypes.WORD),
        ("key", wintypes.WORD),
        ("scan", wintypes.WORD),
        ("character", wintypes.WCHAR),
        ("state", wintypes.DWORD),
    )


class _Record(ctypes.Structure):
    _fields_ = (("kind", wintypes.WORD), ("key", _Key))


class _Screen(ctypes.Structure):
    _fields_ = (
        ("size", wintypes.SHORT * 2),
        ("cursor", wintypes.SHORT * 2),
        ("attributes", wintypes.WORD),
        ("window", wintypes.SHORT * 4),
        ("largest", wintypes.SHORT * 2),
    )


_kernel = ctypes.WinDLL("kernel32", use_last_error=True)
_kernel.CreateFileW.restype = ctypes.c_void_p
_kernel.CreateFileW.argtypes = [
    *(ctypes.c_wchar_p, ctypes.c_uint32, ctypes.c_uint32, ctypes.c_void_p),
    *(ctypes.c_uint32, ctypes.c_uint32, ctypes.c_void_p),
]
_kernel.CreateEventW.restype = ctypes.c_void_p
_kernel.CreateEventW.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_int, ctypes.c_void_p]
_kernel.WaitForMultipleObjects.argtypes = [ctypes.c_uint32, ctypes.c_void_p, ctypes.c_int, ctypes.c_uint32]
_kernel.WaitForMultipleObjects.restype = ctypes.c_uint32
for _name in ("GetConsoleMode", "GetConsoleScreenBufferInfo", "GetNumberOfConsoleInputEvents"):
    getattr(_kernel, _name).argtypes = [ctypes.c_void_p, ctypes.c_void_p]
for _name in ("ReadConsoleInputW", "WriteConsoleW"):
    getattr(_kernel, _name).argtypes = [
        *(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint32, ctypes.c_void_p),
        *([ctypes.c_void_p] if _name == "WriteConsoleW" else []),
    ]
_kernel.SetConsoleMode.argtypes = [ctypes.c_void_p, ctypes.c_uint32]
_kernel.SetConsoleTitleW.argtypes = [ctypes.c_wchar_p]
for _name in ("FlushConsoleInputBuffer", "SetEvent", "CloseHandle"):
    getattr(_kernel, _name).argtypes = [ctypes.c_void_p]


def _mode(handle: int) -> int:
    mode = wintypes.DWORD()
    if not _kernel.GetConsoleMode(handle, ctypes.byref(mode)):
        raise ctypes.WinError(ctypes.get_last_error())
    return mode.value


def _set_mode(handle: int, mode: int) -> None:
    if not _kernel.SetConsoleMode(handle, mode):
        raise ctypes.WinError(ctypes.get_last_error())


def _opened(name: str) -> int:
    handle = _kernel.CreateFileW(name, READ_WRITE, SHARE_ALL, None, EXISTING, 0, None)
    if handle == INVALID:
        raise ctypes.WinError(ctypes.get_last_error())
    return int(handle)


def take_console() -> None:
    """Connect stdin, stdout and stderr to the console of this process. Raises `OSError` if it has none.

    For a program that was given a console of its own by one whose own streams lead elsewhere: some
    versions of Windows, and wine, hand these on to it nevertheless. What is written may hold sequences.
    """
    for descriptor, name, flags in (
        (0, "CONIN$", os.O_RDONLY),
        (1, "CONOUT$", os.O_RDWR),
        (2, "CONOUT$", os.O_RDWR),
    ):
        opened = msvcrt.open_osfhandle(_opened(name), flags)
        os.dup2(opened, descriptor)
        os.close(opened)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", encoding="utf-8", closefd=False, errors="backslashreplace")  # noqa: SIM115
    with contextlib.suppress(OSError):  # Windows before 10 knows none
        _set_mode(msvcrt.get_osfhandle(1), _mode(msvcrt.get_osfhandle(1)) | PROCESSED_OUTPUT | VT_OUTPUT)


def name_window(title: str) -> None:
    """Give our console a title, also where it knows no sequences."""
    _kernel.SetConsoleTitleW(title)


class OwnTty:
    """A console of this process. Made in the loop that reads it; keys are UTF-8, as programs expect them."""

    def __init__(self, keys: int, screen: int) -> None:
        self._keys, self._screen = keys, screen
        self._before = _mode(keys), _mode(screen)
        self._typed: asyncio.Queue[bytes] = asyncio.Queue()
        self._loop = asyncio.get_running_loop()
        self._resized: Callable[[], None] | None = None
        self._looking, self._stop = threading.Lock(), _kernel.CreateEventW(None, 1, 0, None)
        self._reader: threading.Thread | None = None
        self._writer = _Writer(screen)

    @classmethod
    def open(cls, descriptor: int) -> "OwnTty":
        """Open the console that `descriptor` is connected to. Raises `OSError` if it is none."""
        try:
            _mode(msvcrt.get_osfhandle(descriptor))
        except OSError:
            raise OSError(errno.ENOTTY, "it is not connected to a console") from None
        return cls(_opened("CONIN$"), _opened("CONOUT$"))

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns of the window; zeros where nobody has said."""
        found = _Screen()
        if not _kernel.GetConsoleScreenBufferInfo(self._screen, ctypes.byref(found)):
            return 0, 0
        left, top, right, bottom = found.window
        return bottom - top + 1, right - left + 1

    def make_raw(self) -> None:
        """Let every key through as it is, `^C` too, as the sequences of a terminal, and all output.

        Raises `OSError` for a console that knows no sequences (Windows before 10, version 1809).
        """
        keys, screen = self._before
        try:
            _set_mode(self._screen, screen | PROCESSED_OUTPUT | VT_OUTPUT | NO_AUTO_RETURN)
            _set_mode(self._keys, keys & KEPT_INPUT | WINDOW_INPUT | VT_INPUT)
        except OSError:
            self.restore()
            raise OSError(
                errno.ENOTSUP, "this console knows no terminal's sequences; use Windows Terminal"
            ) from None

    def restore(self) -> None:
        """Put back the settings found at the beginning, and drop what was typed and not read: it was
        not meant for whoever reads next. Never raises."""
        for handle, mode in zip((self._keys, self._screen), self._before, strict=True):
            _kernel.SetConsoleMode(handle, mode)
        with self._looking:
            _kernel.FlushConsoleInputBuffer(self._keys)

    def on_resize(self, tell: Callable[[], None]) -> None:
        """Call `tell` in the loop when the window has another size."""
        self._resized = tell
        self._begin()

    async def read(self) -> bytes:
        """Return what was typed; nothing once the console is gone."""
        self._begin()
        return await self._typed.get()

    async def write(self, data: bytes | memoryview) -> None:
        """Return when the console has taken `data`, or is gone."""
        await asyncio.wrap_future(self._writer.put(bytes(data)))

    def say(self, data: bytes, timeout_s: float) -> None:
        """Write outside of the loop; gives up on a console that takes nothing."""
        with contextlib.suppress(TimeoutError):
            self._writer.put(data).result(timeout_s)

    def close(self) -> None:
        _kernel.SetEvent(self._stop)
        if self._reader is not None:
            self._reader.join(CLOSE_S)
        if self._writer.close(CLOSE_S) and (self._reader is None or not self._reader.is_alive()):
            for handle in (self._keys, self._screen, self._stop):
                _kernel.CloseHandle(handle)

    def _begin(self) -> None:
        if self._reader is None:
            self._reader = threading.Thread(target=self._listen, daemon=True, name="console keys")
            self._reader.start()

    def _listen(self) -> None:
        """Until `close`, or the console's end; then an empty piece says so."""
        handles = (ctypes.c_void_p * 2)(self._keys, self._stop)
        decoder, size = codecs.getincrementaldecoder("utf-16-le")("replace"), self.size
        with contextlib.suppress(RuntimeError):  # the loop has been closed
            while True:
                woken = _kernel.WaitForMultipleObjects(2, handles, 0, LOOK_MS)
                if woken == FIRST:
                    units = self._units()
                    if units is None:
                        break
                    typed = decoder.decode(units).encode("utf-8", "replace")
                    if typed:
                        self._loop.call_soon_threadsafe(self._typed.put_nowait, typed)
                elif woken in (FIRST + 1, FAILED):
                    break
                if self.size != size:
                    size = self.size
                    if self._resized is not None:
                        self._loop.call_soon_threadsafe(self._resized)
            self._loop.call_soon_threadsafe(self._typed.put_nowait, b"")

    def _units(self) -> bytes | None:
        """What has been typed, in UTF-16; None if the console is gone. Never waits: all else would too."""
        rows, found = (_Record * RECORDS)(), wintypes.DWORD()
        count = ctypes.byref(found)
        with self._looking:  # or what has woken us could be dropped in between
            told = _kernel.GetNumberOfConsoleInputEvents(self._keys, count)
            if not told or (found.value and not _kernel.ReadConsoleInputW(self._keys, rows, RECORDS, count)):
                return None
        return b"".join(_unit(row.key) for row in rows[: found.value] if row.kind == KEY_EVENT)


def _unit(key: _Key) -> bytes:
    """The code unit that a key stands for; Alt gives the one composed on the number pad when it is let go."""
    character: str = key.character
    if character == "\0":
        nul = key.down and key.key == SPACE and key.state & CONTROL_PRESSED
        return b"\0\0" * bool(nul)
    if not key.down and key.key != ALT:
        return b""
    return max(1, int(key.repeated)) * character.encode("utf-16-le", "surrogatepass")


class _Writer:
    """Writes one piece after another, in a thread of its own."""

    def __init__(self, screen: int) -> None:
        self._screen = screen
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._pieces: queue.SimpleQueue[tuple[bytes, Future[None]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, daemon=True, name="console screen")
        self._thread.start()

    def put(self, data: bytes) -> Future[None]:
        written: Future[None] = Future()
        self._pieces.put((data, written))
        return written

    def close(self, timeout_s: float) -> bool:
        """Return whether all is written."""
        self._pieces.put(None)
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while (item := self._pieces.get()) is not None:
            data, written = item
            text = self._decoder.decode(data)
            for at in range(0, len(text), PIECE):
                self._write(text[at : at + PIECE])
            if written.set_running_or_notify_cancel():
                written.set_result(None)

    def _write(self, text: str) -> None:
        units, done = text.encode("utf-16-le", "surrogatepass"), wintypes.DWORD()
        write, told = _kernel.WriteConsoleW, ctypes.byref(done)
        while units and write(self._screen, units, len(units) // 2, told, None) and done.value:
            units = units[2 * done.value :]
