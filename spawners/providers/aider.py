"""aider: headless for one message from a file, or its own interface in a terminal.

Flags as run with 0.86.2.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

from spawners.launch import Stdin
from spawners.providers.aider_text import AiderText
from spawners.providers.base import Ability, ApprovalMode, Ask, Dialogue, Opening, Plan, ProviderError
from spawners.providers.embedded import MODES, first_prompt
from spawners.providers.events import Event
from spawners.providers.headless import prompt_bytes, required_executable, value
from spawners.providers.manifest import Manifest, load

__all__ = ["PROVIDER", "Aider"]

MESSAGE_FILE = "message.txt"

APPROVAL = {
    # `ask` alone makes no edits; a dry run makes none whatever the message or a configuration says.
    # The map of the repository would be kept in a folder of it; a file to load holds commands.
    ApprovalMode.READ_ONLY: (
        *("--chat-mode", "ask", "--dry-run", "--no-suggest-shell-commands", "--no-auto-lint"),
        *("--no-auto-test", "--map-tokens", "0", "--load", os.devnull),
    ),
    ApprovalMode.OPEN: ("--no-dry-run",),
}

PLAIN = {
    # `--yes-always` would answer no where it is asked whether to run a command.
    ApprovalMode.READ_ONLY: ("--no-pretty", "--no-stream", "--no-fancy-input", "--yes-always"),
    ApprovalMode.OPEN: ("--no-pretty", "--no-stream", "--no-fancy-input"),
}

QUIET = (
    *("--no-auto-commits", "--no-dirty-commits", "--no-gitignore", "--no-check-update"),
    *("--no-show-release-notes", "--no-show-model-warnings", "--no-analytics", "--no-detect-urls"),
)
"""Commits, and the .gitignore, are its user's; the rest are questions and fetches that nobody asked for."""


class Aider:
    """Headless its stdin is empty, so every question gets its default answer: in `open` that is yes.

    `guarded` is refused: aider edits whatever file the model names, also outside of the folder (measured).
    It has no session to resume; the history of the chat goes into the agent's own folder.
    """

    name = "aider"
    binaries: tuple[str, ...] = ("aider",)
    version_argv: tuple[str, ...] = ("--version",)
    modes: tuple[str, ...] = MODES
    marks: tuple[str, ...] = ()
    variables: tuple[str, ...] = (
        *("AIDER_*", "OPENAI_API_KEY", "OPENAI_API_BASE", "ANTHROPIC_API_KEY", "GEMINI_API_KEY"),
        *("OPENROUTER_API_KEY", "DEEPSEEK_API_KEY", "GROQ_API_KEY", "MISTRAL_API_KEY", "XAI_API_KEY"),
        *("AZURE_API_KEY", "AZURE_API_BASE", "AZURE_API_VERSION", "OLLAMA_API_BASE"),
    )
    secrets: tuple[str, ...] = (
        *(name for name in variables if name.endswith("_API_KEY")),
        *("AIDER_OPENAI_API_KEY", "AIDER_ANTHROPIC_API_KEY", "AIDER_API_KEY"),
    )
    proven = "0.86.2"
    approval_modes: tuple[ApprovalMode, ...] = tuple(APPROVAL)
    abilities = frozenset({Ability.RESULT})

    def plan(self, ask: Ask) -> Plan:
        """Raises `ProviderError`; among others for a session or a conversation, which aider cannot have."""
        prompt = first_prompt(self.name, ask) if ask.mode == "embedded" else prompt_bytes(self.name, ask)
        argv = [required_executable(self.name, ask)]
        if ask.model is not None:
            argv += ["--model", value("model", ask.model)]
        _check(ask)
        argv += [*APPROVAL[ask.approval_mode], *QUIET]
        argv += ["--chat-history-file", os.path.join(ask.state_dir, "chat.md")]
        argv += ["--input-history-file", os.path.join(ask.state_dir, "input.txt")]
        if not _in_repository(ask.cwd):
            argv.append("--no-git")  # it would make one
        if ask.mode == "embedded":
            if prompt is not None:
                raise ProviderError(
                    "unsupported", "aider takes no first prompt in a terminal: send it after the start"
                )
            return Plan(argv=tuple(argv))
        assert isinstance(prompt, bytes)
        argv += [*PLAIN[ask.approval_mode], "--message-file", os.path.join(ask.state_dir, MESSAGE_FILE)]
        opening = Opening(model=ask.model, approval_mode=ask.approval_mode)
        files = {MESSAGE_FILE: _no_command(prompt)}
        return Plan(argv=tuple(argv), stdin=Stdin(), files=files, opening=opening)

    def manifest(self) -> Manifest:
        return load(self.name)

    def parse_version(self, text: str) -> str | None:
        """`aider 0.86.2` → `0.86.2`."""
        found = re.search(r"^aider (\d+\.\d+\.\d+\S*)", text, re.MULTILINE)
        return found[1] if found else None

    def dialogue(self, opening: Opening) -> Dialogue:
        return AiderText(opening)

    def hook(self, payload: Mapping[str, Any]) -> list[Event]:
        return []


def _check(ask: Ask) -> None:
    if ask.approval_mode not in APPROVAL:
        raise ProviderError(
            "unsupported",
            "aider cannot keep an agent to its folder: use the approval mode read-only or open",
        )
    if ask.resume is not None:
        value("session id", ask.resume)
    if ask.resume is not None or ask.session_id is not None:
        raise ProviderError("unsupported", "aider has no sessions: leave out the session id and resume")
    if ask.conversation:
        raise ProviderError(
            "unsupported", "aider takes one prompt without a terminal: use the mode embedded for more"
        )


def _in_repository(folder: str) -> bool:
    while True:
        git = os.path.join(folder, ".git")
        if os.path.isfile(git) or os.path.exists(os.path.join(git, "HEAD")):
            return True
        parent = os.path.dirname(folder)
        if parent == folder:
            return False
        folder = parent


def _no_command(prompt: bytes) -> bytes:
    """`prompt` so that aider cannot take it for a command (`/run`, `!`), which it would execute in any mode.

    A line break before it is not part of what the model is asked.
    """
    return b"\n" + prompt if prompt.startswith((b"/", b"!")) else prompt


PROVIDER = Aider()
