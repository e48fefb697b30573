"""Real CLIs spoken to over ACP: one process each goes through all that a conversation can hold."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace

import psutil
import pytest
from muster_processes import until
from stub_fixtures import StubModel
from talking import Talk, run, started

from spawners.providers import events
from spawners.providers.base import ApprovalMode, Ask

CLIS = [pytest.param(name, marks=pytest.mark.needs(name)) for name in ("gemini", "qwen")]

SLEEP = "import time; time.sleep(4321)"


async def asked(talk: Talk, *, allow: bool) -> events.ApprovalAsked:
    """Wait until it asks, and decide."""
    asking = await talk.until(events.ApprovalAsked)
    talk.tell("decide", request=asking.id, decision={"allow": allow})
    return asking


async def sleeping(ask: Ask, wanted: bool) -> None:
    """Wait until `SLEEP` runs in the agent's folder, or does not any more."""

    def runs() -> bool:
        listed = psutil.process_iter(["cmdline", "cwd"])
        return any(
            one.info["cwd"] == ask.cwd and (one.info["cmdline"] or [""])[-1] == SLEEP for one in listed
        )

    await asyncio.to_thread(until, lambda: runs() is wanted, f"the tool to run: {wanted}", 60.0)


@pytest.mark.parametrize("provider", CLIS)
async def test_a_conversation_with_everything_in_it(provider: str, ask: Ask) -> None:
    """What is allowed is done, what is denied is not; an interrupt ends turn and tool; an error and a
    change to read-only are told, and it goes on after each."""
    first = "NONCE=one RUN=<<touch allowed>>"
    asks = replace(ask, prompt=first, conversation=True, asks=True)
    async with started(asks, provider, golden="acp-conversation") as talk:
        asking = await asked(talk, allow=True)
        assert "touch allowed" in asking.title
        assert "touch allowed" in asking.input
        statuses = [(await talk.until(events.TurnEnded)).status]

        talk.tell("send", text="NONCE=two RUN=<<touch denied>>")
        await asked(talk, allow=False)
        statuses.append((await talk.until(events.TurnEnded)).status)

        talk.tell("send", text=f"NONCE=three RUN=<<python3 -c '{SLEEP}'>>")
        await asked(talk, allow=True)
        await sleeping(ask, True)
        talk.tell("interrupt")
        statuses.append((await talk.until(events.TurnEnded)).status)
        await sleeping(ask, False)

        talk.tell("send", text="FAIL=400")
        failed = await talk.until(events.TurnEnded)
        assert "stub failure" in (failed.error or "")

        talk.tell("change", mode="read-only")
        talk.tell("send", text="NONCE=four RUN=<<touch four>>")
        assert (await talk.until(events.Changed)).approval_mode == "read-only"
        statuses.append((await talk.until(events.TurnEnded)).status)

        talk.tell("send", text="NONCE=five")
        talk.tell("finish")
        ran = await talk.end()

    assert statuses == ["completed", "completed", "interrupted", "completed"]
    assert os.listdir(ask.cwd) == ["allowed"]
    assert (ran.code, ran.outcome.text, ran.outcome.error) == (0, "PONG five", None), ran.stderr
    assert ran.outcome.usage is not None
    assert (ran.outcome.usage.output_tokens or 0) > 0


@pytest.mark.parametrize("provider", CLIS)
async def test_one_prompt_asks_too_and_ends_by_itself(provider: str, ask: Ask) -> None:
    prompt = "NONCE=one RUN=<<touch allowed>>"
    async with started(replace(ask, prompt=prompt, asks=True), provider, golden="acp-one") as talk:
        await asked(talk, allow=True)
        ran = await talk.end()

    assert (ran.code, ran.outcome.finished, ran.outcome.failure) == (0, True, None), ran.stderr
    assert os.listdir(ask.cwd) == ["allowed"]


@pytest.mark.parametrize("provider", [pytest.param("qwen", marks=pytest.mark.needs("qwen"))])
async def test_a_session_that_is_loaded_is_known_to_the_model_and_tells_nothing_anew(
    provider: str, ask: Ask, model: StubModel
) -> None:
    before = await run(replace(ask, prompt="NONCE=one"), provider)
    again = replace(ask, prompt="NONCE=two", conversation=True, resume=before.outcome.session_id)
    async with started(again, provider, golden="acp-loaded") as talk:
        await talk.until(events.TurnEnded)
        talk.tell("finish")
        ran = await talk.end()

    assert ran.outcome.session_id == before.outcome.session_id
    assert [event.text for event in talk.heard if isinstance(event, events.Said)] == ["PONG two"]
    heard = [user for _ in range(2) for user in model.request()["users"]]
    assert any("NONCE=one" in user for user in heard)


@pytest.mark.parametrize("provider", [pytest.param("gemini", marks=pytest.mark.needs("gemini"))])
async def test_read_only_cannot_be_left_by_approving_one_s_own_plan(provider: str, ask: Ask) -> None:
    prompt = 'NONCE=one TOOL=<<exit_plan_mode {"plan_filename": "plan.md"}>>'
    ran = await run(replace(ask, prompt=prompt, approval_mode=ApprovalMode.READ_ONLY), provider)

    assert ran.outcome.tool_calls == 1
    assert "not found" in (ran.outcome.text or "")
