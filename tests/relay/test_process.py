"""The relay as a program: how it starts, refuses to, is killed and comes back."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from relay_process import RelayProcess
from scripted_host import ScriptedHost, agent

from relay.wire import endpoints
from relay.wire.agents import Presence, SpawnRequest, Status
from relay.wire.client import AsyncClient
from relay.wire.errors import ApiError
from relay.wire.orchestrators import HostStatus


@pytest.fixture
def program(tmp_path: Path) -> Iterator[RelayProcess]:
    program = RelayProcess(tmp_path / "home", "--heartbeat-ms", "1000")
    yield program
    if program.process is not None:
        program.end(signal.SIGKILL)


async def spawn(client: AsyncClient, **facts: object) -> str:
    request = SpawnRequest(argv=["true"], **facts)  # type: ignore[arg-type]
    return (await client.call(endpoints.SPAWN, request)).agent.id


def test_it_says_where_it_listens_and_leaves_no_trace_of_that(program: RelayProcess) -> None:
    program.start()
    record = json.loads((program.home / "relay.json").read_text())
    assert record == {"url": program.url, "pid": program.process.pid}  # type: ignore[union-attr]
    token = program.home / "admin.token"
    assert program.token.startswith("mst_")
    if os.name == "posix":
        made = [path for path in program.home.rglob("*") if path.is_file()]
        assert token in made
        assert {path.name for path in made if stat.S_IMODE(path.stat().st_mode) & 0o077} == set()
    assert program.end() == 0
    assert not (program.home / "relay.json").exists()
    lines = (program.home / "logs" / "relay.log").read_text().splitlines()
    assert [json.loads(line)["event"] for line in lines] == ["listening", "stopped"]


async def test_the_admin_token_survives_restarts_and_a_lost_database(program: RelayProcess) -> None:
    program.start()
    token = program.token
    program.end()
    for path in program.home.glob("relay.db*"):
        path.unlink()
    program.start()
    assert program.token == token
    assert await program.client(token).call(endpoints.LIST_HOSTS) == []


async def test_it_stops_without_waiting_for_whoever_is_listening(program: RelayProcess) -> None:
    program.start()
    client = program.client()
    host = ScriptedHost(client)
    await host.register()
    waiting = await spawn(client)
    async with host.commands() as commands, client.stream(endpoints.EVENTS) as events:
        await anext(commands)
        long_poll = asyncio.create_task(
            client.call(
                endpoints.GET_AGENT,
                path={"id": waiting},
                query=endpoints.AgentQuery(wait="ended", timeout_ms=60_000),
            )
        )
        await client.call(endpoints.HEALTH)
        assert await asyncio.to_thread(program.end) == 0  # the two streams would go on for ever
        assert (await long_poll).status is Status.QUEUED
        assert not [line async for line in events.aiter_lines() if line.startswith("event: log")]
        with pytest.raises(StopAsyncIteration):
            await anext(commands)
    await client.close()


async def test_killed_with_queued_and_sent_commands_it_sends_each_under_its_id_once(
    program: RelayProcess,
) -> None:
    program.start()
    client = program.client()
    host = ScriptedHost(client)
    await host.register()
    await host.report(agent("ag-1"))
    sent, acknowledged = await spawn(client), await spawn(client)
    async with host.commands() as commands:
        first, second = await anext(commands), await anext(commands)
        await host.ack(second, agent(acknowledged))
    unsent = await spawn(client, idempotency_key="k")
    program.end(signal.SIGKILL)
    program.start()
    assert await spawn(client, idempotency_key="k") == unsent
    async with host.commands() as commands:
        assert await anext(commands) == first
        assert first.body.agent_id == sent  # type: ignore[union-attr]
        third = await anext(commands)
        assert third.body.agent_id == unsent  # type: ignore[union-attr]
        assert third.id > second.id
    roster = (await client.call(endpoints.GET_HOST, path={"id": "h1"})).managed_agents
    assert {entry.id for entry in roster} == {"ag-1", sent, acknowledged, unsent}
    await client.close()


async def test_after_a_restart_every_host_gets_a_fresh_lease(program: RelayProcess) -> None:
    program.start()
    client = program.client()
    host = ScriptedHost(client)
    reply = await host.register()
    await host.report(agent("ag-1"))
    program.end(signal.SIGKILL)
    await asyncio.sleep(reply.lease_ms / 1000)
    program.start()
    assert (await client.call(endpoints.GET_HOST, path={"id": "h1"})).status is HostStatus.ONLINE
    reply_ = await host.beat()
    assert reply_.roster_wanted
    one = await client.call(endpoints.GET_AGENT, path={"id": "ag-1"})
    assert one.presence is Presence.LIVE
    await client.close()


@pytest.mark.needs("linux")
async def test_a_relay_that_stood_still_blames_nobody(program: RelayProcess) -> None:
    program.start()
    client = program.client()
    host = ScriptedHost(client)
    reply = await host.register()
    assert program.process is not None
    program.process.send_signal(signal.SIGSTOP)
    await asyncio.sleep(reply.lease_ms / 1000 + 1.5)
    program.process.send_signal(signal.SIGCONT)
    while "stood still" not in (program.home / "logs" / "relay.log").read_text():
        await client.call(endpoints.HEALTH)
    await host.report(agent("ag-1"))  # takes its turn after whatever the reaper writes
    await host.beat()
    await host.register()
    async with client.stream(endpoints.EVENTS, query=endpoints.EventsQuery(after=0)) as response:
        seen = []
        async for line in response.aiter_lines():
            if line.startswith("event: orchestrator."):
                seen.append(line.partition(".")[2])
            if len(seen) == 3:
                break
    assert seen == ["registered", "online", "registered"]
    assert "stood still" in (program.home / "logs" / "relay.log").read_text()
    await client.close()


async def test_what_heartbeats_told_is_written_down_at_the_end(program: RelayProcess) -> None:
    program.start()
    client = program.client()
    host = ScriptedHost(client)
    await host.register()
    await host.beat(running=7)
    await asyncio.to_thread(program.end)
    with sqlite3.connect(program.home / "relay.db") as database:
        load = database.execute("SELECT load FROM hosts").fetchone()[0]
    assert json.loads(load)["running"] == 7
    await client.close()


def test_a_second_relay_of_one_home_says_who_runs(program: RelayProcess) -> None:
    program.start()
    exit_code, said = program.run()
    assert exit_code == 1
    assert f"pid {program.process.pid}, {program.url}" in said  # type: ignore[union-attr]


def test_a_taken_port_is_said_at_once(program: RelayProcess) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        exit_code, said = program.run(bind=f"127.0.0.1:{other.getsockname()[1]}")
    assert exit_code == 1
    assert "cannot listen on 127.0.0.1:" in said
    assert "Traceback" not in said
    assert not (program.home / "relay.db").exists()


def test_it_is_not_exposed_without_tls(program: RelayProcess) -> None:
    exit_code, said = program.run(bind="0.0.0.0:0")
    assert exit_code == 1
    assert "--insecure" in said


async def test_an_insecure_relay_is_reached_by_address_but_not_by_any_name(tmp_path: Path) -> None:
    program = RelayProcess(tmp_path / "home", "--insecure", "--allow-host", "relay.example")
    program.url = "http://0.0.0.0:0"
    program.start()
    try:
        for name, status in (("10.9.8.7:1", 200), ("relay.example", 200), ("evil.example", 421)):
            reader, writer = await asyncio.open_connection("127.0.0.1", int(program.url.rpartition(":")[2]))
            writer.write(f"GET /api/health HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n".encode())
            assert (await reader.readline()).split()[1] == str(status).encode()
            writer.close()
    finally:
        program.end()


def test_a_newer_database_is_refused(program: RelayProcess) -> None:
    program.start()
    program.end()
    with sqlite3.connect(program.home / "relay.db") as database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
    exit_code, said = program.run()
    assert exit_code == 1
    assert "made by a newer Muster (revision 9999): upgrade" in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--database", "mysql://h/d"), "use sqlite"),
        (("--database", "postgresql://h:port/d"), "cannot be read"),
        (("--database", "postgresql://nobody:pw@127.0.0.1:1/x"), "PostgreSQL at 127.0.0.1:1: "),
        (("--database", "postgresql://nobody@127.0.0.1:1/x"), "is the server running, and the URL"),
        (("--database", "sqlite:////nonexistent/relay.db"), "unable to open"),
        (("--tls-cert", "/nope", "--tls-key", "/nope"), "cannot use /nope"),
        (("--log-file", "/nonexistent/relay.log"), "/nonexistent/relay.log"),
    ],
)
def test_what_it_cannot_use_is_said_in_one_line(
    program: RelayProcess, options: tuple[str, ...], words: str
) -> None:
    exit_code, said = program.run(*options)
    assert exit_code == 1
    assert words in said
    assert "Traceback" not in said
    assert not (program.home / "relay.json").exists()


def test_a_driver_that_is_not_installed_is_named(
    program: RelayProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "asyncpg.py").write_text("raise ModuleNotFoundError(name='asyncpg')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    exit_code, said = program.run("--database", "postgresql://h/d")
    assert exit_code == 1
    assert "PostgreSQL needs asyncpg, which is not installed: pip install" in said
    assert "Traceback" not in said


def test_a_file_that_is_no_database_is_refused(program: RelayProcess) -> None:
    program.home.mkdir()
    (program.home / "relay.db").write_text("x" * 5000)
    exit_code, said = program.run()
    assert exit_code == 1
    assert "not a database" in said
    assert "Traceback" not in said


def test_a_home_that_is_a_file_is_refused(program: RelayProcess) -> None:
    program.home.write_text("")
    exit_code, said = program.run()
    assert exit_code == 1
    assert "MUSTER_HOME" in said


@pytest.mark.parametrize("options", [("--tls-cert", "x"), ("--bus", "nats"), ("--keep-days", "-1")])
def test_wrong_options_are_a_usage_error(program: RelayProcess, options: tuple[str, ...]) -> None:
    assert program.run(*options)[0] == 2


async def test_a_token_of_another_relay_is_foreign(program: RelayProcess, tmp_path: Path) -> None:
    program.start()
    with pytest.raises(ApiError, match="another relay"):
        await program.client("mst_" + "0" * 64).call(endpoints.LIST_HOSTS)
