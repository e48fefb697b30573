"""opencode: headless as `opencode run --format json` or over ACP, or its own interface in a terminal.

Flags as run with 1.18.33.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from spawners.launch import Stdin
from spawners.providers.acp import Acp, Habits, opening_of
from spawners.providers.acp_usage import usage_of
from spawners.providers.base import Ability, ApprovalMode, Ask, Dialogue, Opening, Plan, ProviderError
from spawners.providers.embedded import MODES, first_prompt
from spawners.providers.events import Event, Usage
from spawners.providers.headless import defaults, prompt_bytes, required_executable, value
from spawners.providers.jsonlines import Event as Line
from spawners.providers.manifest import Manifest, load
from spawners.providers.opencode_stream import OpencodeStream
from spawners.providers.text import version_line

__all__ = ["PROVIDER", "Opencode"]

AGENT = "muster"
"""An agent of our own, because its rules come last: those of `OPENCODE_PERMISSION` alone give way to what
a configuration says of the agent `build` (measured)."""

LOOK = {"read": "allow", "grep": "allow", "glob": "allow", "list": "allow"}
WORK = {**LOOK, "edit": "allow", "lsp": "allow", "skill": "allow", "task": "allow", "todowrite": "allow"}

QUIET = {
    "OPENCODE_DISABLE_AUTOUPDATE": "true",
    "OPENCODE_DISABLE_LSP_DOWNLOAD": "true",
    "OPENCODE_DISABLE_MODELS_FETCH": "true",
    "OPENCODE_DISABLE_SHARE": "true",
}
"""Nothing is fetched or published beside the model's own traffic."""

VARIABLES = (
    *("ANTHROPIC_API_KEY", "OPENAI_API_KEY", "GEMINI_API_KEY", "GOOGLE_GENERATIVE_AI_API_KEY"),
    *("OPENROUTER_API_KEY", "GROQ_API_KEY", "MISTRAL_API_KEY", "XAI_API_KEY", "DEEPSEEK_API_KEY"),
    *("AWS_BEARER_TOKEN_BEDROCK", "AWS_PROFILE", "AWS_REGION", "GOOGLE_APPLICATION_CREDENTIALS"),
    *("OPENCODE_API_KEY", "OPENCODE_AUTH_CONTENT", "OPENCODE_CONFIG", "OPENCODE_CONFIG_CONTENT"),
    *("OPENCODE_CONFIG_DIR", "OPENCODE_DISABLE_*", "OPENCODE_MODELS_PATH", "OPENCODE_MODELS_URL"),
)

LOGIN = "run `opencode auth login` on this host, or give it a provider's API key"


def _usage(result: Line) -> Usage | None:
    """Only the last answer's of a turn, for opencode tells no more; its input leaves out what was cached."""
    usage = usage_of(result)
    if usage is None or usage.cached_input_tokens is None:
        return usage
    return replace(usage, input_tokens=(usage.input_tokens or 0) + usage.cached_input_tokens)


HABITS = Habits(login=LOGIN, usage=_usage)


class Opencode:
    """Headless the prompt goes in by stdin: opencode puts quotes around one in argv that holds blanks.

    But in `open`, the configuration of the folder does not count: it could allow what the mode denies,
    and its plugins run code before anything is asked. In `guarded`, what is neither an edit in the
    folder nor git is denied where nobody answers; opencode would else reject it and end the turn.
    """

    name = "opencode"
    binaries: tuple[str, ...] = ("opencode",)
    version_argv: tuple[str, ...] = ("--version",)
    modes: tuple[str, ...] = MODES
    marks: tuple[str, ...] = ("OPENCODE", "OPENCODE_PID", "AGENT")
    variables: tuple[str, ...] = VARIABLES
    secrets: tuple[str, ...] = tuple(
        name for name in VARIABLES if name.endswith(("_KEY", "_BEDROCK", "_CONTENT"))
    )
    proven = "1.18.33"
    approval_modes: tuple[ApprovalMode, ...] = tuple(ApprovalMode)
    abilities = frozenset(
        {
            Ability.RESULT,
            Ability.RESUME,
            Ability.CONVERSATION,
            Ability.APPROVALS,
            Ability.INTERRUPT,
            Ability.CHANGE_MODEL,
        }
    )

    def plan(self, ask: Ask) -> Plan:
        """Raises `ProviderError`; opencode chooses its own session ids, so one in the ask is refused."""
        prompt = first_prompt(self.name, ask) if ask.mode == "embedded" else prompt_bytes(self.name, ask)
        if ask.session_id is not None:
            raise ProviderError("unsupported", "opencode chooses its session id itself; leave it out")
        executable = required_executable(self.name, ask)
        resume = None if ask.resume is None else value("session id", ask.resume)
        speaking = opening_of(ask)
        env = defaults(ask, QUIET) | _limits(ask, somebody_answers=speaking.asks or ask.mode == "embedded")
        if isinstance(prompt, bytes) and (speaking.asks or ask.conversation):
            return Plan(argv=(executable, "acp"), stdin=Stdin(live=True), env=env, opening=speaking)
        argv = [executable, *(("run", "--format", "json") if isinstance(prompt, bytes) else ())]
        argv += ["--auto"] if ask.approval_mode is ApprovalMode.OPEN else ["--agent", AGENT]
        if ask.model is not None:
            argv += ["--model", value("model", ask.model)]
        if resume is not None:
            argv += ["--session", resume]
        if isinstance(prompt, bytes):
            opening = Opening(model=ask.model, approval_mode=ask.approval_mode, resume=resume)
            return Plan(argv=tuple(argv), stdin=Stdin(prompt), env=env, opening=opening)
        if prompt is not None:
            argv.append(f"--prompt={prompt}")
        return Plan(argv=tuple(argv), env=env)

    def manifest(self) -> Manifest:
        return load(self.name)

    def parse_version(self, text: str) -> str | None:
        return version_line(text)

    def dialogue(self, opening: Opening) -> Dialogue:
        return OpencodeStream(opening) if opening.channel == "stream" else Acp(opening, HABITS)

    def hook(self, payload: Mapping[str, Any]) -> list[Event]:
        return []


def _limits(ask: Ask, *, somebody_answers: bool) -> dict[str, str]:
    """The environment that holds opencode to the ask's mode. Of its rules the last one that fits counts."""
    rest = "ask" if somebody_answers else "deny"
    every: dict[ApprovalMode, dict[str, Any]] = {
        ApprovalMode.READ_ONLY: {"*": "deny", **LOOK},
        ApprovalMode.GUARDED: {"*": rest, **WORK, "bash": {"*": rest, "git *": "allow"}},
        ApprovalMode.OPEN: {"*": "allow"},
    }
    rules = every[ask.approval_mode]
    config = _given_config(ask)
    if ask.model is not None:
        config["model"] = value("model", ask.model)
    limits = {"OPENCODE_PERMISSION": json.dumps(rules)}
    if ask.approval_mode is not ApprovalMode.OPEN:
        agents = dict(config.get("agent") or {})
        config |= {
            "agent": agents | {AGENT: {"mode": "primary", "permission": rules}},
            "default_agent": AGENT,
        }
        limits["OPENCODE_DISABLE_PROJECT_CONFIG"] = "true"
    return limits | {"OPENCODE_CONFIG_CONTENT": json.dumps(config)}


def _given_config(ask: Ask) -> dict[str, Any]:
    try:
        config = json.loads(ask.env.get("OPENCODE_CONFIG_CONTENT") or "{}")
    except ValueError:
        config = None
    if not isinstance(config, dict) or not isinstance(config.get("agent") or {}, dict):
        raise ProviderError("invalid", "OPENCODE_CONFIG_CONTENT is no JSON object; make it one or unset it")
    return config


PROVIDER = Opencode()
