"""Starting agents in a terminal through a real daemon: what they find there, and what is refused."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from running import Host

from relay.wire import endpoints
from relay.wire.agents import Mode, SpawnRequest
from relay.wire.errors import ApiError

MARKS = ("TMUX", "STY", "KITTY_WINDOW_ID", "WEZTERM_PANE", "VTE_VERSION", "VIRTUAL_ENV", "CLAUDECODE")
MARKS += ("CODEX_THREAD_ID", "LINES", "COLUMNS", "TERM_PROGRAM", "COLORFGBG")


@pytest.fixture(scope="module")
def marked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """A daemon that somebody started from a terminal in a terminal in an agent."""
    inherited = {**dict.fromkeys(MARKS, "7"), "TERM": "dumb", "COLORTERM": "no"}
    found = Host(tmp_path_factory.mktemp("marked") / "home", **inherited, MUSTER_TERMINAL_SIZE="111x33")
    found.start()
    yield found
    found.end_agents()


def said(host: Host, script: str, **fields: Any) -> list[str]:
    agent = host.ended(host.spawn("sh", "-c", script, mode=Mode.EMBEDDED, **fields).id)
    assert agent.status == "succeeded", agent.cause
    return host.output(agent.id).decode().split()


def test_an_agent_finds_our_terminal_and_no_mark_of_another(marked: Host) -> None:
    names = "|".join(("TERM", "COLORTERM", *MARKS))

    assert sorted(said(marked, f"env | grep -E '^({names})='")) == [
        "COLORTERM=truecolor",
        "TERM=xterm-256color",
    ]
    assert "TERM=vt100" in said(marked, "env", env={"TERM": "vt100"})


def test_an_agent_s_stdin_is_a_terminal_of_the_size_asked_for(marked: Host) -> None:
    script = "stty size; [ -t 0 ] && [ -t 1 ] && [ -t 2 ] && echo tty; stty size < /dev/tty"

    assert said(marked, script) == ["33", "111", "tty", "33", "111"]
    assert said(marked, "stty size", size={"rows": 5, "columns": 1000}) == ["5", "1000"]


def test_its_size_and_limits_are_shown(marked: Host) -> None:
    shown = marked.spawn("true", mode=Mode.EMBEDDED, size={"rows": 5, "columns": 6})

    assert shown.size == {"rows": 5, "columns": 6}
    assert marked.ended(shown.id).size == shown.size
    assert marked.spawn("true").size is None


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"stdin": "x"}, "stdin is the terminal"),
        ({"stdin_base64": base64.b64encode(b"x").decode()}, "stdin is the terminal"),
        ({"stdin_live": True}, "stdin is the terminal"),
        ({"size": {"rows": 5}}, "rows and columns"),
        ({"size": {"rows": 5, "columns": 5, "depth": 1}}, "rows and columns"),
        ({"size": {"rows": 0, "columns": 5}}, "from 1 to 1000"),
        ({"size": {"rows": 5, "columns": 1001}}, "from 1 to 1000"),
        ({"sizing": "largest"}, "active or smallest"),
        ({"memory_bytes": 1000}, "16 MiB"),
        ({"cpus": 0.0}, "more than 0"),
        ({"cpus": -1.0}, "more than 0"),
        ({"cpus": 1e9}, "at most 8192"),
        ({"mode": Mode.HEADLESS, "size": {"rows": 5, "columns": 5}}, "embedded"),
        ({"mode": Mode.TERMINAL, "size": {"rows": 5, "columns": 5}}, "the window has one"),
        ({"mode": Mode.IN_PROCESS}, "headless or embedded"),
        ({"argv": None}, "argv is empty"),
    ],
    ids=str,
)
def test_what_no_terminal_can_be_is_refused_before_anything_runs(
    marked: Host, fields: dict[str, Any], words: str
) -> None:
    before = marked.agents().keys()
    request = SpawnRequest(**({"argv": ["true"], "mode": Mode.EMBEDDED} | fields))

    with marked.client() as client, pytest.raises(ApiError) as error:
        client.call(endpoints.SPAWN, request)

    assert (error.value.code, words in error.value.message) == ("invalid", True), error.value.message
    assert marked.agents().keys() == before


def test_a_provider_s_interface_opens_without_a_prompt_and_with_one(tmp_path: Path) -> None:
    program = tmp_path / "bin" / "codex"
    program.parent.mkdir()
    program.write_text('#!/bin/sh\nfor each; do echo "[$each]"; done\n')
    program.chmod(0o755)
    host = Host(tmp_path / "home", PATH=f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    try:
        host.start()
        bare = host.ended(host.spawn(provider="codex", mode=Mode.EMBEDDED).id)
        asked = host.ended(host.spawn(provider="codex", mode=Mode.EMBEDDED, prompt="--do it").id)
        outputs = [host.output(agent.id).decode() for agent in (bare, asked)]
        with pytest.raises(ApiError, match="send it after the start"):
            host.spawn(provider="codex", mode=Mode.EMBEDDED, prompt="x" * 200_000)
    finally:
        host.end_agents()

    assert "[--no-daemon]" in outputs[0]
    assert "[--]" not in outputs[0]
    assert outputs[1].endswith("[--]\r\n[--do it]\r\n")
    assert asked.title == "--do it"
