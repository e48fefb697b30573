"""Shell completion: commands, ids, labels and hosts; quickly, and silently nothing when nobody answers."""

from __future__ import annotations

import os
import shutil
import threading
from pathlib import Path

import pexpect
import pytest
from local_api import FakeServer, an_agent
from muster_command import MUSTER, Muster
from muster_processes import until

from relay.wire.endpoints import LIST_AGENTS, LIST_HOSTS
from relay.wire.orchestrators import HostStatus, Orchestrator

LABELLED = an_agent(id="ag-aaaaaaaaaaaa", label="builder")


def complete(muster: Muster, line: str) -> str:
    """What bash would offer for `line`, with the cursor at its end."""
    muster.variables.update(
        _MUSTER_COMPLETE="complete_bash", COMP_WORDS=line, COMP_CWORD=str(len(line.split(" ")) - 1)
    )
    said = muster()
    assert said.err == ""
    return said.text.strip()


def offered(muster: Muster, line: str) -> set[str]:
    """What is offered by a server that answers; on a busy machine not always in time, so asked again."""
    found: set[str] = set()
    until(lambda: bool(found.update(complete(muster, line).split()) or found), f"an offer for {line!r}")
    return found


def test_commands(muster: Muster) -> None:
    assert complete(muster, "muster st").split() == ["stop"]
    assert "spawn" in complete(muster, "muster ").split()


def test_ids_and_labels_come_from_the_server(muster: Muster, daemon: FakeServer) -> None:
    daemon.on(LIST_AGENTS, [LABELLED, an_agent(id="ag-bbbbbbbbbbbb")])

    assert offered(muster, "muster show ag-a") == {"ag-aaaaaaaaaaaa"}
    assert offered(muster, "muster logs bui") == {"builder"}
    assert offered(muster, "muster stop ") == {"ag-aaaaaaaaaaaa", "builder", "ag-bbbbbbbbbbbb"}


def test_hosts_come_from_the_relay(muster: Muster, relay: FakeServer) -> None:
    muster.variables["MUSTER_RELAY_URL"] = relay.url
    host = Orchestrator(id="alpha", hostname="alpha", status=HostStatus.ONLINE, agent_id="orchestrator-alpha")
    relay.on(LIST_HOSTS, [host])

    assert offered(muster, "muster spawn --host al") == {"alpha"}


def test_nobody_there_is_silence(muster: Muster) -> None:
    assert complete(muster, "muster show ag-") == ""
    muster.variables["MUSTER_RELAY_URL"] = "http://127.0.0.1:9"
    assert complete(muster, "muster spawn --host ") == ""


def test_a_server_that_hangs_is_not_waited_for(muster: Muster, daemon: FakeServer) -> None:
    never = threading.Event()
    daemon.on(LIST_AGENTS, lambda call: never.wait(100))  # longer than `complete` is waited for
    try:
        assert complete(muster, "muster show ag-") == ""
    finally:
        never.set()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_shells_scripts_name_the_command(muster: Muster, shell: str) -> None:
    muster.variables["_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION"] = "1"

    said = muster("--show-completion", shell)

    assert said.code == 0
    assert "muster" in said.text
    assert f"complete_{shell}" in said.text


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_tab_in_a_real_bash_completes_a_label(muster: Muster, daemon: FakeServer) -> None:
    daemon.on(LIST_AGENTS, [LABELLED])
    muster.variables["_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION"] = "1"
    script = muster("--show-completion", "bash").text
    muster.variables.pop("_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION")
    program = Path(muster.home.state) / "bin" / "muster"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {" ".join(MUSTER)} "$@"\n')
    program.chmod(0o755)
    muster.variables["PATH"] = f"{program.parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**muster.environment(), "PS1": "ready> ", "INPUTRC": "/dev/null", "TERM": "dumb"}
    shell = pexpect.spawn("bash", ["--norc", "--noprofile"], env=environment, encoding="utf-8", timeout=60)
    try:
        shell.expect("ready> ")
        with open(f"{muster.home.state}/completion.sh", "w", encoding="utf-8") as file:
            file.write(script)
        shell.sendline(f"source {muster.home.state}/completion.sh; echo loaded")
        shell.expect("loaded\r?\n")
        shell.send("muster show bui\t")
        while shell.expect(["builder", pexpect.TIMEOUT], timeout=5):
            shell.send("\t")
    finally:
        shell.close(force=True)
