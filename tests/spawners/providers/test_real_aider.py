"""The real aider against a stub model. What it edits stands in the model's answers; it has no tool calls."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from stub_fixtures import StubModel
from talking import run

from spawners.providers.base import ApprovalMode, Ask

aider = pytest.mark.parametrize("provider", [pytest.param("aider", marks=pytest.mark.needs("aider"))])

EDIT = "NONCE=x SAY=<<Here it is:\n\nmade.txt\n```\nhello\n```\n>>SAY"
COMMAND = "NONCE=x SAY=<<Run it:\n\n```bash\ntouch made\n```\n>>SAY"
SHELL_MODEL = "openai/gpt-4o"
"""One that aider lets suggest commands, for it knows it."""


@aider
async def test_open_edits_what_the_model_says_and_commits_nothing(
    provider: str, ask: Ask, model: StubModel
) -> None:
    prompt = f'--help it\'s "quoted" $HOME `x` \\ %s\n\n  ünï 漢字 🙂\n{EDIT} USAGE=1000,20'
    ran = await run(replace(ask, prompt=prompt, approval_mode=ApprovalMode.OPEN), provider, golden="open")

    assert (ran.code, ran.outcome.error, ran.outcome.finished) == (0, None, True), ran
    assert (ran.outcome.text or "").startswith("Here it is:")
    assert ran.outcome.model == "openai/stub-model"
    assert ran.outcome.usage is not None
    assert (ran.outcome.usage.input_tokens, ran.outcome.usage.output_tokens) == (1000, 20)
    assert os.listdir(ask.cwd) == ["made.txt"]
    assert any(prompt in said for said in model.request()["users"])


@aider
async def test_open_runs_the_commands_the_model_suggests(provider: str, ask: Ask) -> None:
    ran = await run(
        replace(ask, prompt=COMMAND, model=SHELL_MODEL, approval_mode=ApprovalMode.OPEN), provider
    )

    assert ran.code == 0, ran.stderr
    assert os.listdir(ask.cwd) == ["made"]


@aider
@pytest.mark.parametrize("prompt", [EDIT, COMMAND, "!touch made"], ids=["edit", "command", "bang"])
async def test_read_only_changes_nothing(provider: str, prompt: str, ask: Ask) -> None:
    """A command of the folder's own configuration is not run either."""
    Path(ask.cwd, ".aider.conf.yml").write_text("load: commands\nauto-test: true\ntest-cmd: touch tested\n")
    Path(ask.cwd, "commands").write_text("/run touch loaded\n")
    before = sorted(os.listdir(ask.cwd))
    model = SHELL_MODEL if prompt == COMMAND else None
    await run(replace(ask, prompt=prompt, model=model, approval_mode=ApprovalMode.READ_ONLY), provider)

    assert sorted(os.listdir(ask.cwd)) == before


@aider
async def test_a_refusal_of_the_model_is_the_error_of_the_run_although_it_exits_with_0(
    provider: str, ask: Ask
) -> None:
    ran = await run(
        replace(ask, prompt="FAIL=400", approval_mode=ApprovalMode.OPEN), provider, golden="api-error"
    )

    assert ran.code == 0
    assert "stub failure" in (ran.outcome.failure or ""), ran
