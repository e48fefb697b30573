"""Gemini CLI: headless by stdin with `-o stream-json`, or its own interface in a terminal.

Flags as run with 0.61.0.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from typing import Any

from spawners.launch import Stdin
from spawners.providers import events
from spawners.providers.base import Ability, ApprovalMode, Ask, Opening, Plan, ProviderError
from spawners.providers.embedded import MODES, first_prompt
from spawners.providers.events import Event
from spawners.providers.headless import defaults, prompt_bytes, required_executable, value
from spawners.providers.jsonlines import Event as Line
from spawners.providers.jsonlines import inner, text_of
from spawners.providers.listening import Listening
from spawners.providers.manifest import Manifest, load
from spawners.providers.text import canonical

__all__ = ["PROVIDER", "Gemini", "GeminiStream"]

APPROVAL = {
    ApprovalMode.READ_ONLY: ("--approval-mode", "plan"),
    ApprovalMode.GUARDED: ("--approval-mode", "auto_edit"),
    ApprovalMode.OPEN: ("--approval-mode", "yolo"),
}

POLICY_FILE = "gemini-policy.toml"
GUARDED_POLICY = b"""\
[[rule]]
toolName = "run_shell_command"
commandPrefix = "git"
decision = "allow"
priority = 500
"""
"""Without a rule that allows some command, a headless gemini has no shell tool at all."""

MAX_STDIN = 8 * 1024 * 1024
"""gemini cuts off what is longer, with no more than a warning (`MAX_STDIN_SIZE` in its source)."""

ENVIRONMENT = {"GEMINI_CLI_NO_RELAUNCH": "true"}
"""One process instead of two: the launcher ignores SIGINT and SIGTERM and leaves orphans behind."""

QUIET = {"GEMINI_TELEMETRY_ENABLED": "false"}

VARIABLES = (
    *("GEMINI_API_KEY", "GEMINI_MODEL", "GEMINI_CLI_HOME", "GEMINI_SYSTEM_MD", "GEMINI_TELEMETRY_ENABLED"),
    *("GOOGLE_API_KEY", "GOOGLE_GEMINI_BASE_URL", "GOOGLE_VERTEX_BASE_URL", "GOOGLE_GENAI_USE_VERTEXAI"),
    *("GOOGLE_GENAI_USE_GCA", "GOOGLE_CLOUD_PROJECT", "GOOGLE_CLOUD_LOCATION"),
    "GOOGLE_APPLICATION_CREDENTIALS",
)


class Gemini:
    """Headless the prompt goes in by stdin, in a terminal as the value of `--prompt-interactive=`.

    `--skip-trust` is always given: gemini would else exit with 55 in any folder that nobody has
    trusted in its TUI, and the TUI ends as soon as somebody does (it wants its launcher to start it
    again, which we do without). It means that the folder's own `.gemini` settings count, as they do for
    claude; which folders agents may be started in is the host's policy.
    """

    name = "gemini"
    binaries: tuple[str, ...] = ("gemini",)
    version_argv: tuple[str, ...] = ("--version",)
    modes: tuple[str, ...] = MODES
    marks: tuple[str, ...] = ("GEMINI_CLI", "GEMINI_CLI_*")
    variables: tuple[str, ...] = VARIABLES
    secrets: tuple[str, ...] = ("GEMINI_API_KEY", "GOOGLE_API_KEY")
    proven = "0.61.0"
    approval_modes: tuple[ApprovalMode, ...] = tuple(ApprovalMode)
    abilities = frozenset({Ability.RESULT, Ability.RESUME, Ability.SESSION_ID})

    def plan(self, ask: Ask) -> Plan:
        """Raises `ProviderError`; among others for a prompt that gemini would cut."""
        prompt = first_prompt(self.name, ask) if ask.mode == "embedded" else prompt_bytes(self.name, ask)
        argv = [required_executable(self.name, ask)]
        if isinstance(prompt, bytes):
            if len(prompt) > MAX_STDIN:
                raise ProviderError(
                    "unsupported", f"gemini reads no more than {MAX_STDIN} bytes of prompt; shorten it"
                )
            argv += ["-o", "stream-json"]
        argv += ["--skip-trust", *APPROVAL[ask.approval_mode]]
        files: dict[str, bytes] = {}
        if ask.approval_mode is ApprovalMode.GUARDED:
            files[POLICY_FILE] = GUARDED_POLICY
            argv += ["--policy", os.path.join(ask.state_dir, POLICY_FILE)]
        if ask.model is not None:
            argv += ["-m", value("model", ask.model)]
        if ask.resume is not None:
            argv += ["--resume", value("session id", ask.resume)]
        elif ask.session_id is not None:
            argv += ["--session-id", value("session id", ask.session_id)]
        env = ENVIRONMENT | defaults(ask, QUIET)
        if isinstance(prompt, bytes):
            return Plan(argv=tuple(argv), stdin=Stdin(prompt), env=env, files=files, opening=Opening())
        if prompt is not None:
            argv.append(f"--prompt-interactive={prompt}")
        return Plan(argv=tuple(argv), env=env, files=files)

    def manifest(self) -> Manifest:
        return load(self.name)

    def parse_version(self, text: str) -> str | None:
        """`0.61.0`, on a line of its own."""
        found = re.search(r"^\d+\.\d+\.\d+\S*$", text, re.MULTILINE)
        return found[0] if found else None

    def dialogue(self, opening: Opening) -> GeminiStream:
        return GeminiStream()

    def hook(self, payload: Mapping[str, Any]) -> list[Event]:
        return []


class GeminiStream(Listening):
    """`init`, then messages in pieces and tool calls, then one `result` with a `status`.

    The answer is what the assistant said after its last tool call. An `error` event may be a
    warning: it counts until a `result` says otherwise.
    """

    def take(self, line: Line) -> Iterator[Event]:
        match line.get("type"):
            case "init":
                yield events.SessionStarted(text_of(line, "session_id"), text_of(line, "model"))
                yield events.TurnStarted()
            case "message" if line.get("role") == "assistant":
                yield events.Said(text_of(line, "content") or "", piece=True)
            case "tool_use":
                yield events.ToolStarted(
                    text_of(line, "tool_id") or "",
                    text_of(line, "tool_name") or "",
                    canonical(line.get("parameters")),
                )
            case "tool_result":
                yield events.ToolFinished(text_of(line, "tool_id") or "", line.get("status") != "success")
            case "error":
                yield events.Problem(text_of(line, "message") or "unknown error")
            case "result" if line.get("status") == "success":
                yield events.TurnEnded(status="completed")
            case "result":
                yield events.TurnEnded(status="failed", error=text_of(inner(line, "error"), "message"))


PROVIDER = Gemini()
