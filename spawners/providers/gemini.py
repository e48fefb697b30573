"""Gemini CLI: headless by stdin with `-o stream-json`, or its own interface in a terminal.

Flags as run with 0.61.0.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from spawners.launch import Stdin
from spawners.providers import events
from spawners.providers.acp import Acp, Habits, opening_of
from spawners.providers.acp_usage import number
from spawners.providers.base import Ability, ApprovalMode, Ask, Dialogue, Opening, Plan, ProviderError
from spawners.providers.embedded import MODES, first_prompt
from spawners.providers.events import Event, Usage
from spawners.providers.headless import defaults, prompt_bytes, required_executable, value
from spawners.providers.jsonlines import Event as Line
from spawners.providers.jsonlines import inner, text_of
from spawners.providers.listening import Listening
from spawners.providers.manifest import Manifest, load
from spawners.providers.text import canonical, version_line

__all__ = ["PROVIDER", "Gemini", "GeminiStream"]

APPROVAL = {
    ApprovalMode.READ_ONLY: ("--approval-mode", "plan"),
    ApprovalMode.GUARDED: ("--approval-mode", "auto_edit"),
    ApprovalMode.OPEN: ("--approval-mode", "yolo"),
}

POLICY_FILE = "gemini-policy.toml"

PLAN_POLICY = b"""
[[rule]]
modes = ["plan"]
toolName = ["exit_plan_mode", "write_file", "replace", "run_shell_command", "save_memory"]
decision = "deny"
priority = 999
"""
"""Its plan mode writes plans, and headless it approves them itself and goes on to change files."""

GIT_POLICY = b"""
[[rule]]
modes = ["autoEdit"]
toolName = "run_shell_command"
commandPrefix = "git"
decision = "allow"
priority = 500
"""
"""Without a rule that allows some command, a headless gemini has no shell tool at all."""

NO_PLAN_POLICY = b"""
[[rule]]
toolName = "enter_plan_mode"
decision = "deny"
priority = 999
"""
"""For runs that take `PLAN_POLICY` along for a later change of mode: they could not leave a plan again."""

POLICY = {ApprovalMode.READ_ONLY: PLAN_POLICY, ApprovalMode.GUARDED: GIT_POLICY}
ACP_POLICY = PLAN_POLICY + GIT_POLICY + NO_PLAN_POLICY

ACP = "acp"
SPEAKS = {ACP: ("--acp",), "stream": ("-o", "stream-json"), "terminal": ()}

HABITS = Habits(
    login="run `gemini` on this host and log in, or give the host a GEMINI_API_KEY",
    modes={
        ApprovalMode.READ_ONLY: "plan",
        ApprovalMode.GUARDED: "autoEdit",
        ApprovalMode.OPEN: "yolo",
    },
    usage=lambda result: _tokens(inner(inner(inner(result, "_meta"), "quota"), "token_count")),
    mode_note=re.compile(r"\[MODE_UPDATE\] (\w+)"),
)

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

    A conversation, and a run in which somebody answers what it asks, speak ACP instead. There it
    chooses its session id itself.

    `--skip-trust` is always given: gemini would else exit with 55 in any folder that nobody has
    trusted in its TUI, and the TUI ends as soon as somebody does (it wants its launcher to start it
    again, which we do without). It means that the folder's own `.gemini` settings count, as they do for
    claude; which folders agents may be started in is the host's policy. Its hooks cannot be given for one
    run: they stand in the person's settings, or in a system file whose folders must all be root's; in a
    terminal its title tells all that they would.
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
    abilities = frozenset(
        {
            *(Ability.RESULT, Ability.RESUME, Ability.SESSION_ID, Ability.CONVERSATION, Ability.APPROVALS),
            *(Ability.INTERRUPT, Ability.CHANGE_MODEL, Ability.CHANGE_MODE),
        }
    )

    def plan(self, ask: Ask) -> Plan:
        """Raises `ProviderError`; among others for a prompt that gemini would cut, and for a conversation
        that resumes another (see `_channel`)."""
        prompt = first_prompt(self.name, ask) if ask.mode == "embedded" else prompt_bytes(self.name, ask)
        channel = _channel(ask)
        argv = [required_executable(self.name, ask), *SPEAKS[channel], "--skip-trust"]
        argv += APPROVAL[ask.approval_mode]
        policy = ACP_POLICY if channel == ACP else POLICY.get(ask.approval_mode)
        files = {} if policy is None else {POLICY_FILE: policy}
        argv += [] if policy is None else ["--policy", os.path.join(ask.state_dir, POLICY_FILE)]
        argv += [] if ask.model is None else ["-m", value("model", ask.model)]
        plan = partial(Plan, env=ENVIRONMENT | defaults(ask, QUIET), files=files)
        if channel == ACP:
            return plan(argv=tuple(argv), stdin=Stdin(live=True), opening=opening_of(ask))
        session = ask.session_id if ask.resume is None else ask.resume
        if session is not None:
            argv += ["--resume" if ask.resume else "--session-id", value("session id", session)]
        if not isinstance(prompt, bytes):
            argv += [] if prompt is None else [f"--prompt-interactive={prompt}"]
            return plan(argv=tuple(argv), session_id=session)
        if len(prompt) > MAX_STDIN:
            raise ProviderError(
                "unsupported", f"gemini reads no more than {MAX_STDIN} bytes of prompt; shorten it"
            )
        return plan(argv=tuple(argv), stdin=Stdin(prompt), opening=Opening(), session_id=session)

    def manifest(self) -> Manifest:
        return load(self.name)

    def parse_version(self, text: str) -> str | None:
        return version_line(text)

    def dialogue(self, opening: Opening) -> Dialogue:
        return Acp(opening, HABITS) if opening.channel == ACP else GeminiStream()

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
            case "result":
                yield from _ended(line)


def _ended(line: Line) -> Iterator[Event]:
    usage = _tokens(inner(line, "stats"))
    if usage is not None:
        yield events.Used(usage)
    if line.get("status") == "success":
        yield events.TurnEnded(status="completed")
    else:
        yield events.TurnEnded(status="failed", error=text_of(inner(line, "error"), "message"))


def _tokens(counts: Line) -> Usage | None:
    read, written = number(counts, "input_tokens"), number(counts, "output_tokens")
    if read is None:
        return None
    return Usage(input_tokens=read, output_tokens=written, cached_input_tokens=number(counts, "cached"))


def _channel(ask: Ask) -> str:
    """What is spoken with it: a key of `SPEAKS`.

    Raises `ProviderError` for a conversation that goes on with an earlier one: 0.61.0 loads a session
    over ACP into a second file of the same id, and its next start takes both away as broken. With one
    more prompt a session is resumed as any other, and what would have to be asked is denied.
    """
    if ask.mode == "embedded":
        return "terminal"
    if ask.conversation and ask.resume is not None:
        raise ProviderError(
            "unsupported",
            "gemini loses a session that is loaded into a conversation: resume it with a prompt and "
            "without conversation, or in mode embedded",
        )
    asking = ask.asks and ask.approval_mode is ApprovalMode.GUARDED and ask.resume is None
    return ACP if ask.conversation or asking else "stream"


PROVIDER = Gemini()
