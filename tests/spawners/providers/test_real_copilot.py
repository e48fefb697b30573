"""The real copilot against a stub model."""

from __future__ import annotations

import json
import os
import uuid
from dataclasses import replace
from pathlib import Path

import pytest
from stub_fixtures import StubModel
from talking import five_turns, run, started

from spawners.providers import events
from spawners.providers.base import ApprovalMode, Ask

copilot = pytest.mark.parametrize("provider", [pytest.param("copilot", marks=pytest.mark.needs("copilot"))])

NASTY = '/help --help it\'s "quoted" $HOME `x` \\ %s\n\n  ünï 漢字 🙂 \x1b[31m\n'
OUTSIDE = Path("/var/tmp/muster-copilot")


def patch(path: str) -> str:
    text = f"*** Begin Patch\n*** Add File: {path}\n+x\n*** End Patch\n"
    return f"TOOL=<<apply_patch {json.dumps({'input': text})}>> "


@copilot
async def test_guarded_allows_edits_in_the_folder_and_git_whatever_the_host_allows(
    provider: str, ask: Ask, model: StubModel
) -> None:
    prompt = (
        f"{NASTY}NONCE=g RUN=<<git --version>> RUN=<<touch made>> RUN=<<git --version; touch made>> "
        + patch("in.txt")
        + patch(str(OUTSIDE)).strip()
    )
    session = str(uuid.UUID(int=7, version=4))
    env = {**ask.env, "COPILOT_ALLOW_ALL": "true"}
    ran = await run(replace(ask, prompt=prompt, session_id=session, env=env), provider, golden="guarded")

    assert ran.code == 0, ran.stderr
    assert (ran.outcome.error, ran.outcome.finished, ran.outcome.tool_calls) == (None, True, 5)
    assert (ran.outcome.text or "").startswith("PONG g")
    assert (ran.outcome.session_id, ran.outcome.model) == (session, "gpt-5.4")
    assert os.listdir(ask.cwd) == ["in.txt"]
    assert not OUTSIDE.exists()
    assert any(prompt in said for said in model.request()["users"])

    resumed = await run(replace(ask, prompt="NONCE=again", resume=session), provider)

    assert (resumed.outcome.text, resumed.outcome.session_id) == ("PONG again", session), resumed


@copilot
async def test_read_only_has_no_tool_that_changes_anything(provider: str, ask: Ask) -> None:
    prompt = (
        'NONCE=ro RUN=<<touch made>> TOOL=<<bash {"command": "touch made", "description": "d"}>> '
        + patch("in.txt")
    )
    ran = await run(replace(ask, prompt=prompt, approval_mode=ApprovalMode.READ_ONLY), provider)

    assert (ran.outcome.text or "").startswith("PONG ro"), ran
    assert os.listdir(ask.cwd) == []


@copilot
async def test_open_runs_what_the_model_wants(provider: str, ask: Ask) -> None:
    prompt = "NONCE=open RUN=<<touch made>>"
    ran = await run(replace(ask, prompt=prompt, approval_mode=ApprovalMode.OPEN), provider)

    assert (ran.code, ran.outcome.error) == (0, None), ran.stderr
    assert os.listdir(ask.cwd) == ["made"]


@copilot
async def test_a_refusal_of_the_model_is_the_error_of_the_run(provider: str, ask: Ask) -> None:
    ran = await run(replace(ask, prompt="FAIL=400"), provider, golden="api-error")

    assert ran.code == 1
    assert ran.outcome.error == "400 stub failure"


@copilot
async def test_a_rate_limit_that_passes_is_told_and_is_no_error(provider: str, ask: Ask) -> None:
    prompt = "NONCE=later FAIL=429*1 RETRY-AFTER=1"
    async with started(replace(ask, prompt=prompt), provider, golden="rate-limit") as talk:
        retrying = await talk.until(events.Retrying)
        ran = await talk.end()

    assert "429" in retrying.message
    assert (ran.code, ran.outcome.text, ran.outcome.error) == (0, "PONG later", None)


@copilot
async def test_a_conversation_asks_is_interrupted_fails_and_goes_on(
    provider: str, ask: Ask, model: StubModel
) -> None:
    await five_turns(provider, ask, model)
