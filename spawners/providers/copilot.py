"""GitHub Copilot CLI: headless with its JSON event stream or over ACP, or its own interface in a terminal.

Flags as run with 1.0.102, against a model of one's own (`COPILOT_PROVIDER_BASE_URL`).
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

from spawners.launch import Stdin
from spawners.providers.acp import Acp, Habits, opening_of
from spawners.providers.acp_usage import number
from spawners.providers.base import Ability, ApprovalMode, Ask, Dialogue, Edit, Opening, Plan
from spawners.providers.copilot_stream import CopilotStream
from spawners.providers.embedded import MODES, first_prompt
from spawners.providers.events import Event
from spawners.providers.headless import prompt_bytes, required_executable, value
from spawners.providers.jsonlines import Event as Line
from spawners.providers.jsonlines import inner
from spawners.providers.manifest import Manifest, load

__all__ = ["PROVIDER", "Copilot"]

APPROVAL = {
    # What is not among the available tools is not offered, and fails if it is called all the same.
    ApprovalMode.READ_ONLY: ("--available-tools", "view,grep,glob"),
    # Files outside of the folder (save for the temporary one) need leave in spite of `write`.
    ApprovalMode.GUARDED: ("--allow-tool", "write", "--allow-tool", "shell(git:*)"),
    ApprovalMode.OPEN: ("--allow-all",),
}

QUIET = ("--no-auto-update", "--disable-client-telemetry")

ALONE = ("--no-ask-user", "--no-remote", "--no-remote-export")
"""Without a terminal nobody could answer a question, and nobody sees that the session is shown elsewhere."""

ENVIRONMENT = {"COPILOT_ALLOW_ALL": "false"}
"""Set to true by whoever started the daemon, it would allow everything in every mode (measured)."""

LOGIN = "run `copilot login` on this host, or set COPILOT_GITHUB_TOKEN or COPILOT_PROVIDER_BASE_URL for it"
NOTICE = re.compile(r"Info: .*", re.DOTALL)
HTTP_ERROR = re.compile(r"Error: [45]\d\d\b")


class Copilot:
    """Headless the prompt goes in by stdin, in a terminal as the value of `--interactive=`.

    A folder's own hooks, skills and MCP servers count only if the ask says that it is trusted. Over ACP
    copilot chooses the session's id itself, else it takes one.
    """

    name = "copilot"
    binaries: tuple[str, ...] = ("copilot",)
    version_argv: tuple[str, ...] = ("--version",)
    modes: tuple[str, ...] = MODES
    marks: tuple[str, ...] = (
        "COPILOT_CLI",
        "COPILOT_CLI_*",
        "COPILOT_LOADER_PID",
        "COPILOT_AGENT_SESSION_ID",
    )
    variables: tuple[str, ...] = (
        *("COPILOT_GITHUB_TOKEN", "COPILOT_GH_HOST", "COPILOT_HOME", "COPILOT_MODEL", "COPILOT_OFFLINE"),
        *("COPILOT_PROVIDER_*", "COPILOT_CUSTOM_INSTRUCTIONS_DIRS"),
    )
    secrets: tuple[str, ...] = (
        *("COPILOT_GITHUB_TOKEN", "COPILOT_PROVIDER_API_KEY", "COPILOT_PROVIDER_API_KEY_COMMAND"),
        *("COPILOT_PROVIDER_BEARER_TOKEN", "COPILOT_PROVIDER_HEADERS"),
    )
    proven = "1.0.102"
    approval_modes: tuple[ApprovalMode, ...] = tuple(ApprovalMode)
    abilities = frozenset(
        {
            Ability.RESULT,
            Ability.RESUME,
            Ability.SESSION_ID,
            Ability.CONVERSATION,
            Ability.APPROVALS,
            Ability.INTERRUPT,
        }
    )

    def plan(self, ask: Ask) -> Plan:
        """Raises `ProviderError`."""
        prompt = first_prompt(self.name, ask) if ask.mode == "embedded" else prompt_bytes(self.name, ask)
        argv = [required_executable(self.name, ask), *APPROVAL[ask.approval_mode], *QUIET]
        if ask.model is not None:
            argv += ["--model", value("model", ask.model)]
        if not isinstance(prompt, bytes):
            return self._embedded(ask, argv, prompt)
        argv += [*ALONE, *(("--trust-folder",) if ask.trusted else ())]
        speaking = opening_of(ask)
        if speaking.asks or ask.conversation:
            return Plan(argv=(*argv, "--acp"), stdin=Stdin(live=True), env=ENVIRONMENT, opening=speaking)
        session_id = ask.session_id
        if ask.resume is not None:
            argv.append(f"--resume={value('session id', ask.resume)}")
            session_id = ask.resume
        elif session_id is not None:
            argv += ["--session-id", value("session id", session_id)]
        opening = Opening(model=ask.model, approval_mode=ask.approval_mode, session_id=session_id)
        argv += ["--output-format", "json"]
        return Plan(
            argv=tuple(argv), stdin=Stdin(prompt), env=ENVIRONMENT, opening=opening, session_id=session_id
        )

    def _embedded(self, ask: Ask, argv: list[str], prompt: str | None) -> Plan:
        if ask.resume is not None:
            argv.append(f"--resume={value('session id', ask.resume)}")
        elif ask.session_id is not None:
            argv += ["--session-id", value("session id", ask.session_id)]
        if prompt is not None:
            argv.append(f"--interactive={prompt}")
        session_id = ask.resume or ask.session_id
        return Plan(argv=tuple(argv), env=ENVIRONMENT, edits=_trust(ask), session_id=session_id)

    def manifest(self) -> Manifest:
        return load(self.name)

    def parse_version(self, text: str) -> str | None:
        """`GitHub Copilot CLI 1.0.102.` → `1.0.102`."""
        found = re.search(r"GitHub Copilot CLI (\d+\.\d+\.\d+[\w-]*)", text)
        return found[1] if found else None

    def dialogue(self, opening: Opening) -> Dialogue:
        return CopilotStream(opening) if opening.channel == "stream" else Acp(opening, _habits())

    def hook(self, payload: Mapping[str, Any]) -> list[Event]:
        return []


def _habits() -> Habits:
    """Its errors come as what the assistant says, and its tokens are those of the whole session."""
    before = 0

    def failure(result: Line, answer: str) -> str | None:
        nonlocal before
        tokens = number(inner(result, "usage"), "totalTokens") or 0
        unanswered, before = tokens <= before, tokens
        if HTTP_ERROR.match(answer) or (unanswered and answer.startswith("Error: ")):
            return answer.removeprefix("Error: ")
        return None

    return Habits(login=LOGIN, noise=NOTICE, cumulative=True, failure=failure)


def _trust(ask: Ask) -> tuple[Edit, ...]:
    """What answers copilot's question about the folder, if its owner has."""
    home = ask.env.get("COPILOT_HOME") or os.path.join(ask.env.get("HOME", ""), ".copilot")
    if not ask.trusted or not os.path.isabs(home):
        return ()
    return (Edit(os.path.join(home, "config.json"), ("trustedFolders",), ask.cwd, append=True),)


PROVIDER = Copilot()
