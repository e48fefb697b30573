"""Viewers of a terminal, paired with what their agent's host opens for them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from relay_in_process import RelayInProcess, eventually
from scripted_host import ScriptedHost, agent

from relay.wire import endpoints
from relay.wire.agents import Mode, Status
from relay.wire.base import encode
from relay.wire.commands import AttachCommand, CommandEnvelope
from relay.wire.duplex import LINE_LOST, NORMAL, WRONG_MESSAGE, Closed, Message
from relay.wire.errors import ApiError, Code, ErrorDetail
from relay.wire.health import Scope, TokenRequest
from relay.wire.sockets import ClientSocket, SocketClient
from relay.wire.terminal import MAX_ATTACH_MESSAGE, Attached, AttachQuery, Ended, Refused, Resize

SIZE = {"rows": 24, "columns": 80}


def text(notice: Any) -> str:
    return encode(notice).decode()


ATTACHED = text(Attached(agent_id="ag-1", read_only=False, **SIZE))


def embedded(agent_id: str = "ag-1", **facts: Any) -> Any:
    return agent(agent_id, mode=Mode.EMBEDDED, **facts)


async def attach(
    relay: RelayInProcess, agent_id: str = "ag-1", token: str | None = None, **query: Any
) -> ClientSocket:
    sockets = SocketClient(relay.url, token=token or relay.client().token)
    wanted = AttachQuery(**{**SIZE, **query})
    return await sockets.connect(endpoints.ATTACH, path={"id": agent_id}, query=wanted)


async def asked(commands: AsyncIterator[CommandEnvelope]) -> AttachCommand:
    envelope = await anext(commands)
    assert envelope.id == 0
    assert isinstance(envelope.body, AttachCommand)
    return envelope.body


@dataclass
class Ends:
    command: AttachCommand
    host: ClientSocket
    viewer: ClientSocket


@pytest.fixture
async def commands(
    relay: RelayInProcess, host: ScriptedHost
) -> AsyncIterator[AsyncIterator[CommandEnvelope]]:
    """What a host with one agent in a terminal is asked."""
    await host.report(embedded())
    async with host.commands() as stream:
        yield stream


Pair = Callable[..., Any]


@pytest.fixture
def pair(relay: RelayInProcess, host: ScriptedHost, commands: AsyncIterator[CommandEnvelope]) -> Pair:
    """Attach a viewer to the agent, with the host's end in the test's hands."""

    @asynccontextmanager
    async def make(**options: Any) -> AsyncIterator[Ends]:
        attaching = asyncio.create_task(attach(relay, **options))
        command = await asked(commands)
        end = await host.open_terminal(command.stream_id)
        await end.send(ATTACHED)
        viewer = await attaching
        assert await viewer.receive() == ATTACHED
        try:
            yield Ends(command, end, viewer)
        finally:
            await viewer.close()
            await end.close()

    return make


async def closed(socket: ClientSocket) -> Closed:
    """Read what is left, and return how the line was closed."""
    async with asyncio.timeout(20):
        while True:
            try:
                await socket.receive()
            except Closed as end:
                return end


async def test_bytes_and_notices_pass_unchanged_and_in_order_both_ways(pair: Pair) -> None:
    async with pair(rows=5, columns=7, viewer="ann") as ends:
        assert (ends.command.agent_id, ends.command.query) == (
            "ag-1", AttachQuery(rows=5, columns=7, viewer="ann"),
        )  # fmt: skip
        messages: list[Message] = [
            b"\x00\xff", text(Resize(rows=1, columns=2)), b"", "ä", bytes(MAX_ATTACH_MESSAGE),
            *(b"%d" % number for number in range(2000)),
        ]  # fmt: skip
        for here, there in ((ends.host, ends.viewer), (ends.viewer, ends.host)):

            async def send(socket: ClientSocket = here) -> None:
                for message in messages:
                    await socket.send(message)

            sending = asyncio.create_task(send())
            assert [await there.receive() for _ in messages] == messages
            await sending


async def test_a_viewer_without_a_name_has_that_of_its_token(pair: Pair, relay: RelayInProcess) -> None:
    token = await relay.token(Scope.OPERATOR, label="Ann")
    async with pair(token=token) as ends:
        assert ends.command.query.viewer == "Ann"


async def test_what_the_host_said_last_reaches_a_viewer_who_still_types(pair: Pair) -> None:
    async with pair() as ends:
        said = [b"%d" % number for number in range(50)]
        last = text(Ended(agent=embedded(status=Status.SUCCEEDED)))

        async def keep_typing() -> None:
            with contextlib.suppress(Closed):
                while True:
                    await ends.viewer.send(b"k")
                    await asyncio.sleep(0)

        typing = asyncio.create_task(keep_typing())
        await ends.host.receive()
        for message in (*said, last):
            await ends.host.send(message)
        await ends.host.close()
        assert [await ends.viewer.receive() for _ in (*said, last)] == [*said, last]
        end = await closed(ends.viewer)
        assert (end.code, end.final) == (NORMAL, True)
        await typing


async def test_a_host_that_vanishes_closes_its_viewer_who_may_try_again(pair: Pair) -> None:
    async with pair() as ends:
        ends.host._connection.transport.abort()
        end = await closed(ends.viewer)
        assert (end.code, end.final) == (LINE_LOST, False)


@pytest.mark.parametrize("politely", [True, False])
async def test_a_viewer_that_leaves_closes_the_hosts_end(pair: Pair, politely: bool) -> None:
    async with pair() as ends:
        if politely:
            await ends.viewer.close()
        else:
            ends.viewer._connection.transport.abort()
        assert (await closed(ends.host)).code == NORMAL


async def test_a_read_only_viewer_sees_but_cannot_type(pair: Pair, relay: RelayInProcess) -> None:
    token = await relay.token(Scope.VIEWER)
    async with pair(token=token, read_only=True) as ends:
        assert ends.command.query.read_only
        await ends.viewer.send(text(Resize(rows=1, columns=2)))
        assert await ends.host.receive() == text(Resize(rows=1, columns=2))
        await ends.viewer.send(b"rm -rf")
        assert (await closed(ends.viewer)).code == WRONG_MESSAGE
        with pytest.raises(Closed):
            await ends.host.receive()


@pytest.mark.parametrize("how", ["revoked", "expired"])
async def test_a_viewer_whose_token_ends_is_cut_off(pair: Pair, relay: RelayInProcess, how: str) -> None:
    client = relay.client()
    request = TokenRequest(scope=Scope.OPERATOR, expires_in_ms=1500 if how == "expired" else None)
    made = await client.call(endpoints.CREATE_TOKEN, request)
    async with pair() as other, pair(token=made.token) as ends:
        if how == "revoked":
            await client.call(endpoints.REVOKE_TOKEN, path={"name": made.name})
        end = await closed(ends.viewer)
        assert (end.code, end.final) == (WRONG_MESSAGE, True)
        assert "revoked or has expired" in end.reason
        assert (await closed(ends.host)).code == NORMAL
        await other.viewer.send(b"still here")
        assert await other.host.receive() == b"still here"

    async def forgotten() -> bool:
        return not relay.relay._tokens._watchers

    await eventually(forgotten)


async def test_a_message_that_is_too_large_ends_the_line(pair: Pair) -> None:
    async with pair() as ends:
        with contextlib.suppress(Closed):  # while it is still being sent
            await ends.viewer.send(bytes(MAX_ATTACH_MESSAGE + 1))
        assert (await closed(ends.viewer)).code == 1009
        assert (await closed(ends.host)).code == NORMAL


@pytest.mark.parametrize("scope", [Scope.VIEWER, Scope.ORCHESTRATOR, Scope.AGENT])
async def test_who_may_not_type_is_told_to_watch(relay: RelayInProcess, commands: Any, scope: Scope) -> None:
    bound = {Scope.ORCHESTRATOR: "h1", Scope.AGENT: "ag-1"}.get(scope)
    with pytest.raises(ApiError) as refusal:
        await attach(relay, token=await relay.token(scope, bound))
    assert refusal.value.code is Code.FORBIDDEN


BAD: list[tuple[dict[str, Any], Code, str]] = [
    ({"rows": 0}, Code.INVALID, "rows must be from 1 to 1000"),
    ({"columns": 1001}, Code.INVALID, "columns must be from 1 to 1000"),
    ({"viewer": "a\nb"}, Code.INVALID, "printable"),
    ({"viewer": "x" * 65}, Code.INVALID, "64"),
    ({"agent_id": "nobody"}, Code.NOT_FOUND, "nobody"),
    ({"agent_id": "ag-2"}, Code.CONFLICT, "has no terminal"),
    ({"agent_id": "ag-3"}, Code.ENDED, "ended"),
    ({"token": "mst_wrong"}, Code.UNAUTHORIZED, "token"),
]


@pytest.mark.parametrize(("options", "code", "words"), BAD)
async def test_what_cannot_be_attached_to_is_refused_as_any_call(
    relay: RelayInProcess, host: ScriptedHost, options: dict[str, Any], code: Code, words: str
) -> None:
    await host.report(embedded(), agent("ag-2"), embedded("ag-3", status=Status.FAILED))
    with pytest.raises(ApiError, match=words) as refusal:
        await attach(relay, **options)
    assert refusal.value.code is code


async def test_a_queued_agent_cannot_be_attached_to(relay: RelayInProcess) -> None:
    queued = await relay.spawn(mode=Mode.EMBEDDED)
    with pytest.raises(ApiError, match="waits for a host") as refusal:
        await attach(relay, queued.id)
    assert refusal.value.code is Code.CONFLICT


async def test_the_hosts_refusal_is_the_viewers(
    relay: RelayInProcess, host: ScriptedHost, commands: Any
) -> None:
    attaching = asyncio.create_task(attach(relay))
    end = await host.open_terminal((await asked(commands)).stream_id)
    await end.send(text(Refused(error=ErrorDetail(code="ended", message="it ended just now"))))
    with pytest.raises(ApiError, match="just now") as refusal:
        await attaching
    assert refusal.value.code is Code.ENDED


@pytest.mark.parametrize("said", [b"\x1b[2J", "{}", ATTACHED.replace("attached", "sized")])
async def test_a_host_that_speaks_something_else_is_an_error(
    relay: RelayInProcess, host: ScriptedHost, commands: Any, said: Message
) -> None:
    attaching = asyncio.create_task(attach(relay))
    end = await host.open_terminal((await asked(commands)).stream_id)
    await end.send(said)
    with pytest.raises(ApiError) as refusal:
        await attaching
    assert refusal.value.code is Code.INTERNAL


async def test_a_host_that_hangs_up_at_once_is_unavailable(
    relay: RelayInProcess, host: ScriptedHost, commands: Any
) -> None:
    attaching = asyncio.create_task(attach(relay))
    end = await host.open_terminal((await asked(commands)).stream_id)
    await end.close()
    with pytest.raises(ApiError, match="try again") as refusal:
        await attaching
    assert refusal.value.code is Code.UNAVAILABLE


async def test_a_host_that_never_opens_its_end_is_a_timeout(start_relay: Any) -> None:
    relay = await start_relay(upload_timeout_s=0.1)
    host = ScriptedHost(relay.client())
    await host.register()
    await host.report(embedded())
    with pytest.raises(ApiError, match="try again") as refusal:
        await attach(relay)
    assert refusal.value.code is Code.TIMEOUT


async def test_an_absent_host_is_said_to_be_offline(relay: RelayInProcess, host: ScriptedHost) -> None:
    await host.report(embedded())
    relay.relay._leases.extend(-1000)

    async def noticed() -> bool:
        return (await relay.client().call(endpoints.LIST_HOSTS))[0].offline_since is not None

    await eventually(noticed)
    with pytest.raises(ApiError, match="is offline since") as refusal:
        await attach(relay)
    assert refusal.value.code is Code.HOST_OFFLINE


async def test_a_request_is_repeated_on_the_hosts_next_stream(
    relay: RelayInProcess, host: ScriptedHost
) -> None:
    await host.report(embedded())
    async with host.commands() as commands:
        attaching = asyncio.create_task(attach(relay))
        first = await asked(commands)
    async with host.commands() as commands:
        assert await asked(commands) == first
        end = await host.open_terminal(first.stream_id)
        await end.send(ATTACHED)
        assert await (await attaching).receive() == ATTACHED


async def test_only_the_host_that_was_asked_may_open_its_end_and_only_once(
    relay: RelayInProcess, host: ScriptedHost, commands: Any
) -> None:
    other = ScriptedHost(relay.client(), "h2")
    await other.register()
    attaching = asyncio.create_task(attach(relay))
    command = await asked(commands)
    with pytest.raises(ApiError, match="nobody waits"):
        await other.open_terminal(command.stream_id)
    end = await host.open_terminal(command.stream_id)
    with pytest.raises(ApiError, match="nobody waits"):
        await host.open_terminal(command.stream_id)
    await end.send(ATTACHED)
    await attaching
    with pytest.raises(ApiError, match="nobody waits"):
        await host.open_terminal("0" * 32)


async def test_a_viewer_that_gives_up_while_it_waits_is_forgotten(
    relay: RelayInProcess, host: ScriptedHost, commands: Any
) -> None:
    attaching = asyncio.create_task(attach(relay))
    command = await asked(commands)
    attaching.cancel()

    async def forgotten() -> bool:
        return not relay.relay._attachments._pairs

    async with asyncio.timeout(relay.config.upload_timeout_s / 2):
        await eventually(forgotten)
    with pytest.raises(ApiError, match="nobody waits"):
        await host.open_terminal(command.stream_id)


async def test_a_relay_that_stops_says_so_to_who_waits_and_to_who_watches(
    relay: RelayInProcess, host: ScriptedHost, commands: Any, pair: Pair
) -> None:
    async with pair() as ends:
        waiting = asyncio.create_task(attach(relay))
        await asked(commands)
        relay.relay.begin_stop()
        with pytest.raises(ApiError, match="try again") as refusal:
            await waiting
        assert refusal.value.code is Code.UNAVAILABLE
        stopping = asyncio.create_task(relay.stop())
        for socket in (ends.viewer, ends.host):
            assert not (await closed(socket)).final
        await stopping


async def test_a_page_of_another_site_cannot_attach(relay: RelayInProcess, commands: Any) -> None:
    headers = {
        "Origin": "https://evil.example", "Authorization": f"Bearer {relay.client().token}",
        "Upgrade": "websocket", "Connection": "Upgrade",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version": "13",
    }  # fmt: skip
    async with httpx.AsyncClient() as client:
        answer = await client.get(
            f"{relay.url}/api/managed-agents/ag-1/attach?rows=1&columns=1", headers=headers
        )
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "forbidden")
    assert answer.headers["Muster-Protocol"] == "1"


async def test_a_plain_get_is_told_to_open_a_socket(relay: RelayInProcess) -> None:
    with pytest.raises(ApiError, match="Upgrade: websocket"):
        await relay.client().call(endpoints.ATTACH, path={"id": "ag-1"}, query=AttachQuery(**SIZE))


async def test_a_size_that_is_no_number_is_refused(relay: RelayInProcess) -> None:
    async with httpx.AsyncClient() as client:
        answer = await client.get(
            f"{relay.url}/api/managed-agents/ag-1/attach?rows=x&columns=1",
            headers={"Authorization": f"Bearer {relay.client().token}"},
        )
    assert answer.status_code == 422
