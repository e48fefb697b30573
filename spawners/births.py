"""How keepers come to be: forked by a zygote or executed, in a cgroup of their own where one can be had.

The daemon itself never forks. A keeper is given the lock of its agent's directory and one end of a
connection, and proves over that connection that its program has been executed.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import socket
import subprocess
import time
from collections.abc import Callable
from typing import Any

from spawners import _os
from spawners.errors import SpawnFailed
from spawners.failpoint import failpoint
from spawners.keeper_program import compiled_keeper, start_program
from spawners.launch import SessionRef
from spawners.limits import Limits, left_to_enforce
from spawners.line import Line, LineLost, take_up
from spawners.scopes import Scopes, ignore
from spawners.stillborn import end_executed, end_forked, stillborn
from spawners.zygote import Zygote, ZygoteFailed

__all__ = ["Keepers"]

BIRTH_S = 30.0
"""A keeper answers after about ten milliseconds; only a machine in deep trouble needs this long."""
ZYGOTE_S = 1.0
"""A zygote that makes none in this time hangs; it takes a millisecond for each."""
FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 60.0
"""Between attempts to start a zygote again: doubled each time, until one has lived for so long."""


class Keepers:
    """Makes keepers. `cache` holds their byte code; `report` gets a sentence when something goes wrong.

    With `zygote`, and after `begin`, most are forked. What a zygote does not do within a second is done by
    executing the keeper; nothing is ever started twice.
    """

    def __init__(
        self,
        cache: str,
        *,
        zygote: bool = False,
        scopes: Scopes | None = None,
        report: Callable[[str], None] = ignore,
    ) -> None:
        os.makedirs(cache, mode=0o700, exist_ok=True)
        self._program = compiled_keeper(os.path.abspath(cache))
        self._log = os.path.join(os.path.abspath(cache), "zygote.log")
        self._wanted = zygote and _os.fork_is_safe
        self._scopes = scopes
        self._report = report
        self._zygote: Zygote | None = None
        self._born_at = 0.0
        self._sheltered = False
        self._ready = asyncio.Event()
        self._tending: asyncio.Task[None] | None = None
        self._executed: set[subprocess.Popen[bytes]] = set()
        self.problem = ""

    # -- the zygote

    def begin(self) -> None:
        """Keep a zygote there from now on, if one is wanted."""
        if self._wanted and self._tending is None:
            self._tending = asyncio.get_running_loop().create_task(self._tend(), name="zygote")

    async def ready(self) -> None:
        """Return once keepers are forked."""
        await self._ready.wait()

    async def close(self) -> None:
        """Let the zygote go. All keepers live on."""
        if self._tending is not None:
            self._tending.cancel()
            await asyncio.gather(self._tending, return_exceptions=True)
            self._tending = None
        zygote, self._zygote = self._zygote, None
        self._ready.clear()
        if zygote is not None:
            await zygote.close()

    @property
    def zygote_pid(self) -> int | None:
        """The fork server's process; None while there is none."""
        return self._zygote.pid if self._zygote is not None else None

    @property
    def state(self) -> str:
        """How keepers are made now, in words."""
        how = (
            "each is executed on its own" if self._zygote is None else f"forked by process {self._zygote.pid}"
        )
        where = (
            "in scopes of their own"
            if self._scopes and not self._scopes.problem
            else "in the daemon's cgroup"
        )
        return f"{how}, {where}"

    @property
    def problems(self) -> list[str]:
        """What is not as it was meant to be; empty: all is well."""
        found = [self.problem] if self.problem and self._zygote is None else []
        return found + ([self._scopes.problem] if self._scopes and self._scopes.problem else [])

    @property
    def is_sheltered(self) -> bool:
        """Whether keepers live on when the cgroup of this process is ended."""
        return self._scopes is not None and not self._scopes.problem

    async def _tend(self) -> None:
        pause = FIRST_PAUSE_S
        while True:
            began = time.monotonic()
            try:
                self._zygote = await self._start_zygote()
                self._ready.set()
                await self._zygote.lost
                problem = "it has ended"
            except ZygoteFailed as error:
                problem = str(error)
            self._zygote = None
            self._ready.clear()
            self._trouble(f"the fork server for keepers: {problem}; they are executed until it is back")
            if time.monotonic() - began > LONGEST_PAUSE_S:
                pause = FIRST_PAUSE_S
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE_S)

    async def _start_zygote(self) -> Zygote:
        zygote = await Zygote.start(self._program, self._log)
        name = f"muster-keepers-{secrets.token_hex(4)}.scope"
        try:
            self._sheltered = self._scopes is None or await self._scopes.put(
                zygote.pid, name, "Muster: keepers of agents"
            )
        except BaseException:
            await zygote.close()
            raise
        zygote.begin()
        return zygote

    def _trouble(self, problem: str) -> None:
        if problem != self.problem:
            self.problem = problem
            self._report(problem)

    # -- starting

    async def start(self, ref: SessionRef, lock: int, limits: Limits) -> tuple[Line, dict[str, Any]]:
        """Start the keeper of `ref` and return its line and HELLO, once its program has been executed.

        `lock` is handed on, and stays open here. Raises `SpawnFailed`; then nothing of it is left.
        """
        if self._zygote is not None:
            try:
                return await self._fork(self._zygote, ref, lock, limits)
            except ZygoteFailed as error:
                self._trouble(f"the fork server for keepers: {error}; this one is executed")
        return await self._execute(ref, lock, limits)

    async def _fork(
        self, zygote: Zygote, ref: SessionRef, lock: int, limits: Limits
    ) -> tuple[Line, dict[str, Any]]:
        ours, theirs = socket.socketpair()
        try:
            zygote.ask(ref.directory, lock=lock, control=theirs.fileno())
        except ZygoteFailed:
            ours.close()
            raise
        finally:
            theirs.close()
        failpoint("after_keeper_started")
        line = await take_up(ours)
        try:
            pid = await self._born(zygote, line)
        except BaseException:
            line.close()  # whoever takes the request from now on is not let through the gate
            raise
        place = bool(limits) or not self._sheltered
        return await self._birth(line, ref, limits if place else None, lambda: end_forked(pid))

    async def _born(self, zygote: Zygote, line: Line) -> int:
        """The pid of the forked keeper. Raises `ZygoteFailed`, and ends a zygote that seems to hang."""
        while not line.born.done():
            await asyncio.wait([line.born], timeout=ZYGOTE_S)
            if not line.born.done() and time.monotonic() - self._born_at > ZYGOTE_S:
                await zygote.kill()
                raise ZygoteFailed(f"it has made no keeper for {ZYGOTE_S:g} s")
        try:
            pid = line.born.result()
        except LineLost:
            pid = None
        if pid is None:
            raise ZygoteFailed("it died over a request")
        self._born_at = time.monotonic()
        return pid

    async def _execute(self, ref: SessionRef, lock: int, limits: Limits) -> tuple[Line, dict[str, Any]]:
        place = bool(limits) or (self._scopes is not None and self._scopes.usable)
        with contextlib.closing(_os.Calling()) as calling:
            fds = (lock, calling.fd)
            words = (ref.directory, *(str(_os.number_of(fd)) for fd in fds), *(("gate",) if place else ()))
            try:
                keeper = start_program(self._program, words, fds=fds, log=f"{ref.directory}/keeper.log")
            except OSError as error:
                raise SpawnFailed(f"cannot start a keeper: {error.strerror}", error.errno) from error
            finally:
                calling.given()
            self._executed.add(keeper)
            _os.on_exit(keeper.pid, lambda: self._reap(keeper))
            failpoint("after_keeper_started")
            line = await self._answered(calling, keeper, ref)
        return await self._birth(line, ref, limits, lambda: end_executed(keeper))

    async def _answered(self, calling: _os.Calling, keeper: subprocess.Popen[bytes], ref: SessionRef) -> Line:
        """The line to a keeper that has just been executed. Raises `SpawnFailed` if it never comes."""
        if not calling.waits:
            return await take_up(await calling.answered())
        answer, gone = asyncio.ensure_future(calling.answered()), asyncio.Event()
        _os.on_exit(keeper.pid, gone.set)
        leaving = asyncio.ensure_future(gone.wait())
        try:
            await asyncio.wait([answer, leaving], timeout=BIRTH_S, return_when=asyncio.FIRST_COMPLETED)
            if answer.done():
                return await take_up(answer.result())
        finally:
            answer.cancel()
            leaving.cancel()
        raise await asyncio.to_thread(stillborn, ref, lambda: end_executed(keeper))

    async def _birth(
        self, line: Line, ref: SessionRef, limits: Limits | None, end: Callable[[], None]
    ) -> tuple[Line, dict[str, Any]]:
        """Let the keeper pass the gate, if it waits there, and wait for its first word.

        `limits` None: it may stay in the cgroup that it was born in.
        """
        try:
            async with asyncio.timeout(BIRTH_S):
                pid = await line.born
                if pid is not None:
                    failpoint("before_go")
                    line.go(None if limits is None else await self._placed(ref, pid, limits))
                    failpoint("after_go_said")
                return line, await line.hello
        except SpawnFailed:
            await line.lost  # the keeper has undone what it made
            raise
        except (LineLost, TimeoutError) as error:
            line.close()
            failure = await asyncio.to_thread(stillborn, ref, end)
            if self._scopes is not None and self._scopes.usable:
                await self._scopes.drop(_scope_name(ref))
            raise failure from error
        except BaseException:
            line.close()  # one that waits at the gate must not wait for ever
            raise

    async def _placed(self, ref: SessionRef, pid: int, limits: Limits) -> int | None:
        """Put the keeper where it belongs; returns to how many CPUs it has to confine its program itself."""
        left = limits
        if self._scopes is not None:
            what = f"Muster agent {ref.agent_id}"
            if await self._scopes.put(pid, _scope_name(ref), what, limits) and limits:
                left = left_to_enforce(pid, limits)
        return left.whole_cpus

    def _reap(self, keeper: subprocess.Popen[bytes]) -> None:
        """Collect a keeper that has left, so that it does not stay as a zombie."""
        if keeper.poll() is None:
            asyncio.get_running_loop().call_later(0.1, self._reap, keeper)
        else:
            self._executed.discard(keeper)

    def is_child(self, pid: int) -> bool:
        """Whether the keeper was executed by us, and will be collected."""
        return any(keeper.pid == pid for keeper in self._executed)


def _scope_name(ref: SessionRef) -> str:
    return f"muster-{ref.agent_id}.scope"
