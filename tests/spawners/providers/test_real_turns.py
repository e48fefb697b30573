"""The plans of the providers, run by the real CLIs against a stub model."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from stub_fixtures import StubModel
from talking import run, started

from spawners.providers.base import ApprovalMode, Ask
from spawners.providers.registry import BUILTIN

CLIS = [pytest.param(name, marks=pytest.mark.needs(name)) for name in ("claude", "codex", "gemini", "qwen")]

NO_SHELL = {"qwen"}
"""CLIs that offer the model no shell in `guarded` where nobody answers."""

EXIT_0 = {"qwen"}
"""CLIs whose exit code does not tell that the model's API has failed."""


@pytest.mark.parametrize("provider", CLIS)
async def test_a_turn_ends_with_the_model_s_answer_and_a_session_to_resume(
    provider: str, ask: Ask, model: StubModel
) -> None:
    first = await run(replace(ask, prompt="NONCE=one"), provider)

    assert first.code == 0, first.stderr
    assert first.outcome.session_id
    assert (first.outcome.text, first.outcome.error, first.outcome.finished) == ("PONG one", None, True)

    resumed = replace(ask, prompt="NONCE=two", resume=first.outcome.session_id)
    second = await run(resumed, provider)

    assert second.code == 0, second.stderr
    assert second.outcome.text == "PONG two"
    assert "NONCE=one" in "".join(model.request()["users"])


PROMPTS = [
    pytest.param("--help", id="leading-dash"),
    pytest.param("-", id="dash"),
    pytest.param('it\'s "quoted" $HOME `x` \\ %s', id="quotes"),
    pytest.param("one\n\ntwo\r\n\tthree", id="lines"),
    pytest.param("\n  indented at the start", id="space-first"),
    pytest.param("ünï 漢字 🙂 \u200d \x1b[31m \x07", id="unicode-and-controls"),
    pytest.param("x" * 1_000_000, id="one-megabyte-of-a-line"),
]


@pytest.mark.parametrize("text", PROMPTS)
@pytest.mark.parametrize("provider", CLIS)
async def test_the_prompt_reaches_the_model_byte_for_byte(
    provider: str, text: str, ask: Ask, model: StubModel
) -> None:
    prompt = f"{text}\nNONCE=exact"
    ran = await run(replace(ask, prompt=prompt), provider)

    assert ran.code == 0, ran.stderr
    users = model.request()["users"]
    assert any(prompt in said for said in users), users[-1][-300:]


@pytest.mark.parametrize("provider", CLIS)
async def test_read_only_changes_nothing(provider: str, ask: Ask) -> None:
    command = f"touch {ask.cwd}/made"
    wanted = replace(ask, prompt=f"NONCE=ro RUN=<<{command}>>", approval_mode=ApprovalMode.READ_ONLY)
    await run(wanted, provider)

    assert os.listdir(ask.cwd) == []


@pytest.mark.parametrize("provider", CLIS)
async def test_open_runs_what_the_model_wants(provider: str, ask: Ask) -> None:
    env = {**ask.env, "IS_SANDBOX": "1"}
    prompt = f"NONCE=open RUN=<<touch {ask.cwd}/made>>"
    wanted = replace(ask, env=env, prompt=prompt, approval_mode=ApprovalMode.OPEN)
    ran = await run(wanted, provider, golden="open")

    assert ran.code == 0, ran.stderr
    assert os.listdir(ask.cwd) == ["made"]


@pytest.mark.parametrize("provider", [cli for cli in CLIS if cli.values[0] not in NO_SHELL])
async def test_guarded_runs_git_without_being_asked(provider: str, ask: Ask) -> None:
    ran = await run(replace(ask, prompt="NONCE=g RUN=<<git --version>>"), provider, golden="one-shot")

    assert ran.code == 0, ran.stderr
    assert "git version" in (ran.outcome.text or ""), ran


@pytest.mark.parametrize("provider", CLIS)
async def test_guarded_writes_nothing_outside_the_folder(provider: str, ask: Ask) -> None:
    """Save for /tmp, which codex lets its sandbox use."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as outside:
        await run(replace(ask, prompt=f"NONCE=g RUN=<<touch {outside}/made>>"), provider)

        assert os.listdir(outside) == []


@pytest.mark.parametrize("provider", [pytest.param("qwen", marks=pytest.mark.needs("qwen"))])
@pytest.mark.parametrize(
    "call", ["RUN=<<touch made>>", 'TOOL=<<monitor {"command": "touch made", "description": "d"}>>']
)
async def test_no_settings_of_the_folder_give_a_guarded_run_its_shell_back(
    provider: str, call: str, ask: Ask
) -> None:
    tools = ["run_shell_command", "monitor"]
    Path(ask.cwd, ".qwen").mkdir()
    settings = {"permissions": {"allow": tools}, "tools": {"allowed": tools}}
    Path(ask.cwd, ".qwen", "settings.json").write_text(json.dumps(settings))

    ran = await run(replace(ask, prompt=f"NONCE=g {call}"), provider)

    assert ran.code == 0, ran.stderr
    assert os.listdir(ask.cwd) == [".qwen"]


@pytest.mark.parametrize("provider", CLIS)
async def test_a_refusal_of_the_model_is_the_error_of_the_run(provider: str, ask: Ask) -> None:
    ran = await run(replace(ask, prompt="FAIL=400"), provider, golden="api-error")

    assert ran.code != 0 or provider in EXIT_0
    assert "stub failure" in (ran.outcome.error or ""), ran


@pytest.mark.parametrize("provider", CLIS)
async def test_a_version_is_read_from_what_the_cli_prints(provider: str, ask: Ask) -> None:
    adapter = BUILTIN.get(provider)
    process = await asyncio.create_subprocess_exec(
        ask.executable or provider,
        *adapter.version_argv,
        env=dict(ask.env),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate()

    assert (adapter.parse_version(out.decode()) or "").count(".") == 2


@pytest.mark.parametrize("provider", [pytest.param("claude", marks=pytest.mark.needs("claude"))])
async def test_an_interrupted_turn_has_failed_although_its_exit_code_is_0(
    provider: str, ask: Ask, model: StubModel
) -> None:
    """Interrupted before the answer has begun, it says nothing at all: its run has no end."""
    async with started(replace(ask, prompt="NONCE=slow SLOW=60"), provider) as talk:
        await asyncio.to_thread(model.request)
        os.killpg(talk.process.pid, signal.SIGINT)
        ran = await talk.end()

    assert ran.code == 0
    assert ran.outcome.failure
    assert ran.outcome.text is None
