"""Output from a host to a reader."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
from relay_in_process import RelayInProcess, eventually
from scripted_host import ScriptedHost, agent

from relay.wire import endpoints
from relay.wire.agents import Status
from relay.wire.client import Unreachable
from relay.wire.commands import OutputCommand
from relay.wire.errors import ApiError, Code, ErrorDetail
from relay.wire.output import MEDIA_TYPE, Frame, FrameDecoder, Kind, encode_frame, gap_frame
from relay.wire.queries import OutputQuery


async def sent(*frames: Frame) -> AsyncIterator[bytes]:
    for frame in frames:
        yield encode_frame(frame)


async def output_command(commands: AsyncIterator[Any]) -> OutputCommand:
    envelope = await anext(commands)
    assert envelope.id == 0
    assert isinstance(envelope.body, OutputCommand)
    return envelope.body


async def frames(relay: RelayInProcess, agent_id: str, **query: Any) -> list[Frame]:
    decoder = FrameDecoder()
    found: list[Frame] = []
    async with relay.client().stream(
        endpoints.READ_OUTPUT, path={"id": agent_id}, query=OutputQuery(**query), accept=MEDIA_TYPE
    ) as response:
        async for piece in response.aiter_bytes():
            found += decoder.feed(piece)
    return found


async def test_frames_arrive_as_the_host_sent_them(relay: RelayInProcess, host: ScriptedHost) -> None:
    await host.report(agent("ag-1"))
    script = [
        Frame(7, Kind.STDOUT, b"out"),
        Frame(10, Kind.STDERR, b"err"),
        gap_frame(13, 99),
        Frame(99, Kind.END),
    ]
    async with host.commands() as commands:
        reading = asyncio.create_task(frames(relay, "ag-1", offset=7, limit=50, follow=True))
        asked = await output_command(commands)
        assert (asked.agent_id, asked.offset, asked.limit, asked.follow) == ("ag-1", 7, 50, True)
        await host.upload(asked.stream_id, sent(*script))
        assert await reading == script


async def test_a_plain_reader_gets_bytes_and_where_they_begin(
    relay: RelayInProcess, host: ScriptedHost
) -> None:
    await host.report(agent("ag-1"))

    async def read() -> tuple[str, bytes]:
        query = OutputQuery(tail=6)
        async with relay.client().stream(endpoints.READ_OUTPUT, path={"id": "ag-1"}, query=query) as response:
            return response.headers["Muster-Offset"], await response.aread()

    async with host.commands() as commands:
        reading = asyncio.create_task(read())
        asked = await output_command(commands)
        assert asked.tail == 6
        script = [
            gap_frame(0, 40),
            Frame(40, Kind.STDOUT, b"a\xff"),
            Frame(42, Kind.STDERR, b"b\n"),
            Frame(44, Kind.PAUSE),
        ]
        await host.upload(asked.stream_id, sent(*script))
        assert await reading == ("40", b"a\xffb\n")


async def test_a_request_is_repeated_on_the_hosts_next_stream(
    relay: RelayInProcess, host: ScriptedHost
) -> None:
    await host.report(agent("ag-1"))
    async with host.commands() as commands:
        reading = asyncio.create_task(frames(relay, "ag-1"))
        first = await output_command(commands)
    async with host.commands() as commands:
        assert await output_command(commands) == first
        await host.upload(first.stream_id, sent(Frame(0, Kind.PAUSE)))
    assert await reading == [Frame(0, Kind.PAUSE)]


async def test_a_reader_that_goes_away_stops_the_host(relay: RelayInProcess, host: ScriptedHost) -> None:
    await host.report(agent("ag-1"))
    sent_bytes = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent_bytes
        while True:
            yield encode_frame(Frame(sent_bytes, Kind.STDOUT, b"x" * 65536))
            sent_bytes += 65536

    async with host.commands() as commands:
        uploading = asyncio.create_task(_asked(host, commands, endless()))
        async with relay.client().stream(
            endpoints.READ_OUTPUT, path={"id": "ag-1"}, query=OutputQuery(follow=True), accept=MEDIA_TYPE
        ) as response:
            await anext(response.aiter_bytes())
        async with asyncio.timeout(60):
            with contextlib.suppress(Unreachable):
                await uploading


FRAMES = 2048
"""128 MiB: each of the two connections may hold tcp_rmem[2] + tcp_wmem[2] in the kernel, often 38 MB."""


async def test_a_slow_reader_holds_the_host_back(relay: RelayInProcess, host: ScriptedHost) -> None:
    await host.report(agent("ag-1"))
    progress = 0

    async def much() -> AsyncIterator[bytes]:
        nonlocal progress
        for number in range(FRAMES):
            yield encode_frame(Frame(number * 65536, Kind.STDOUT, b"x" * 65536))
            progress = number
        yield encode_frame(Frame(FRAMES * 65536, Kind.END))

    async with host.commands() as commands:
        asking = asyncio.create_task(_asked(host, commands, much()))
        async with relay.client().stream(
            endpoints.READ_OUTPUT, path={"id": "ag-1"}, query=OutputQuery(follow=True), accept=MEDIA_TYPE
        ) as response:
            held = -1
            while progress != held:
                held = progress
                await asyncio.sleep(0.3)
            assert held < FRAMES * 3 // 4, "128 MiB went in although nobody read"
            received = b"".join([piece async for piece in response.aiter_bytes()])
        await asking
    assert len(received) == FRAMES * (65536 + 13) + 13


async def _asked(host: ScriptedHost, commands: AsyncIterator[Any], content: AsyncIterator[bytes]) -> None:
    asked = await output_command(commands)
    await host.upload(asked.stream_id, content)


async def test_the_hosts_refusal_is_the_readers(relay: RelayInProcess, host: ScriptedHost) -> None:
    await host.report(agent("ag-1"))
    async with host.commands() as commands:
        reading = asyncio.create_task(frames(relay, "ag-1"))
        asked = await output_command(commands)
        await host.refuse_upload(asked.stream_id, ErrorDetail(code="not_found", message="pruned after 24 h"))
        with pytest.raises(ApiError, match="pruned after 24 h") as refusal:
            await reading
    assert refusal.value.code is Code.NOT_FOUND


async def test_only_the_host_that_was_asked_may_answer_and_only_once(
    relay: RelayInProcess, host: ScriptedHost
) -> None:
    await host.report(agent("ag-1"))
    other = ScriptedHost(relay.client(), "h2")
    await other.register()
    async with host.commands() as commands:
        reading = asyncio.create_task(frames(relay, "ag-1"))
        asked = await output_command(commands)
        with pytest.raises(ApiError, match="nobody waits"):
            await other.upload(asked.stream_id, sent())
        await host.upload(asked.stream_id, sent(Frame(0, Kind.END)))
        with pytest.raises(ApiError, match="nobody waits"):
            await host.upload(asked.stream_id, sent())
        assert await reading == [Frame(0, Kind.END)]


async def test_an_agent_that_never_ran_has_no_output(relay: RelayInProcess) -> None:
    queued = await relay.spawn(queue_timeout_ms=200)
    assert await frames(relay, queued.id) == [Frame(0, Kind.PAUSE)]
    following = asyncio.create_task(frames(relay, queued.id, follow=True))
    await relay.get(queued.id, "ended")
    assert await following == [Frame(0, Kind.END)]


async def test_following_a_queued_agent_begins_when_it_runs(
    relay: RelayInProcess, host: ScriptedHost
) -> None:
    queued = await relay.spawn()
    following = asyncio.create_task(frames(relay, queued.id, follow=True))
    async with host.commands() as commands:
        await host.ack(await anext(commands), agent(queued.id, Status.RUNNING))
        asked = await output_command(commands)
        await host.upload(asked.stream_id, sent(Frame(0, Kind.END)))
    assert await following == [Frame(0, Kind.END)]


async def test_a_silent_host_is_a_timeout(start_relay: Any) -> None:
    relay = await start_relay(upload_timeout_s=0.1)
    host = ScriptedHost(relay.client())
    await host.register()
    await host.report(agent("ag-1"))
    with pytest.raises(ApiError) as refusal:
        await frames(relay, "ag-1")
    assert refusal.value.code is Code.TIMEOUT


async def test_an_absent_host_is_said_to_be_offline(start_relay: Any) -> None:
    relay = await start_relay()
    host = ScriptedHost(relay.client())
    await host.register()
    await host.report(agent("ag-1"))
    relay.relay._leases.extend(-1000)

    async def reached() -> bool:
        return (await relay.client().call(endpoints.LIST_HOSTS))[0].offline_since is not None

    await eventually(reached)
    with pytest.raises(ApiError) as refusal:
        await frames(relay, "ag-1")
    assert refusal.value.code is Code.HOST_OFFLINE
    assert refusal.value.details["offlineSince"]


async def test_bad_offsets_are_refused(relay: RelayInProcess, host: ScriptedHost) -> None:
    await host.report(agent("ag-1"))
    with pytest.raises(ApiError) as refusal:
        await frames(relay, "ag-1", offset=-1)
    assert refusal.value.code is Code.INVALID
