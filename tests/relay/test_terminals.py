"""What is asked of an agent's terminal through its host: send, resize, screen."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from relay_in_process import RelayInProcess
from scripted_host import ScriptedHost, agent

from relay.wire import endpoints
from relay.wire.agents import Mode, Status
from relay.wire.base import now_ms
from relay.wire.commands import CommandEnvelope, OpenCommand, ResizeCommand, ScreenCommand, SendCommand
from relay.wire.errors import ApiError, Code, ErrorDetail
from relay.wire.health import Scope
from relay.wire.terminal import (
    OpenRequest,
    OpenResult,
    Receipt,
    ResizeRequest,
    ScreenFormat,
    ScreenQuery,
    ScreenResult,
    SendRequest,
    SendResult,
)
from relay.wire.windows import DesktopInfo

PATH = {"id": "ag-1"}
SCREEN = ScreenResult(
    agent_id="ag-1", rows=2, columns=3, cursor_row=1, cursor_column=2, cursor_visible=True, title="λ",
    alternate=True, offset=99, format=ScreenFormat.HTML, content="<pre>\n", engine="pyte",
)  # fmt: skip


def embedded(agent_id: str = "ag-1", **facts: Any) -> Any:
    return agent(agent_id, mode=Mode.EMBEDDED, **facts)


@pytest.fixture
async def commands(
    relay: RelayInProcess, host: ScriptedHost
) -> AsyncIterator[AsyncIterator[CommandEnvelope]]:
    await host.report(embedded())
    async with host.commands() as stream:
        yield stream


async def test_a_message_is_answered_with_the_hosts_receipt(
    relay: RelayInProcess, host: ScriptedHost, commands: AsyncIterator[CommandEnvelope]
) -> None:
    request = SendRequest(text="hi\nthere", wait_ms=1000, timeout_ms=2000)
    sending = asyncio.create_task(relay.client().call(endpoints.SEND_TO_AGENT, request, path=PATH))
    envelope = await anext(commands)
    assert envelope.body == SendCommand(agent_id="ag-1", request=request)
    assert envelope.expires_at is not None
    assert 3000 < envelope.expires_at - now_ms() <= 8000, "its deadline is not what the typing may take"
    receipt = SendResult(receipt=Receipt.SUBMITTED, evidence="the title says busy", waited_ms=7, bytes=8)
    await host.ack(envelope, result=msgspec.to_builtins(receipt))
    assert await sending == receipt


async def test_a_window_is_opened_by_a_host_that_knows_of_windows(
    relay: RelayInProcess, host: ScriptedHost, commands: AsyncIterator[CommandEnvelope]
) -> None:
    """One of an earlier version could not read its commands any more, a stop among them."""
    request = OpenRequest(terminal="kitty")
    with pytest.raises(ApiError, match="upgrade it") as refusal:
        await relay.client().call(endpoints.OPEN_AGENT, request, path=PATH)
    assert refusal.value.code is Code.CONFLICT
    await host.register(desktop=DesktopInfo(problem="nobody is logged in"))
    async with host.commands() as stream:
        opening = asyncio.create_task(relay.client().call(endpoints.OPEN_AGENT, request, path=PATH))
        envelope = await anext(stream)
        assert envelope.body == OpenCommand(agent_id="ag-1", request=request)
        result = OpenResult(agent=embedded(), action="opened")
        await host.ack(envelope, result=msgspec.to_builtins(result))
        assert (await opening).action == "opened"


async def test_a_resize_is_answered_with_the_agent(
    relay: RelayInProcess, host: ScriptedHost, commands: AsyncIterator[CommandEnvelope]
) -> None:
    request = ResizeRequest(rows=50, columns=132)
    resizing = asyncio.create_task(relay.client().call(endpoints.RESIZE_AGENT, request, path=PATH))
    envelope = await anext(commands)
    assert envelope.body == ResizeCommand(agent_id="ag-1", request=request)
    await host.ack(envelope, embedded(size={"rows": 50, "columns": 132}))
    assert (await resizing).size == {"rows": 50, "columns": 132}


@pytest.mark.parametrize("status", [Status.RUNNING, Status.SUCCEEDED])
async def test_a_screen_is_shown_also_after_the_end(
    relay: RelayInProcess, host: ScriptedHost, commands: AsyncIterator[CommandEnvelope], status: Status
) -> None:
    await host.report(embedded(status=status))
    query = ScreenQuery(format=ScreenFormat.HTML)
    looking = asyncio.create_task(relay.client().call(endpoints.GET_SCREEN, path=PATH, query=query))
    envelope = await anext(commands)
    assert envelope.body == ScreenCommand(agent_id="ag-1", query=query)
    await host.ack(envelope, result=msgspec.to_builtins(SCREEN))
    assert await looking == SCREEN


async def test_a_large_screen_comes_through(
    relay: RelayInProcess, host: ScriptedHost, commands: AsyncIterator[CommandEnvelope]
) -> None:
    looking = asyncio.create_task(relay.client().call(endpoints.GET_SCREEN, path=PATH))
    large = msgspec.structs.replace(SCREEN, content="x" * 7_000_000)
    await host.ack(await anext(commands), result=msgspec.to_builtins(large))
    assert await looking == large


async def test_an_agent_sees_its_own_screen_and_no_other(
    relay: RelayInProcess, host: ScriptedHost, commands: AsyncIterator[CommandEnvelope]
) -> None:
    own = relay.client(await relay.token(Scope.AGENT, "ag-1"))
    other = relay.client(await relay.token(Scope.AGENT, "ag-2"))
    looking = asyncio.create_task(own.call(endpoints.GET_SCREEN, path=PATH))
    await host.ack(await anext(commands), result=msgspec.to_builtins(SCREEN))
    assert await looking == SCREEN
    for call in (
        other.call(endpoints.GET_SCREEN, path=PATH),
        own.call(endpoints.SEND_TO_AGENT, SendRequest(text="x"), path=PATH),
    ):
        with pytest.raises(ApiError) as refusal:
            await call
        assert refusal.value.code is Code.FORBIDDEN


async def test_the_hosts_refusal_is_passed_on(
    relay: RelayInProcess, host: ScriptedHost, commands: AsyncIterator[CommandEnvelope]
) -> None:
    sending = asyncio.create_task(
        relay.client().call(endpoints.SEND_TO_AGENT, SendRequest(text="x"), path=PATH)
    )
    error = ErrorDetail(code="busy", message="ann types", details={"freeInMs": 900})
    await host.ack(await anext(commands), error=error)
    with pytest.raises(ApiError, match="ann types") as refusal:
        await sending
    assert (refusal.value.code, refusal.value.details) == (Code.BUSY, {"freeInMs": 900})


async def test_an_answer_of_another_shape_is_an_error(
    relay: RelayInProcess, host: ScriptedHost, commands: AsyncIterator[CommandEnvelope]
) -> None:
    looking = asyncio.create_task(relay.client().call(endpoints.GET_SCREEN, path=PATH))
    await host.ack(await anext(commands), result={"rows": "many"})
    with pytest.raises(ApiError, match="something else"):
        await looking


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (SendRequest(), "either text or keys"),
        (SendRequest(text="x", keys=["Enter"]), "either text or keys"),
        (SendRequest(text="", submit=False), "nothing to send"),
        (SendRequest(text="x", wait_ms=-1), "waitMs"),
        (SendRequest(text="x", timeout_ms=0), "timeoutMs"),
        (SendRequest(text="x", timeout_ms=300_001), "timeoutMs"),
    ],
)
async def test_a_message_that_cannot_be_sent_is_refused_at_once(
    relay: RelayInProcess, request_: SendRequest, words: str
) -> None:
    with pytest.raises(ApiError, match=words) as refusal:
        await relay.client().call(endpoints.SEND_TO_AGENT, request_, path=PATH)
    assert refusal.value.code is Code.INVALID


async def test_what_an_agent_cannot_be_asked_is_refused(relay: RelayInProcess, host: ScriptedHost) -> None:
    await host.report(embedded(), agent("ag-2"), embedded("ag-3", status=Status.FAILED))
    size, bad = ResizeRequest(rows=24, columns=80), ResizeRequest(rows=24, columns=0)
    client = relay.client()
    for agent_id, endpoint, body, code in (
        ("ag-1", endpoints.RESIZE_AGENT, bad, Code.INVALID),
        ("ag-2", endpoints.RESIZE_AGENT, size, Code.CONFLICT),
        ("ag-2", endpoints.SEND_TO_AGENT, SendRequest(text="x"), Code.CONFLICT),
        ("ag-2", endpoints.GET_SCREEN, None, Code.CONFLICT),
        ("ag-3", endpoints.RESIZE_AGENT, size, Code.ENDED),
        ("ag-3", endpoints.SEND_TO_AGENT, SendRequest(text="x"), Code.ENDED),
    ):
        with pytest.raises(ApiError) as refusal:
            await client.call(endpoint, body, path={"id": agent_id})
        assert refusal.value.code is code, (agent_id, endpoint.name)
