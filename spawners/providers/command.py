"""The provider that runs a given argv, exactly as given and never through a shell."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from spawners.launch import Stdin
from spawners.providers.base import Ability, ApprovalMode, Ask, Opening, Plan, ProviderError
from spawners.providers.embedded import MODES, check_no_stdin
from spawners.providers.events import Event
from spawners.providers.listening import Silent

__all__ = ["PROVIDER", "Command"]


class Command:
    """`argv` is the program. What it may do is not ours to limit, so `read-only` is refused.

    stdin: closed, `ask.stdin` and then end of file, or with `stdin_live` a pipe that stays open; in mode
    `embedded` it is the terminal.
    """

    name = "command"
    binaries: tuple[str, ...] = ()
    version_argv: tuple[str, ...] = ("--version",)
    modes: tuple[str, ...] = MODES
    marks: tuple[str, ...] = ()
    variables: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    proven = None
    approval_modes: tuple[ApprovalMode, ...] = (ApprovalMode.GUARDED, ApprovalMode.OPEN)
    abilities: frozenset[Ability] = frozenset()

    def plan(self, ask: Ask) -> Plan:
        """Raises `ProviderError`: no argv, an empty program name, a NUL, a prompt, or `read-only`."""
        if ask.mode not in self.modes:
            raise ProviderError(
                "unsupported", f"command cannot run in mode {ask.mode}; use headless or embedded"
            )
        if ask.mode == "embedded":
            check_no_stdin(ask)
        if ask.prompt is not None:
            raise ProviderError(
                "invalid", "the provider command takes argv, not a prompt: put the program after `--`"
            )
        if not ask.argv or not ask.argv[0]:
            raise ProviderError("invalid", "argv is empty: put the program and its arguments after `--`")
        if any("\0" in argument for argument in ask.argv):
            raise ProviderError("invalid", "argv holds a NUL character, which no program can be given")
        if ask.approval_mode is ApprovalMode.READ_ONLY:
            raise ProviderError(
                "unsupported", "a command cannot be held to read-only; leave the approval mode out"
            )
        for option, value in (("model", ask.model), ("resume", ask.resume), ("session id", ask.session_id)):
            if value is not None:
                raise ProviderError("invalid", f"the provider command has no {option}; leave it out")
        return Plan(argv=ask.argv, stdin=Stdin(ask.stdin or b"", live=ask.stdin_live))

    def manifest(self) -> None:
        return None

    def parse_version(self, text: str) -> str | None:
        return None

    def dialogue(self, opening: Opening) -> Silent:
        return Silent()

    def hook(self, payload: Mapping[str, Any]) -> list[Event]:
        return []


PROVIDER = Command()
