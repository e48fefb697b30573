"""What a prompt tells `stub_llm.py` (the directives stand there): pure, apart from the pauses of SLOW."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]

SHELL_TOOLS: dict[str, Json] = {  # what each CLI calls its shell tool, and what it takes; {} is the command
    "Bash": {"command": "{}", "description": "stub"},  # claude
    "bash": {"command": "{}", "description": "stub"},  # opencode, copilot
    "run_shell_command": {"command": "{}", "description": "stub", "is_background": False},  # gemini, qwen
    "exec_command": {"cmd": "{}"},  # codex
    "shell_command": {"command": "{}"},  # codex, older
}
DIRECTIVE = re.compile(r"(?:NONCE|RUN|TOOL|SAY|SLOW|FAIL|USAGE)=")


@dataclass(frozen=True)
class Turn:
    """`role` is user, assistant or tool (a tool's output)."""

    role: str
    text: str


@dataclass(frozen=True, kw_only=True)
class Answer:
    """With `fail` an HTTP error instead, the first `fails` times that `asked` is asked."""

    text: str = ""
    tool: str | None = None
    arguments: Json | None = None
    slow: float = 0.0
    asked: str = ""
    fail: int = 0
    fails: int = 10**9
    retry_after: str = ""
    tokens_in: int = 11
    tokens_out: int = 7
    tokens_cached: int = 0

    def pieces(self) -> Iterator[str]:
        """The text in four pieces over `slow` seconds, or in one at once."""
        count = 4 if self.slow else 1
        size = -(-len(self.text) // count) or 1
        for start in range(0, len(self.text), size):
            time.sleep(self.slow / count)
            yield self.text[start : start + size]


def decide(turns: list[Turn], tools: list[str]) -> Answer:
    """Obey the last user text with a directive; side calls (titles, summaries) have none and get `ok`."""
    asked = [i for i, turn in enumerate(turns) if turn.role == "user" and DIRECTIVE.search(turn.text)]
    if not asked:
        return Answer(text="ok")
    text = turns[asked[-1]].text

    def said(pattern: str, otherwise: str) -> str:
        found = re.search(pattern, text, re.DOTALL)
        return found[1] if found else otherwise

    tokens = [int(count) for count in said(r"USAGE=(\d+,\d+(?:,\d+)?)", "11,7").split(",")]
    common: Json = {
        "asked": text,
        "slow": float(said(r"SLOW=([\d.]+)", "0")),
        "fail": int(said(r"FAIL=(\d{3})", "0")),
        "fails": int(said(r"FAIL=\d{3}\*(\d+)", str(Answer.fails))),
        "retry_after": said(r"RETRY-AFTER=(\d+)", ""),
        "tokens_in": tokens[0],
        "tokens_out": tokens[1],
        "tokens_cached": tokens[2] if len(tokens) > 2 else 0,
    }
    outputs = [turn.text for turn in turns[asked[-1] :] if turn.role == "tool"]
    calls = list(_calls(text, tools))
    if len(outputs) < len(calls):
        tool, arguments = calls[len(outputs)]
        return Answer(tool=tool, arguments=arguments, **{**common, "slow": 0.0})
    answer = said(r"SAY=<<(.*?)>>SAY", "") or "PONG " + said(r"NONCE=([\w.-]+)", "none")
    if outputs:
        answer += " TOOL=" + " ".join(outputs[-1].split())[-200:]
    return Answer(text=answer, **common)


def _calls(text: str, tools: list[str]) -> Iterator[tuple[str, Json]]:
    """The tool calls that `text` asks for, of a client that offers `tools`."""
    shell = next((name for name in SHELL_TOOLS if name in tools), None)
    for kind, given in re.findall(r"(RUN|TOOL)=<<(.*?)>>", text, re.DOTALL):
        if kind == "TOOL" and tools:
            name, _, arguments = given.partition(" ")
            yield name, json.loads(arguments or "{}")
        elif kind == "RUN" and shell:
            yield shell, {key: given if value == "{}" else value for key, value in SHELL_TOOLS[shell].items()}


def flat(content: Any) -> str:
    """The text somewhere inside of `content`."""
    match content:
        case str():
            return content
        case list():
            return "\n".join(flat(part) for part in content)
        case dict():
            keys = ("text", "content", "output", "parts", "response")
            return next((flat(content[key]) for key in keys if key in content), json.dumps(content))
        case _:
            return ""
