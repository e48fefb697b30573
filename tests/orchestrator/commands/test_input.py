"""Raw input to agents in a terminal through a real daemon: bytes as they are, in a person's stead never."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import pytest
from interfaces import command, person, screen
from muster_processes import until
from running import Host

from relay.wire import endpoints
from relay.wire.agents import Mode
from relay.wire.errors import ApiError
from relay.wire.steering import InputRequest, InputResult

pytestmark = pytest.mark.usefixtures("nothing_left")


def write(host: Host, agent_id: str, **fields: Any) -> InputResult:
    with host.client() as client:
        return client.call(endpoints.SEND_INPUT, InputRequest(**fields), path={"id": agent_id}, timeout_s=60)


def test_bytes_reach_the_terminal_as_they_are(host: Host) -> None:
    agent_id = command(host, "keys", shows="ready")

    sent = write(host, agent_id, base64=base64.b64encode(b"\x01\x1b[A\xff").decode())

    assert (sent.receipt, sent.bytes) == ("written", 5)
    until(lambda: screen(host, agent_id).split() == ["ready", "01", "1b", "5b", "41", "ff"], "the bytes")


def test_a_new_line_is_enter(host: Host) -> None:
    agent_id = command(host)

    write(host, agent_id, text="hello", newline=True)

    until(lambda: "got 'hello'" in screen(host, agent_id), "the message")


def test_the_end_of_input_is_a_key(host: Host) -> None:
    agent = host.spawn("sh", "-c", "cat; echo read", mode=Mode.EMBEDDED)

    write(host, agent.id, text="line", newline=True, eof=True)

    assert host.ended(agent.id).status == "succeeded"
    assert host.output(agent.id).split() == [b"line", b"line", b"read"]


def test_only_a_part_goes_into_a_program_that_does_not_read(host: Host) -> None:
    agent_id = command(host, "deaf")

    sent = write(host, agent_id, text="x" * 100_000, timeout_ms=300)

    assert sent.receipt == "partial"
    assert 0 < sent.bytes < 100_000


def test_a_line_that_no_line_editor_holds_is_refused_whole(host: Host) -> None:
    agent_id = command(host, "line", shows="ready")

    with pytest.raises(ApiError, match="4095") as error:
        write(host, agent_id, text="x" * 5000, newline=True)
    assert error.value.code == "invalid"


async def test_a_person_who_types_is_not_interrupted(host: Host) -> None:
    agent_id = await asyncio.to_thread(command, host)
    async with person(host, agent_id) as ann:
        await ann.type(b"half a li")

        with pytest.raises(ApiError, match="ann is typing") as error:
            await asyncio.to_thread(write, host, agent_id, text="x")

    assert error.value.code == "busy"
