"""The fork server for keepers: nothing depends on it, nothing is inherited from it, nothing started twice."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from keeper_peer import keeper_of
from muster_processes import is_running, until, zombies_of

from spawners import _os
from spawners.births import Keepers
from spawners.client import KeeperSpawner
from spawners.keeper_session import KeeperSession
from spawners.launch import Launch
from spawners.zygote import Zygote, ZygoteFailed

pytestmark = pytest.mark.needs("linux")
Scripted = Callable[..., Launch]


@pytest.fixture
def said() -> list[str]:
    """What the daemon was told of the zygote."""
    return []


@pytest.fixture
async def keepers(said: list[str]) -> AsyncIterator[Keepers]:
    folder = tempfile.mkdtemp(prefix="mu-", dir="/tmp")
    made = Keepers(f"{folder}/cache", zygote=True, report=said.append)
    made.begin()
    async with asyncio.timeout(60):
        await made.ready()
    yield made
    await made.close()
    shutil.rmtree(folder, ignore_errors=True)


def waiting_of(zygote: int | None) -> int:
    """The process that the zygote has ready, once there is one."""
    found: list[int] = []

    def there() -> bool:
        found[:] = [
            item.pid
            for item in _os.processes()
            if item.parent == zygote and item.name == "muster-keeper" and not item.zombie
        ]
        return bool(found)

    until(there, "a process in waiting")
    return found[0]


def facts(pid: int, name: str) -> str:
    return Path(f"/proc/{pid}/{name}").read_text()


def status(pid: int, *names: str) -> dict[str, str]:
    lines = dict(line.split(":", 1) for line in facts(pid, "status").splitlines())
    return {name: lines[name].strip() for name in names}


def open_files(pid: int) -> list[str]:
    paths = (os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd"))
    return sorted(re.sub(r"ag-\w+|\d+", "N", path) for path in paths)


async def all_bytes(session: KeeperSession) -> bytes:
    return b"".join([piece.data async for piece in session.output()])  # type: ignore[union-attr]


async def test_a_forked_keeper_is_like_one_that_was_executed(
    spawner: KeeperSpawner, scripted: Scripted, keepers: Keepers
) -> None:
    forked = await spawner.spawn(scripted("print:up", "sleep"))
    folder = str(Path(spawner.ref("x").directory).parents[1])
    plain = KeeperSpawner(f"{folder}/agents", f"{folder}/s", f"{folder}/cache")
    executed = await plain.spawn(scripted("print:up", "sleep"))
    for session in (forked, executed):
        await anext(session.output(follow=True))  # Python has set its own signals by then
    one, other = keeper_of(forked.ref), keeper_of(executed.ref)

    assert os.getsid(one) == one
    assert facts(one, "comm").strip() == "muster-keeper"
    same = ("Umask", "SigBlk", "SigIgn", "SigCgt", "Threads", "NoNewPrivs", "Cpus_allowed", "CapEff")
    assert status(one, *same) == status(other, *same)
    for name in ("limits", "oom_score_adj", "cgroup"):
        assert facts(one, name) == facts(other, name)
    assert os.readlink(f"/proc/{one}/cwd") == os.readlink(f"/proc/{other}/cwd") == "/"
    assert open_files(one) == open_files(other)
    assert os.getpriority(os.PRIO_PROCESS, one) == os.getpriority(os.PRIO_PROCESS, other)
    assert _os.process(one).parent == keepers.zygote_pid  # type: ignore[union-attr]
    same = ("SigBlk", "SigIgn", "SigCgt", "Umask")
    assert status(forked.identity.pid, *same) == status(executed.identity.pid, *same)
    assert open_files(forked.identity.pid) == open_files(executed.identity.pid)
    await asyncio.gather(forked.stop(), executed.stop())


async def test_a_killed_zygote_harms_no_agent_and_no_later_spawn(
    spawner: KeeperSpawner, scripted: Scripted, keepers: Keepers, said: list[str], fifo: Path
) -> None:
    before = await spawner.spawn(scripted(f"await:{fifo}", "print:after", "exit:3"))
    first = keepers.zygote_pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    at_once = await spawner.spawn(scripted("print:here", "exit:4"))
    assert (await at_once.wait()).code == 4
    assert await all_bytes(at_once) == b"here\n"
    await asyncio.to_thread(fifo.write_text, "go")
    assert (await before.wait()).code == 3
    assert await all_bytes(before) == b"after\n"

    async with asyncio.timeout(60):
        await keepers.ready()
        while keepers.zygote_pid in (None, first):  # noqa: ASYNC110 - it comes back by itself
            await asyncio.sleep(0.01)
    again = await spawner.spawn(scripted("exit:5"))
    assert not keepers.is_child(keeper_of(again.ref))
    assert (await again.wait()).code == 5
    assert 1 <= len(said) <= 2  # that it has ended, and that it did not do what it was asked just then
    assert first not in zombies_of(os.getpid())


async def test_a_zygote_that_dies_over_a_request_has_started_nothing(
    spawner: KeeperSpawner, scripted: Scripted, monkeypatch: pytest.MonkeyPatch, keepers: Keepers
) -> None:
    monkeypatch.setenv("MUSTER_FAILPOINT", "in_zygote")
    session = await spawner.spawn(scripted("print:once", "exit:0"))
    assert keepers.is_child(keeper_of(session.ref))
    assert (await session.wait()).code == 0
    assert await all_bytes(session) == b"once\n"


async def test_a_zygote_that_hangs_is_replaced_and_what_it_was_asked_is_done_once(
    spawner: KeeperSpawner, scripted: Scripted, keepers: Keepers, said: list[str]
) -> None:
    pid = keepers.zygote_pid
    assert pid is not None
    waiting_of(pid)
    os.kill(pid, signal.SIGSTOP)
    loop = asyncio.get_running_loop()
    ready = await spawner.spawn(scripted("sleep"))  # by the process that was waiting for it
    assert not keepers.is_child(keeper_of(ready.ref))
    began = loop.time()
    session = await spawner.spawn(scripted("print:once", "exit:0"))
    assert 1.0 <= loop.time() - began < 10.0
    assert keepers.is_child(keeper_of(session.ref))
    assert not is_running(pid)
    assert (await session.wait()).code == 0
    assert await all_bytes(session) == b"once\n"
    assert is_running(ready.identity.pid)
    assert any("no keeper for" in text for text in said)
    await ready.stop()


async def test_a_request_taken_too_late_has_no_effect(
    spawner: KeeperSpawner, scripted: Scripted, keepers: Keepers
) -> None:
    """Both are stopped, the zygote and the process it has ready; that one goes on when all is done."""
    pid = keepers.zygote_pid
    assert pid is not None
    waiting = waiting_of(pid)
    os.kill(waiting, signal.SIGSTOP)
    os.kill(pid, signal.SIGSTOP)
    session = await spawner.spawn(scripted("print:once", "sleep"))
    await anext(session.output(follow=True))
    assert keepers.is_child(keeper_of(session.ref))
    until(lambda: not is_running(waiting), "it to go with its zygote")
    assert [member.pid for member in await session.live_members()] == [session.identity.pid]
    assert (await session.stop(interrupt_s=0)).ended_by == "stop"
    assert await all_bytes(session) == b"once\n"


async def test_a_killed_process_in_waiting_is_replaced(
    spawner: KeeperSpawner, scripted: Scripted, keepers: Keepers
) -> None:
    pid = keepers.zygote_pid
    for _ in range(3):
        waiting = waiting_of(pid)
        os.kill(waiting, signal.SIGKILL)
        until(lambda waiting=waiting: not is_running(waiting), "its end")  # type: ignore[misc]
    assert (await (await spawner.spawn(scripted("exit:3"))).wait()).code == 3
    assert keepers.zygote_pid == pid


async def test_a_zygote_that_is_asked_too_much_is_not_waited_for(
    spawner: KeeperSpawner, scripted: Scripted, keepers: Keepers
) -> None:
    """All at once, while it is stopped: its queue fills, each is done once in another way."""
    pid = keepers.zygote_pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    sessions = await asyncio.gather(*(spawner.spawn(scripted(f"print:{n}", "exit:0")) for n in range(30)))
    for number, session in enumerate(sessions):
        assert (await session.wait()).code == 0
        assert await all_bytes(session) == b"%d\n" % number


async def test_nonsense_harms_neither_side(
    spawner: KeeperSpawner, scripted: Scripted, keepers: Keepers, tmp_path: Path
) -> None:
    zygote = keepers._zygote
    assert zygote is not None
    zygote._line.send(b"this is no request")
    assert (await (await spawner.spawn(scripted("exit:3"))).wait()).code == 3
    assert keepers.zygote_pid == zygote.pid

    fake = tmp_path / "fake.py"
    fake.write_text(
        "import socket, sys\nsocket.socket(fileno=int(sys.argv[2])).send(b'hello?')\nsys.stdin.read()"
    )
    with pytest.raises(ZygoteFailed, match="not ready"):
        await Zygote.start(str(fake), str(tmp_path / "log"))


async def test_a_program_that_cannot_be_executed_leaves_the_zygote_well(
    spawner: KeeperSpawner, scripted: Scripted, keepers: Keepers
) -> None:
    pid = keepers.zygote_pid
    for _ in range(3):
        with pytest.raises(Exception, match="not found"):
            await spawner.spawn(scripted(argv=("no-such-program-anywhere",)))
    assert keepers.zygote_pid == pid
    assert (await (await spawner.spawn(scripted("exit:0"))).wait()).code == 0
    assert spawner.ref("x") not in spawner.refs()


async def test_the_zygote_leaves_no_zombies_and_goes_with_its_daemon(
    spawner: KeeperSpawner, scripted: Scripted, keepers: Keepers
) -> None:
    pid = keepers.zygote_pid
    assert pid is not None
    sessions = await asyncio.gather(*(spawner.spawn(scripted("exit:0")) for _ in range(10)))
    await asyncio.gather(*(session.wait() for session in sessions))
    pids = [keeper_of(session.ref) for session in sessions]
    until(lambda: not any(os.path.exists(f"/proc/{keeper}") for keeper in pids), "the keepers to be gone")
    assert zombies_of(pid) == []
    living = await spawner.spawn(scripted("sleep"))
    await keepers.close()
    assert not os.path.exists(f"/proc/{pid}")
    assert is_running(living.identity.pid)
    assert (await living.stop()).ended_by == "stop"


async def test_without_a_zygote_where_it_is_switched_off(tmp_path: Path) -> None:
    keepers = Keepers(str(tmp_path))
    keepers.begin()
    assert keepers.zygote_pid is None
    assert "executed on its own" in keepers.state
    await keepers.close()
