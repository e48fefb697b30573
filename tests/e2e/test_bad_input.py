"""What people and scripts get wrong: a code, what to do about it, and nothing half-made left behind."""

from __future__ import annotations

import os
import sqlite3
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from muster_processes import until
from running import Host, RelayServer

from relay.wire.base import encode
from relay.wire.health import Scope

Post = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture
def host(shared_host: Host) -> Host:
    """One for all tests here."""
    return shared_host


@pytest.fixture
def post(host: Host) -> Post:
    """Post to the local API; return the status and the error."""

    def send(path: str, body: Any) -> tuple[int, dict[str, Any]]:
        content = body if isinstance(body, bytes) else encode(body)
        with httpx.Client(transport=httpx.HTTPTransport(uds=host.home.daemon_socket), timeout=60) as client:
            response = client.post(f"http://localhost{path}", content=content)
        return response.status_code, response.json().get("error", response.json())

    return send


def traces(host: Host) -> list[set[str]]:
    """What each agent leaves on its host, refused ones nothing."""
    plans = Path(host.directory, "plans")
    return [
        set(host.agents()),
        set(os.listdir(host.home.agents)),
        set(os.listdir(plans) if plans.exists() else ()),
    ]


WRONG: dict[str, tuple[dict[str, Any], int, str, str]] = {
    "unknown provider": ({"provider": "nobody", "prompt": "x"}, 422, "unknown_provider", "claude"),
    "no argv": ({"provider": "command"}, 422, "invalid", "argv"),
    "empty argv": ({"argv": []}, 422, "invalid", "argv"),
    "empty program": ({"argv": [""]}, 422, "invalid", "argv"),
    "NUL in argv": ({"argv": ["echo", "a\0b"]}, 422, "invalid", "NUL"),
    "prompt and argv": ({"argv": ["true"], "prompt": "x"}, 422, "invalid", "prompt"),
    "missing cwd": ({"argv": ["true"], "cwd": "/no/such/place"}, 422, "cwd_invalid", "/no/such/place"),
    "cwd is a file": ({"argv": ["true"], "cwd": "/etc/passwd"}, 422, "cwd_invalid", "not a folder"),
    "reserved variable": (
        {"argv": ["true"], "env": {"MUSTER_AGENT_ID": "x"}},
        403,
        "policy_refused",
        "MUSTER_",
    ),
    "bad variable": ({"argv": ["true"], "env": {"A=B": "x"}}, 422, "invalid", "A=B"),
    "other host": (
        {"argv": ["true"], "orchestratorId": "elsewhere"},
        404,
        "unknown_orchestrator",
        "elsewhere",
    ),
    "bad id": ({"argv": ["true"], "agentId": "../../etc"}, 422, "invalid", "12 hex digits"),
    "bad label": ({"argv": ["true"], "label": "  "}, 422, "invalid", "label"),
    "bad timeout": ({"argv": ["true"], "timeoutMs": 0}, 422, "invalid", "timeoutMs"),
    "bad leftovers": ({"argv": ["true"], "leftovers": "some"}, 422, "invalid", "leftovers"),
    "bad mode": ({"argv": ["true"], "mode": "hologram"}, 422, "invalid", "hologram"),
    "bad approval": ({"argv": ["true"], "approvalMode": "yolo"}, 422, "invalid", "guarded"),
    "bad base64": ({"argv": ["cat"], "stdinBase64": "%%%"}, 422, "invalid", "base64"),
    "prompt of 10 MB": ({"provider": "claude", "prompt": "x" * 10_000_000}, 413, "too_large", "file"),
    "prompt of 5 MB": ({"provider": "claude", "prompt": "x" * 5_000_000}, 413, "too_large", "file"),
    "wrong type": ({"argv": "true"}, 422, "invalid", "argv"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_spawn_is_refused_and_leaves_nothing(case: str, host: Host, post: Post) -> None:
    body, status, code, words = WRONG[case]
    before = traces(host)
    answered, error = post("/api/spawns", body)
    assert (answered, error["code"]) == (status, code), error
    assert words in error["message"]
    assert traces(host) == before


def test_malformed_bodies(host: Host, post: Post) -> None:
    before = traces(host)
    for body in (b'{"argv": [', b"\xff\xfe", b"[]", b"nonsense"):
        status, error = post("/api/spawns", body)
        assert status in (400, 422)
        assert error["code"] in ("malformed", "invalid")
    assert traces(host) == before


def test_fields_of_a_newer_peer_are_ignored(host: Host, post: Post) -> None:
    status, _ = post("/api/spawns", {"argv": ["true"], "holographic": {"depth": 3}})
    assert status == 202
    until(lambda: all(agent.ended for agent in host.agents().values()), "it to end")


def test_a_newer_protocol_is_told_which_side_to_upgrade(host: Host) -> None:
    with httpx.Client(transport=httpx.HTTPTransport(uds=host.home.daemon_socket)) as client:
        response = client.get("http://localhost/api/managed-agents", headers={"Muster-Protocol": "2"})
    assert response.status_code == 426
    assert "upgrade the server" in response.json()["error"]["message"]


def test_a_program_that_does_not_exist_says_where_it_was_looked_for(host: Host) -> None:
    before = os.listdir(host.home.agents)
    agent = host.spawn("no-such-program-anywhere")
    assert (agent.status, agent.pid) == ("failed", None)
    assert agent.cause is not None
    assert (agent.cause.kind, agent.cause.errno) == ("exec_failed", 2)
    assert "/usr/bin" in agent.cause.message
    assert os.listdir(host.home.agents) == before
    assert host.output(agent.id) == b""


def test_output_that_is_not_utf_8_is_kept_byte_for_byte(host: Host) -> None:
    agent = host.spawn("printf", "\\377\\000\\200ok")
    ended = host.ended(agent.id)
    assert host.output(agent.id) == b"\xff\x00\x80ok"
    assert ended.cause is not None
    assert (ended.cause.output_tail or "").endswith("ok")


def test_an_ambiguous_prefix_lists_what_it_could_be(host: Host) -> None:
    agents = [host.spawn("true").id for _ in range(2)]
    with httpx.Client(transport=httpx.HTTPTransport(uds=host.home.daemon_socket)) as client:
        response = client.get("http://localhost/api/managed-agents/ag-")
    assert response.status_code == 409
    assert set(agents) <= set(response.json()["error"]["details"]["candidates"])


def test_a_symlink_out_of_the_base_is_refused_by_its_rule(
    make_host: Callable[..., Host], tmp_path: Path
) -> None:
    base = tmp_path / "base"
    base.mkdir()
    (base / "out").symlink_to("/")
    host = make_host("fenced", MUSTER_POLICY_BASE_DIRS=str(base), MUSTER_HOST_BASE_DIR=str(base))
    host.start()
    with httpx.Client(transport=httpx.HTTPTransport(uds=host.home.daemon_socket)) as client:
        for cwd, status in ((str(base), 202), ("out", 403), (str(base / "out" / "etc"), 403), ("..", 403)):
            response = client.post("http://localhost/api/spawns", json={"argv": ["pwd"], "cwd": cwd})
            assert response.status_code == status, response.text
    assert response.json()["error"]["details"] == {"rule": "policy.base_dirs"}


def test_spawns_that_come_together_do_not_pass_the_limit_together(
    make_host: Callable[..., Host], tmp_path: Path
) -> None:
    shell = tmp_path / "slow-shell"  # all of them wait for the login shell at the same time
    shell.write_text('#!/bin/sh\nsleep 8\nexec /bin/sh "$@"\n')
    shell.chmod(0o755)
    host = make_host("few", MUSTER_POLICY_MAX_AGENTS="2", SHELL=str(shell))
    host.start()

    def ask(_: int) -> int:
        with httpx.Client(transport=httpx.HTTPTransport(uds=host.home.daemon_socket), timeout=60) as client:
            return client.post("http://localhost/api/spawns", json={"argv": ["sleep", "600"]}).status_code

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(ask, range(8))) == [202] * 2 + [403] * 6
    assert len(host.agents("live")) == 2


def test_a_database_of_a_newer_muster_stops_the_daemon_and_is_left_alone(
    make_host: Callable[..., Host],
) -> None:
    host = make_host()
    with sqlite3.connect(host.home.host_database) as connection:
        connection.execute("PRAGMA user_version=999")
    before = Path(host.home.host_database).read_bytes()
    host.start(wait=False)
    assert host.died() == 1
    assert "newer Muster" in host.log.read_text()
    assert Path(host.home.host_database).read_bytes() == before


def test_a_home_that_cannot_be_used_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    host = Host(tmp_path / "file-home")
    host.directory = tmp_path / "file" / "home"
    host.start(wait=False)
    assert host.died() == 1
    assert "MUSTER_HOME" in host.log.read_text()
    assert "Traceback" not in host.log.read_text()


@pytest.mark.needs("root")
def test_a_full_disk_refuses_spawns_and_loses_nothing(make_host: Callable[..., Host], tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(disk)], check=True)
    try:
        host = make_host("disk/home")
        host.start()
        running = host.spawn("sleep", "600")
        with open(disk / "filler", "wb", buffering=0) as filler:
            try:
                while True:
                    filler.write(b"x" * 4096)
            except OSError:
                pass
        with httpx.Client(transport=httpx.HTTPTransport(uds=host.home.daemon_socket), timeout=60) as client:
            response = client.post("http://localhost/api/spawns", json={"argv": ["true"], "label": "x" * 60})
        refused = response.status_code == 507 or response.json()["agent"]["status"] == "failed"
        assert refused, response.text
        assert host.get(running.id).status == "running"
        (disk / "filler").unlink()
        assert host.stop(running.id).status == "cancelled"
        host.end()
    finally:
        host.end_agents()
        subprocess.run(["umount", "-l", str(disk)], check=True)


def test_tokens_that_do_not_fit(relay: RelayServer, make_member: Callable[..., Host]) -> None:
    make_member("a")
    theirs = relay.new_token(Scope.ORCHESTRATOR, "b")
    viewer = relay.new_token(Scope.VIEWER)
    heartbeat = f"{relay.url}/api/orchestrators/a/heartbeat"
    spawn = f"{relay.url}/api/spawns"
    for url, token, status in (
        (spawn, None, 401), (spawn, "mst_invented", 401), (spawn, viewer, 403), (heartbeat, theirs, 403),
    ):  # fmt: skip
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        response = httpx.post(url, json={"argv": ["true"]}, headers=headers)
        assert response.status_code == status, response.text
        assert response.json()["error"]["message"]
