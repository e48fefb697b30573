"""The local API by both of its ways: a unix socket, and loopback with a token that only its user can read."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from muster_command import Muster
from muster_processes import until
from running import sweep

from orchestrator.cli.target import daemon_answers
from relay.wire.home import Home
from relay.wire.local import FORCE_TCP, read_local, write_local

HEALTH, AGENTS = "/api/health", "/api/managed-agents"


@pytest.fixture(params=["socket", "tcp"])
def muster(request: pytest.FixtureRequest, home: Home) -> Iterator[Muster]:
    variables = {FORCE_TCP: "tcp"} if request.param == "tcp" else {}
    command = Muster(home, variables)
    yield command
    command.end()
    sweep(Path(home.state))


@pytest.fixture
def over_tcp(home: Home) -> Iterator[Muster]:
    command = Muster(home, {FORCE_TCP: "tcp"})
    assert command("up", "--detach").code == 0
    yield command
    command.end()
    sweep(Path(home.state))


def ask(home: Home, path: str, **headers: str) -> tuple[int, str]:
    """Status and error code of a plain request to the port that the daemon has said."""
    line = http.client.HTTPConnection("127.0.0.1", home.local.port, timeout=10)
    line.request("GET", path, headers=headers)
    answer = line.getresponse()
    said = json.loads(answer.read())
    return answer.status, said["error"]["code"] if "error" in said else ""


def daemon_pid(home: Home) -> int:
    record = home.read_record(home.host_record)
    assert record is not None
    return int(record["pid"])


@pytest.mark.slow
def test_every_command_works_by_either_way(muster: Muster, home: Home) -> None:
    assert muster("up", "--detach").code == 0

    said = muster("run", "--", "sh", "-c", "echo hello; test -e $MUSTER_SOCKET; exit $((3 + $?))")
    assert (said.code, said.text) == (3, "hello\n"), said.err
    spawned = muster("spawn", "--json", "--", "sleep", "60").json
    assert [agent["id"] for agent in muster("ps", "--json").json] == [spawned["id"]]
    assert muster("stop", spawned["id"]).code == 0
    assert (home.local.socket is None) == (FORCE_TCP in muster.variables)
    down = muster("down")
    assert down.text.startswith("ended the daemon and the relay"), down.err
    assert not os.path.exists(home.daemon_socket)


@pytest.mark.slow
def test_a_daemon_that_was_killed_is_found_again_where_it_listens_now(muster: Muster, home: Home) -> None:
    muster("up", "--detach")
    following = muster.start("run", "--", "sleep", "60")
    until(lambda: bool(muster("ps", "--json").json), "the agent")
    agent = muster("ps", "--json").json[0]["id"]
    killed = daemon_pid(home)

    os.kill(killed, signal.SIGKILL)
    assert muster("ps", "--all").code == 0
    until(lambda: not daemon_answers(home) or daemon_pid(home) != killed, "the kernel to notice")
    assert muster("up", "--detach").code == 0
    assert muster("stop", agent).code == 0

    assert following.wait(30) != 0
    assert following.stderr is not None
    assert b"unauthorized" not in following.stderr.read()


@pytest.mark.slow
def test_the_file_with_port_and_token_is_its_users_alone(over_tcp: Muster, home: Home) -> None:
    status = os.stat(home.daemon_socket)

    assert stat.S_ISREG(status.st_mode)
    assert stat.S_IMODE(status.st_mode) == 0o600
    assert home.local.token
    assert home.local.token not in json.dumps(home.read_record(home.host_record))


@pytest.mark.slow
def test_a_port_lets_in_nobody_without_the_token_and_no_page(over_tcp: Muster, home: Home) -> None:
    token = {"Authorization": f"Bearer {home.local.token}"}

    assert ask(home, AGENTS) == (401, "unauthorized")
    assert ask(home, AGENTS, Authorization="Bearer gu\xe9ss") == (401, "unauthorized")
    assert ask(home, AGENTS, **token) == (200, "")
    assert ask(home, AGENTS, **token, Host="evil.example") == (421, "misdirected")
    assert ask(home, HEALTH, Host="127.0.0.1.evil.example:80") == (421, "misdirected")
    assert ask(home, AGENTS, **token, Origin=f"http://127.0.0.1:{home.local.port}") == (403, "forbidden")
    assert ask(home, HEALTH, Host="localhost") == (200, "")


def test_what_listens_on_the_port_of_a_dead_daemon_is_not_believed(home: Home) -> None:
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        write_local(home.daemon_socket, stranger.getsockname()[1], "secret")

        assert read_local(home.daemon_socket) == home.local
        assert not daemon_answers(home)


@pytest.mark.parametrize("said", ["", "{", '{"port": "x"}', "[]", '{"port": 99999999, "token": "t"}'])
def test_a_file_that_says_nothing_is_no_daemon(home: Home, said: str) -> None:
    Path(home.daemon_socket).write_text(said)
    began = time.monotonic()

    assert not daemon_answers(home)
    assert time.monotonic() - began < 5
