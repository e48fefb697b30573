"""`muster doctor --provider` says what is missing, and that all is well only after a turn has shown it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from muster_command import Muster
from muster_processes import until
from running import Host
from scripting import SCRIPTED, define, install

from orchestrator.cli.dry_turn import check_provider
from orchestrator.cli.target import connect
from relay.wire import endpoints
from relay.wire.agents import ManagedAgent
from relay.wire.health import HealthCheck

Checks = dict[str, HealthCheck]


def fails(folder: Path, name: str, words: str) -> None:
    """A CLI whose turns end with these words."""
    program = folder / "bin" / name
    program.write_text(
        f"#!/bin/sh\ncase $1 in --version) echo scripted 1.0; exit;; esac\ncat > /dev/null\n{words}\n"
    )
    program.chmod(0o755)
    text = SCRIPTED.replace('binaries = ["scripted"]', f'binaries = ["{name}"]')
    define(folder / "home", name, text.replace('stream = "claude-stream-json"', 'stream = "lines"', 1))


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    folder = tmp_path_factory.mktemp("host")
    home = folder / "home"
    install(folder / "bin")
    define(home)
    define(home, "well", SCRIPTED.replace("SCRIPTED_QUIET", "SCRIPTED_KEY").replace('"1.0"', '"0.9"'))
    define(home, "absent", SCRIPTED.replace('["scripted"]', '["absent"]'))
    before, _, rest = SCRIPTED.partition("[headless]")
    define(home, "screen", before + rest[rest.index("[embedded]") :])
    fails(folder, "offline", "echo 'TypeError: fetch failed ECONNREFUSED' >&2; exit 1")
    fails(folder, "untrusted", "echo 'this folder is not trusted'; exit 55")
    fails(folder, "hangs", "exec sleep 1000")
    found = Host(home, PATH=f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}", SCRIPTED_HOME=str(folder))
    found.start()
    yield found
    found.end_agents()


@pytest.fixture
def checks(host: Host, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Checks]:
    for name in [name for name in os.environ if name.startswith("MUSTER_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("MUSTER_HOME", str(host.directory))

    def run(provider: str, timeout_s: float = 30.0) -> Checks:
        with connect() as server:
            return {check.name: check for check in check_provider(server, provider, timeout_s, None)}

    return run


def versions_known(host: Host) -> bool:
    with host.client() as client:
        found = {info.name: info for info in client.call(endpoints.LIST_HOSTS)[0].capabilities}
    return found["well"].version is not None


def agents(host: Host) -> dict[str, ManagedAgent]:
    return host.agents()


def test_all_is_well_after_a_turn(host: Host, checks: Callable[..., Checks]) -> None:
    before = agents(host).keys()
    until(lambda: versions_known(host), "the daemon to know the versions")

    found = checks("well")

    assert {name: check.status for name, check in found.items()} == {
        "adapter": "ok",
        "installed": "ok",
        "version": "warn",
        "key": "warn",
        "turn": "ok",
    }
    assert found["version"].detail == "1.0*; its adapter was proven with 0.9"
    assert found["turn"].detail.startswith("answered '1 small else.' in ")
    assert "read-only" in found["turn"].detail
    assert agents(host).keys() == before, "nothing is left of it"


@pytest.mark.parametrize(
    ("provider", "check", "words"),
    [
        ("nothing", "adapter", "there is no provider 'nothing'; known are: "),
        ("absent", "installed", "not installed: no absent on the login shell's PATH"),
        ("scripted", "key", "none of SCRIPTED_KEY is on this host"),
        ("scripted", "turn", "not logged in; set SCRIPTED_KEY): log in with its own command"),
        ("scripted", "turn", "or write SCRIPTED_KEY into secrets.env"),
        ("offline", "turn", "its server cannot be reached"),
        ("untrusted", "turn", "trust the folder: `muster trust DIR`"),
        ("screen", "turn", "it has no headless mode"),
    ],
)
def test_what_is_missing_is_said_in_words(
    checks: Callable[..., Checks], provider: str, check: str, words: str
) -> None:
    assert words in checks(provider)[check].detail


def test_a_turn_that_hangs_is_ended(host: Host, checks: Callable[..., Checks]) -> None:
    found = checks("hangs", 0.5)["turn"]

    assert (found.status, found.detail.startswith("no answer within 0.5 s")) == ("fail", True)
    assert not host.agents("live")


def test_it_exits_with_1_if_something_fails(host: Host) -> None:
    muster = Muster(host.home)
    said = muster("doctor", "--provider", "absent")
    assert (said.code, "fail  installed" in said.text) == (1, True)
    assert [check["name"] for check in muster("doctor", "-p", "absent", "--json").json] == [
        *("adapter", "installed"),
    ]
    assert muster("doctor", "-p", "absent", "--timeout", "soon").code == 2
