"""The daemon's side of the fork server for keepers: it keeps a process ready to be the next one.

A keeper made so is there after one millisecond instead of ten, and shares most of its memory with the
others. Nothing depends on it: what it cannot do is done by executing the keeper instead. A keeper of this
kind does nothing before it hears GO, so a request that is answered too late has no effect.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess

from spawners import _os, failpoint
from spawners.keeper_program import start_program

__all__ = ["Zygote", "ZygoteFailed"]

READY_S = 10.0
"""It is ready after twenty milliseconds; only a machine in deep trouble needs this long."""
END_S = 5.0
_PACKET = 4096


class ZygoteFailed(Exception):
    """It has not made the keeper; the message says why."""


class Zygote:
    """A running fork server; `lost` resolves when it is gone. Use `start` to make one."""

    def __init__(self, process: subprocess.Popen[bytes], line: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        self.pid = process.pid
        self.lost: asyncio.Future[None] = loop.create_future()
        self._process = process
        self._line = line
        self._ready: asyncio.Future[None] = loop.create_future()
        self._collected: asyncio.Future[None] = loop.create_future()
        loop.add_reader(line.fileno(), self._heard)
        _os.on_exit(process.pid, self._collect)

    @classmethod
    async def start(cls, program: str, log: str) -> Zygote:
        """Start one with the keeper's `program`; it waits for `begin`.

        Raises `ZygoteFailed` if it does not become ready.
        """
        ours, theirs = socket.socketpair(type=socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        try:
            process = start_program(
                program, ["--zygote", str(theirs.fileno())], fds=(theirs.fileno(),), log=log
            )
        except OSError as error:
            ours.close()
            raise ZygoteFailed(f"it cannot be started: {error.strerror}") from error
        finally:
            theirs.close()
        zygote = cls(process, ours)
        await asyncio.wait([zygote._ready, zygote.lost], timeout=READY_S, return_when=asyncio.FIRST_COMPLETED)
        if not zygote._ready.done():
            await zygote.kill()
            raise ZygoteFailed(f"it was not ready after {READY_S:g} s, or ended; see {log}")
        return zygote

    def begin(self) -> None:
        """Let it fork. What it forks lives in the cgroup that it is in by now."""
        try:
            self._line.send(b"begin")
        except OSError:
            self._close()

    def ask(self, directory: str, *, lock: int, control: int) -> None:
        """Ask for the keeper of `directory`, which will be BORN on `control`.

        Raises `ZygoteFailed` if the request cannot be sent.
        """
        names = [name for name in os.environ.get(failpoint.VARIABLE, "").split(",") if name]
        umask = os.umask(0o077)  # it can only be read by setting it: to the strictest for that moment
        os.umask(umask)
        request = {"directory": directory, "umask": umask, "failpoints": names}
        try:
            log = os.open(f"{directory}/keeper.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        except OSError as error:
            raise ZygoteFailed(f"{directory}/keeper.log: {error.strerror}") from error
        try:
            _os.hand_over(self._line, json.dumps(request).encode(), [lock, control, log])
        except OSError as error:  # it is gone, or has not read for so long that nothing more can be sent
            raise ZygoteFailed(f"it does not take requests: {error.strerror}") from error
        finally:
            os.close(log)

    async def kill(self) -> None:
        """End it whatever it does, and what it has ready; the keepers live on. Returns once it is gone."""
        self._process.kill()
        await asyncio.wait([self._collected], timeout=END_S)
        self._close()

    async def close(self) -> None:
        """Let it go: it ends when it sees that nobody is there."""
        self._close()
        await asyncio.wait([self._collected], timeout=END_S)
        if not self._collected.done():
            await self.kill()

    def _close(self) -> None:
        if self._line.fileno() >= 0:
            asyncio.get_running_loop().remove_reader(self._line.fileno())
            self._line.close()
        if not self.lost.done():
            self.lost.set_result(None)

    def _heard(self) -> None:
        try:
            said = self._line.recv(_PACKET)
        except BlockingIOError:
            return
        except OSError:
            said = b""
        if said == b"ready" and not self._ready.done():
            self._ready.set_result(None)
        else:  # it is gone, or out of its mind
            self._process.kill()
            self._close()

    def _collect(self) -> None:
        if self._process.poll() is None:
            asyncio.get_running_loop().call_later(0.1, self._collect)
            return
        if not self._collected.done():
            self._collected.set_result(None)
        self._close()
