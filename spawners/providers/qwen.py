"""Qwen Code: headless by stdin with `-o stream-json` or over ACP, or its own interface in a terminal.

Flags as run with 0.15.10.
"""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Mapping
from functools import partial
from typing import Any

from spawners.launch import Stdin
from spawners.providers.acp import Acp, Habits, opening_of
from spawners.providers.base import Ability, ApprovalMode, Ask, Dialogue, Opening, Plan
from spawners.providers.embedded import MODES, first_prompt
from spawners.providers.events import Event
from spawners.providers.headless import defaults, prompt_bytes, required_executable, value
from spawners.providers.manifest import Manifest, load
from spawners.providers.qwen_stream import QwenStream, hook_events
from spawners.providers.text import version_line

__all__ = ["PROVIDER", "Qwen"]

APPROVAL = {
    ApprovalMode.READ_ONLY: "plan",
    ApprovalMode.GUARDED: "auto-edit",
    ApprovalMode.OPEN: "yolo",
}

NO_SHELL = ("--exclude-tools", "run_shell_command,monitor")
"""For `guarded` without anybody to ask: the folder's own settings could else allow them (measured)."""

ACP = "acp"
SPEAKS = {ACP: ("--acp",), "stream": ("-o", "stream-json"), "terminal": ()}

HABITS = Habits(
    login="run `qwen` on this host and log in, or give the host an OPENAI_API_KEY",
    modes=APPROVAL,
    changes_model=False,
)

ENVIRONMENT = {"QWEN_CODE_NO_RELAUNCH": "true"}
"""One process instead of a launcher and its child."""

DEFAULTS_FILE = "qwen-defaults.json"
"""Settings that give way to those of the person, the folder and the machine."""

QUIET = {"privacy": {"usageStatisticsEnabled": False}, "general": {"enableAutoUpdate": False}}

HOOKS = (
    *(
        "SessionStart",
        "UserPromptSubmit",
        "PreToolUse",
        "PostToolUse",
        "PostToolUseFailure",
        "PermissionRequest",
    ),
    *("Stop", "StopFailure"),
)

VARIABLES = (
    *(
        "OPENAI_API_KEY",
        "OPENAI_BASE_URL",
        "OPENAI_MODEL",
        "QWEN_*",
        "DASHSCOPE_API_KEY",
        "BAILIAN_CODING_PLAN_API_KEY",
    ),
    *("MODELSCOPE_API_KEY", "OPENROUTER_API_KEY", "DEEPSEEK_API_KEY"),
)


class Qwen:
    """Headless the prompt goes in by stdin, in a terminal as the value of `--prompt-interactive=`.

    Headless, `guarded` edits files and has no shell. In a conversation, and where somebody answers what
    it asks, it speaks ACP and asks for the shell; there it chooses its session id itself. `read-only`
    stays so: to leave its plan mode it asks, and nobody grants that.

    Another model cannot be chosen in a conversation: qwen would write it into the person's settings.
    """

    name = "qwen"
    binaries: tuple[str, ...] = ("qwen",)
    version_argv: tuple[str, ...] = ("--version",)
    modes: tuple[str, ...] = MODES
    marks: tuple[str, ...] = ("QWEN_CODE", "QWEN_CODE_ENTRYPOINT", "QWEN_CODE_IDE_*")
    variables: tuple[str, ...] = VARIABLES
    secrets: tuple[str, ...] = (
        *("OPENAI_API_KEY", "DASHSCOPE_API_KEY", "BAILIAN_CODING_PLAN_API_KEY", "MODELSCOPE_API_KEY"),
        *("OPENROUTER_API_KEY", "DEEPSEEK_API_KEY"),
    )
    proven = "0.15.10"
    approval_modes: tuple[ApprovalMode, ...] = tuple(ApprovalMode)
    abilities = frozenset(
        {
            *(Ability.RESULT, Ability.RESUME, Ability.SESSION_ID, Ability.CONVERSATION, Ability.APPROVALS),
            *(Ability.INTERRUPT, Ability.CHANGE_MODE, Ability.HOOKS, Ability.MAX_TURNS),
        }
    )

    def plan(self, ask: Ask) -> Plan:
        """Raises `ProviderError`."""
        prompt = first_prompt(self.name, ask) if ask.mode == "embedded" else prompt_bytes(self.name, ask)
        channel = _channel(ask)
        argv = [required_executable(self.name, ask), *SPEAKS[channel]]
        argv += ["--approval-mode", APPROVAL[ask.approval_mode]]
        if channel == "stream" and ask.approval_mode is ApprovalMode.GUARDED:
            argv += NO_SHELL
        argv += [] if ask.model is None else ["-m", value("model", ask.model)]
        if ask.max_turns is not None and channel == "stream":  # over ACP it takes no notice of it
            argv += ["--max-session-turns", str(ask.max_turns)]
        wanted = {"QWEN_CODE_SYSTEM_DEFAULTS_PATH": os.path.join(ask.state_dir, DEFAULTS_FILE)}
        files = {DEFAULTS_FILE: _settings(ask)}
        plan = partial(Plan, env=ENVIRONMENT | defaults(ask, wanted), files=files)
        if channel == ACP:
            return plan(argv=tuple(argv), stdin=Stdin(live=True), opening=opening_of(ask))
        session = ask.session_id if ask.resume is None else ask.resume
        if session is not None:
            argv += ["--resume" if ask.resume else "--session-id", value("session id", session)]
        if isinstance(prompt, bytes):
            return plan(argv=tuple(argv), stdin=Stdin(prompt), opening=Opening(), session_id=session)
        argv += [] if prompt is None else [f"--prompt-interactive={prompt}"]
        return plan(argv=tuple(argv), session_id=session)

    def manifest(self) -> Manifest:
        return load(self.name)

    def parse_version(self, text: str) -> str | None:
        return version_line(text)

    def dialogue(self, opening: Opening) -> Dialogue:
        return Acp(opening, HABITS) if opening.channel == ACP else QwenStream()

    def hook(self, payload: Mapping[str, Any]) -> list[Event]:
        return list(hook_events(payload))


def _channel(ask: Ask) -> str:
    """What is spoken with it: a key of `SPEAKS`."""
    if ask.mode == "embedded":
        return "terminal"
    asking = ask.asks and ask.approval_mode is ApprovalMode.GUARDED
    return ACP if ask.conversation or asking else "stream"


def _settings(ask: Ask) -> bytes:
    """No telemetry and no updates; no question how to log in where there is a key; hooks in a terminal,
    where there is no stream."""
    settings: dict[str, Any] = dict(QUIET)
    if ask.env.get("OPENAI_API_KEY"):
        settings["security"] = {"auth": {"selectedType": "openai"}}
    if ask.hook is not None and ask.mode == "embedded":
        hook = {"type": "command", "command": shlex.join(ask.hook)}
        settings["hooks"] = {name: [{"hooks": [hook]}] for name in HOOKS}
    return json.dumps(settings).encode()


PROVIDER = Qwen()
