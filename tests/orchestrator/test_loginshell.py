"""What a login shell is asked, whatever its start-up files do."""

from __future__ import annotations

import asyncio
import os
import shlex
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from muster_processes import is_running, living_with, until

from orchestrator.loginshell import LoginShell, login_environment
from spawners.providers.registry import BUILTIN

SHELLS = [
    pytest.param(shell, marks=pytest.mark.skipif(not shutil.which(shell), reason=f"{shell} is not on PATH"))
    for shell in ("bash", "zsh", "fish", "dash")
]


@pytest.fixture
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home of its own whose start-up files a test writes."""
    monkeypatch.setenv("HOME", str(tmp_path))
    yield tmp_path


def own(user: Path, shell: str = "bash", **extra: str) -> dict[str, str]:
    found = shutil.which(shell)
    assert found
    return {"HOME": str(user), "PATH": "/usr/bin:/bin", "SHELL": found, **extra}


def start_up(user: Path, script: str) -> None:
    """Make `script` what every POSIX shell of the user starts with."""
    for name in (".profile", ".bash_profile", ".zshenv"):
        (user / name).write_text(script)


@pytest.mark.parametrize("shell", SHELLS)
async def test_the_environment_is_what_the_start_up_files_make_it(user: Path, shell: str) -> None:
    start_up(user, 'export PATH="/from/rc:$PATH"\nexport ANTHROPIC_API_KEY="two\nlines = one"\n')
    fish = user / ".config" / "fish"
    fish.mkdir(parents=True)
    (fish / "config.fish").write_text(
        'set -gx PATH /from/rc $PATH\nset -gx ANTHROPIC_API_KEY "two\nlines = one"\n'
    )

    found = await login_environment(BUILTIN, own=own(user, shell))

    assert found.error is None
    assert found.source == f"login shell {shutil.which(shell)}"
    assert "/from/rc" in found.env["PATH"].split(":")
    assert found.env["ANTHROPIC_API_KEY"] == "two\nlines = one"


@pytest.mark.parametrize("shell", SHELLS)
async def test_an_env_that_cannot_separate_by_nul_is_done_without(user: Path, shell: str) -> None:
    """As on macOS before 13."""
    old = user / "bin" / "env"
    old.parent.mkdir()
    old.write_text("#!/bin/sh\necho 'env: illegal option -- 0' >&2\nexit 1\n")
    old.chmod(0o755)
    start_up(user, 'export ANTHROPIC_API_KEY="two\nlines = one"\n')
    fish = user / ".config" / "fish"
    fish.mkdir(parents=True)
    (fish / "config.fish").write_text('set -gx ANTHROPIC_API_KEY "two\nlines = one"\n')

    found = await login_environment(BUILTIN, own=own(user, shell, PATH=f"{old.parent}:/usr/bin:/bin"))

    assert found.error is None
    assert found.source == f"login shell {shutil.which(shell)}"
    assert found.env["ANTHROPIC_API_KEY"] == "two\nlines = one"


async def test_interactive_and_login_files_both_count(user: Path) -> None:
    (user / ".bash_profile").write_text("export PATH=/login:$PATH\n. ~/.bashrc\n")
    (user / ".bashrc").write_text('case $- in *i*) export PATH="/interactive:$PATH" ;; esac\n')

    found = await login_environment(BUILTIN, own=own(user))

    assert found.env["PATH"].split(":")[:2] == ["/interactive", "/login"]


async def test_noise_questions_and_aliases_of_the_start_up_files_do_no_harm(user: Path) -> None:
    start_up(
        user,
        "echo 'Welcome! \\0 PATH=/wrong'\nread -r -p 'Update now? [y/N] ' answer\nset -x\n"
        "env() { echo no; }\nexport LANG=fr_FR.UTF-8\nalias env='echo no' printf='echo no'\n",
    )

    found = await login_environment(BUILTIN, own=own(user))

    assert found.error is None
    assert found.env["LANG"] == "fr_FR.UTF-8"
    assert "/wrong" not in found.env["PATH"]


async def test_only_the_allow_list_is_taken(user: Path) -> None:
    start_up(
        user,
        "export GITHUB_TOKEN=t AWS_SECRET_ACCESS_KEY=s CLAUDECODE=1 TMUX=/x MUSTER_AGENT_TOKEN=t\n"
        "export https_proxy=http://p:1 OPENAI_API_KEY=o XDG_DATA_HOME=/d LC_ALL=C\n",
    )

    env = (await login_environment(BUILTIN, own=own(user, VIRTUAL_ENV="/v", GITHUB_TOKEN="t"))).env

    unwanted = (
        "GITHUB_TOKEN AWS_SECRET_ACCESS_KEY CLAUDECODE TMUX MUSTER_AGENT_TOKEN VIRTUAL_ENV PWD SHLVL _ TERM"
    )
    assert not env.keys() & set(unwanted.split())
    assert not [name for name in env if name.startswith("MUSTER_")]
    wanted = {"https_proxy": "http://p:1", "OPENAI_API_KEY": "o", "XDG_DATA_HOME": "/d", "LC_ALL": "C"}
    assert env.items() >= wanted.items()


async def test_the_path_is_the_login_s_then_ours_then_the_well_known(user: Path) -> None:
    (user / ".local" / "bin").mkdir(parents=True)
    start_up(user, "export PATH=/login:relative::/usr/bin:.\n")

    env = (await login_environment(BUILTIN, own=own(user, PATH="/ours:/usr/bin:/bin"))).env

    folders = env["PATH"].split(":")
    assert folders[:5] == ["/login", "/usr/bin", "/ours", "/bin", str(user / ".local/bin")]
    assert all(os.path.isabs(folder) for folder in folders)
    assert len(folders) == len(set(folders))


async def test_a_background_job_that_holds_the_pipe_is_not_waited_for_and_ended(user: Path) -> None:
    start_up(user, f"{shlex.quote(sys.executable)} -c 'import signal; signal.pause()' &\necho $! > ~/job\n")

    found = await asyncio.wait_for(login_environment(BUILTIN, own=own(user), timeout_s=90), 60)

    assert found.error is None
    job = int((user / "job").read_text())
    until(lambda: not is_running(job), "the job of the start-up file to be ended")


async def test_a_shell_that_does_not_leave_after_its_answer_is_not_waited_for(user: Path) -> None:
    start_up(user, "export LANG=answered\ntrap 'while :; do sleep 100; done' EXIT\n")

    found = await asyncio.wait_for(login_environment(BUILTIN, own=own(user), timeout_s=90), 60)

    assert (found.env["LANG"], found.error) == ("answered", None)


async def test_a_shell_that_hangs_is_ended_and_our_own_environment_is_used(user: Path) -> None:
    start_up(user, "while :; do sleep 100; done\n")

    found = await login_environment(BUILTIN, own=own(user, LANG="C.UTF-8"), timeout_s=0.5)

    assert found.error is not None
    assert "did not answer within 0.5 s" in found.error
    assert found.source == "the daemon's own environment"
    assert found.env["LANG"] == "C.UTF-8"
    assert found.env["PATH"].startswith("/usr/bin:/bin")
    until(lambda: not living_with(str(user)), "the shell and its child to be ended")


@pytest.mark.parametrize(
    ("shell", "why"),
    [
        ("/bin/false", "ended without an answer"),
        ("/no/such/shell", "cannot be started"),
        ("/", "cannot be started"),
    ],
)
async def test_what_is_no_shell_is_told(user: Path, shell: str, why: str) -> None:
    found = await login_environment(BUILTIN, shell, own=own(user))

    assert found.error is not None
    assert why in found.error


async def test_a_shell_that_prints_without_end_is_bounded(user: Path) -> None:
    start_up(user, "yes\n")

    found = await asyncio.wait_for(login_environment(BUILTIN, own=own(user), timeout_s=90), 60)

    assert found.error is not None


async def test_a_spawn_does_not_wait_for_a_slow_shell_longer_than_it_must(user: Path) -> None:
    go = user / "go"
    os.mkfifo(go)
    start_up(user, "read -r line < ~/go\nexport LANG=slow\n")
    shell = LoginShell(BUILTIN, str(user / "cache.json"), wait_s=0.05, own=own(user, LANG="own"))

    first = await shell.login()
    assert (first.env["LANG"], first.error) == ("own", "the login shell has not answered yet")

    with await asyncio.to_thread(open, go, "w") as opened:
        opened.write("\n")
    while (await shell.environment())["LANG"] != "slow":
        pass


async def test_the_shell_is_asked_again_when_a_start_up_file_changes_and_only_then(user: Path) -> None:
    start_up(user, "echo >> ~/asked\nexport LANG=one\n")
    shell = LoginShell(BUILTIN, str(user / "cache.json"), wait_s=30, own=own(user))

    assert [(await shell.environment())["LANG"] for _ in range(3)] == ["one"] * 3
    assert (user / "asked").read_text() == "\n"

    start_up(user, "echo >> ~/asked\nexport LANG=two\n")
    assert (await shell.environment())["LANG"] == "two"
    assert (user / "asked").read_text() == "\n\n"


async def test_many_spawns_at_once_ask_once(user: Path) -> None:
    start_up(user, "echo >> ~/asked\n")
    shell = LoginShell(BUILTIN, str(user / "cache.json"), wait_s=30, own=own(user))

    await asyncio.gather(*(shell.environment() for _ in range(20)))

    assert (user / "asked").read_text() == "\n"


async def test_a_shell_that_breaks_later_leaves_the_last_good_answer_and_says_so(user: Path) -> None:
    start_up(user, "export LANG=good\n")
    shell = LoginShell(BUILTIN, str(user / "cache.json"), wait_s=30, own=own(user))
    await shell.login()
    start_up(user, "exit 3\n")

    for _ in range(2):
        found = await shell.login()
        assert found.env["LANG"] == "good"
        assert found.error is not None
        assert "ended without an answer" in found.error


async def test_the_path_outlives_a_restart_and_no_value_is_written_down(user: Path) -> None:
    start_up(user, "export PATH=/from/rc:$PATH OPENAI_API_KEY=secret\n")
    cache = user / "folder" / "cache.json"
    await LoginShell(BUILTIN, str(cache), wait_s=30, own=own(user)).environment()
    assert "secret" not in cache.read_text()

    start_up(user, "exit 3\n")
    found = await LoginShell(BUILTIN, str(cache), wait_s=30, own=own(user)).login()

    assert found.error is not None
    assert found.env["PATH"].startswith("/from/rc:")


async def test_a_cache_that_is_none_is_ignored(user: Path) -> None:
    start_up(user, "exit 3\n")
    (user / "cache.json").write_text('["path"]')

    found = await LoginShell(BUILTIN, str(user / "cache.json"), wait_s=30, own=own(user)).login()

    assert found.env["PATH"].startswith("/usr/bin:/bin")
