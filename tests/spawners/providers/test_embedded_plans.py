"""What each provider makes of an ask for its own interface in a terminal."""

from __future__ import annotations

from dataclasses import replace

import pytest

from spawners.launch import Stdin
from spawners.providers.base import ApprovalMode, Ask, Plan, Provider, ProviderError
from spawners.providers.registry import BUILTIN

CLIS = [provider for provider in BUILTIN if provider.binaries]
names = pytest.mark.parametrize("provider", CLIS, ids=lambda provider: provider.name)

CODEX_QUIET = "-c analytics.enabled=false -c check_for_update_on_startup=false"
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
}


def ask_of(provider: Provider, **change: object) -> Ask:
    ask = Ask(
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
    plan = provider.plan(ask_of(provider, approval_mode=mode))

    wanted = GOLDEN[provider.name][mode]
    arguments = tuple(wanted.split()) if isinstance(wanted, str) else wanted
    assert plan.argv == (f"/opt/bin/{provider.name}", *arguments)
    assert plan.stdin == Stdin()


@pytest.mark.parametrize("prompt", ["do it", "--version", "-", "$(reboot) 'x' \"y\"\n--help"])
@names
def test_the_first_prompt_is_the_last_argument_and_never_a_flag(provider: Provider, prompt: str) -> None:
    without = provider.plan(ask_of(provider)).argv

    argv = provider.plan(ask_of(provider, prompt=prompt)).argv

    rest = argv[len(without) :]
    assert argv[: len(without)] == without
    if provider.name == "gemini":
        assert rest == (f"--prompt-interactive={prompt}",)
    else:
        assert rest[0] == "--"
        assert rest[1].rstrip(" ") == prompt


def test_claude_cannot_take_a_word_for_its_subcommand() -> None:
    claude = BUILTIN.get("claude")

    assert claude.plan(ask_of(claude, prompt="update")).argv[-1] == "update "
    assert claude.plan(ask_of(claude, prompt="update it")).argv[-1] == "update it"


@names
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
