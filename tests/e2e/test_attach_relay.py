"""A terminal seen and used from another host, over the relay, and over this host's own socket."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from keeper_peer import keeper_of
from muster_processes import until
from running import Host, RelayServer
from running_fixtures import Team

from relay.wire import endpoints
from relay.wire.agents import CauseKind, Mode, Status
from relay.wire.base import encode
from relay.wire.client import Unreachable
from relay.wire.duplex import Closed
from relay.wire.errors import ApiError, Code
from relay.wire.health import Scope
from relay.wire.sockets import CLOSE_TIMEOUT_S, ClientSocket, SocketClient
from relay.wire.terminal import (
    TRY_AGAIN,
    Attached,
    AttachQuery,
    Ended,
    Notice,
    Receipt,
    Refused,
    Resize,
    ResizeRequest,
    ScreenFormat,
    ScreenQuery,
    SendRequest,
    Sized,
)
from spawners.launch import SessionRef

TALK = """
import os, shutil, signal, sys
def size(*_):
    columns, rows = shutil.get_terminal_size()
    os.write(1, f"<{rows}x{columns}>\\n".encode())  # print cannot be called again while it prints
signal.signal(signal.SIGWINCH, size)
os.environ.pop("LINES", None), os.environ.pop("COLUMNS", None)
print("hello", flush=True)
for line in sys.stdin:
    if line == "flood\\n":
        for number in range(200_000):
            print("x" * 1000)
        print("drained", flush=True)
    elif line == "end\\n":
        sys.exit(3)
    else:
        print(f"[{line.strip()}]", flush=True)
"""
"""A program that says its size when that changes, and repeats what it reads."""


class Viewer:
    """Somebody at a terminal: what was shown, and the notices."""

    def __init__(self, socket: ClientSocket) -> None:
        self.socket = socket
        self.shown = b""
        self.notices: list[Any] = []
        self.closed: Closed | None = None
        self._moved = asyncio.Event()
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        try:
            while True:
                message = await self.socket.receive()
                if isinstance(message, bytes):
                    self.shown = (self.shown + message)[-100_000:]
                else:
                    self.notices.append(msgspec.json.decode(message, type=Notice))
                self._moved.set()
        except Closed as closed:
            self.closed = closed
            self._moved.set()

    async def until(self, condition: Callable[[], Any], timeout_s: float = 60.0) -> None:
        async with asyncio.timeout(timeout_s):
            while not condition():
                self._moved.clear()
                await self._moved.wait()

    async def sees(self, text: bytes, timeout_s: float = 60.0) -> None:
        try:
            await self.until(lambda: text in self.shown, timeout_s)
        except TimeoutError:
            pytest.fail(f"{text!r} was not shown; {self.closed!r}, {self.notices}, {self.shown[-2000:]!r}")
        self.shown = self.shown[self.shown.index(text) + len(text) :]

    async def type(self, data: bytes) -> None:
        await self.socket.send(data)

    async def resize(self, rows: int, columns: int) -> None:
        await self.socket.send(encode(Resize(rows=rows, columns=columns)).decode())

    async def ends(self) -> Closed:
        await self.until(lambda: self.closed is not None)
        assert self.closed is not None
        return self.closed

    async def leave(self) -> None:
        await self.socket.close()
        await self._reading


async def attach(server: RelayServer | Host, agent_id: str, token: str | None = None, **query: Any) -> Viewer:
    if isinstance(server, Host):
        sockets = SocketClient(socket=server.home.daemon_socket)
    else:
        sockets = SocketClient(server.url, token=token or server.home.admin_token())
    wanted = AttachQuery(**{"rows": 24, "columns": 80, **query})
    socket = await sockets.connect(endpoints.ATTACH, path={"id": agent_id}, query=wanted)
    viewer = Viewer(socket)
    await viewer.until(lambda: viewer.notices or viewer.closed)
    assert isinstance(viewer.notices[0], Attached), viewer.notices
    return viewer


async def again(server: RelayServer, agent_id: str) -> Viewer:
    """Attach as a viewer does whose line has broken: until it is let in, or refused for good."""
    async with asyncio.timeout(60):
        while True:
            try:
                return await attach(server, agent_id)
            except Unreachable:
                pass
            except ApiError as error:
                assert error.code in TRY_AGAIN, error
            await asyncio.sleep(0.05)


@pytest.fixture
def relay(team: Team) -> RelayServer:
    return team.relay


@pytest.fixture
def member(team: Team) -> Host:
    return team.hosts["b"]


@pytest.fixture(params=["relay", "local"])
def server(request: pytest.FixtureRequest, relay: RelayServer, member: Host) -> RelayServer | Host:
    """Where viewers attach: the relay, or the daemon itself."""
    return relay if request.param == "relay" else member


def talker(relay: RelayServer, *argv: str, **facts: Any) -> str:
    program = argv or (sys.executable, "-c", TALK)
    spawned = relay.spawn(*program, mode=Mode.EMBEDDED, orchestrator_id="b", **facts)
    return relay.get(spawned.id, "running").id


async def test_a_person_types_sees_resizes_and_is_told_how_it_ended(
    relay: RelayServer, server: RelayServer | Host
) -> None:
    agent_id = talker(relay)
    viewer = await attach(server, agent_id)
    await viewer.sees(b"hello")
    await viewer.type(b"one\r")
    await viewer.sees(b"[one]")
    await viewer.resize(30, 100)
    await viewer.sees(b"<30x100>")
    assert viewer.notices[1:] == [Sized(rows=30, columns=100)]
    await viewer.type("ä😀\r".encode())
    await viewer.sees("[ä😀]".encode())
    await viewer.type(b"end\r")
    assert (await viewer.ends()).final
    ended = viewer.notices[-1]
    assert isinstance(ended, Ended)
    assert ended.agent is not None
    assert (ended.agent.id, ended.agent.status, ended.agent.cause.exit_code) == (agent_id, Status.FAILED, 3)


def test_the_screen_is_shown_a_message_is_typed_and_the_size_changed(
    relay: RelayServer, server: RelayServer | Host
) -> None:
    agent_id = talker(relay)
    path = {"id": agent_id}
    with server.client() as client:

        def screen(**query: Any) -> str:
            return client.call(endpoints.GET_SCREEN, path=path, query=ScreenQuery(**query)).content

        sent = client.call(endpoints.SEND_TO_AGENT, SendRequest(text="sent <b>"), path=path)
        assert sent.receipt is Receipt.SUBMITTED, sent
        until(lambda: "[sent <b>]" in screen(), "the answer on the screen")
        assert "[sent &lt;b&gt;]" in screen(format=ScreenFormat.HTML)
        size = {"rows": 10, "columns": 40}
        changed = client.call(endpoints.RESIZE_AGENT, ResizeRequest(**size), path=path)
        assert changed.size == size
        until(lambda: "<10x40>" in screen(), "the program to know its size")
        client.call(endpoints.SEND_TO_AGENT, SendRequest(text="end"), path=path)
        server.ended(agent_id)
        assert "<10x40>" in screen(), "the last screen of an agent that has ended"


async def test_a_stop_does_not_wait_for_a_message_that_waits_for_a_person(
    relay: RelayServer, member: Host
) -> None:
    agent_id = talker(relay)
    viewer = await attach(relay, agent_id)

    async def keep_typing() -> None:
        with contextlib.suppress(Closed):
            while True:
                await viewer.type(b"k")
                await asyncio.sleep(0.05)

    def send() -> None:
        with relay.client() as client:
            request = SendRequest(text="later", wait_ms=60_000)
            client.call(endpoints.SEND_TO_AGENT, request, path={"id": agent_id}, timeout_s=90)

    typing = asyncio.create_task(keep_typing())
    await viewer.sees(b"k")
    sending = asyncio.create_task(asyncio.to_thread(send))
    await viewer.sees(b"k" * 5)
    async with asyncio.timeout(20):
        await asyncio.to_thread(relay.stop, agent_id, kill=True)
        with pytest.raises(ApiError) as refusal:
            await sending
    assert refusal.value.code is Code.ENDED
    await typing


async def test_two_viewers_see_the_same_and_only_one_may_type(
    relay: RelayServer, server: RelayServer | Host
) -> None:
    agent_id = talker(relay)
    token = relay.new_token(Scope.VIEWER)
    watching = await attach(server, agent_id, token, read_only=True, rows=10, columns=20, viewer="watcher")
    typing = await attach(server, agent_id, rows=33, columns=90, viewer="typist")
    await typing.type(b"both\r")
    await typing.sees(b"[both]")
    await watching.sees(b"[both]")
    assert watching.notices[-1] == Sized(rows=33, columns=90)
    await watching.type(b"x")
    end = await watching.ends()
    if isinstance(server, Host):
        assert isinstance(watching.notices[-1], Refused)
        assert watching.notices[-1].error.code == Code.FORBIDDEN
    else:
        assert "read-only" in end.reason
    await typing.type(b"still\r")
    await typing.sees(b"[still]")
    await typing.leave()
    later = await attach(server, agent_id)
    await later.sees(b"[still]")
    await later.leave()


async def test_a_paste_of_100_kb_arrives_whole(relay: RelayServer, server: RelayServer | Host) -> None:
    count = (
        "import os, sys, termios, tty; tty.setraw(0); print('ready', flush=True); n = 0\n"
        "while n < 100_000: n += len(os.read(0, 65536))\n"
        "print('got', n, flush=True)"
    )
    viewer = await attach(server, talker(relay, sys.executable, "-c", count))
    await viewer.sees(b"ready")
    await viewer.type(b"p" * 100_000)
    await viewer.sees(b"got 100000")


async def test_what_cannot_be_attached_to_is_an_error(relay: RelayServer, server: RelayServer | Host) -> None:
    piped = relay.spawn("sleep", "600", orchestrator_id="b").id
    ended = talker(relay, "true")
    relay.ended(ended)
    for agent_id, code in ((piped, Code.CONFLICT), (ended, Code.ENDED), ("ag-nobody", Code.NOT_FOUND)):
        with pytest.raises(ApiError) as refusal:
            await attach(server, agent_id)
        assert refusal.value.code is code
    with pytest.raises(ApiError) as refusal:
        await attach(server, piped, rows=0)
    assert refusal.value.code is Code.INVALID
    assert "handshake" not in server.log.read_text(), "a refusal is no error of the server"


async def test_a_daemon_killed_during_an_attach_lets_its_viewer_back_in(
    relay: RelayServer, member: Host
) -> None:
    agent_id = talker(relay)
    viewer = await attach(relay, agent_id)
    await viewer.type(b"before\r")
    await viewer.sees(b"[before]")
    member.kill()
    assert not (await viewer.ends()).final
    coming = asyncio.create_task(again(relay, agent_id))
    await asyncio.to_thread(member.start)
    back = await coming
    await back.sees(b"[before]")
    await back.type(b"after\r")
    await back.sees(b"[after]")
    await back.leave()


async def test_an_agent_that_is_lost_during_an_attach_is_said_to_be(
    relay: RelayServer, member: Host, server: RelayServer | Host
) -> None:
    agent_id = talker(relay)
    viewer = await attach(server, agent_id)
    await viewer.sees(b"hello")
    os.kill(keeper_of(SessionRef(agent_id, str(member.directory / "agents" / agent_id))), signal.SIGKILL)
    assert (await viewer.ends()).final
    last = viewer.notices[-1]
    assert isinstance(last, Ended), last
    assert last.agent is not None
    assert last.agent.cause.kind is CauseKind.KEEPER_KILLED


async def test_an_agent_whose_keeper_does_not_answer_is_tried_again(
    relay: RelayServer, member: Host, server: RelayServer | Host
) -> None:
    agent_id = talker(relay)
    keeper = keeper_of(SessionRef(agent_id, str(member.directory / "agents" / agent_id)))
    os.kill(keeper, signal.SIGSTOP)
    try:
        with pytest.raises(ApiError, match="cannot be reached now") as refusal:
            await attach(server, agent_id)
    finally:
        os.kill(keeper, signal.SIGCONT)
    assert refusal.value.code in TRY_AGAIN
    viewer = await attach(server, agent_id)
    await viewer.sees(b"hello")


async def test_a_daemon_that_is_restarted_says_so(relay: RelayServer, member: Host) -> None:
    agent_id = talker(relay)
    viewers = [await attach(relay, agent_id), await attach(member, agent_id)]
    await asyncio.to_thread(member.end)
    for viewer in viewers:
        end = await viewer.ends()
        assert not end.final, end
        assert not any(isinstance(notice, Refused | Ended) for notice in viewer.notices)


async def test_a_relay_killed_during_an_attach_lets_its_viewer_back_in(
    relay: RelayServer, member: Host
) -> None:
    agent_id = talker(relay)
    viewer = await attach(relay, agent_id)
    await viewer.sees(b"hello")
    relay.kill()
    assert not (await viewer.ends()).final
    await asyncio.to_thread(relay.start)
    back = await again(relay, agent_id)
    await back.type(b"after\r")
    await back.sees(b"[after]")
    await back.leave()


async def test_a_viewer_that_is_stopped_holds_nobody_up(relay: RelayServer, member: Host) -> None:
    """One that reads nothing while 200 MB are painted: neither the agent nor the other viewer waits."""
    agent_id = talker(relay)
    other = await attach(relay, agent_id)
    stopped = await attach(relay, agent_id)
    stopped.socket._connection.transport.pause_reading()
    await other.type(b"flood\r")
    await other.sees(b"drained")
    stopped.socket._connection.transport.resume_reading()
    await stopped.sees(b"drained")
    await other.type(b"well\r")
    await stopped.sees(b"[well]")
    relay_rss = _rss(relay.pid)
    assert relay_rss < 150 * 1024 * 1024, f"the relay has grown to {relay_rss >> 20} MiB"


async def test_a_viewer_that_is_stopped_is_shown_the_end_when_it_goes_on(
    relay: RelayServer, server: RelayServer | Host
) -> None:
    agent_id = talker(relay)
    stopped = await attach(server, agent_id)
    other = await attach(server, agent_id)
    transport = stopped.socket._connection.transport
    transport.pause_reading()
    await other.type(b"flood\rend\r")
    await other.ends()
    with pytest.raises(TimeoutError):  # longer than a socket without last words waits for its other end
        await stopped.until(lambda: stopped.closed, CLOSE_TIMEOUT_S + 1)
    transport.resume_reading()
    assert (await stopped.ends()).final
    assert isinstance(stopped.notices[-1], Ended)
    assert b"drained" in stopped.shown


def _rss(pid: int) -> int:
    with open(f"/proc/{pid}/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
