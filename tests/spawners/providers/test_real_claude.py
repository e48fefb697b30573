"""What only claude can do, by the real CLI."""

from __future__ import annotations

from dataclasses import replace

import pytest
from stub_fixtures import StubModel
from talking import run, started

from spawners.providers import events
from spawners.providers.base import Ask

pytestmark = [pytest.mark.needs("claude"), pytest.mark.parametrize("provider", ["claude"])]

QUESTION = (
    'TOOL=<<AskUserQuestion {"questions": [{"question": "Which colour?", "header": "Colour", '
    '"multiSelect": false, "options": [{"label": "Red", "description": "r"}, '
    '{"label": "Blue", "description": "b"}]}]}>>'
)


async def test_it_stops_after_as_many_answers_as_it_was_given(provider: str, ask: Ask) -> None:
    prompt = "NONCE=x RUN=<<git --version>> RUN=<<git --version>>"
    ran = await run(replace(ask, prompt=prompt, max_turns=1), provider, golden="max-turns")

    assert ran.code == 1
    assert ran.outcome.error == "Reached maximum number of turns (1)"
    assert (ran.outcome.turns, ran.outcome.tool_calls) == (1, 1)


async def test_it_stops_once_it_has_cost_as_much_as_it_may(provider: str, ask: Ask) -> None:
    prompt = "NONCE=x RUN=<<git --version>> RUN=<<git --version>>"
    ran = await run(replace(ask, prompt=prompt, max_cost_usd=0.0001), provider, golden="max-cost")

    assert ran.code == 1
    assert "budget" in (ran.outcome.error or "")
    assert ran.outcome.tool_calls == 1


async def test_a_question_gets_its_answer_and_a_tool_another_input(
    provider: str, ask: Ask, model: StubModel
) -> None:
    prompt = f"NONCE=x {QUESTION}"
    async with started(
        replace(ask, prompt=prompt, asks=True, conversation=True), provider, "question"
    ) as talk:
        asking = await talk.until(events.ApprovalAsked)
        assert asking.title == "AskUserQuestion: Which colour? (Red, Blue)"
        talk.tell("decide", request=asking.id, decision={"allow": True, "reason": "Blue"})
        assert '"Which colour?"="Blue"' in ((await talk.until(events.TurnEnded)).text or "")
        talk.tell("send", text="NONCE=y RUN=<<uname -a; env>>")
        asking = await talk.until(events.ApprovalAsked)
        changed = {"allow": True, "input": '{"command": "echo other"}'}
        talk.tell("decide", request=asking.id, decision=changed)
        talk.tell("finish")
        ran = await talk.end()

    assert ran.outcome.text == "PONG y TOOL=other"


async def test_too_many_requests_are_told_of_while_it_tries_again(provider: str, ask: Ask) -> None:
    env = {**ask.env, "CLAUDE_CODE_MAX_RETRIES": "1"}
    prompt = "NONCE=x FAIL=429*1 RETRY-AFTER=1"
    async with started(replace(ask, env=env, prompt=prompt), provider, "retried") as talk:
        limited = await talk.until(events.RateLimited)
        ran = await talk.end()

    assert "429" in limited.message
    assert (ran.outcome.text, ran.outcome.rate_limited) == ("PONG x", None)
