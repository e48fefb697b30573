"""A provider that its owner has written down as TOML, for a CLI that has no adapter."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from spawners.launch import Stdin
from spawners.providers.acp import Acp, Habits
from spawners.providers.base import Ability, ApprovalMode, Ask, Dialogue, Opening, Plan, ProviderError
from spawners.providers.claude_control import ClaudeDialogue
from spawners.providers.claude_stream import ClaudeStream
from spawners.providers.codex import CodexStream
from spawners.providers.definition import (
    HOLE,
    Definition,
    DefinitionError,
    Template,
    names_in,
    parse,
    screens,
)
from spawners.providers.embedded import MAX_ARGUMENT, first_prompt
from spawners.providers.events import Event
from spawners.providers.headless import check_prompt, defaults, prompt_bytes, required_executable, value
from spawners.providers.lines import Lines
from spawners.providers.listening import Silent
from spawners.providers.manifest import Manifest

__all__ = ["Defined", "DefinitionError", "defined"]

PROMPT_FILE = "prompt.txt"
SPEAKS = "speaks"
"""The channel of a dialogue that writes too."""

LISTENERS: Mapping[str, Callable[[Definition], Dialogue]] = {
    "claude-stream-json": lambda definition: ClaudeStream(),
    "codex-jsonl": lambda definition: CodexStream(),
    "lines": lambda definition: Lines(definition.lines),
    "none": lambda definition: Silent(),
}

SPEAKERS: Mapping[str, Callable[[Definition, Opening], Dialogue]] = {
    "acp": lambda definition, opening: Acp(
        opening,
        Habits(
            login=definition.acp.login,
            modes=definition.acp.modes,
            sets_model=definition.acp.sets_model,
        ),
    ),
    "claude-stream-json": lambda definition, opening: ClaudeDialogue(opening),
}


def defined(name: str, text: str) -> Defined:
    """The provider `name` of the file that holds `text`. Raises `DefinitionError`."""
    return Defined(name, parse(name, text))


@dataclass(frozen=True, slots=True)
class _Run:
    """What one argv is filled in with; None: not given."""

    template: Template
    values: Mapping[str, str | None]
    flags: tuple[str, ...]

    def argv(self) -> list[str]:
        found: list[str] = []
        for item in self.template:
            if isinstance(item, str):
                found += self._filled(item)
            elif all(name == "approval" or self.values.get(name) is not None for name in names_in([item])):
                found += [argument for part in item for argument in self._filled(part)]
        return found

    def _filled(self, part: str) -> tuple[str, ...]:
        if part == "{approval}":
            return self.flags
        return (HOLE.sub(lambda hole: self.values[hole[1]] or "", part),)


class Defined:
    """Does what its definition says and refuses what that has no words for, as every provider does."""

    def __init__(self, name: str, definition: Definition) -> None:
        environment = definition.environment
        self.name = name
        self.binaries = tuple(definition.binaries)
        self.version_argv = tuple(definition.cli.version_argv)
        self.proven = definition.cli.proven
        self.marks = tuple(environment.marks)
        self.secrets = tuple(environment.secrets)
        self.variables = tuple(dict.fromkeys([*environment.variables, *environment.secrets]))
        self.approval_modes = tuple(mode for mode in ApprovalMode if mode in definition.approval)
        headless = definition.headless or definition.conversation
        self.modes = (*["headless"] * bool(headless), *["embedded"] * bool(definition.embedded))
        self.abilities = _abilities(definition)
        self._definition = definition

    def plan(self, ask: Ask) -> Plan:
        """Raises `ProviderError`; among others for a mode, a model or an earlier conversation that the
        definition has no flags for."""
        if ask.mode not in self.modes:
            modes = " or ".join(self.modes)
            raise ProviderError("unsupported", f"{self.name} cannot run in mode {ask.mode}; use {modes}")
        if ask.approval_mode not in self.approval_modes:
            raise ProviderError(
                "unsupported",
                f"{self.name} cannot be held to {ask.approval_mode}: its file has no such key in [approval]; "
                f"use {' or '.join(self.approval_modes)}",
            )
        if ask.mode == "embedded":
            return self._embedded(ask)
        return self._conversation(ask) if self._speaks(ask) else self._headless(ask)

    def _speaks(self, ask: Ask) -> bool:
        conversation = self._definition.conversation
        if conversation is None:
            if ask.conversation:
                raise ProviderError(
                    "unsupported", f"{self.name} cannot hold a conversation: its file has no [conversation]"
                )
            return False
        asks = conversation.asks and ask.asks and ask.approval_mode is ApprovalMode.GUARDED
        return ask.conversation or asks or self._definition.headless is None

    def _headless(self, ask: Ask) -> Plan:
        table = self._definition.headless
        assert table is not None
        prompt = prompt_bytes(self.name, ask)
        if table.prompt == "argv":
            self._check_argument(table.argv, ask.prompt or "")
        more = {PROMPT_FILE: prompt} if table.prompt == "file" else {}
        stdin = Stdin(prompt if table.prompt == "stdin" else b"")
        return self._plan(ask, table.argv, stdin=stdin, files=more, opening=Opening())

    def _conversation(self, ask: Ask) -> Plan:
        table = self._definition.conversation
        assert table is not None
        prompt_bytes(self.name, ask)
        sets_model = table.stream == "acp" and self._definition.acp.sets_model
        opening = Opening(
            channel=SPEAKS,
            prompt=ask.prompt,
            cwd=ask.cwd,
            model=ask.model,
            approval_mode=ask.approval_mode,
            session_id=ask.session_id,
            resume=ask.resume,
            keep=ask.conversation,
            asks=ask.asks,
        )
        known = frozenset({"model"} if sets_model else ()) | ({"resume"} if table.stream == "acp" else set())
        return self._plan(ask, table.argv, stdin=Stdin(b"", live=True), opening=opening, elsewhere=known)

    def _embedded(self, ask: Ask) -> Plan:
        table = self._definition.embedded
        assert table is not None
        prompt = first_prompt(self.name, ask)
        if prompt is not None:
            if "prompt" not in names_in(table.argv):
                raise ProviderError(
                    "unsupported",
                    f"{self.name} takes no first prompt in a terminal: spawn it without one and send it then",
                )
            self._check_argument(table.argv, prompt)
        return self._plan(ask, table.argv)

    def _plan(
        self,
        ask: Ask,
        template: Template,
        *,
        stdin: Stdin | None = None,
        files: Mapping[str, bytes] | None = None,
        opening: Opening | None = None,
        elsewhere: frozenset[str] = frozenset(),
    ) -> Plan:
        """The plan of one table; `elsewhere` are values that go another way than argv."""
        given = {
            "model": value("model", ask.model) if ask.model is not None else None,
            "resume": value("session id", ask.resume) if ask.resume is not None else None,
            "session": value("session id", ask.session_id) if ask.session_id and not ask.resume else None,
        }
        names = names_in(template)
        for name in ("model", "resume"):
            if given[name] is not None and name not in names | elsewhere:
                raise ProviderError(
                    "unsupported",
                    f"{self.name} cannot be given a {name}: in its file, the argv for this has no {{{name}}}",
                )
        values: dict[str, str | None] = {
            **given,
            "prompt": ask.prompt,
            "prompt_file": os.path.join(ask.state_dir, PROMPT_FILE),
            "max_turns": str(ask.max_turns) if ask.max_turns is not None else None,
            "cwd": ask.cwd,
            "state_dir": ask.state_dir,
        }
        environment = self._definition.environment
        own = {name: text.encode() for name, text in self._definition.files.items()}
        run = _Run(template, values, flags=tuple(self._definition.approval[ask.approval_mode]))
        return Plan(
            argv=(required_executable(self.name, ask, self.binaries[0]), *run.argv()),
            stdin=stdin or Stdin(),
            env=defaults(ask, environment.set),
            unset=frozenset(environment.unset),
            files=own | dict(files or {}),
            opening=opening,
            session_id=ask.resume or (given["session"] if "session" in names else None),
        )

    def _check_argument(self, template: Template, prompt: str) -> None:
        """Raise `ProviderError` for a prompt that this argv cannot carry unchanged and unmistaken."""
        if len(check_prompt(self.name, prompt)) > MAX_ARGUMENT:
            raise ProviderError(
                "unsupported",
                f"{self.name} takes its prompt as an argument, which has at most {MAX_ARGUMENT} bytes; "
                "put it into a file and name that",
            )
        flat = [part for item in template for part in ([item] if isinstance(item, str) else item)]
        before = flat[: flat.index("{prompt}")]
        if prompt.startswith("-") and "--" not in before:
            raise ProviderError(
                "unsupported",
                f"{self.name} could take a prompt that begins with - for a flag: begin it otherwise, or put "
                '"--" before {prompt} in its file if it knows that',
            )

    def dialogue(self, opening: Opening) -> Dialogue:
        table = self._definition.conversation
        if opening.channel == SPEAKS and table is not None:
            return SPEAKERS[table.stream](self._definition, opening)
        headless = self._definition.headless
        return LISTENERS[headless.stream if headless else "none"](self._definition)

    def hook(self, payload: Mapping[str, Any]) -> list[Event]:
        return []

    def manifest(self) -> Manifest | None:
        return screens(self.name, self._definition)

    def parse_version(self, text: str) -> str | None:
        found = re.search(self._definition.cli.version_pattern, text, re.MULTILINE)
        return found[1] if found else None


def _abilities(definition: Definition) -> frozenset[Ability]:
    names = [names_in(template) for _, template in definition.templates]
    conversation, headless = definition.conversation, definition.headless
    acp = conversation is not None and conversation.stream == "acp"
    able = {
        Ability.RESULT: conversation is not None or (headless is not None and headless.stream != "none"),
        Ability.RESUME: any("resume" in found for found in names) or acp,
        Ability.SESSION_ID: any("session" in found for found in names),
        Ability.CONVERSATION: conversation is not None,
        Ability.INTERRUPT: conversation is not None,
        Ability.APPROVALS: conversation is not None and conversation.asks,
        Ability.CHANGE_MODEL: acp and definition.acp.sets_model,
        Ability.CHANGE_MODE: acp and bool(definition.acp.modes),
        Ability.MAX_TURNS: any("max_turns" in found for found in names),
    }
    return frozenset(ability for ability, has in able.items() if has)
