"""`KeeperSpawner`: starts each agent under a keeper process of its own, and finds them again.

A keeper holds the lock of the agent's directory. From its start on everything is settled by looking at that
directory.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import functools
import os
import re

from spawners import _os, failpoint, recovery
from spawners.births import Keepers
from spawners.directory import AgentDirectory
from spawners.errors import SessionLost, SpawnerError, SpawnFailed
from spawners.frames import Kind
from spawners.keeper_session import KeeperSession
from spawners.launch import MAX_CELLS, Exit, Identity, Launch, SessionRef, Stdin
from spawners.limits import Limits
from spawners.line import Line, LineLost
from spawners.tree import MARK, PLACE

__all__ = ["KeeperSession", "KeeperSpawner"]

HELLO_S = 5.0
GIB = 1024**3
_AGENT_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?|.*\.", re.IGNORECASE)
"""Names that are no folder on Windows, or another one's; refused everywhere, so that ids mean one thing."""
_INLINE_STDIN = 256 * 1024
"""Input up to this size is written on the event loop (0.1 ms), more in a thread."""


class KeeperSpawner:
    """The `Spawner` for this host.

    `root` holds one directory per agent, `sockets` (a short path) one socket per living keeper, `cache` the
    byte-compiled keeper; all three are made 0700 if absent. `held_bytes` bounds how far a follower can hold
    rotation back. `keepers` makes the keepers; by default each is executed on its own, in our cgroup.
    Raises `SpawnFailed` where this system cannot run agents.
    """

    def __init__(
        self, root: str, sockets: str, cache: str, *, held_bytes: int = GIB, keepers: Keepers | None = None
    ) -> None:
        if _os.why_unsupported:
            raise SpawnFailed(_os.why_unsupported)
        for path in (root, sockets, cache):
            os.makedirs(path, mode=0o700, exist_ok=True)
        self._root = os.path.abspath(root)
        self._sockets = os.path.abspath(sockets)
        self._held_bytes = held_bytes
        self._keepers = keepers or Keepers(cache)

    # -- Spawner

    async def spawn(self, launch: Launch) -> KeeperSession:
        """See `Spawner.spawn`. `MUSTER_AGENT_ID` and `MUSTER_AGENT_DIR` are added to its environment.

        Cancelled after the keeper was started, it leaves a running agent that `reattach` finds.
        """
        self._check(launch)
        ref = self.ref(launch.agent_id)
        try:
            os.mkdir(ref.directory, 0o700)
        except FileExistsError:
            raise SpawnFailed(f"{launch.agent_id} exists already; reattach it instead") from None
        except OSError as error:
            raise SpawnFailed(f"cannot create {ref.directory}: {error.strerror}", error.errno) from error
        try:
            return await self._prepare_and_start(ref, launch)
        except SpawnFailed:
            await asyncio.to_thread(_os.remove_tree, ref.directory)
            raise

    async def reattach(self, ref: SessionRef) -> KeeperSession:
        try:
            found = await asyncio.wait_for(_hear(ref), HELLO_S)
        except TimeoutError:
            return self._unheard(ref)
        if isinstance(found, Exit):
            return self._ended(ref, found)
        hello = await found.hello
        self._inherit(hello["keeperPid"])
        return KeeperSession.alive(ref, hello, found)

    def collected(self, ref: SessionRef) -> None:
        AgentDirectory(ref.directory).delete_secrets()

    async def forget(self, ref: SessionRef) -> None:
        """See `Spawner.forget`. Raises `SpawnerError` for a running one."""
        directory = AgentDirectory(ref.directory)
        if directory.is_locked() and not await self._collect(ref):
            raise SpawnerError(f"{ref.agent_id} is still running; stop it first")
        if directory.exit() is None:
            await asyncio.to_thread(recovery.lost, ref)  # ends what a killed keeper has left alive
        spec = directory.spec()
        if spec is not None:
            with contextlib.suppress(OSError):
                os.unlink(spec["socket"])
        await asyncio.to_thread(_os.remove_tree, ref.directory)

    # -- beyond the port: what a recovering daemon needs

    def ref(self, agent_id: str) -> SessionRef:
        """The handle of the agent with this id, whether it exists or not."""
        return SessionRef(agent_id, f"{self._root}/{agent_id}")

    def refs(self) -> list[SessionRef]:
        """Every agent that has a directory here, running, ended or half-made."""
        return [self.ref(name) for name in sorted(os.listdir(self._root)) if _AGENT_ID.fullmatch(name)]

    async def resume(self, ref: SessionRef) -> KeeperSession:
        """Start a spec that was never executed, as the free lock and the missing claim prove.

        Raises `SessionLost` if that cannot be proven, `SpawnFailed` as `spawn` does.
        """
        directory = AgentDirectory(ref.directory)
        spec = directory.spec()
        try:
            lock = _os.lock_new(directory.lock_file)
        except OSError as error:
            raise SessionLost("unknown", f"{ref.agent_id} has a keeper already, or no directory") from error
        if spec is None or directory.child() is not None or directory.exit() is not None:
            os.close(lock)
            raise SessionLost("unknown", f"{ref.agent_id} may have been executed; reattach it instead")
        return await self._start(ref, lock, Limits.of_spec(spec))

    # -- starting

    def _check(self, launch: Launch) -> None:
        if not _AGENT_ID.fullmatch(launch.agent_id):
            raise SpawnFailed(f"{launch.agent_id!r} cannot be an agent id: letters, digits and . _ - only")
        if _RESERVED.fullmatch(launch.agent_id):
            raise SpawnFailed(f"{launch.agent_id!r} cannot be an agent id: no folder of Windows is called so")
        if not launch.argv or not launch.argv[0]:
            raise SpawnFailed("there is no program to execute: argv is empty")
        if launch.leftovers not in ("end", "keep"):
            raise SpawnFailed(f"leftovers is {launch.leftovers!r}; it must be 'end' or 'keep'")
        if launch.size is not None and not launch.size.valid:
            raise SpawnFailed(f"a terminal has 1 to {MAX_CELLS} rows and columns, not {launch.size}")
        if launch.size is not None and launch.stdin != Stdin():
            raise SpawnFailed("a program in a terminal reads its input there: leave stdin out, type it")
        if launch.sizing not in ("active", "smallest"):
            raise SpawnFailed(f"sizing is {launch.sizing!r}; it must be 'active' or 'smallest'")
        problem = Limits(launch.memory_bytes, launch.cpus).problem
        if problem:
            raise SpawnFailed(problem)
        path = self._socket(launch.agent_id)
        if len(os.fsencode(path)) > _os.address_limit:
            raise SpawnFailed(f"socket path over {_os.address_limit} bytes, use a shorter folder: {path}")

    def _socket(self, agent_id: str) -> str:
        return f"{self._sockets}/{agent_id}.sock"

    async def _prepare_and_start(self, ref: SessionRef, launch: Launch) -> KeeperSession:
        directory = AgentDirectory(ref.directory)
        try:
            argv = _os.resolved(launch.argv, launch.env)
        except OSError as error:
            raise SpawnFailed(f"cannot execute {error}", error.errno) from error
        env = {**launch.env, MARK: launch.agent_id, PLACE: ref.directory}
        marked = dataclasses.replace(launch, argv=argv, env=env)
        write = functools.partial(directory.write_spec, marked, self._socket(ref.agent_id), self._held_bytes)
        try:
            lock = _os.lock_new(directory.lock_file)
            try:
                if len(launch.stdin.data) > _INLINE_STDIN:
                    await asyncio.to_thread(write)
                else:
                    write()
            except BaseException:
                os.close(lock)
                raise
        except OSError as error:
            raise SpawnFailed(f"cannot write into {ref.directory}: {error.strerror}", error.errno) from error
        failpoint.failpoint("after_spec_written")
        return await self._start(ref, lock, Limits(launch.memory_bytes, launch.cpus))

    async def _start(self, ref: SessionRef, lock: int, limits: Limits) -> KeeperSession:
        """Start the keeper, which takes over `lock`, and return the session once exec has succeeded."""
        try:
            line, hello = await self._keepers.start(ref, lock, limits)
        finally:
            os.close(lock)
        return KeeperSession.alive(ref, hello, line)

    def _inherit(self, keeper_pid: int) -> None:
        """Collect a keeper that is our child although another program started it: we were exec'd by that."""
        if not self._keepers.is_child(keeper_pid) and not _os.collect(keeper_pid):
            _os.on_exit(keeper_pid, lambda: self._inherit(keeper_pid))

    # -- finding

    def _unheard(self, ref: SessionRef) -> KeeperSession:
        child = AgentDirectory(ref.directory).child()
        if child is None or child.program is None:
            raise SpawnerError(f"the keeper of {ref.agent_id} lives but does not answer; try again later")
        return KeeperSession.unheard(ref, child.program, child.started_ms)

    def _ended(self, ref: SessionRef, record: Exit) -> KeeperSession:
        child = AgentDirectory(ref.directory).child()
        if child is not None:
            self._inherit(child.keeper_pid)
        identity = child.program if child and child.program else Identity(0, 0, "")
        return KeeperSession.ended(ref, identity, record)

    async def _collect(self, ref: SessionRef) -> bool:
        """Let a keeper go that only waits for its unwritable record to be known; True once it is gone."""
        try:
            found = await recovery.find(ref)
        except SessionLost:
            return True
        if isinstance(found, Exit):
            return True
        try:
            hello = await asyncio.wait_for(asyncio.shield(found.hello), HELLO_S)
            if hello["exit"] is None or (hello["durable"] and not hello["outputEnded"]):
                return False
            await found.request(Kind.COLLECTED)
            await asyncio.wait_for(asyncio.shield(found.lost), HELLO_S)
        except LineLost:
            return True
        except (SpawnerError, TimeoutError):
            return False
        finally:
            found.close()
        return True


async def _hear(ref: SessionRef) -> Line | Exit:
    """A line whose keeper has said HELLO, or the exit record."""
    while True:
        found = await recovery.find(ref)
        if isinstance(found, Exit):
            return found
        try:
            await asyncio.shield(found.hello)
        except LineLost:
            continue  # it left just now: look again
        except asyncio.CancelledError:
            found.close()
            raise
        return found
