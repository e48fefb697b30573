"""What each provider makes of an ask: the exact argv for every approval mode, and every refusal."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from typing import Any

import pytest

from spawners.launch import Stdin
from spawners.providers.base import ApprovalMode, Ask, Opening, Plan, Provider, ProviderError, UnknownProvider
from spawners.providers.registry import BUILTIN, Registry

CLIS = [provider for provider in BUILTIN if provider.binaries]

CLAUDE_ALWAYS = ("-p", "--output-format", "stream-json", "--verbose")
CODEX_ALWAYS = (
    "--skip-git-repo-check",
    *("-c", "analytics.enabled=false"),
    *("-c", "check_for_update_on_startup=false"),
)
COPILOT_ALWAYS = (
    *("--no-auto-update", "--disable-client-telemetry", "--no-ask-user", "--no-remote"),
    *("--no-remote-export", "--output-format", "json"),
)
AIDER_ALWAYS = (
    "--no-auto-commits --no-dirty-commits --no-gitignore --no-check-update --no-show-release-notes "
    "--no-show-model-warnings --no-analytics --no-detect-urls --chat-history-file /state/chat.md "
    "--input-history-file /state/input.txt --no-git"
)
GOLDEN = {
    "claude": {
        "read-only": (*CLAUDE_ALWAYS, "--permission-mode", "dontAsk", "--tools", "Read,Grep,Glob"),
        "guarded": (*CLAUDE_ALWAYS, "--permission-mode", "acceptEdits", "--allowedTools", "Bash(git *)"),
        "open": (*CLAUDE_ALWAYS, "--dangerously-skip-permissions"),
    },
    "codex": {
        "read-only": ("exec", "--json", "-s", "read-only", *CODEX_ALWAYS, "-"),
        "guarded": ("exec", "--json", "-s", "workspace-write", *CODEX_ALWAYS, "-"),
        "open": ("exec", "--json", "--dangerously-bypass-approvals-and-sandbox", *CODEX_ALWAYS, "-"),
    },
    "gemini": {
        "read-only": "-o stream-json --skip-trust --approval-mode plan --policy /state/gemini-policy.toml",
        "guarded": "-o stream-json --skip-trust --approval-mode auto_edit --policy /state/gemini-policy.toml",
        "open": "-o stream-json --skip-trust --approval-mode yolo",
    },
    "qwen": {
        "read-only": "-o stream-json --approval-mode plan",
        "guarded": "-o stream-json --approval-mode auto-edit --exclude-tools run_shell_command,monitor",
        "open": "-o stream-json --approval-mode yolo",
    },
    "opencode": {
        "read-only": "run --format json --agent muster",
        "guarded": "run --format json --agent muster",
        "open": "run --format json --auto",
    },
    "copilot": {
        "read-only": ("--available-tools", "view,grep,glob", *COPILOT_ALWAYS),
        "guarded": ("--allow-tool", "write", "--allow-tool", "shell(git:*)", *COPILOT_ALWAYS),
        "open": ("--allow-all", *COPILOT_ALWAYS),
    },
    "aider": {
        "read-only": f"--chat-mode ask --dry-run --no-suggest-shell-commands --no-auto-lint --no-auto-test "
        f"--map-tokens 0 --load {os.devnull} {AIDER_ALWAYS} --no-pretty --no-stream --no-fancy-input "
        "--yes-always --message-file /state/message.txt",
        "open": f"--no-dry-run {AIDER_ALWAYS} --no-pretty --no-stream --no-fancy-input "
        "--message-file /state/message.txt",
    },
}


def ask_of(provider: Provider) -> Ask:
    """In the safest mode the provider has, from `guarded` on."""
    modes = [mode for mode in (ApprovalMode.GUARDED, ApprovalMode.OPEN) if mode in provider.approval_modes]
    return Ask(
        approval_mode=modes[0],
        mode="headless",
        cwd="/repo",
        env={"PATH": "/usr/bin"},
        state_dir="/state",
        prompt="do it",
        executable=f"/opt/bin/{provider.name}",
    )


def command(*argv: str) -> Ask:
    return Ask(mode="headless", cwd="/", env={}, state_dir="/state", argv=argv)


@pytest.mark.parametrize("mode", ApprovalMode)
@pytest.mark.parametrize("provider", CLIS, ids=lambda provider: provider.name)
def test_argv_of_every_approval_mode(provider: Provider, mode: ApprovalMode) -> None:
    asked = replace(ask_of(provider), approval_mode=mode)
    if mode not in provider.approval_modes:
        with pytest.raises(ProviderError, match="use the approval mode") as refused:
            provider.plan(asked)
        assert refused.value.code == "unsupported"
        return

    plan = provider.plan(asked)
    wanted = GOLDEN[provider.name][mode]
    arguments = tuple(wanted.split()) if isinstance(wanted, str) else wanted
    assert plan.argv == (f"/opt/bin/{provider.name}", *arguments)


CLAUDE_SPEAKS = (*CLAUDE_ALWAYS, "--input-format", "stream-json")
SPOKEN_TO = {
    "claude": {
        "read-only": (*CLAUDE_SPEAKS, "--permission-mode", "dontAsk", "--tools", "Read,Grep,Glob"),
        "guarded": (*CLAUDE_SPEAKS, "--permission-mode", "acceptEdits", "--allowedTools", "Bash(git *)"),
        "open": (*CLAUDE_SPEAKS, "--dangerously-skip-permissions", "--allowedTools", "Bash(git *)"),
    },
    "opencode": dict.fromkeys(ApprovalMode, ("acp",)),
    "codex": dict.fromkeys(ApprovalMode, ("app-server", *CODEX_ALWAYS[1:])),
}
"""argv of a conversation that nobody answers approvals in."""


@pytest.mark.parametrize("mode", ApprovalMode)
@pytest.mark.parametrize("name", SPOKEN_TO)
def test_a_conversation_reads_its_prompt_and_all_else_from_a_live_pipe(name: str, mode: ApprovalMode) -> None:
    provider = BUILTIN.get(name)
    plan = provider.plan(replace(ask_of(provider), approval_mode=mode, conversation=True))

    assert plan.argv == (f"/opt/bin/{name}", *SPOKEN_TO[name][mode])
    assert plan.stdin == Stdin(live=True)
    assert plan.opening is not None
    assert (plan.opening.prompt, plan.opening.keep, plan.opening.asks) == ("do it", True, False)


@pytest.mark.parametrize("name", SPOKEN_TO)
def test_only_a_guarded_run_of_one_turn_needs_somebody_to_ask(name: str) -> None:
    provider = BUILTIN.get(name)

    def channel(mode: ApprovalMode) -> str:
        opening = provider.plan(replace(ask_of(provider), approval_mode=mode, asks=True)).opening
        assert opening is not None
        assert not opening.keep
        return opening.channel

    assert channel(ApprovalMode.GUARDED) != "stream"
    assert channel(ApprovalMode.READ_ONLY) == channel(ApprovalMode.OPEN) == "stream"


def test_claude_is_told_whom_to_ask_and_how_long_to_go_on() -> None:
    claude = BUILTIN.get("claude")

    argv = claude.plan(replace(ask_of(claude), asks=True, max_turns=3, max_cost_usd=1e-5)).argv
    asked = ("--permission-prompt-tool", "stdio")
    assert argv[-6:] == (*asked, "--max-turns", "3", "--max-budget-usd", "0.000010")


@pytest.mark.parametrize("provider", CLIS, ids=lambda provider: provider.name)
def test_the_prompt_stands_in_stdin_or_a_file_alone(provider: Provider) -> None:
    prompt = '--help "$(reboot)"\n' + "x" * 3_000_000
    plan = provider.plan(replace(ask_of(provider), prompt=prompt))

    assert prompt.encode() in (plan.stdin.data, *plan.files.values())
    assert not any("reboot" in argument or "xxx" in argument for argument in plan.argv)


@pytest.mark.parametrize("provider", CLIS, ids=lambda provider: provider.name)
@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"prompt": None}, "invalid"),
        ({"prompt": " \n\t"}, "invalid"),
        ({"prompt": "a\0b"}, "invalid"),
        ({"prompt": "a\ud800b"}, "invalid"),
        ({"argv": ("ls",)}, "invalid"),
        ({"stdin": b""}, "invalid"),
        ({"stdin_live": True}, "invalid"),
        ({"model": "--dangerously-skip-permissions"}, "invalid"),
        ({"model": ""}, "invalid"),
        ({"model": "a b"}, "invalid"),
        ({"resume": "-x"}, "invalid"),
        ({"mode": "terminal"}, "unsupported"),
        ({"executable": None}, "unsupported"),
    ],
    ids=str,
)
def test_what_a_cli_cannot_do_is_refused(provider: Provider, change: dict[str, object], code: str) -> None:
    with pytest.raises(ProviderError) as refused:
        provider.plan(replace(ask_of(provider), **change))  # type: ignore[arg-type]

    assert refused.value.code == code


def test_model_and_session_become_flags_of_their_own() -> None:
    def tail(name: str, **change: str) -> tuple[str, ...]:
        provider = BUILTIN.get(name)
        argv = provider.plan(replace(ask_of(provider), approval_mode=ApprovalMode.OPEN, **change)).argv
        return argv[-4:]

    assert tail("claude", model="opus[1m]", resume="id-1") == ("--model", "opus[1m]", "--resume", "id-1")
    assert tail("claude", model="opus", session_id="id-1") == ("--model", "opus", "--session-id", "id-1")
    assert tail("gemini", model="m", resume="id-1") == ("-m", "m", "--resume", "id-1")
    assert tail("gemini", model="m", session_id="id-1") == ("-m", "m", "--session-id", "id-1")
    assert tail("codex", model="m", resume="id-1") == ("m", "resume", "id-1", "-")
    with pytest.raises(ProviderError) as refused:
        tail("codex", session_id="id-1")
    assert refused.value.code == "unsupported"


def test_claude_as_root_is_open_only_in_a_sandbox_that_says_so() -> None:
    claude = BUILTIN.get("claude")
    root = replace(ask_of(claude), approval_mode=ApprovalMode.OPEN, superuser=True)

    with pytest.raises(ProviderError, match="IS_SANDBOX=1") as refused:
        claude.plan(root)
    assert refused.value.code == "unsupported"

    plan = claude.plan(replace(root, env={"IS_SANDBOX": "1"}))
    assert "--dangerously-skip-permissions" in plan.argv
    assert "IS_SANDBOX" not in plan.env


def test_gemini_guarded_comes_with_the_policy_its_argv_names() -> None:
    gemini = BUILTIN.get("gemini")
    plan = gemini.plan(ask_of(gemini))

    assert list(plan.files) == ["gemini-policy.toml"]
    assert b'commandPrefix = "git"' in plan.files["gemini-policy.toml"]


def test_gemini_refuses_a_prompt_it_would_cut() -> None:
    gemini = BUILTIN.get("gemini")
    limit = 8 * 1024 * 1024

    assert len(gemini.plan(replace(ask_of(gemini), prompt="x" * limit)).stdin.data) == limit
    with pytest.raises(ProviderError, match="8388608"):
        gemini.plan(replace(ask_of(gemini), prompt="x" * limit + "x"))


@pytest.mark.parametrize("prompt", ["/run reboot", "!reboot"])
def test_aider_cannot_take_a_prompt_for_a_command(prompt: str) -> None:
    aider = BUILTIN.get("aider")

    assert aider.plan(replace(ask_of(aider), prompt=prompt)).files == {"message.txt": f"\n{prompt}".encode()}


def test_copilot_is_not_allowed_everything_by_a_variable_of_the_host() -> None:
    copilot = BUILTIN.get("copilot")
    plan = copilot.plan(ask_of(copilot))

    assert plan.environment({"COPILOT_ALLOW_ALL": "true"})["COPILOT_ALLOW_ALL"] == "false"


def test_copilot_trusts_a_folder_only_with_consent() -> None:
    copilot = BUILTIN.get("copilot")
    asked = replace(ask_of(copilot), env={"HOME": "/home/ann"})
    terminal = replace(asked, mode="embedded")

    assert copilot.plan(terminal).edits == ()
    assert "--trust-folder" not in copilot.plan(asked).argv
    (edit,) = copilot.plan(replace(terminal, trusted=True)).edits
    assert (edit.path, edit.keys, edit.value) == (
        "/home/ann/.copilot/config.json",
        ("trustedFolders",),
        "/repo",
    )
    assert "--trust-folder" in copilot.plan(replace(asked, trusted=True)).argv


def test_opencode_s_rules_are_the_last_word_and_keep_the_host_s_own_configuration() -> None:
    opencode = BUILTIN.get("opencode")
    asked = replace(ask_of(opencode), env={"OPENCODE_CONFIG_CONTENT": '{"agent": {"a": {}}, "model": "m"}'})

    def config(**change: Any) -> Any:
        return json.loads(opencode.plan(replace(asked, **change)).env["OPENCODE_CONFIG_CONTENT"])

    guarded = config(model="n")
    rules = guarded["agent"]["muster"]["permission"]
    assert next(iter(rules.items())) == ("*", "deny")
    assert rules["bash"] == {"*": "deny", "git *": "allow"}
    assert (guarded["agent"]["a"], guarded["model"]) == ({}, "n")
    assert config(asks=True)["agent"]["muster"]["permission"]["*"] == "ask"
    assert config(approval_mode=ApprovalMode.OPEN) == {"agent": {"a": {}}, "model": "m"}
    with pytest.raises(ProviderError, match="OPENCODE_CONFIG_CONTENT"):
        opencode.plan(replace(asked, env={"OPENCODE_CONFIG_CONTENT": "{"}))


def test_what_keeps_a_cli_quiet_yields_to_the_user_s_own_setting() -> None:
    claude = BUILTIN.get("claude")
    plan = claude.plan(replace(ask_of(claude), env={"DISABLE_AUTOUPDATER": "0"}))

    assert plan.env["DISABLE_TELEMETRY"] == "1"
    assert plan.environment({"DISABLE_AUTOUPDATER": "0"})["DISABLE_AUTOUPDATER"] == "0"


def test_gemini_never_relaunches_itself() -> None:
    gemini = BUILTIN.get("gemini")
    plan = gemini.plan(replace(ask_of(gemini), env={"GEMINI_CLI_NO_RELAUNCH": "false"}))

    assert plan.environment({"GEMINI_CLI_NO_RELAUNCH": "false"})["GEMINI_CLI_NO_RELAUNCH"] == "true"


def test_a_plan_s_environment_is_its_own_over_what_it_does_not_unset() -> None:
    plan = Plan(argv=("x",), env={"A": "1"}, unset=frozenset({"B"}))

    assert plan.environment({"A": "0", "B": "0", "C": "0"}) == {"A": "1", "C": "0"}


def test_a_command_is_its_argv() -> None:
    argv = ("/bin/echo", "$HOME", "a b", "", "-n", "\n")

    assert BUILTIN.get("command").plan(command(*argv)) == Plan(argv=argv, stdin=Stdin())


@pytest.mark.parametrize(
    ("stdin", "live", "wanted"),
    [
        (None, False, Stdin()),
        (b"\xff\0", False, Stdin(b"\xff\0")),
        (None, True, Stdin(live=True)),
        (b"first", True, Stdin(b"first", live=True)),
    ],
)
def test_a_command_reads_nothing_bytes_or_a_live_pipe(stdin: bytes | None, live: bool, wanted: Stdin) -> None:
    asked = replace(command("cat"), stdin=stdin, stdin_live=live)

    assert BUILTIN.get("command").plan(asked).stdin == wanted


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        (command(), "invalid"),
        (command(""), "invalid"),
        (command("a", "b\0"), "invalid"),
        (replace(command("a"), argv=None), "invalid"),
        (replace(command("a"), prompt="x"), "invalid"),
        (replace(command("a"), model="x"), "invalid"),
        (replace(command("a"), mode="terminal"), "unsupported"),
        (replace(command("a"), mode="embedded", stdin=b""), "invalid"),
        (replace(command("a"), mode="embedded", stdin_live=True), "invalid"),
        (replace(command("a"), approval_mode=ApprovalMode.READ_ONLY), "unsupported"),
    ],
)
def test_a_command_that_is_none_is_refused(asked: Ask, code: str) -> None:
    with pytest.raises(ProviderError) as refused:
        BUILTIN.get("command").plan(asked)

    assert refused.value.code == code


def test_an_unknown_provider_is_an_error_that_lists_the_known() -> None:
    with pytest.raises(UnknownProvider, match="'cluade'; known are: command, claude, codex, gemini, "):
        BUILTIN.get("cluade")


def test_an_unknown_approval_mode_is_an_error_that_lists_the_known() -> None:
    with pytest.raises(ProviderError, match="read-only, guarded, open"):
        ApprovalMode.parse("yolo")


def test_every_provider_keeps_to_the_port() -> None:
    assert len({provider.name for provider in BUILTIN}) == len(BUILTIN.names())
    for provider in BUILTIN:
        assert provider.modes
        assert provider.version_argv, "a CLI is never started bare"
        assert provider.dialogue(Opening()).feed(b"") == []


@pytest.mark.parametrize(
    ("name", "text", "version"),
    [
        ("claude", "2.1.197 (Claude Code)\n", "2.1.197"),
        ("codex", "WARNING: something\ncodex-cli 0.169.0\n", "0.169.0"),
        ("gemini", "0.61.0\n", "0.61.0"),
        ("gemini", "(node:1) Warning: 1.2.3 is old\n0.62.0-preview.1\n", "0.62.0-preview.1"),
        ("claude", "claude 3.0.0 by somebody else", None),
        ("codex", "", None),
        ("gemini", "this tool is no longer maintained", None),
        ("opencode", "1.18.33\n", "1.18.33"),
        ("copilot", "GitHub Copilot CLI 1.0.102.\nRun 'copilot update' to check for updates.\n", "1.0.102"),
        ("aider", "aider 0.86.2\n", "0.86.2"),
        ("aider", "0.86.2", None),
        ("command", "1.2.3", None),
    ],
)
def test_parse_version(name: str, text: str, version: str | None) -> None:
    assert BUILTIN.get(name).parse_version(text) == version


HOST = {
    "PATH": "/usr/bin",
    "HOME": "/home/ann",
    "ANTHROPIC_API_KEY": "a",
    "OPENAI_API_KEY": "o",
    "CODEX_HOME": "/c",
    "GEMINI_API_KEY": "g",
    "CLAUDE_CODE_OAUTH_TOKEN": "t",
}


MARKS = """
TMUX TMUX_PANE STY KITTY_WINDOW_ID WEZTERM_PANE VTE_VERSION TERM COLORTERM LINES COLUMNS TERM_PROGRAM
COLORFGBG TERMINAL_EMULATOR INSIDE_EMACS NVIM SHLVL VIRTUAL_ENV CLAUDECODE AI_AGENT
CLAUDE_CODE_SESSION_ID CLAUDE_CODE_ENTRYPOINT CODEX_THREAD_ID CODEX_CI GEMINI_CLI GEMINI_CLI_NO_RELAUNCH
OPENCODE OPENCODE_PID AGENT COPILOT_CLI COPILOT_CLI_BINARY_VERSION COPILOT_LOADER_PID
COPILOT_AGENT_SESSION_ID MUSTER_AGENT_TOKEN MUSTER_HOME
"""


def test_scrub_takes_out_the_marks_of_terminals_agents_and_ourselves() -> None:
    assert BUILTIN.scrub(HOST | dict.fromkeys(MARKS.split(), "1")) == HOST


def test_a_provider_gets_its_own_keys_and_not_those_of_the_others() -> None:
    claude = BUILTIN.environment(BUILTIN.get("claude"), HOST, {})
    codex = BUILTIN.environment(BUILTIN.get("codex"), HOST, {})

    assert {name for name in claude if "KEY" in name or "TOKEN" in name} == {
        "ANTHROPIC_API_KEY",
        "CLAUDE_CODE_OAUTH_TOKEN",
    }
    assert codex == {"PATH": "/usr/bin", "HOME": "/home/ann", "OPENAI_API_KEY": "o", "CODEX_HOME": "/c"}


def test_a_command_may_be_any_cli_and_gets_all_keys() -> None:
    assert BUILTIN.environment(BUILTIN.get("command"), HOST, {}) == HOST


def test_what_the_spawn_sets_is_never_taken_out() -> None:
    given = {"OPENAI_API_KEY": "mine", "TERM": "xterm", "PATH": "/mine"}

    assert BUILTIN.environment(BUILTIN.get("claude"), HOST, given).items() >= given.items()


def test_a_registry_holds_what_it_was_given() -> None:
    assert Registry([BUILTIN.get("codex")]).names() == ("codex",)
