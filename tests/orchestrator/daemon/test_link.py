"""What a host does when the relay says no, says it twice, or says nothing."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from muster_processes import agent_argv, until
from running import Host
from scripted_relay import ScriptedRelay

from relay.wire import endpoints, serving
from relay.wire.agents import ManagedAgent, SpawnRequest, Status
from relay.wire.base import Wire, now_ms
from relay.wire.commands import (
    ForgetCommand,
    InputCommand,
    Outcome,
    OutputCommand,
    SpawnCommand,
    StopCommand,
)
from relay.wire.errors import Code
from relay.wire.orchestrators import AckClass
from relay.wire.output import FrameDecoder, Kind
from relay.wire.steering import InputRequest, StopRequest

AGENT = "ag-0123456789ab"


async def start(host: Host, relay: ScriptedRelay) -> Any:
    host.start(wait=False)
    return await relay.registered.next()


async def local(call: Any, *arguments: Any, **fields: Any) -> Any:
    """Call the local API without holding up the scripted relay, which shares this loop."""
    return await asyncio.to_thread(call, *arguments, **fields)


def spawn_command(*argv: str, **fields: Any) -> SpawnCommand:
    request = SpawnRequest(argv=list(argv), **fields)
    return SpawnCommand(agent_id=AGENT, request=request, requested_by="ana", queued_at=7)


async def test_it_registers_then_tells_its_whole_roster_then_beats(host: Host, relay: ScriptedRelay) -> None:
    registration = await start(host, relay)
    assert (registration.id, registration.protocol) == ("h", 1)
    assert registration.state_id
    roster = await relay.rosters.next()
    beat = await relay.beaten.next()
    assert (roster.instance_id, roster.epoch) == (registration.instance_id, 1)
    assert (beat.instance_id, beat.epoch) == (registration.instance_id, 1)


async def test_a_heartbeat_names_the_agents_that_it_counts(host: Host, relay: ScriptedRelay) -> None:
    await start(host, relay)
    assert (await relay.beaten.next()).agents == []
    agent = await local(host.spawn, *agent_argv("sleep"))
    while not (beat := await relay.beaten.next()).agents:
        pass
    assert (beat.agents, beat.load.running) == ([agent.id], 1)


async def test_unknown_at_a_heartbeat_it_registers_again(host: Host, relay: ScriptedRelay) -> None:
    first = await start(host, relay)
    await relay.beaten.next()
    relay.refuse(endpoints.HEARTBEAT, Code.UNKNOWN_ORCHESTRATOR)
    again = await relay.registered.next()
    assert (again.instance_id, again.state_id) == (first.instance_id, first.state_id)
    await relay.beaten.next()


async def test_replaced_by_another_daemon_it_falls_silent_and_its_agents_live(
    host: Host, relay: ScriptedRelay
) -> None:
    await start(host, relay)
    await relay.beaten.next()
    agent = await local(host.spawn, *agent_argv("sleep"))
    relay.refuse(endpoints.HEARTBEAT, Code.STALE_EPOCH, "another daemon speaks for h")
    await relay.refused.next()
    beats = len(relay.beaten.all)
    await local(until, lambda: _health(host).checks[0].status != "ok", "the daemon to say so")
    health = await local(_health, host)
    assert "another daemon speaks for h" in health.checks[0].detail
    assert len(relay.registered.all) == 1
    assert len(relay.beaten.all) == beats
    assert (await local(host.get, agent.id)).status is Status.RUNNING


def _health(host: Host) -> Any:
    with host.client() as client:
        return client.call(endpoints.HEALTH)


async def test_each_report_is_settled_by_its_class(host: Host, relay: ScriptedRelay) -> None:
    relay.report_acks.extend([AckClass.COMMITTED, AckClass.RETRY])
    await start(host, relay)
    agent = await local(host.spawn, "true")
    await local(host.ended, agent.id)
    order: list[str] = []
    while not order or order[-1] != Status.SUCCEEDED:
        report, ack = await relay.reported.next()
        if ack is not AckClass.RETRY:
            order.append(report.agent.status)
    assert order == [Status.STARTING, Status.RUNNING, Status.SUCCEEDED]
    retried = [report.seq for report, ack in relay.reported.all if ack is AckClass.RETRY]
    settled = [report.seq for report, ack in relay.reported.all if ack is not AckClass.RETRY]
    assert retried
    assert set(retried) <= set(settled)
    assert settled == sorted(settled)


async def test_rejected_reports_do_not_block_those_behind_them(host: Host, relay: ScriptedRelay) -> None:
    relay.report_acks.extend([AckClass.REJECTED, AckClass.DUPLICATE])
    await start(host, relay)
    agent = await local(host.spawn, "true")
    last: ManagedAgent | None = None
    while last is None or not last.ended:
        last = (await relay.reported.next())[0].agent
    assert last.id == agent.id


async def test_a_spawn_is_carried_out_once_and_answered_each_time(
    host: Host, relay: ScriptedRelay, tmp_path: Path
) -> None:
    marks = tmp_path / "started"
    relay.command(5, spawn_command("sh", "-c", f"echo $$ >> {marks}; sleep 600"))
    await start(host, relay)
    number, first = await relay.acknowledged.next()
    assert (number, first.outcome) == (5, Outcome.DONE)
    assert (first.agent.id, first.agent.status, first.agent.created_at) == (AGENT, Status.RUNNING, 7)
    relay.break_streams()
    _, second = await relay.acknowledged.next()
    assert second.agent.pid == first.agent.pid
    assert second.epoch == 2
    assert len(await local(host.agents)) == 1
    relay.command(6, StopCommand(agent_id=AGENT, request=StopRequest(kill=True), by="ana"))
    await relay.acknowledged.next()
    ended = await local(host.ended, AGENT)
    assert ended.cause.by == "ana"


async def test_input_is_never_written_twice(host: Host, relay: ScriptedRelay) -> None:
    relay.command(1, spawn_command(*agent_argv("cat"), stdin_live=True))
    await start(host, relay)
    await relay.acknowledged.next()
    relay.command(2, InputCommand(agent_id=AGENT, request=InputRequest(text="once", newline=True)))
    number, answer = await relay.acknowledged.next()
    assert (number, answer.result) == (2, {"receipt": "written", "bytes": 5})
    for _ in range(2):
        relay.break_streams()
        for _ in range(2):
            number, again = await relay.acknowledged.next()
            assert number != 2 or again.result == answer.result
    relay.command(3, InputCommand(agent_id=AGENT, request=InputRequest(eof=True)))
    await local(host.ended, AGENT)
    assert await local(host.output, AGENT) == b"once\n"


async def test_killed_while_it_wrote_it_says_unknown_and_does_not_write_again(
    host: Host, relay: ScriptedRelay
) -> None:
    host.variables["MUSTER_FAILPOINT"] = "after_command_taken"
    relay.command(1, spawn_command(*agent_argv("cat"), stdin_live=True))
    await start(host, relay)
    await relay.acknowledged.next()
    relay.command(2, InputCommand(agent_id=AGENT, request=InputRequest(text="once")))
    await local(host.died)
    del host.variables["MUSTER_FAILPOINT"]
    await start(host, relay)
    while True:
        number, answer = await relay.acknowledged.next()
        if number == 2:
            break
    assert answer.outcome is Outcome.REFUSED
    assert "unknown" in answer.error.message


async def test_a_command_past_its_deadline_is_refused(host: Host, relay: ScriptedRelay) -> None:
    relay.command(1, spawn_command("true"), expires_at=now_ms() - 60_000)
    await start(host, relay)
    _, answer = await relay.acknowledged.next()
    assert (answer.outcome, answer.error.code) == (Outcome.REFUSED, Code.TIMEOUT)
    assert await local(host.agents) == {}


class Dance(Wire, frozen=True, kw_only=True, tag_field="kind", tag="dance"):
    """A command of a later version."""

    steps: int = 3


async def test_a_command_of_a_later_version_is_refused_and_holds_up_no_other(
    host: Host, relay: ScriptedRelay
) -> None:
    relay.command(1, Dance())
    relay.command(2, spawn_command("true"))
    await start(host, relay)
    answers = dict([await relay.acknowledged.next(), await relay.acknowledged.next()])
    assert (answers[1].outcome, answers[1].error.code) == (Outcome.REFUSED, Code.PROTOCOL_UNSUPPORTED)
    assert "upgrade it" in answers[1].error.message
    assert answers[2].outcome is Outcome.DONE


async def test_what_the_host_forbids_is_refused_whatever_the_relay_says(
    host: Host, relay: ScriptedRelay
) -> None:
    host.variables["MUSTER_POLICY_PROVIDERS"] = "claude"
    relay.command(1, spawn_command("true"))
    await start(host, relay)
    _, answer = await relay.acknowledged.next()
    assert (answer.outcome, answer.error.code) == (Outcome.REFUSED, Code.POLICY_REFUSED)
    assert answer.error.details == {"rule": "policy.providers"}


async def test_output_goes_up_in_frames_and_follows_to_the_end(host: Host, relay: ScriptedRelay) -> None:
    program = "echo out; echo err >&2; read x; echo $x"
    relay.command(1, spawn_command("sh", "-c", program, stdin_live=True))
    await start(host, relay)
    await relay.acknowledged.next()
    relay.command(0, OutputCommand(stream_id="s", agent_id=AGENT, follow=True))
    relay.command(2, InputCommand(agent_id=AGENT, request=InputRequest(text="bye", newline=True)))
    stream, media_type, body = await relay.uploaded.next()
    frames = list(FrameDecoder().feed(body))
    assert (stream, media_type) == ("s", "application/vnd.muster.output")
    assert b"".join(frame.data for frame in frames if frame.kind is Kind.STDOUT) == b"out\nbye\n"
    assert b"".join(frame.data for frame in frames if frame.kind is Kind.STDERR) == b"err\n"
    assert frames[-1].kind is Kind.END


async def test_output_of_an_unknown_agent_is_an_error_for_the_reader(
    host: Host, relay: ScriptedRelay
) -> None:
    relay.command(0, OutputCommand(stream_id="s", agent_id="ag-ffffffffffff"))
    await start(host, relay)
    _, media_type, body = await relay.uploaded.next()
    assert media_type == "application/json"
    assert b"not_found" in body


async def test_an_ended_agent_is_forgotten_on_command(host: Host, relay: ScriptedRelay) -> None:
    relay.command(1, spawn_command("true"))
    await start(host, relay)
    await relay.acknowledged.next()
    await local(host.ended, AGENT)
    relay.command(2, ForgetCommand(agent_id=AGENT))
    number, answer = await relay.acknowledged.next()
    assert (number, answer.outcome) == (2, Outcome.DONE)
    assert await local(host.agents) == {}
    assert not Path(host.home.agents, AGENT).exists()


async def test_a_relay_of_the_future_is_named_as_such(host: Host, relay: ScriptedRelay) -> None:
    relay.refuse(endpoints.REGISTER, Code.PROTOCOL_UNSUPPORTED, "upgrade the client")
    host.start(wait=False)
    await relay.refused.next()

    def named() -> bool:
        return host.answers() and "upgrade the client" in _health(host).checks[0].detail

    await local(until, named, "the relay's words in the daemon's health")


async def test_signs_of_life_on_the_stream_of_commands_do_not_break_it(
    host: Host, relay: ScriptedRelay, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After an event with an id, httpx-sse makes an event without data of a comment."""
    monkeypatch.setattr(serving, "KEEPALIVE_S", 0.01)
    await start(host, relay)
    relay.command(5, spawn_command("true"))
    await relay.acknowledged.next()
    for _ in range(3):
        await relay.beaten.next()

    assert len(relay.registered.all) == 1
