"""Codex: headless as `codex exec --json`, or its own interface in a terminal. Flags as run with 0.169.0."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from spawners.launch import Stdin
from spawners.providers import events
from spawners.providers.base import Ability, ApprovalMode, Ask, Dialogue, Opening, Plan, ProviderError
from spawners.providers.codex_server import CHANNEL, CodexDialogue
from spawners.providers.codex_stream import CodexStream
from spawners.providers.embedded import MODES, first_prompt
from spawners.providers.events import Event
from spawners.providers.headless import prompt_bytes, required_executable, value
from spawners.providers.jsonlines import text_of
from spawners.providers.manifest import Manifest, load

__all__ = ["PROVIDER", "Codex", "CodexStream"]

APPROVAL = {
    # The sandbox is the kernel's. `exec` never asks: what the sandbox forbids fails.
    ApprovalMode.READ_ONLY: ("-s", "read-only"),
    ApprovalMode.GUARDED: ("-s", "workspace-write"),
    ApprovalMode.OPEN: ("--dangerously-bypass-approvals-and-sandbox",),
}

ASKING = {
    # In a terminal there is a person to ask, where the mode leaves anything to be asked for.
    ApprovalMode.READ_ONLY: ("-a", "never"),
    ApprovalMode.GUARDED: ("-a", "on-request"),
    ApprovalMode.OPEN: (),
}

QUIET = ("-c", "analytics.enabled=false", "-c", "check_for_update_on_startup=false")
"""Analytics cost five seconds at the end of every offline run (measured: 5.3 s against 0.25 s)."""

TITLE_PROMPT = "Generate a concise, single-line task title"
"""How the terminal interface begins to ask, in a thread of its own, what to call the first task."""

VARIABLES = (
    *("OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_ORGANIZATION", "OPENAI_PROJECT", "AZURE_OPENAI_API_KEY"),
    *("CODEX_API_KEY", "CODEX_HOME", "CODEX_CA_CERTIFICATE"),
)


class Codex:
    """Headless the prompt goes in by stdin (`-`), in a terminal as the last argument, behind `--`.

    `--skip-git-repo-check` is always given to `exec`: codex would else refuse to start outside a git
    repository, and the folder has been chosen by whoever spawns and allowed by the host. It does
    not trust the folder: codex still ignores the folder's own configuration.

    In a terminal trust and `notify` are given for that run alone; a `notify` of the user's own is not called
    then. Of codex' hooks none are used: they run only once a person has reviewed them, and the flag that
    says otherwise would let every other hook run too.

    `--no-daemon` in a terminal: codex would else start a server of its own that outlives it, and with
    it the session's environment.
    """

    name = "codex"
    binaries: tuple[str, ...] = ("codex",)
    version_argv: tuple[str, ...] = ("--version",)
    modes: tuple[str, ...] = MODES
    marks: tuple[str, ...] = ("CODEX_*",)
    variables: tuple[str, ...] = VARIABLES
    secrets: tuple[str, ...] = ("OPENAI_API_KEY", "AZURE_OPENAI_API_KEY", "CODEX_API_KEY")
    proven = "0.169.0"
    approval_modes: tuple[ApprovalMode, ...] = tuple(ApprovalMode)
    abilities = frozenset(Ability) - {Ability.SESSION_ID, Ability.MAX_TURNS, Ability.COST}

    def plan(self, ask: Ask) -> Plan:
        """Raises `ProviderError`; codex chooses its own session ids, so one in the ask is refused."""
        if ask.session_id is not None:
            raise ProviderError("unsupported", "codex chooses its session id itself; leave it out")
        if ask.mode == "embedded":
            return self._embedded(ask, first_prompt(self.name, ask))
        prompt = prompt_bytes(self.name, ask)
        if ask.conversation or (ask.asks and ask.approval_mode is ApprovalMode.GUARDED):
            return self._served(ask)
        argv = [required_executable(self.name, ask), "exec", "--json", *APPROVAL[ask.approval_mode]]
        argv += ["--skip-git-repo-check", *QUIET]
        if ask.model is not None:
            argv += ["-m", value("model", ask.model)]
        if ask.resume is not None:
            argv += ["resume", value("session id", ask.resume)]
        return Plan(argv=(*argv, "-"), stdin=Stdin(prompt), opening=Opening(), session_id=ask.resume)

    def _served(self, ask: Ask) -> Plan:
        opening = Opening(
            channel=CHANNEL,
            prompt=ask.prompt,
            cwd=ask.cwd,
            model=None if ask.model is None else value("model", ask.model),
            approval_mode=ask.approval_mode,
            resume=None if ask.resume is None else value("session id", ask.resume),
            keep=ask.conversation,
            asks=ask.asks,
        )
        argv = (required_executable(self.name, ask), "app-server", *QUIET)
        return Plan(argv=argv, stdin=Stdin(live=True), opening=opening, session_id=ask.resume)

    def _embedded(self, ask: Ask, prompt: str | None) -> Plan:
        argv = [required_executable(self.name, ask), "--no-daemon"]
        argv += [*APPROVAL[ask.approval_mode], *ASKING[ask.approval_mode], *QUIET]
        if ask.trusted:
            argv += ["-c", f'projects={{{_toml(ask.cwd)}={{trust_level="trusted"}}}}']
        if ask.hook is not None:
            argv += ["-c", f"notify=[{', '.join(map(_toml, ask.hook))}]"]
        if ask.model is not None:
            argv += ["-m", value("model", ask.model)]
        if ask.resume is not None:
            argv += ["resume", value("session id", ask.resume)]
        if prompt is not None:
            argv += ["--", prompt]
        return Plan(argv=tuple(argv), session_id=ask.resume)

    def manifest(self) -> Manifest:
        return load(self.name)

    def parse_version(self, text: str) -> str | None:
        """`codex-cli 0.169.0` → `0.169.0`."""
        found = re.search(r"^codex-cli (\d+\.\d+\.\d+\S*)", text, re.MULTILINE)
        return found[1] if found else None

    def dialogue(self, opening: Opening) -> Dialogue:
        return CodexDialogue(opening) if opening.channel == CHANNEL else CodexStream()

    def hook(self, payload: Mapping[str, Any]) -> list[Event]:
        """What its `notify` says: a turn has ended, be it a turn in which it made up a title."""
        asked = payload.get("input-messages")
        first = asked[0] if isinstance(asked, list) and asked else ""
        if payload.get("type") != "agent-turn-complete" or str(first).startswith(TITLE_PROMPT):
            return []
        text = text_of(payload, "last-assistant-message")
        return [
            events.SessionStarted(text_of(payload, "thread-id")),
            events.TurnEnded(status="completed", text=text),
        ]


def _toml(text: str) -> str:
    """`text` as a basic string of TOML, which is one of JSON without escaped surrogates."""
    return json.dumps(text, ensure_ascii=False)


PROVIDER = Codex()
