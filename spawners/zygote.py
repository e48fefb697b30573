"""The daemon's side of the fork server for keepers: one process that has everything loaded and forks.

A keeper made so is there after one millisecond instead of ten, and shares most of its memory with the
others. Nothing depends on it: what it cannot do is done by executing the keeper instead.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import socket
import subprocess

from spawners import _os, failpoint
from spawners.keeper_program import start_program

__all__ = ["Asked", "Zygote", "ZygoteFailed"]

READY_S = 10.0
"""It is ready after twenty milliseconds; only a machine in deep trouble needs this long."""
END_S = 5.0
_PACKET = 4096


class ZygoteFailed(Exception):
    """It did not make the keeper. The message says why; who asked has to make sure that there is none."""


class Asked:
    """A request; `pid` is that of the keeper, once the answer is there."""

    __slots__ = ("number", "pid")

    def __init__(self, number: int) -> None:
        self.number = number
        self.pid: int | None = None


class Zygote:
    """A running fork server; `lost` resolves when it is gone. Use `start` to make one."""

    def __init__(self, process: subprocess.Popen[bytes], line: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        self.pid = process.pid
        self.lost: asyncio.Future[None] = loop.create_future()
        self._process = process
        self._line = line
        self._numbers = itertools.count(1)
        self._asked: dict[int, Asked] = {}
        self._ready: asyncio.Future[None] = loop.create_future()
        self._collected: asyncio.Future[None] = loop.create_future()
        loop.add_reader(line.fileno(), self._answered)
        _os.on_exit(process.pid, self._collect)

    @classmethod
    async def start(cls, program: str, log: str) -> Zygote:
        """Start one with the keeper's `program`; raises `ZygoteFailed` if it does not become ready."""
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

    def ask(self, directory: str, *, gate: bool, lock: int, control: int) -> Asked:
        """Ask for the keeper of `directory`. Raises `ZygoteFailed` if the request cannot be sent."""
        asked = Asked(next(self._numbers))
        names = [name for name in os.environ.get(failpoint.VARIABLE, "").split(",") if name]
        umask = os.umask(0o077)  # it can only be read by setting it: to the strictest for that moment
        os.umask(umask)
        request = {
            "id": asked.number,
            "directory": directory,
            "gate": gate,
            "umask": umask,
            "failpoints": names,
        }
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
        self._asked[asked.number] = asked
        return asked

    def settled(self, asked: Asked) -> None:
        """The answer to `asked` is no longer of interest."""
        self._asked.pop(asked.number, None)

    async def kill(self) -> None:
        """End it whatever it does; the keepers live on. Returns once it is gone."""
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

    def _answered(self) -> None:
        try:
            data = self._line.recv(_PACKET)
            answer = json.loads(data) if data else None
        except BlockingIOError:
            return
        except (OSError, ValueError):
            answer = None
        if not isinstance(answer, dict) or "id" not in answer:  # it is gone, or out of its mind
            self._process.kill()
            self._close()
            return
        asked = self._asked.pop(answer["id"], None)
        if asked is not None:
            asked.pid = answer.get("pid")  # none: it could not fork, and has let go of what it was given
        elif not self._ready.done():
            self._ready.set_result(None)

    def _collect(self) -> None:
        if self._process.poll() is None:
            asyncio.get_running_loop().call_later(0.1, self._collect)
            return
        if not self._collected.done():
            self._collected.set_result(None)
        self._close()
