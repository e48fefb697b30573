"""Claude Code: headless as `claude -p` with its JSON event stream, or its own interface in a terminal.

Flags as run with 2.1.197.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from typing import Any

from spawners.launch import Stdin
from spawners.providers.base import Ability, ApprovalMode, Ask, Edit, Opening, Plan, ProviderError
from spawners.providers.claude_control import CHANNEL, ClaudeDialogue
from spawners.providers.claude_hooks import hook_events, settings
from spawners.providers.claude_stream import ClaudeStream
from spawners.providers.embedded import MODES, first_prompt
from spawners.providers.events import Event
from spawners.providers.headless import defaults, prompt_bytes, required_executable, value
from spawners.providers.manifest import Manifest, load

__all__ = ["PROVIDER", "Claude", "ClaudeStream"]

APPROVAL = {
    # `plan` would also block writes but leaves Bash and subagents; dontAsk denies all that is left.
    ApprovalMode.READ_ONLY: ("--permission-mode", "dontAsk", "--tools", "Read,Grep,Glob"),
    ApprovalMode.GUARDED: ("--permission-mode", "acceptEdits", "--allowedTools", "Bash(git *)"),
    ApprovalMode.OPEN: ("--dangerously-skip-permissions",),
}

SETTINGS = "claude-settings.json"

KEY_END = 20
"""As many of its last characters claude remembers of a key that may be used."""

PRINT = ("-p", "--output-format", "stream-json", "--verbose")

SPEAK = ("--input-format", "stream-json")

SWITCHABLE = {
    # Given to a run in `open`, these do nothing until it is changed to `guarded`.
    ApprovalMode.OPEN: ("--allowedTools", "Bash(git *)"),
}

QUIET = {
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    "DISABLE_AUTOUPDATER": "1",
    "DISABLE_ERROR_REPORTING": "1",
    "DISABLE_TELEMETRY": "1",
}
"""No telemetry, and no update under a running agent."""

VARIABLES = (
    *("ANTHROPIC_*", "CLAUDE_CONFIG_DIR", "CLAUDE_CODE_OAUTH_TOKEN", "CLAUDE_CODE_MAX_RETRIES", "IS_SANDBOX"),
    *("CLAUDE_CODE_USE_BEDROCK", "CLAUDE_CODE_USE_VERTEX", "AWS_PROFILE", "AWS_REGION", "CLOUD_ML_REGION"),
    *("AWS_BEARER_TOKEN_BEDROCK", "GOOGLE_APPLICATION_CREDENTIALS", "MAX_THINKING_TOKENS", *QUIET),
)


class Claude:
    """Headless the prompt goes in by stdin, so no length, quote or leading dash of it can become a flag.

    In a terminal it is the last argument, behind `--`. A folder that its owner has not trusted is still the
    person's to confirm there.
    """

    name = "claude"
    binaries: tuple[str, ...] = ("claude",)
    version_argv: tuple[str, ...] = ("--version",)
    modes: tuple[str, ...] = MODES
    marks: tuple[str, ...] = ("CLAUDECODE", "CLAUDE_CODE_*", "CLAUDE_AGENT_SDK_VERSION", "AI_AGENT")
    variables: tuple[str, ...] = VARIABLES
    secrets: tuple[str, ...] = (
        *("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN", "AWS_BEARER_TOKEN_BEDROCK"),
    )
    proven = "2.1.197"
    approval_modes: tuple[ApprovalMode, ...] = tuple(ApprovalMode)
    abilities = frozenset(Ability)

    def plan(self, ask: Ask) -> Plan:
        """Raises `ProviderError`; among others for `open` as root, which the CLI itself refuses
        unless `IS_SANDBOX=1` says that the machine may be broken."""
        if ask.approval_mode is ApprovalMode.OPEN and ask.superuser and ask.env.get("IS_SANDBOX") != "1":
            raise ProviderError(
                "unsupported",
                "claude refuses the approval mode open as root: run the host as another user, or set "
                "IS_SANDBOX=1 for this spawn if the machine is a sandbox",
            )
        return self._embedded(ask) if ask.mode == "embedded" else self._headless(ask)

    def _headless(self, ask: Ask) -> Plan:
        prompt = prompt_bytes(self.name, ask)
        speaks = ask.conversation or (ask.asks and ask.approval_mode is ApprovalMode.GUARDED)
        argv = [required_executable(self.name, ask), *PRINT, *(SPEAK if speaks else ())]
        argv += APPROVAL[ask.approval_mode]
        if speaks:
            argv += SWITCHABLE.get(ask.approval_mode, ())
        if speaks and ask.asks:
            argv += ["--permission-prompt-tool", "stdio"]
        argv += [*_limits(ask), *_session(ask)]
        env = defaults(ask, QUIET)
        if not speaks:
            return Plan(
                argv=tuple(argv), stdin=Stdin(prompt), env=env, opening=Opening(), session_id=_id(ask)
            )
        opening = Opening(
            channel=CHANNEL,
            prompt=ask.prompt,
            cwd=ask.cwd,
            approval_mode=ask.approval_mode,
            keep=ask.conversation,
            asks=ask.asks,
        )
        stdin = Stdin(live=True)
        return Plan(argv=tuple(argv), stdin=stdin, env=env, opening=opening, session_id=_id(ask))

    def _embedded(self, ask: Ask) -> Plan:
        prompt = first_prompt(self.name, ask)
        argv = [required_executable(self.name, ask), *APPROVAL[ask.approval_mode], *_session(ask)]
        files = {}
        if ask.hook is not None:
            files[SETTINGS] = settings(ask.hook)
            argv += ["--settings", os.path.join(ask.state_dir, SETTINGS)]
        if prompt is not None:
            argv += ["--", _no_command(prompt)]
        edits, env = tuple(_settled(ask)), defaults(ask, QUIET)
        return Plan(argv=tuple(argv), env=env, files=files, edits=edits, session_id=_id(ask))

    def manifest(self) -> Manifest:
        return load(self.name)

    def parse_version(self, text: str) -> str | None:
        """`2.1.197 (Claude Code)` → `2.1.197`."""
        found = re.match(r"(\d+\.\d+\.\d+\S*) \(Claude Code\)", text.strip())
        return found[1] if found else None

    def dialogue(self, opening: Opening) -> ClaudeStream:
        return ClaudeDialogue(opening) if opening.channel == CHANNEL else ClaudeStream()

    def hook(self, payload: Mapping[str, Any]) -> list[Event]:
        return list(hook_events(payload))


def _settled(ask: Ask) -> Iterator[Edit]:
    """What answers claude's questions at its first start, as its owner would.

    The key is the host's own, so it may be used. Whether the folder is trusted, and with it what is
    configured in it, only the owner says; else claude asks. A wizard that has run before, and a theme
    that was chosen, stay.
    """
    folder = ask.env.get("CLAUDE_CONFIG_DIR") or ask.env.get("HOME") or ask.env.get("USERPROFILE")
    if not folder or not os.path.isabs(folder):
        return
    path = os.path.join(folder, ".claude.json")
    yield Edit(path, ("theme",), "dark", only_absent=True)
    yield Edit(path, ("hasCompletedOnboarding",), True)
    key = ask.env.get("ANTHROPIC_API_KEY")
    if key:
        yield Edit(path, ("customApiKeyResponses", "approved"), key[-KEY_END:], append=True)
    if ask.approval_mode is ApprovalMode.OPEN:
        yield Edit(path, ("bypassPermissionsModeAccepted",), True)
    if ask.trusted:
        yield Edit(path, ("projects", ask.cwd, "hasTrustDialogAccepted"), True)
        yield Edit(path, ("projects", ask.cwd, "hasCompletedProjectOnboarding"), True, only_absent=True)


def _limits(ask: Ask) -> list[str]:
    argv = [] if ask.max_turns is None else ["--max-turns", str(ask.max_turns)]
    if ask.max_cost_usd is not None:
        argv += ["--max-budget-usd", f"{ask.max_cost_usd:f}"]
    return argv


def _session(ask: Ask) -> list[str]:
    argv = [] if ask.model is None else ["--model", value("model", ask.model)]
    if ask.resume is not None:
        argv += ["--resume", value("session id", ask.resume)]
    elif ask.session_id is not None:
        argv += ["--session-id", value("session id", ask.session_id)]
    return argv


def _id(ask: Ask) -> str | None:
    return ask.resume or ask.session_id


def _no_command(prompt: str) -> str:
    """`prompt` so that claude cannot take it for one of its subcommands.

    It does so with a single word even behind `--` (`claude -- doctor`, `claude -- update`); a blank
    after it is not part of what the model is asked.
    """
    return prompt if len(prompt.split()) > 1 or prompt != prompt.strip() else prompt + " "


PROVIDER = Claude()
