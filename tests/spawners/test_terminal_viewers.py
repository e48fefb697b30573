"""Several people at one terminal: whose size counts, who has the keyboard, and what a slow one costs."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from keeper_peer import Peer, keeper_of, seen_until
from muster_processes import until
from spawner_fixtures import also_as_on_a_mac

from spawners import frames
from spawners.client import KeeperSpawner
from spawners.errors import SessionTyping
from spawners.frames import Kind
from spawners.keeper import terminal, viewers, wire
from spawners.keeper_session import KeeperSession
from spawners.launch import Launch, SessionRef, Size

Scripted = Callable[..., Launch]
MIB = 1024 * 1024
SMALL, LARGE, OTHER = Size(20, 120), Size(50, 90), Size(30, 100)


async def size_of(session: KeeperSession) -> Size:
    return (await session.terminal()).size


async def spawned(spawner: KeeperSpawner, launch: Launch) -> KeeperSession:
    """The session, once the program has printed `up`."""
    session = await spawner.spawn(launch)
    await seen_until(session, b"up")
    return session


# ---- whose size counts


@also_as_on_a_mac
async def test_the_size_is_that_of_who_did_something_last(spawner: KeeperSpawner, scripted: Scripted) -> None:
    session = await spawned(spawner, scripted("raw-mode", "print:up", "keys", size=OTHER))
    with Peer(session.ref) as ann, Peer(session.ref) as bob:
        assert ann.attach("ann", SMALL)["rows"] == SMALL.rows
        assert bob.attach("bob", LARGE)["columns"] == LARGE.columns
        assert await size_of(session) == LARGE
        ann.type(b"x")
        assert await size_of(session) == SMALL
        bob.ask(Kind.RESIZE, rows=51, columns=91)
        assert await size_of(session) == Size(51, 91)
        await session.resize(OTHER)  # one who does not look does not count while somebody does
        assert await size_of(session) == Size(51, 91)
        bob.socket.close()
        until(lambda: ann.ask(Kind.TERMINAL)["rows"] == SMALL.rows, "the size of who is left")
    while (await session.terminal()).viewers:
        pass
    assert await size_of(session) == SMALL  # nobody is left, and nothing changes
    await session.resize(OTHER)
    assert await size_of(session) == OTHER


async def test_the_smallest_size_may_be_asked_for(spawner: KeeperSpawner, scripted: Scripted) -> None:
    session = await spawned(spawner, scripted("raw-mode", "print:up", "keys", size=OTHER, sizing="smallest"))
    with Peer(session.ref) as ann, Peer(session.ref) as bob:
        ann.attach("ann", SMALL)
        bob.attach("bob", LARGE)
        ann.type(b"x")
        bob.type(b"x")
        assert await size_of(session) == Size(SMALL.rows, LARGE.columns)
        ann.socket.close()
        until(lambda: bob.ask(Kind.TERMINAL)["rows"] == LARGE.rows, "the size of who is left")


@pytest.mark.parametrize("sizing", ["active", "smallest"])
async def test_who_only_looks_never_counts(spawner: KeeperSpawner, scripted: Scripted, sizing: str) -> None:
    session = await spawned(spawner, scripted("raw-mode", "print:up", "keys", size=OTHER, sizing=sizing))
    with Peer(session.ref) as looker:
        told = looker.attach("eve", Size(5, 5), read_only=True)
        assert (told["rows"], told["columns"]) == (OTHER.rows, OTHER.columns)
        looker.ask(Kind.RESIZE, rows=6, columns=6)
        assert looker.type(b"x")["code"] == "read_only"
        state = await session.terminal()

    assert (state.size, state.typing) == (OTHER, "")
    assert [(viewer.name, viewer.size, viewer.read_only) for viewer in state.viewers] == [
        ("eve", Size(6, 6), True)
    ]
    assert await session.type(b"y")
    assert await seen_until(session, b"keys") == b"up\nkeys 79\n"


async def test_every_viewer_hears_of_a_new_size(spawner: KeeperSpawner, scripted: Scripted) -> None:
    session = await spawned(spawner, scripted("print:up", "sleep", size=OTHER))
    with Peer(session.ref) as ann, Peer(session.ref) as eve:
        eve.attach("eve", OTHER, read_only=True)
        ann.attach("ann", SMALL)
        for viewer in (ann, eve):
            assert frames.decode_sized(viewer.hear(Kind.SIZED)[1]) == (4, SMALL.rows, SMALL.columns)


async def test_who_has_not_attached_may_not_type_like_a_person(
    spawner: KeeperSpawner, scripted: Scripted
) -> None:
    session = await spawned(spawner, scripted("print:up", "keys", size=OTHER))
    with Peer(session.ref) as nobody:
        assert nobody.type(b"x")["code"] == "read_only"


async def test_nonsense_from_a_viewer_costs_only_itself(spawner: KeeperSpawner, scripted: Scripted) -> None:
    session = await spawned(spawner, scripted("print:up", "keys", size=OTHER))
    for rows in (0, 1001, -5):
        with Peer(session.ref) as peer:
            assert peer.attach("x", Size(rows, 80))["code"] == "failed"
    for fields in ({"rows": "5"}, {"rows": None}, {"rows": 5.5}, {}):
        with Peer(session.ref) as peer, pytest.raises(AssertionError, match="hung up"):
            peer.ask(Kind.ATTACH, **({"name": "x", "columns": 80, "readOnly": False} | fields))
    with Peer(session.ref) as peer:
        peer.attach("n" * 100_000, OTHER)
        assert len(peer.ask(Kind.TERMINAL)["viewers"][0]["name"]) == terminal.MAX_NAME
    assert (await session.terminal()).size == OTHER


# ---- whose turn it is


@pytest.mark.parametrize(
    ("keys", "least_ms", "most_ms"),
    [(b"draft", 20_000, 30_000), (b"line\r", 500, 2_000), (b"\x03", 500, 2_000), (b"\x1b[A", 20_000, 30_000)],
)
async def test_a_person_keeps_the_keyboard_longer_with_a_draft(
    spawner: KeeperSpawner, scripted: Scripted, keys: bytes, least_ms: int, most_ms: int
) -> None:
    session = await spawned(spawner, scripted("raw-mode", "print:up", "keys", size=OTHER))
    with Peer(session.ref) as ann:
        ann.attach("ann", OTHER)
        ann.type(keys)
        with pytest.raises(SessionTyping) as refused:
            await session.type(b"x")
    assert least_ms < refused.value.free_in_ms <= most_ms


async def test_the_keyboard_is_free_again_after_a_finished_line(
    spawner: KeeperSpawner, scripted: Scripted
) -> None:
    session = await spawned(spawner, scripted("raw-mode", "print:up", "keys", size=OTHER))
    with Peer(session.ref) as ann:
        ann.attach("ann", OTHER)
        ann.type(b"\r")
        while True:
            try:
                await session.type(b"x")
                break
            except SessionTyping as typing:
                await asyncio.sleep(typing.free_in_ms / 1000)  # as told: the promise under test
    assert (await session.terminal()).typing == ""


REPORTS = [b"\x1b[I", b"\x1b[O", b"\x1b[<35;10;10M", b"\x1b[<0;1;1m", b"\x1b[M !!", b"\x1b[32;10;10M"]


async def test_reports_of_focus_and_mouse_are_no_typing(spawner: KeeperSpawner, scripted: Scripted) -> None:
    session = await spawned(spawner, scripted("raw-mode", "print:up", "keys", size=OTHER))
    with Peer(session.ref) as ann, Peer(session.ref) as bob:
        ann.attach("ann", SMALL)
        bob.attach("bob", LARGE)
        for report in [*REPORTS, b"".join(REPORTS)]:
            ann.type(report)
        assert await size_of(session) == LARGE  # leaving a window must not take the size along
        assert (await session.terminal()).typing == ""
        ann.type(REPORTS[0] + b"x")
        assert (await session.terminal()).typing == "ann"
    await seen_until(session, (REPORTS[0] + b"x").hex().encode())


# ---- one request never meets another connection's


async def test_cancelled_input_is_ones_own(spawner: KeeperSpawner, scripted: Scripted) -> None:
    session = await spawned(spawner, scripted("raw-mode", "print:up", "sleep", size=OTHER))
    with Peer(session.ref) as ann, Peer(session.ref) as bob:
        for peer in (ann, bob):
            peer.attach("x", OTHER)
            peer.keys(b"x" * 60_000)  # of both the second request
        assert bob.ask(Kind.CANCEL_INPUT, input=2)["written"] == 0
        assert ann.ask(Kind.CANCEL_INPUT, input=2)["written"] > 0


# ---- floods


@contextlib.contextmanager
def viewer_process(ref: SessionRef) -> Iterator[subprocess.Popen[bytes]]:
    """A viewer that watches as fast as it can, in a process of its own, to be stopped or killed."""
    code = (
        "import sys; sys.path[:0] = eval(sys.argv[2])\n"
        "from keeper_peer import Peer; from spawners.launch import SessionRef, Size\n"
        "at, peer = 0, Peer(SessionRef('x', sys.argv[1])); peer.attach('far', Size())\n"
        "print('watching', flush=True)\n"
        "while True:\n"
        "    offset, data = peer.watch(at); at = offset + len(data)\n"
    )
    argv = [
        sys.executable,
        "-c",
        code,
        ref.directory,
        repr([str(Path(__file__).parent.parent / "fakes"), *sys.path]),
    ]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"watching\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def resident_kib(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
async def test_a_viewer_that_dies_or_stops_costs_nobody_anything(
    spawner: KeeperSpawner, scripted: Scripted, fifo: Path, number: int
) -> None:
    total = 50_000_000
    launch = scripted(
        "raw-mode", "print:up", f"await:{fifo}", f"flood:{total}", "sleep", size=Size(), spool_bytes=8 * MIB
    )
    session = await spawned(spawner, launch)
    before = resident_kib(keeper_of(session.ref))
    with viewer_process(session.ref) as far, Peer(session.ref) as near:
        near.attach("near", Size())
        await asyncio.to_thread(fifo.write_text, "go")
        at, most = 3, 0
        while at < total + 3:
            offset, data = await asyncio.to_thread(near.watch, at)
            assert offset >= at
            at = offset + len(data)
            most = max(most, resident_kib(keeper_of(session.ref)))
            if at > 10_000_000 and number:
                os.kill(far.pid, number)
                number = 0
        ended = await session.stop(interrupt_s=0, terminate_s=0)

    assert (ended.spool_end, ended.dropped) == (total + 3, 0)
    assert most - before < 24 * 1024  # a segment read for its modes, and two viewers' buffers


async def test_what_waits_for_a_viewer_that_does_not_read_is_bounded(
    spawner: KeeperSpawner, scripted: Scripted
) -> None:
    session = await spawned(spawner, scripted("print:up", "sleep", size=OTHER))
    with Peer(session.ref) as deaf, Peer(session.ref) as ann:
        deaf.attach("deaf", OTHER, read_only=True)
        deaf.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        ann.attach("ann", OTHER)
        name = json.dumps("x" * 100).encode()
        asked = frames.encode_json(Kind.TERMINAL, {"id": 1, "pad": name.decode()})
        with contextlib.suppress(OSError):
            deaf.socket.settimeout(0.2)
            while True:
                deaf.say(asked * 100)
        assert resident_kib(keeper_of(session.ref)) < 40 * 1024
        ann.type(b"x")


async def test_the_most_viewers_there_may_be_leave_room_for_a_daemon(
    spawner: KeeperSpawner, scripted: Scripted
) -> None:
    session = await spawned(spawner, scripted("raw-mode", "print:up", "keys", size=OTHER))
    with contextlib.ExitStack() as stack:
        peers = [stack.enter_context(Peer(session.ref)) for _ in range(viewers.MAX_VIEWERS + 1)]
        told = [peer.attach(f"viewer {n}", Size(10 + n, 80)) for n, peer in enumerate(peers)]
        assert [answer.get("code") for answer in told] == [None] * viewers.MAX_VIEWERS + ["busy"]
        assert "code" not in peers[1].attach("again", Size(9, 80))
        assert len((await session.terminal()).viewers) == viewers.MAX_VIEWERS
        peers[0].type(b"x")
        assert await size_of(session) == Size(10, 80)
        again = await spawner.reattach(session.ref)
        assert (await again.terminal()).size == Size(10, 80)
        await again.detach()
        for _ in range(wire.MAX_CONNECTIONS):  # those who only connect cannot push anybody out
            with contextlib.suppress(AssertionError, OSError):
                stack.callback(Peer(session.ref).socket.close)
        assert peers[1].type(b"y")["written"] == 1
    while (await session.terminal()).viewers:
        pass
