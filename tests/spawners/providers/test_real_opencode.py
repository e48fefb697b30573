"""The real opencode against a stub model. It takes seconds to start, so each run shows several things."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
from stub_fixtures import StubModel
from talking import five_turns, run

from spawners.providers.base import ApprovalMode, Ask
from spawners.providers.events import Usage

opencode = pytest.mark.parametrize(
    "provider", [pytest.param("opencode", marks=pytest.mark.needs("opencode"))]
)

NASTY = '--help it\'s "quoted" $HOME `x` \\ %s\n\n  ünï 漢字 🙂 \x1b[31m\n'
OUTSIDE = Path("/var/tmp/muster-opencode/made")


def call(tool: str, **arguments: str) -> str:
    return f"TOOL=<<{tool} {json.dumps(arguments)}>> "


@opencode
async def test_guarded_allows_edits_in_the_folder_and_git_and_read_only_not_even_those(
    provider: str, ask: Ask, model: StubModel
) -> None:
    prompt = (
        f"{NASTY}NONCE=g USAGE=100,20,30 RUN=<<git --version>> RUN=<<touch made>> "
        + "RUN=<<git --version; touch made>> "
        + call("write", filePath="in.txt", content="x")
        + call("write", filePath=str(OUTSIDE), content="x")
    )
    first = await run(replace(ask, prompt=prompt), provider, golden="guarded")

    assert first.code == 0, first.stderr
    assert (first.outcome.error, first.outcome.finished, first.outcome.tool_calls) == (None, True, 5)
    assert (first.outcome.text or "").startswith("PONG g")
    assert first.outcome.usage == Usage(
        input_tokens=600, output_tokens=120, cached_input_tokens=180, reasoning_tokens=0
    )
    assert os.listdir(ask.cwd) == ["in.txt"]
    assert not OUTSIDE.exists()
    assert any(prompt in said for _ in range(6) for said in model.request()["users"])

    allowing = {"permission": {"*": "allow", "bash": "allow"}}
    config = {**allowing, "agent": {"build": allowing, "muster": allowing}}
    Path(ask.cwd, "opencode.json").write_text(json.dumps(config))
    wanted = f"NONCE=ro RUN=<<touch made>> {call('bash', command='touch made', description='d')}"
    resumed = replace(
        ask, prompt=wanted, approval_mode=ApprovalMode.READ_ONLY, resume=first.outcome.session_id
    )
    second = await run(resumed, provider, golden="read-only")

    assert second.code == 0, second.stderr
    assert second.outcome.session_id == first.outcome.session_id
    assert (second.outcome.text or "").startswith("PONG ro")
    assert sorted(os.listdir(ask.cwd)) == ["in.txt", "opencode.json"]


@opencode
async def test_open_runs_what_the_model_wants(provider: str, ask: Ask) -> None:
    prompt = "NONCE=open RUN=<<touch made>>"
    ran = await run(replace(ask, prompt=prompt, approval_mode=ApprovalMode.OPEN), provider)

    assert (ran.code, ran.outcome.error) == (0, None), ran.stderr
    assert os.listdir(ask.cwd) == ["made"]


@opencode
async def test_a_refusal_of_the_model_is_the_error_of_the_run(provider: str, ask: Ask) -> None:
    ran = await run(replace(ask, prompt="FAIL=400"), provider, golden="api-error")

    assert ran.code == 1
    assert ran.outcome.error == "stub failure"


@opencode
async def test_a_conversation_asks_is_interrupted_fails_and_goes_on(
    provider: str, ask: Ask, model: StubModel
) -> None:
    await five_turns(provider, ask, model)
