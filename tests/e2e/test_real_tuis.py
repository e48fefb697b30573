"""The CLIs' own interfaces in a terminal, against a stub model: started, written to, answered, stopped."""

from __future__ import annotations

import json
import queue
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from muster_processes import is_running, living_with, until
from running import Caller, Host, RelayServer
from stub_fixtures import StubModel

from relay.wire import endpoints
from relay.wire.agents import ManagedAgent, Mode
from relay.wire.errors import ApiError
from relay.wire.terminal import Receipt, ScreenQuery, SendRequest, SendResult

NAMES = ("claude", "codex", "gemini", "qwen")
CLIS = [pytest.param(name, marks=pytest.mark.needs(name)) for name in NAMES]
ASKING = [param for param in CLIS if param.values != ("codex",)]
"""Those that ask before they run a command outside of the folder; codex' sandbox lets it fail."""

SIZE = {"rows": 30, "columns": 100}
SLOW_S = 60.0


@pytest.fixture
def work(tmp_path: Path) -> str:
    folder = tmp_path / "work"
    folder.mkdir()
    return str(folder)


@pytest.fixture
def settled(home: Path, model: StubModel, work: str) -> Path:
    """A home in which a person has answered what the CLIs ask at their first start in `work`."""
    key = model.environment(home)["ANTHROPIC_API_KEY"]
    answered = {
        "hasCompletedOnboarding": True,
        "theme": "dark",
        "bypassPermissionsModeAccepted": True,
        "customApiKeyResponses": {"approved": [key[-20:]], "rejected": []},
        "projects": {work: {"hasTrustDialogAccepted": True, "hasCompletedProjectOnboarding": True}},
    }
    (home / ".claude.json").write_text(json.dumps(answered))
    with open(home / ".codex" / "config.toml", "a") as file:
        file.write(f'[projects."{work}"]\ntrust_level = "trusted"\n')
    return home


@pytest.fixture
def host(model: StubModel, settled: Path, make_host: Callable[..., Host]) -> Host:
    found = make_host("host", **model.environment(settled))
    found.start()
    return found


def start(caller: Caller, provider: str, work: str, **fields: Any) -> ManagedAgent:
    return caller.spawn(provider=provider, mode=Mode.EMBEDDED, cwd=work, size=SIZE, **fields)


def send(caller: Caller, agent_id: str, text: str | None = None, **fields: Any) -> SendResult:
    request = SendRequest(text=text, wait_ms=60_000, timeout_ms=30_000, **fields)
    with caller.client() as client:
        return client.call(endpoints.SEND_TO_AGENT, request, path={"id": agent_id}, timeout_s=100)


def refusal(caller: Caller, agent_id: str) -> str:
    with pytest.raises(ApiError) as error:
        send(caller, agent_id, "hello")
    assert error.value.code == "conflict"
    return error.value.message


def screen(caller: Caller, agent_id: str) -> str:
    with caller.client() as client:
        return client.call(endpoints.GET_SCREEN, path={"id": agent_id}, query=ScreenQuery()).content


def shows(caller: Caller, agent_id: str, text: str) -> None:
    last = ""

    def there() -> bool:
        nonlocal last
        last = screen(caller, agent_id)
        return text in last

    try:
        until(there, text, SLOW_S)
    except AssertionError:
        raise AssertionError(f"{text!r} is not on the screen:\n{last}") from None


def asked(model: StubModel, text: str) -> None:
    """Wait until the model was asked exactly `text`; CLIs also ask it for titles and the like."""
    heard: list[str] = []
    while not any(user.strip() == text for user in heard):
        try:
            heard += model.request(SLOW_S)["users"]
        except queue.Empty:
            raise AssertionError(f"the model was not asked {text!r} but {heard}") from None


@pytest.mark.parametrize("provider", CLIS)
def test_messages_are_submitted_whole_and_answered_and_a_stop_leaves_nothing(
    provider: str, host: Host, model: StubModel, work: str
) -> None:
    agent = start(host, provider, work)
    messages = {
        "first": "NONCE=first",
        "second": "NONCE=second hello wörld 漢字 😀",
        "third": 'NONCE=third\n\n  "quoted" $HOME `x`\n\t/last',
        "fourth": "\n".join(f"NONCE=fourth line {number} of many" for number in range(50)),
    }

    for nonce, text in messages.items():
        sent = send(host, agent.id, text)
        assert sent.receipt is Receipt.SUBMITTED, sent
        # claude writes four blanks for a tab
        asked(model, text.replace("\t", "    ") if provider == "claude" else text)
        shows(host, agent.id, f"PONG {nonce}")

    assert living_with(f"MUSTER_AGENT_ID={agent.id}")
    ended = host.stop(agent.id)
    assert ended.status == "cancelled"
    assert ended.exit is not None
    assert ended.exit.survivors == []
    assert living_with(f"MUSTER_AGENT_ID={agent.id}") == []


@pytest.mark.parametrize("provider", CLIS)
@pytest.mark.parametrize("prompt", ["--version NONCE=flag", "doctor", "NONCE=quoted 'a' \"b\"\n-- $(id)"])
def test_the_first_prompt_reaches_the_model_as_it_is(
    provider: str, prompt: str, host: Host, model: StubModel, work: str
) -> None:
    agent = start(host, provider, work, prompt=prompt)

    asked(model, prompt)
    shows(host, agent.id, {"--": "PONG flag", "do": "ok", "NO": "PONG quoted"}[prompt[:2]])


@pytest.mark.parametrize("provider", ASKING)
def test_an_approval_is_a_person_s_and_no_message_answers_it(
    provider: str, host: Host, work: str, tmp_path: Path
) -> None:
    made = tmp_path / "made"
    agent = start(host, provider, work, prompt=f"NONCE=asked RUN=<<touch {made}>>")
    shows(host, agent.id, {"claude": "1. Yes", "gemini": "1. Allow once", "qwen": "1. Yes"}[provider])

    assert "asks for an approval" in refusal(host, agent.id)

    assert send(host, agent.id, keys=["Enter"], force=True).receipt is Receipt.TYPED
    shows(host, agent.id, "PONG asked")
    assert made.exists()


@pytest.mark.parametrize("provider", CLIS)
def test_a_stop_in_the_middle_of_a_tool_ends_the_tool_too(provider: str, host: Host, work: str) -> None:
    agent = start(host, provider, work, approval_mode="open", env={"IS_SANDBOX": "1"})
    file = Path(work, "tool")
    sent = send(host, agent.id, f"RUN=<<echo $$ > {file}; exec sleep 1000>>")
    assert sent.receipt is Receipt.SUBMITTED
    until(lambda: file.exists() and file.read_text().endswith("\n"), "the tool to run")
    tool = int(file.read_text())
    assert is_running(tool)

    ended = host.stop(agent.id)

    assert ended.exit is not None
    assert ended.exit.survivors == []
    assert not is_running(tool)
    assert living_with(f"MUSTER_AGENT_ID={agent.id}") == []


@pytest.mark.needs("claude")
def test_a_folder_that_nobody_has_trusted_is_a_person_s_to_trust(host: Host, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    agent = start(host, "claude", str(other))
    shows(host, agent.id, "I trust this folder")

    assert "asks whether to trust this folder" in refusal(host, agent.id)


@pytest.mark.needs("claude")
def test_a_message_goes_through_the_relay_to_another_host(
    model: StubModel, settled: Path, relay: RelayServer, make_member: Callable[..., Host], work: str
) -> None:
    make_member("b", **model.environment(settled))
    agent = start(relay, "claude", work, orchestrator_id="b")
    relay.get(agent.id, "running")

    sent = send(relay, agent.id, "NONCE=far")

    assert sent.receipt is Receipt.SUBMITTED, sent
    shows(relay, agent.id, "PONG far")
    assert relay.stop(agent.id).status == "cancelled"
