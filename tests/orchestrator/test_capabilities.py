"""Which CLIs a host has: real programs on a PATH of the test's own."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path

import pytest
from muster_processes import living_with, until
from scripting import SCRIPTED, define, install

from orchestrator import capabilities
from orchestrator.adapters import find_providers
from orchestrator.capabilities import Capabilities
from orchestrator.secrets import Secrets
from spawners.providers.base import UnknownProvider
from spawners.providers.registry import BUILTIN


class Host:
    """A host whose PATH is one folder, with scripts for CLIs that note each time they are run."""

    def __init__(self, root: Path) -> None:
        self.bin = root / "bin"
        self.bin.mkdir()
        self.cache = root / "state" / "cache.json"
        self.runs = root / "runs"
        self.runs.touch()
        self.secrets = Secrets(str(root / "secrets.env"))

    async def environment(self) -> Mapping[str, str]:
        return {"PATH": f"{self.bin}:/usr/bin:/bin", "OPENAI_API_KEY": "o", "ANTHROPIC_API_KEY": "a"}

    def install(self, name: str, script: str) -> str:
        path = self.bin / name
        path.write_text(f'#!/bin/sh\necho "{name} $*" >> {self.runs}\n{script}\n')
        path.chmod(0o755)
        return str(path)

    def capabilities(self) -> Capabilities:
        return Capabilities(BUILTIN, self.environment, str(self.cache), self.secrets)

    def ran(self) -> list[str]:
        return sorted(self.runs.read_text().splitlines())


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


async def test_each_cli_is_found_with_its_version_and_modes(host: Host) -> None:
    claude = host.install("claude", "echo '2.1.197 (Claude Code)'")
    codex = host.install("codex", "echo 'codex-cli 0.169.0'")

    found = {info.name: info for info in await host.capabilities().refresh()}

    assert (found["claude"].path, found["claude"].version) == (claude, "2.1.197")
    assert (found["codex"].path, found["codex"].version) == (codex, "0.169.0")
    assert found["claude"].modes == ["headless", "embedded"]
    assert found["claude"].note is None
    assert not found["gemini"].installed
    assert found["gemini"].note == "not installed: no gemini on the login shell's PATH"
    assert "command" not in found


async def test_what_its_adapter_can_is_told(host: Host, tmp_path: Path) -> None:
    install(host.bin)
    file = define(tmp_path)
    providers = find_providers(str(tmp_path), ())

    found = {
        i.name: i
        for i in await Capabilities(providers, host.environment, str(host.cache), host.secrets).refresh()
    }

    scripted = found["scripted"]
    assert (scripted.version, scripted.proven, scripted.source) == ("1.0", "1.0", str(file))
    assert scripted.approval_modes == ["read-only", "guarded", "open"]
    assert "approvals" in scripted.abilities
    assert found["claude"].source == "builtin"
    assert found["claude"].proven is not None


async def test_keys_are_told_by_name_wherever_they_are_from(host: Host) -> None:
    file = Path(host.secrets.path)
    file.write_text("OPENAI_API_KEY=o2\nGEMINI_API_KEY=g\nUNKNOWN=u\n")
    file.chmod(0o600)

    found = host.capabilities()
    keys = {info.name: info.keys for info in await found.list()}

    assert (keys["claude"], keys["codex"], keys["gemini"]) == (
        *(["ANTHROPIC_API_KEY"], ["OPENAI_API_KEY"]),
        ["GEMINI_API_KEY"],
    )
    assert found.problems == ()
    file.chmod(0o644)
    assert "chmod 600" in found.problems[0]
    assert next(info.keys for info in await found.list() if info.name == "gemini") == []


async def test_a_version_is_read_anew_once_the_owner_s_file_has_changed(host: Host, tmp_path: Path) -> None:
    host.install("scripted", "echo 'scripted version 2.0'")
    seen = []
    for pattern in ("^scripted (\\d\\S*)", "^scripted version (\\S+)"):
        define(tmp_path, text=SCRIPTED.replace("^scripted (\\S+)", pattern))
        providers = find_providers(str(tmp_path), ())
        found = await Capabilities(providers, host.environment, str(host.cache), host.secrets).refresh()
        seen.append(next(info.version for info in found if info.name == "scripted"))
    assert seen == [None, "2.0"]


async def test_a_list_waits_for_no_program(host: Host) -> None:
    host.install("claude", "echo '2.1.197 (Claude Code)'")
    found = host.capabilities()

    first = await found.list()

    assert host.ran() == []
    assert (first[0].installed, first[0].version) == (True, None)


async def test_no_cli_is_started_bare_or_with_something_to_read(host: Host) -> None:
    host.install("claude", "read -r line && echo read >> runs; echo '2.1.197 (Claude Code)'")
    host.install("codex", "echo 'codex-cli 0.169.0'")

    await host.capabilities().refresh()

    assert host.ran() == ["claude --version", "codex --version"]


async def test_a_cli_sees_its_own_keys_alone(host: Host) -> None:
    host.install("claude", f"env > {host.runs}.env; echo '2.1.197 (Claude Code)'")

    await host.capabilities().refresh()

    seen = Path(f"{host.runs}.env").read_text()
    assert "ANTHROPIC_API_KEY" in seen
    assert "OPENAI_API_KEY" not in seen


async def test_a_binary_is_asked_once_also_after_a_restart_until_it_is_replaced(host: Host) -> None:
    host.install("claude", "echo '2.1.197 (Claude Code)'")
    first = host.capabilities()
    await first.refresh()
    await first.refresh()
    assert (await host.capabilities().refresh())[0].version == "2.1.197"
    assert host.ran() == ["claude --version"]

    host.install("claude", "echo '2.1.1980 (Claude Code)'")
    assert (await host.capabilities().refresh())[0].version == "2.1.1980"


async def test_a_version_of_a_file_that_was_replaced_is_not_shown(host: Host) -> None:
    host.install("claude", "echo '2.1.197 (Claude Code)'")
    found = host.capabilities()
    await found.refresh()
    host.install("claude", "echo 'something of another length'")

    assert (await found.list())[0].version is None


@pytest.mark.parametrize(
    ("script", "note"),
    [
        ("echo 'kimi is no longer maintained'", "says 'kimi is no longer maintained', which is not claude"),
        ("exit 7", "`claude --version` exited with 7"),
        ("kill -9 $$", "`claude --version` exited with -9"),
    ],
)
async def test_what_cannot_be_used_says_why(host: Host, script: str, note: str) -> None:
    path = host.install("claude", script)

    found = (await host.capabilities().refresh())[0]

    assert (found.path, found.version) == (path, None)
    assert found.note is not None
    assert note in found.note


async def test_what_cannot_be_executed_says_why(host: Host) -> None:
    path = host.bin / "claude"
    path.write_bytes(b"\x7fELF no program")
    path.chmod(0o755)

    found = (await host.capabilities().refresh())[0]

    assert found.note == "cannot be started: Exec format error"


async def test_a_cli_that_hangs_is_ended_with_all_it_started(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(capabilities, "VERSION_TIMEOUT_S", 0.3)
    host.install("claude", "sleep 1000 & wait")

    found = (await host.capabilities().refresh())[0]

    assert found.note == "`claude --version` did not end within 0.3 s"
    until(lambda: not living_with(str(host.bin)), "all of it to be ended")


async def test_an_updater_left_in_the_background_holds_nobody_up(host: Host) -> None:
    host.install("claude", "sleep 1000 & echo '2.1.197 (Claude Code)'")
    began = time.monotonic()

    assert (await host.capabilities().refresh())[0].version == "2.1.197"
    assert time.monotonic() - began < capabilities.VERSION_TIMEOUT_S


async def test_output_without_end_is_bounded(host: Host) -> None:
    host.install("claude", "yes")

    assert (await host.capabilities().refresh())[0].version is None


async def test_a_failure_is_not_repeated_every_minute_and_not_kept_for_ever(host: Host) -> None:
    host.install("claude", "exit 1")
    found = host.capabilities()
    await found.refresh()
    await found.refresh()
    assert host.ran() == ["claude --version"]

    await host.capabilities().refresh()
    assert host.ran() == ["claude --version"] * 2


async def test_changed_tells_each_change_once(host: Host) -> None:
    found = host.capabilities()
    assert found.changed() is None

    await found.list()
    assert found.changed() is not None
    assert found.changed() is None

    host.install("claude", "echo '2.1.197 (Claude Code)'")
    await found.refresh()
    told = found.changed()
    assert told is not None
    assert told[0].version == "2.1.197"

    os.unlink(host.bin / "claude")
    await found.refresh()
    told = found.changed()
    assert told is not None
    assert not told[0].installed


async def test_executable_is_found_anew_at_each_call(host: Host) -> None:
    found = host.capabilities()
    assert await found.executable("codex") is None

    path = host.install("codex", "")
    assert await found.executable("codex") == path

    assert await found.executable("command") is None
    with pytest.raises(UnknownProvider):
        await found.executable("cluade")


async def test_a_file_that_is_not_executable_is_no_cli(host: Host) -> None:
    host.install("claude", "")
    (host.bin / "claude").chmod(0o644)

    assert not (await host.capabilities().list())[0].installed


@pytest.mark.parametrize("content", ["", "[]", '{"x": 1}', '{"x": {"y": 2}}'])
async def test_a_cache_that_is_none_is_ignored(host: Host, content: str) -> None:
    host.install("claude", "echo '2.1.197 (Claude Code)'")
    host.cache.parent.mkdir()
    host.cache.write_text(content)

    assert (await host.capabilities().refresh())[0].version == "2.1.197"
