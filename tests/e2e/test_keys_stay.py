"""A key is in the environment of the agent that it is for, and nowhere else on the host or the relay."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from muster_processes import until
from running import Host, RelayServer
from scripting import define, install

from relay.wire import endpoints
from relay.wire.agents import Activity, ManagedAgent, Mode, SpawnRequest, Status
from relay.wire.approvals import ApprovalListQuery
from relay.wire.errors import ApiError, Code
from relay.wire.health import Scope

WRITTEN, INHERITED = "planted-" + "w" * 20, "planted-" + "i" * 20
"""In the owner's file, and in the environment that the daemon was started with."""
KEYS = (WRITTEN, INHERITED)

pytestmark = pytest.mark.needs("linux")


@pytest.fixture(scope="module")
def relay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RelayServer]:
    server = RelayServer(tmp_path_factory.mktemp("keys") / "relay", "--heartbeat-ms", "1000")
    server.start()
    yield server
    server.end()


@pytest.fixture(scope="module")
def member(relay: RelayServer) -> Iterator[Host]:
    folder = relay.directory.parent
    install(folder / "bin")
    (folder / "sessions").mkdir()
    define(folder / "b")
    secrets = folder / "b" / "secrets.env"
    secrets.write_text(f"SCRIPTED_KEY={WRITTEN}\nOTHER={WRITTEN}\n")
    secrets.chmod(0o600)
    host = Host(
        folder / "b",
        *("--relay", relay.url, "--id", "b"),
        MUSTER_TOKEN=relay.new_token(Scope.ORCHESTRATOR, "b"),
        PATH=f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}",
        SCRIPTED_HOME=str(folder / "sessions"),
        OPENAI_API_KEY=INHERITED,
        MUSTER_LOG_LEVEL="debug",
    )
    host.start()
    relay.wait_for_host("b")
    yield host
    host.end_agents()


def holders() -> Iterator[tuple[int, str, set[str]]]:
    """Every process with a planted key: its id, whether it is in its arguments or environment, which."""
    for name in filter(str.isdigit, os.listdir("/proc")):
        for part in ("cmdline", "environ"):
            try:
                content = Path(f"/proc/{name}/{part}").read_bytes()
            except OSError:
                continue
            found = {key for key in KEYS if key.encode() in content}
            if found:
                yield int(name), part, found


def files_with_keys(*servers: RelayServer | Host) -> list[str]:
    """Every file of theirs and every log that holds a planted key, but for the owner's own file."""
    found = []
    for folder in (server.directory for server in servers):
        for path in [*folder.rglob("*"), *folder.parent.glob(f"{folder.name}-*.log")]:
            if path.is_file() and path.name != "secrets.env":
                content = path.read_bytes()
                found += [str(path)] if any(key.encode() in content for key in KEYS) else []
    return found


def told(server: RelayServer | Host, agents: list[str]) -> list[str]:
    """The planted keys in all that a server says about what it has."""
    with server.client() as client:
        said = [
            client.call(endpoints.LIST_HOSTS),
            client.call(endpoints.HEALTH),
            client.call(endpoints.LIST_AGENTS),
            client.call(endpoints.LIST_APPROVALS, query=ApprovalListQuery(state="all")),
        ]
        said += [client.call(endpoints.GET_AGENT, path={"id": agent_id}) for agent_id in agents]
    return [key for key in KEYS if key in repr(said)]


def test_a_planted_key_is_found_nowhere_else(relay: RelayServer, member: Host, tmp_path: Path) -> None:
    def spawn(**fields: object) -> ManagedAgent:
        given = {"provider": "scripted", "orchestrator_id": "b", "cwd": str(tmp_path), **fields}
        with relay.client() as client:
            return client.call(endpoints.SPAWN, SpawnRequest(**given)).agent  # type: ignore[arg-type]

    once = relay.ended(spawn(prompt="hello", ask=False).id)
    assert once.result == "1 small hello", "without its key it says that nobody is logged in"
    asks = spawn(prompt=f"TOUCH={tmp_path / 'x'}")
    screen = spawn(mode=Mode.EMBEDDED)
    command = spawn(provider="command", argv=["sleep", "1000"])
    until(lambda: relay.get(asks.id).activity is Activity.BLOCKED, "it to ask")
    until(lambda: relay.get(screen.id).activity is Activity.IDLE, "it to be idle")
    until(lambda: relay.get(command.id).status is Status.RUNNING, "it to run")
    running = {member.get(agent.id).pid: agent.id for agent in (asks, screen, command)}

    found = {pid: (part, keys) for pid, part, keys in holders()}

    assert found.pop(member.pid) == ("environ", {INHERITED})
    assert {running.get(pid) for pid in found} == set(running.values())
    by_agent = {running[pid]: value for pid, value in found.items()}
    assert by_agent[asks.id] == by_agent[screen.id] == ("environ", {WRITTEN})
    assert by_agent[command.id] == ("environ", {INHERITED})
    private = files_with_keys(relay, member)
    assert {os.path.basename(path) for path in private} <= {"spec.json"}  # until the agent has ended
    assert not [path for path in private if os.stat(path).st_mode & 0o077]
    everybody = [once.id, asks.id, screen.id, command.id]
    assert not told(relay, everybody) + told(member, everybody)

    for agent_id in running.values():
        relay.stop(agent_id, kill=True)

    until(lambda: files_with_keys(relay, member) == [], "the specs to be collected")
    assert not told(relay, everybody) + told(member, everybody)


def test_a_key_that_travels_is_refused_before_it_is_stored_anywhere(
    relay: RelayServer, member: Host, tmp_path: Path
) -> None:
    request = SpawnRequest(
        provider="scripted", orchestrator_id="b", prompt="x", cwd=str(tmp_path), env={"SCRIPTED_KEY": WRITTEN}
    )
    with relay.client() as client, pytest.raises(ApiError, match=r"write it into secrets\.env") as refused:
        client.call(endpoints.SPAWN, request)
    assert refused.value.code is Code.POLICY_REFUSED
    assert files_with_keys(relay, member) == []

    local = member.ended(member.spawn(provider="scripted", prompt="x", ask=False, env=dict(request.env)).id)
    assert local.result == "1 small x"


@pytest.fixture
def open_to_others(member: Host) -> Iterator[None]:
    secrets = member.directory / "secrets.env"
    secrets.chmod(0o640)
    yield
    secrets.chmod(0o600)


@pytest.mark.usefixtures("open_to_others")
def test_a_file_of_keys_that_others_can_read_starts_nothing(member: Host, tmp_path: Path) -> None:
    with pytest.raises(ApiError, match="chmod 600") as refused:
        member.spawn(provider="scripted", prompt="x", cwd=str(tmp_path))
    assert refused.value.code is Code.POLICY_REFUSED
    assert json.dumps(refused.value.details) == '{"rule": "secrets.env"}'
    assert member.ended(member.spawn("true").id).status is Status.SUCCEEDED
