"""Sending to agents in a terminal through a real daemon: whose turn it is, what is refused and answered."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from interfaces import claude, command, person, screen
from muster_processes import until
from running import Host

from relay.wire import endpoints
from relay.wire.errors import ApiError
from relay.wire.terminal import Receipt, SendRequest, SendResult

pytestmark = pytest.mark.usefixtures("nothing_left")


def send(host: Host, agent_id: str, text: str | None = None, **fields: Any) -> SendResult:
    request = SendRequest(text=text, **fields)
    with host.client() as client:
        return client.call(endpoints.SEND_TO_AGENT, request, path={"id": agent_id}, timeout_s=60)


def refused(host: Host, agent_id: str, text: str | None = None, **fields: Any) -> ApiError:
    with pytest.raises(ApiError) as error:
        send(host, agent_id, text, **fields)
    return error.value


def test_a_message_is_answered_with_a_receipt(host: Host) -> None:
    agent_id = command(host, "paste")

    sent = send(host, agent_id, "hello\nwörld\n")

    assert sent.receipt is Receipt.SUBMITTED
    assert sent.evidence == "its input was cleared"
    assert sent.bytes == len("hello\nwörld".encode()) + 13
    assert sent.last_line == "❯"
    assert "got " + ascii("hello\nwörld") in screen(host, agent_id)


def test_what_is_known_of_the_provider_counts_as_evidence(host: Host) -> None:
    sent = send(host, claude(host, "paste", "blind", "works"), "hello")

    assert (sent.receipt, sent.evidence) == (Receipt.SUBMITTED, "claude is working on a turn")


def test_keys_are_pressed_by_name(host: Host) -> None:
    agent_id = command(host, "keys", shows="ready")

    sent = send(host, agent_id, keys=["C-a", "F5", "Enter"])

    assert sent.receipt is Receipt.TYPED
    pressed = ["01", "1b", "5b", "31", "35", "7e", "0d"]
    until(lambda: screen(host, agent_id).split() == ["ready", *pressed], "the keys")


@pytest.mark.parametrize(
    ("fields", "code", "words"),
    [
        ({}, "invalid", "text or keys"),
        ({"text": "a", "keys": ["Enter"]}, "invalid", "text or keys"),
        ({"text": " \n"}, "invalid", "blank"),
        ({"text": "a\x1b[A"}, "invalid", "control character"),
        ({"text": "a\nb"}, "invalid", "takes no paste"),
        ({"text": "x" * 1_000_000}, "too_large", "921600 bytes"),
        ({"keys": ["Entr"]}, "invalid", "no key 'Entr'"),
        ({"keys": ["S-Enter"]}, "invalid", "no key 'S-Enter'"),
        ({"keys": ["a"] * 300}, "too_large", "256"),
        ({"text": "a", "wait_ms": -1}, "invalid", "waitMs"),
        ({"text": "a", "timeout_ms": 0}, "invalid", "timeoutMs"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_what_cannot_be_typed_is_refused_before_anything_is(
    host: Host, fields: dict[str, Any], code: str, words: str
) -> None:
    agent_id = command(host)
    before = screen(host, agent_id)

    error = refused(host, agent_id, **fields)

    assert (error.code, words in error.message) == (code, True), error.message
    assert screen(host, agent_id) == before


def test_an_agent_on_pipes_has_no_terminal(host: Host) -> None:
    agent = host.spawn("sleep", "1000")

    error = refused(host, agent.id, "hello")

    assert (error.code, "no terminal" in error.message) == ("conflict", True)


def test_an_agent_that_has_ended_takes_nothing(host: Host) -> None:
    agent_id = command(host, "ends")

    assert send(host, agent_id, "bye").receipt is Receipt.SUBMITTED
    host.ended(agent_id)
    assert refused(host, agent_id, "hello").code == "ended"


@pytest.mark.parametrize("fields", [{"text": "yes"}, {"keys": ["Enter"]}], ids=str)
def test_a_question_to_a_person_is_answered_by_nothing_automatic(host: Host, fields: dict[str, Any]) -> None:
    agent_id = claude(host, "paste", "menu", shows="Esc to cancel")
    before = screen(host, agent_id)

    error = refused(host, agent_id, **fields)

    assert error.code == "conflict"
    assert "asks for an approval" in error.message
    assert error.details["activity"] == "blocked"
    assert screen(host, agent_id) == before
    forced = send(host, agent_id, **fields, force=True, timeout_ms=1500)
    assert forced.receipt is not Receipt.UNKNOWN


def test_a_password_prompt_is_answered_by_nothing_automatic(host: Host) -> None:
    agent_id = command(host, "hidden", shows="ready")

    error = refused(host, agent_id, "secret")

    assert (error.code, "password" in error.message) == ("conflict", True)
    assert send(host, agent_id, "secret", force=True).receipt is Receipt.SUBMITTED
    until(lambda: "got 'secret\\n'" in screen(host, agent_id), "the secret")


async def test_a_person_who_types_goes_first(host: Host) -> None:
    agent_id = await asyncio.to_thread(command, host, "paste")
    async with person(host, agent_id) as ann:
        await ann.type(b"I was here\r")

        error = await asyncio.to_thread(refused, host, agent_id, "hello", wait_ms=100)
        assert (error.code, "ann is typing" in error.message) == ("busy", True), error.message

        sent = await asyncio.to_thread(send, host, agent_id, "hello", wait_ms=60_000)
    assert sent.receipt is Receipt.SUBMITTED
    assert sent.waited_ms > 100
    assert "got 'I was here'\ngot 'hello'" in screen(host, agent_id)


def test_a_program_that_still_starts_gets_nothing_before_it_is_ready(host: Host, fifo: Path) -> None:
    agent_id = claude(host, "paste", "works", f"await:{fifo}", shows="")

    error = refused(host, agent_id, "hello", wait_ms=200)
    assert (error.code, "not ready" in error.message) == ("busy", True), error.message

    opened = threading.Timer(0.3, lambda: fifo.open("w").close())
    opened.start()
    sent = send(host, agent_id, "hello", wait_ms=60_000)
    opened.join()

    assert sent.receipt is Receipt.SUBMITTED
    assert "got 'hello'" in screen(host, agent_id)


def test_messages_that_come_at_once_go_in_one_after_the_other(host: Host) -> None:
    agent_id = command(host, "paste")
    texts = [f"message {number}\nof two lines" for number in range(5)]

    with ThreadPoolExecutor(len(texts)) as pool:
        sent = list(pool.map(lambda text: send(host, agent_id, text, wait_ms=60_000), texts))

    assert {each.receipt for each in sent} == {Receipt.SUBMITTED}
    assert all("got " + ascii(text) in screen(host, agent_id) for text in texts)


def test_a_message_that_is_long_about_it_holds_up_the_next_only_so_long(host: Host) -> None:
    agent_id = command(host, "swallow")

    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(send, host, agent_id, "hello", timeout_ms=3000)
        until(lambda: "hello" in screen(host, agent_id), "the first to be typed")
        error = refused(host, agent_id, "second", wait_ms=100)

    assert (error.code, "another message" in error.message) == ("busy", True), error.message
    assert first.result().receipt is Receipt.TYPED
