"""What each provider makes of an ask for its own interface in a terminal."""

from __future__ import annotations

import json
import os
import shlex
import tomllib
from dataclasses import replace

import pytest

from spawners.launch import Stdin
from spawners.providers.base import ApprovalMode, Ask, Plan, Provider, ProviderError
from spawners.providers.registry import BUILTIN

CLIS = [provider for provider in BUILTIN if provider.binaries]
names = pytest.mark.parametrize("provider", CLIS, ids=lambda provider: provider.name)

CODEX_QUIET = "-c analytics.enabled=false -c check_for_update_on_startup=false"
COPILOT_QUIET = "--no-auto-update --disable-client-telemetry"
AIDER_ALWAYS = (
    "--no-auto-commits --no-dirty-commits --no-gitignore --no-check-update --no-show-release-notes "
    "--no-show-model-warnings --no-analytics --no-detect-urls --chat-history-file /state/chat.md "
    "--input-history-file /state/input.txt --no-git"
)
GOLDEN = {
    "claude": {
        "read-only": ("--permission-mode", "dontAsk", "--tools", "Read,Grep,Glob"),
        "guarded": ("--permission-mode", "acceptEdits", "--allowedTools", "Bash(git *)"),
        "open": ("--dangerously-skip-permissions",),
    },
    "codex": {
        "read-only": f"--no-daemon -s read-only -a never {CODEX_QUIET}",
        "guarded": f"--no-daemon -s workspace-write -a on-request {CODEX_QUIET}",
        "open": f"--no-daemon --dangerously-bypass-approvals-and-sandbox {CODEX_QUIET}",
    },
    "gemini": {
        "read-only": "--skip-trust --approval-mode plan --policy /state/gemini-policy.toml",
        "guarded": "--skip-trust --approval-mode auto_edit --policy /state/gemini-policy.toml",
        "open": "--skip-trust --approval-mode yolo",
    },
    "qwen": {
        "read-only": "--approval-mode plan",
        "guarded": "--approval-mode auto-edit",
        "open": "--approval-mode yolo",
    },
    "opencode": {"read-only": "--agent muster", "guarded": "--agent muster", "open": "--auto"},
    "copilot": {
        "read-only": f"--available-tools view,grep,glob {COPILOT_QUIET}",
        "guarded": f"--allow-tool write --allow-tool shell(git:*) {COPILOT_QUIET}",
        "open": f"--allow-all {COPILOT_QUIET}",
    },
    "aider": {
        "read-only": "--chat-mode ask --dry-run --no-suggest-shell-commands --no-auto-lint --no-auto-test "
        f"--map-tokens 0 --load {os.devnull} {AIDER_ALWAYS}",
        "open": f"--no-dry-run {AIDER_ALWAYS}",
    },
}

PROMPT_FLAGS = {
    "gemini": "--prompt-interactive",
    "qwen": "--prompt-interactive",
    "opencode": "--prompt",
    "copilot": "--interactive",
}
"""Where the first prompt is the value of a flag."""

prompted = pytest.mark.parametrize(
    "provider", [each for each in CLIS if each.name != "aider"], ids=lambda provider: provider.name
)


def ask_of(provider: Provider, **change: object) -> Ask:
    """In the safest mode the provider has, from `guarded` on."""
    modes = [mode for mode in (ApprovalMode.GUARDED, ApprovalMode.OPEN) if mode in provider.approval_modes]
    ask = Ask(
        approval_mode=modes[0],
        mode="embedded",
        cwd="/repo",
        env={"PATH": "/usr/bin"},
        state_dir="/state",
        executable=f"/opt/bin/{provider.name}",
    )
    return replace(ask, **change)  # type: ignore[arg-type]


@pytest.mark.parametrize("mode", ApprovalMode)
@names
def test_argv_of_every_approval_mode(provider: Provider, mode: ApprovalMode) -> None:
    if mode not in provider.approval_modes:
        with pytest.raises(ProviderError, match="use the approval mode"):
            provider.plan(ask_of(provider, approval_mode=mode))
        return

    plan = provider.plan(ask_of(provider, approval_mode=mode))

    wanted = GOLDEN[provider.name][mode]
    arguments = tuple(wanted.split()) if isinstance(wanted, str) else wanted
    assert plan.argv == (f"/opt/bin/{provider.name}", *arguments)
    assert plan.stdin == Stdin()


@pytest.mark.parametrize("prompt", ["do it", "--version", "-", "$(reboot) 'x' \"y\"\n--help"])
@prompted
def test_the_first_prompt_is_the_last_argument_and_never_a_flag(provider: Provider, prompt: str) -> None:
    without = provider.plan(ask_of(provider)).argv

    argv = provider.plan(ask_of(provider, prompt=prompt)).argv

    rest = argv[len(without) :]
    assert argv[: len(without)] == without
    if provider.name in PROMPT_FLAGS:
        assert rest == (f"{PROMPT_FLAGS[provider.name]}={prompt}",)
    else:
        assert rest[0] == "--"
        assert rest[1].rstrip(" ") == prompt


def test_claude_cannot_take_a_word_for_its_subcommand() -> None:
    claude = BUILTIN.get("claude")

    assert claude.plan(ask_of(claude, prompt="update")).argv[-1] == "update "
    assert claude.plan(ask_of(claude, prompt="update it")).argv[-1] == "update it"


@prompted
def test_a_first_prompt_that_no_argument_can_hold_is_refused(provider: Provider) -> None:
    limit = 100 * 1024

    assert len(provider.plan(ask_of(provider, prompt="é" * (limit // 2))).argv[-1]) >= limit // 2
    with pytest.raises(ProviderError, match="send it after the start") as refused:
        provider.plan(ask_of(provider, prompt="é" * (limit // 2) + "x"))
    assert refused.value.code == "unsupported"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"prompt": " \n\t"}, "invalid"),
        ({"prompt": ""}, "invalid"),
        ({"prompt": "a\0b"}, "invalid"),
        ({"prompt": "a\ud800b"}, "invalid"),
        ({"argv": ("ls",)}, "invalid"),
        ({"stdin": b""}, "invalid"),
        ({"stdin_live": True}, "invalid"),
        ({"model": "--version"}, "invalid"),
        ({"resume": "-x"}, "invalid"),
        ({"executable": None}, "unsupported"),
    ],
    ids=str,
)
@names
def test_what_a_cli_cannot_do_is_refused(provider: Provider, change: dict[str, object], code: str) -> None:
    with pytest.raises(ProviderError) as refused:
        provider.plan(ask_of(provider, **change))

    assert refused.value.code == code


def test_model_and_session_become_flags_of_their_own() -> None:
    def tail(name: str, **change: object) -> tuple[str, ...]:
        provider = BUILTIN.get(name)
        return provider.plan(ask_of(provider, prompt="a b", **change)).argv[-6:]

    flags = ("--model", "opus", "--resume", "id-1", "--", "a b")
    assert tail("claude", model="opus", resume="id-1") == flags
    assert tail("claude", model="opus", session_id="id-1")[2:4] == ("--session-id", "id-1")
    assert tail("codex", model="m", resume="id-1") == ("-m", "m", "resume", "id-1", "--", "a b")
    assert tail("gemini", model="m", session_id="id-1")[1:5] == ("-m", "m", "--session-id", "id-1")
    with pytest.raises(ProviderError):
        tail("codex", session_id="id-1")


def test_aider_takes_no_first_prompt_in_a_terminal() -> None:
    aider = BUILTIN.get("aider")

    with pytest.raises(ProviderError, match="send it after the start"):
        aider.plan(ask_of(aider, prompt="do it"))


def test_claude_as_root_is_open_only_in_a_sandbox_that_says_so() -> None:
    claude = BUILTIN.get("claude")

    with pytest.raises(ProviderError, match="IS_SANDBOX=1"):
        claude.plan(ask_of(claude, approval_mode=ApprovalMode.OPEN, superuser=True))


def test_gemini_is_one_process_and_comes_with_its_policy() -> None:
    gemini = BUILTIN.get("gemini")

    plan = gemini.plan(ask_of(gemini))

    assert plan.env["GEMINI_CLI_NO_RELAUNCH"] == "true"
    assert list(plan.files) == ["gemini-policy.toml"]


def test_claude_stays_quiet_and_up_to_the_user() -> None:
    claude = BUILTIN.get("claude")

    assert claude.plan(ask_of(claude)).env["DISABLE_AUTOUPDATER"] == "1"
    assert "DISABLE_AUTOUPDATER" not in claude.plan(ask_of(claude, env={"DISABLE_AUTOUPDATER": "0"})).env


def test_a_command_in_a_terminal_is_its_argv() -> None:
    command = BUILTIN.get("command")

    assert command.plan(ask_of(command, argv=("vim", "-R"))) == Plan(argv=("vim", "-R"))
    assert command.manifest() is None


def test_every_provider_has_both_modes() -> None:
    assert {provider.modes for provider in BUILTIN} == {("headless", "embedded")}


def test_claude_s_hooks_are_in_a_file_of_the_agent_s_own() -> None:
    claude = BUILTIN.get("claude")
    hook = ("/opt/my python", "-I", "it's.py")

    plan = claude.plan(ask_of(claude, prompt="do it", hook=hook))

    assert plan.argv[-4:] == ("--settings", "/state/claude-settings.json", "--", "do it")
    hooks = json.loads(plan.files["claude-settings.json"])["hooks"]
    for name in ("UserPromptSubmit", "PermissionRequest", "Stop"):
        ((command,),) = [entry["hooks"] for entry in hooks[name]]
        assert shlex.split(command["command"]) == list(hook)


def test_claude_s_first_questions_are_answered_and_trust_only_by_the_owner() -> None:
    claude = BUILTIN.get("claude")
    env = {"HOME": "/home/ann", "ANTHROPIC_API_KEY": "sk-ant-" + "x" * 80 + "the-last-20-characte"}

    def edits(**change: object) -> dict[tuple[str, ...], object]:
        plan = claude.plan(ask_of(claude, **({"env": env} | change)))
        assert all(edit.path == "/home/ann/.claude.json" for edit in plan.edits)
        return {edit.keys: edit.value for edit in plan.edits}

    trust = ("projects", "/repo", "hasTrustDialogAccepted")
    assert trust not in edits()
    assert edits(trusted=True)[trust] is True
    assert ("bypassPermissionsModeAccepted",) not in edits()
    assert edits(approval_mode=ApprovalMode.OPEN)[("bypassPermissionsModeAccepted",)] is True
    assert edits()[("customApiKeyResponses", "approved")] == "the-last-20-characte"
    assert ("customApiKeyResponses", "approved") not in edits(env={"HOME": "/home/ann"})
    elsewhere = claude.plan(ask_of(claude, env=env | {"CLAUDE_CONFIG_DIR": "/conf"})).edits
    assert {edit.path for edit in elsewhere} == {"/conf/.claude.json"}


def test_codex_is_told_of_trust_and_whom_to_notify_for_this_run_alone() -> None:
    codex = BUILTIN.get("codex")
    plain = codex.plan(ask_of(codex))

    plan = codex.plan(ask_of(codex, cwd='/a.b/"c" d', trusted=True, hook=("/opt/py", "a b")))

    added = plan.argv[len(plain.argv) :]
    assert (added[0], added[2]) == ("-c", "-c")
    assert tomllib.loads(added[1]) == {"projects": {'/a.b/"c" d': {"trust_level": "trusted"}}}
    assert tomllib.loads(added[3]) == {"notify": ["/opt/py", "a b"]}
    assert plan.edits == ()
