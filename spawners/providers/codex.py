"""Codex: headless as `codex exec --json`, or its own interface in a terminal. Flags as run with 0.169.0."""

from __future__ import annotations

import re
from dataclasses import replace

from spawners.launch import Stdin
from spawners.providers.base import ApprovalMode, Ask, Outcome, Plan, ProviderError, clip
from spawners.providers.embedded import MODES, first_prompt
from spawners.providers.headless import prompt_bytes, required_executable, value
from spawners.providers.jsonlines import Event, JsonLines, inner, text_of
from spawners.providers.manifest import Manifest, load

__all__ = ["PROVIDER", "Codex", "CodexReader"]

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

VARIABLES = (
    *("OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_ORGANIZATION", "OPENAI_PROJECT", "AZURE_OPENAI_API_KEY"),
    *("CODEX_API_KEY", "CODEX_HOME", "CODEX_CA_CERTIFICATE"),
)


class Codex:
    """Headless the prompt goes in by stdin (`-`), in a terminal as the last argument, behind `--`.

    `--skip-git-repo-check` is always given to `exec`: codex would else refuse to start outside a git
    repository, and the folder has been chosen by whoever spawns and allowed by the host. It does
    not trust the folder: codex still ignores the folder's own configuration.

    `--no-daemon` in a terminal: codex would else start a server of its own that outlives it, and with
    it the session's environment.
    """

    name = "codex"
    binaries: tuple[str, ...] = ("codex",)
    version_argv: tuple[str, ...] = ("--version",)
    modes: tuple[str, ...] = MODES
    marks: tuple[str, ...] = ("CODEX_*",)
    variables: tuple[str, ...] = VARIABLES

    def plan(self, ask: Ask) -> Plan:
        """Raises `ProviderError`; codex chooses its own session ids, so one in the ask is refused."""
        prompt = first_prompt(self.name, ask) if ask.mode == "embedded" else prompt_bytes(self.name, ask)
        if ask.session_id is not None:
            raise ProviderError("unsupported", "codex chooses its session id itself; leave it out")
        if not isinstance(prompt, bytes):
            return self._embedded(ask, prompt)
        argv = [required_executable(self.name, ask), "exec", "--json", *APPROVAL[ask.approval_mode]]
        argv += ["--skip-git-repo-check", *QUIET]
        if ask.model is not None:
            argv += ["-m", value("model", ask.model)]
        if ask.resume is not None:
            argv += ["resume", value("session id", ask.resume)]
        return Plan(argv=(*argv, "-"), stdin=Stdin(prompt))

    def _embedded(self, ask: Ask, prompt: str | None) -> Plan:
        argv = [required_executable(self.name, ask), "--no-daemon"]
        argv += [*APPROVAL[ask.approval_mode], *ASKING[ask.approval_mode], *QUIET]
        if ask.model is not None:
            argv += ["-m", value("model", ask.model)]
        if ask.resume is not None:
            argv += ["resume", value("session id", ask.resume)]
        if prompt is not None:
            argv += ["--", prompt]
        return Plan(argv=tuple(argv))

    def manifest(self) -> Manifest:
        return load(self.name)

    def parse_version(self, text: str) -> str | None:
        """`codex-cli 0.169.0` → `0.169.0`."""
        found = re.search(r"^codex-cli (\d+\.\d+\.\d+\S*)", text, re.MULTILINE)
        return found[1] if found else None

    def reader(self) -> CodexReader:
        return CodexReader()


class CodexReader:
    """`thread.started`, items, then `turn.completed` or `turn.failed`.

    A bare `error` is often a warning (`Reconnecting... 1/5`): it counts until the turn completes.
    An `agent_message` counts as the answer once it is the last one.
    """

    def __init__(self) -> None:
        self._lines = JsonLines()
        self._outcome: Outcome | None = None

    def feed(self, data: bytes) -> None:
        for event in self._lines.feed(data):
            self._take(event)

    def _take(self, event: Event) -> None:
        known = self._outcome or Outcome()
        match event.get("type"):
            case "thread.started":
                self._outcome = replace(known, session_id=text_of(event, "thread_id"), ready=True)
            case "item.completed" if inner(event, "item").get("type") == "agent_message":
                self._outcome = replace(known, text=clip(text_of(inner(event, "item"), "text") or ""))
            case "turn.completed":
                self._outcome = replace(known, error=None, finished=True)
            case "turn.failed":
                message = text_of(inner(event, "error"), "message") or known.error or "the turn failed"
                self._outcome = replace(known, error=clip(message), finished=True)
            case "error":
                self._outcome = replace(known, error=clip(text_of(event, "message") or "unknown error"))

    def outcome(self) -> Outcome | None:
        return self._outcome


PROVIDER = Codex()
