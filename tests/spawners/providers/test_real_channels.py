"""Real CLIs spoken to over their machine channel: approvals, further messages, interrupts, changes."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace

import psutil
import pytest
from muster_processes import until
from stub_fixtures import StubModel
from talking import Talk, started

from spawners.providers import events
from spawners.providers.base import ApprovalMode, Ask

CLIS = [pytest.param(name, marks=pytest.mark.needs(name)) for name in ("claude", "codex")]

MADE = "made"

ASKS = {
    "claude": "RUN=<<sh -c 'echo 1 > made'>>",
    "codex": 'TOOL=<<exec_command {"cmd": "touch made", "sandbox_permissions": "require_escalated", '
    '"justification": "it has to be made"}>>',
}
"""What each CLI asks an approval for in `guarded`: it would make the file `made`."""

DOES = ASKS | {"codex": "RUN=<<touch made>>"}
"""The same without a word of asking, where nobody can be asked: codex then refuses what is asked for."""


async def asked(talk: Talk, **decision: object) -> events.ApprovalAsked:
    """Wait until it asks, and decide."""
    asking = await talk.until(events.ApprovalAsked)
    talk.tell("decide", request=asking.id, decision=decision)
    return asking


async def sleeping(ask: Ask, wanted: bool) -> None:
    """Wait until a `sleep` runs in the agent's folder, or none does any more."""

    def runs() -> bool:
        listed = psutil.process_iter(["name", "cwd"])
        return any(one.info["name"] == "sleep" and one.info["cwd"] == ask.cwd for one in listed)

    await asyncio.to_thread(until, lambda: runs() is wanted, f"sleep to be there: {wanted}", 60.0)


@pytest.mark.parametrize("provider", CLIS)
async def test_what_is_approved_is_done(provider: str, ask: Ask) -> None:
    prompt = f"NONCE=yes {ASKS[provider]}"
    async with started(replace(ask, prompt=prompt, asks=True), provider, golden="allowed") as talk:
        asking = await asked(talk, allow=True)
        ran = await talk.end()

    assert "made" in asking.title
    assert "made" in asking.input
    assert (ran.code, ran.outcome.error, ran.outcome.finished) == (0, None, True), ran
    assert (ran.outcome.text or "").startswith("PONG yes")
    assert os.listdir(ask.cwd) == [MADE]


@pytest.mark.parametrize("provider", CLIS)
async def test_what_is_denied_is_not_done_and_the_reason_is_passed_on(
    provider: str, ask: Ask, model: StubModel
) -> None:
    prompt = f"NONCE=no {ASKS[provider]}"
    async with started(replace(ask, prompt=prompt, asks=True), provider, golden="denied") as talk:
        await asked(talk, allow=False, reason="not on a Friday")
        ran = await talk.end()

    assert (ran.code, ran.outcome.finished) == (0, True), ran
    assert os.listdir(ask.cwd) == []
    if provider in PASS_REASONS_ON:
        assert "not on a Friday" in (ran.outcome.text or "")


PASS_REASONS_ON = {"claude"}


@pytest.mark.parametrize("provider", CLIS)
async def test_without_anybody_to_ask_it_is_not_done_and_nothing_waits(provider: str, ask: Ask) -> None:
    prompt = f"NONCE=no {ASKS[provider]}"
    async with started(replace(ask, prompt=prompt, conversation=True), provider) as talk:
        await talk.until(events.TurnEnded)
        talk.tell("finish")
        ran = await talk.end()

    assert ran.code == 0
    assert os.listdir(ask.cwd) == []


@pytest.mark.parametrize("provider", CLIS)
async def test_a_conversation_goes_on_after_a_turn_an_interrupt_and_an_error(
    provider: str, ask: Ask, model: StubModel
) -> None:
    """One process, four turns: what is sent while one runs waits for its end."""
    asks = replace(ask, prompt="NONCE=one", conversation=True, asks=True)
    async with started(asks, provider, golden="conversation") as talk:
        first = await talk.until(events.TurnEnded)
        talk.tell("send", text="NONCE=two SLOW=60")
        await asyncio.to_thread(model.request)
        await asyncio.to_thread(model.request)
        talk.tell("send", text="FAIL=400")
        talk.tell("interrupt")
        second = await talk.until(events.TurnEnded)
        third = await talk.until(events.TurnEnded)
        talk.tell("send", text="NONCE=four")
        talk.tell("finish")
        ran = await talk.end()

    assert [ended.status for ended in (first, second, third)] == ["completed", "interrupted", "failed"]
    assert "stub failure" in (third.error or "")
    assert (ran.outcome.text, ran.outcome.error, ran.outcome.finished) == ("PONG four", None, True), ran


@pytest.mark.parametrize("provider", CLIS)
async def test_an_interrupt_ends_the_tool_that_runs(provider: str, ask: Ask) -> None:
    prompt = "NONCE=one RUN=<<sleep 4321>>"
    asks = replace(ask, prompt=prompt, conversation=True, asks=True)
    async with started(asks, provider, golden="tool-interrupted") as talk:
        await talk.until(events.ToolStarted)
        await sleeping(ask, True)
        talk.tell("interrupt")
        ended = await talk.until(events.TurnEnded)
        assert ended.status == "interrupted"
        await sleeping(ask, False)
        talk.tell("send", text="NONCE=two")
        talk.tell("finish")
        ran = await talk.end()

    assert ran.outcome.text == "PONG two"


@pytest.mark.parametrize("provider", CLIS)
async def test_a_conversation_goes_on_with_another_model(provider: str, ask: Ask, model: StubModel) -> None:
    async with started(replace(ask, prompt="NONCE=one", conversation=True), provider) as talk:
        await talk.until(events.TurnEnded)
        talk.tell("change", model="another-model")
        talk.tell("send", text="NONCE=two")
        talk.tell("finish")
        ran = await talk.end()

    assert ran.outcome.text == "PONG two"
    seen = [model.request()["model"] for _ in range(2)]
    assert seen[1] == "another-model" != seen[0]


SANDBOX = {"IS_SANDBOX": "1"}
"""Without that claude, run by root, refuses to be `open`."""


@pytest.mark.parametrize(("mode", "made"), [("read-only", []), ("open", [MADE])])
@pytest.mark.parametrize("provider", CLIS)
async def test_only_guarded_asks_read_only_never_does_it_and_open_always(
    provider: str, mode: str, made: list[str], ask: Ask
) -> None:
    fields = {"conversation": True, "asks": True, "approval_mode": ApprovalMode(mode)}
    asks = replace(ask, env={**ask.env, **SANDBOX}, prompt=f"NONCE=x {DOES[provider]}", **fields)
    async with started(asks, provider) as talk:
        await talk.until(events.TurnEnded)
        talk.tell("finish")
        ran = await talk.end()

    assert ran.outcome.error is None
    assert not any(isinstance(event, events.ApprovalAsked) for event in talk.heard)
    assert os.listdir(ask.cwd) == made


@pytest.mark.parametrize("provider", CLIS)
async def test_a_conversation_that_is_open_can_be_guarded_and_open_again(provider: str, ask: Ask) -> None:
    fields = {"conversation": True, "asks": True, "approval_mode": ApprovalMode.OPEN}
    asks = replace(ask, env={**ask.env, **SANDBOX}, prompt="NONCE=x", **fields)
    async with started(asks, provider, golden="modes") as talk:
        await talk.until(events.TurnEnded)
        talk.tell("change", mode="guarded")
        talk.tell("send", text=f"NONCE=y {ASKS[provider]}")
        assert (await talk.until(events.Changed)).approval_mode == "guarded"
        await asked(talk, allow=False)
        await talk.until(events.TurnEnded)
        assert os.listdir(ask.cwd) == []
        talk.tell("change", mode="open")
        talk.tell("send", text=f"NONCE=z {DOES[provider]}")
        assert (await talk.until(events.Changed)).approval_mode == "open"
        talk.tell("finish")
        ran = await talk.end()

    assert (ran.code, ran.outcome.error) == (0, None)
    assert os.listdir(ask.cwd) == [MADE]


@pytest.mark.parametrize("provider", CLIS)
async def test_what_is_said_reaches_the_model_byte_for_byte(
    provider: str, ask: Ask, model: StubModel
) -> None:
    first = "--help 'it\\'s' \"quoted\" $HOME `x` %s\n\ntwo\r\n\tthree\nNONCE=one"
    second = "\n ünï 漢字 🙂 \u200d \x1b[31m \x07 \u2028 " + "x" * 1_000_000 + "\nNONCE=two"
    async with started(replace(ask, prompt=first, conversation=True), provider) as talk:
        await talk.until(events.TurnEnded)
        talk.tell("send", text=second)
        talk.tell("finish")
        ran = await talk.end()

    assert ran.outcome.text == "PONG two"
    assert first in model.request()["users"]
    assert second in model.request()["users"]
