# ruff: noqa: E402
import sys

assert sys.platform == "win32"

"""Pipes that a thread reads or writes, and `Poll`, which tells when there is something to have.

Windows cannot poll a pipe. Each has a number here, which no file of the C library has.
"""

import _winapi
import errno
import itertools
import msvcrt
import os
import select
import socket
import threading
from typing import Protocol

from spawners.keeper.windows import api

POLLIN, POLLOUT, POLLERR = 1, 4, 8
PIECE = 65536  # bytes that a thread moves at once
MOST_READ = 4 * PIECE  # bytes that wait to be fetched; then the program has to wait
FETCH_S = 1.0  # until a thread has fetched what is in its pipe already


class Device(Protocol):
    """What has a number, and something to tell."""

    def events(self, wanted: int) -> int: ...
    def close(self) -> None: ...


DEVICES: dict[int, Device] = {}
_NUMBERS = itertools.count(1 << 24)
_ALARM_IN, _ALARM_OUT = socket.socketpair()
for _end in (_ALARM_IN, _ALARM_OUT):
    _end.setblocking(False)


def _alarm() -> None:
    try:
        _ALARM_IN.send(b"!")
    except OSError:
        pass  # enough of them are waiting to be heard


def _enter(device: Device) -> int:
    number = next(_NUMBERS)
    DEVICES[number] = device
    return number


class Bell:
    """Rung by threads; can be read when it was."""

    def __init__(self) -> None:
        self.rung = False
        self.number = _enter(self)

    @staticmethod
    def of(number: int) -> "Bell":
        found = DEVICES[number]
        assert isinstance(found, Bell)
        return found

    def ring(self) -> None:
        self.rung = True
        _alarm()

    def events(self, wanted: int) -> int:
        return POLLIN & wanted if self.rung else 0

    def read(self, _: int) -> bytes:
        if not self.rung:
            raise BlockingIOError
        self.rung = False
        return b"!"

    def close(self) -> None: ...


class Reader:
    """Our end of a pipe that a program writes; `number` reads it.

    It is overlapped: to ask anything of another one would wait for as long as its thread waits in a read, and
    only of such a read can be told whether it has got something that the thread does not know of yet.
    """

    def __init__(self, handle: int) -> None:
        self.handle = handle
        self.data = bytearray()
        self.ended = self.closed = False
        self.begun: _winapi.Overlapped | None = None
        self.moved = threading.Condition()
        self.number = _enter(self)
        threading.Thread(target=self.run, daemon=True).start()

    def run(self) -> None:
        while not self.ended:
            with self.moved:
                self.moved.wait_for(lambda: self.closed or len(self.data) < MOST_READ)
                begun = self.begun = None if self.closed else begin_read(self.handle)
                self.moved.notify_all()
            data = b"" if begun is None else wait_for_read(begun)
            with self.moved:
                self.begun = None
                self.data += data or b""
                self.ended = self.closed or begun is None or data is None
                self.moved.notify_all()
            _alarm()
        api.close_handle(self.handle)

    def events(self, wanted: int) -> int:
        return POLLIN & wanted if self.data or self.ended else 0

    def is_waiting(self) -> bool:
        """Whether the thread has fetched all that was in the pipe."""
        return self.begun is not None and api.wait_for(self.begun.event, 0) != 0

    def read(self, most: int) -> bytes:
        with self.moved:
            self.moved.wait_for(lambda: self.data or self.ended or self.is_waiting(), FETCH_S)
            if not self.data and not self.ended:
                raise BlockingIOError
            data = bytes(self.data[:most])
            del self.data[:most]
            self.moved.notify_all()
        return data

    def close(self) -> None:
        with self.moved:
            self.closed = True
            self.moved.notify_all()
            if self.begun is not None:
                self.begun.cancel()


def begin_read(handle: int) -> "_winapi.Overlapped | None":
    """None if nobody is left who could write."""
    try:
        return _winapi.ReadFile(handle, PIECE, overlapped=True)[0]
    except OSError:
        return None


def wait_for_read(begun: "_winapi.Overlapped") -> "bytes | None":
    """What has come, which is nothing where somebody has written that; None if nobody is left who could."""
    try:
        _, failed = begun.GetOverlappedResult(True)
    except OSError:
        return None
    return None if failed else begun.getbuffer()


class Writer:
    """Our end of a pipe that a program reads; `number` writes it, one piece at a time."""

    def __init__(self, handle: int) -> None:
        self.fd = msvcrt.open_osfhandle(handle, os.O_WRONLY | os.O_BINARY)
        self.waiting = b""
        self.urgent = b""
        self.broken = self.closed = False
        self.moved = threading.Condition()
        self.number = _enter(self)
        threading.Thread(target=self.run, daemon=True).start()

    def run(self) -> None:
        while not self.broken:
            with self.moved:
                self.moved.wait_for(lambda: self.waiting or self.urgent or self.closed)
                data, self.urgent = self.urgent or self.waiting, b""
                first = data is not self.waiting
            if not data:
                break
            try:
                done = os.write(self.fd, data)
            except OSError:
                done, self.broken = 0, True
            with self.moved:
                if not first:
                    self.waiting = self.waiting[done:]
            _alarm()
        os.close(self.fd)

    def events(self, wanted: int) -> int:
        if self.broken:
            return POLLERR
        return 0 if self.waiting else POLLOUT & wanted

    def write(self, data: bytes) -> int:
        if self.broken or self.closed:
            raise BrokenPipeError(errno.EPIPE, "the other end is closed")
        with self.moved:
            if self.waiting:
                raise BlockingIOError
            self.waiting = bytes(data[:PIECE])
            self.moved.notify_all()
            return len(self.waiting)

    def write_first(self, data: bytes) -> None:
        """In front of what is waiting."""
        with self.moved:
            self.urgent += data
            self.moved.notify_all()

    def close(self) -> None:
        """What is waiting is written before the other end hears of it."""
        with self.moved:
            self.closed = True
            self.moved.notify_all()


class Poll:
    """`select.poll` of sockets and of what has a number here."""

    def __init__(self) -> None:
        self.wanted: dict[int, int] = {}

    def register(self, fd: int, events: int) -> None:
        self.wanted[fd] = events

    modify = register

    def unregister(self, fd: int) -> None:
        del self.wanted[fd]

    def poll(self, timeout_ms: "int | None" = None) -> "list[tuple[int, int]]":
        ready = self.of_devices()
        timeout = 0.0 if ready else None if timeout_ms is None else timeout_ms / 1000
        sockets = [fd for fd in self.wanted if fd not in DEVICES]
        reading = [fd for fd in sockets if self.wanted[fd] & POLLIN]
        writing = [fd for fd in sockets if self.wanted[fd] & POLLOUT]
        alarm = _ALARM_OUT.fileno()
        readable, writable, _ = select.select([alarm, *reading], writing, [], timeout)
        if alarm in readable:
            _ALARM_OUT.recv(PIECE)
        found = dict(ready or self.of_devices())
        for fds, event in ((readable, POLLIN), (writable, POLLOUT)):
            for fd in fds:
                if fd != alarm:
                    found[fd] = found.get(fd, 0) | event
        return list(found.items())

    def of_devices(self) -> "list[tuple[int, int]]":
        devices = [(fd, DEVICES[fd].events(wanted)) for fd, wanted in self.wanted.items() if fd in DEVICES]
        return [(fd, events) for fd, events in devices if events]
