"""Registration, fences, leases."""

from __future__ import annotations

from typing import Any

import pytest
from relay_in_process import RelayInProcess, eventually
from scripted_host import ScriptedHost, agent

from relay.wire import endpoints
from relay.wire.agents import Presence, Status
from relay.wire.base import now_ms
from relay.wire.errors import ApiError, Code
from relay.wire.events import EventType
from relay.wire.health import Scope
from relay.wire.orchestrators import Action, ActionRequest, HostStatus, Orchestrator, ProviderInfo
from relay.wire.windows import DesktopInfo, TerminalInfo


async def refused(call: Any) -> ApiError:
    with pytest.raises(ApiError) as refusal:
        await call
    return refusal.value


async def shown(relay: RelayInProcess, id_: str = "h1") -> Orchestrator:
    return await relay.client().call(endpoints.GET_HOST, path={"id": id_})


async def test_a_host_is_shown_as_it_registered(relay: RelayInProcess, host: ScriptedHost) -> None:
    await host.register(
        labels={"gpu": "yes"},
        base_dir="/srv",
        env_keys=["PATH"],
        max_agents=3,
        os="linux",
        arch="x",
        version="1",
    )
    await host.report(agent("ag-1"), agent("ag-2", Status.FAILED))
    one = await shown(relay)
    assert (one.id, one.hostname, one.status, one.agent_id) == (
        "h1", "h1.example", HostStatus.ONLINE, "orchestrator-h1"
    )  # fmt: skip
    assert (one.labels, one.base_dir, one.env_keys, one.max_agents) == ({"gpu": "yes"}, "/srv", ["PATH"], 3)
    assert (one.os, one.arch, one.version, one.providers) == ("linux", "x", "1", ["claude"])
    assert [(entry.id, entry.presence) for entry in one.managed_agents] == [("ag-1", Presence.LIVE)]
    assert await relay.client().call(endpoints.LIST_HOSTS) == [one]


async def test_each_registration_shuts_out_the_one_before(host: ScriptedHost) -> None:
    before = host.epoch
    await host.register()
    assert host.epoch == before + 1
    host.epoch = before
    for call in (host.beat(), host.roster(), host.report(agent("ag-1"))):
        assert (await refused(call)).code is Code.STALE_EPOCH
    with pytest.raises(ApiError, match="must stop speaking for it"):
        async with host.commands():
            pass


async def test_a_restarted_daemon_takes_its_place_at_once(relay: RelayInProcess, host: ScriptedHost) -> None:
    created = (await shown(relay)).created_at
    again = ScriptedHost(relay.client(), state_id=host.state_id)
    await again.register()
    assert again.epoch == host.epoch + 1
    assert (await shown(relay)).created_at == created


async def test_a_second_host_of_the_same_id_is_refused_until_it_takes_over(
    relay: RelayInProcess, host: ScriptedHost
) -> None:
    second = ScriptedHost(relay.client())
    refusal = await refused(second.register(hostname="other"))
    assert refusal.code is Code.ID_TAKEN
    assert "h1.example" in refusal.message
    assert "--take-over" in refusal.message
    await second.register(hostname="other", take_over=True)
    assert (await refused(host.beat())).code is Code.STALE_EPOCH
    assert (await shown(relay)).hostname == "other"


async def test_an_unknown_host_is_told_to_register(relay: RelayInProcess) -> None:
    assert (await refused(ScriptedHost(relay.client()).beat())).code is Code.NOT_FOUND


@pytest.mark.parametrize(
    ("facts", "code"),
    [({"protocol": 2}, Code.PROTOCOL_UNSUPPORTED), ({"hostname": 5}, Code.INVALID)],
)
async def test_a_host_from_the_future_or_of_no_shape_is_refused(
    relay: RelayInProcess, facts: dict[str, Any], code: Code
) -> None:
    assert (await refused(ScriptedHost(relay.client()).register(**facts))).code is code


async def test_a_bad_id_is_refused(relay: RelayInProcess) -> None:
    assert (await refused(ScriptedHost(relay.client(), "a b").register())).code is Code.INVALID


async def test_a_host_token_speaks_for_its_own_host_only(relay: RelayInProcess) -> None:
    token = await relay.token(Scope.ORCHESTRATOR, "h1")
    own = ScriptedHost(relay.client(token), "h1")
    await own.register()
    await own.beat()
    other = ScriptedHost(relay.client(token), "h2")
    assert "bound to host 'h1'" in (await refused(other.register())).message
    await ScriptedHost(relay.client(), "h2").register()
    assert (await refused(other.beat())).code is Code.FORBIDDEN
    assert len(await relay.client(token).call(endpoints.LIST_HOSTS)) == 2


async def test_a_lease_that_runs_out_makes_presence_unknown_and_nothing_else(
    relay: RelayInProcess, host: ScriptedHost
) -> None:
    await host.report(agent("ag-1", Status.RUNNING))
    async with relay.client().stream(endpoints.EVENTS) as response:
        relay.relay._leases.extend(-1000)
        lines = response.aiter_lines()
        async for line in lines:
            if line == f"event: {EventType.ORCHESTRATOR_OFFLINE}":
                break
        one = await shown(relay)
        away = await relay.get("ag-1")
        assert one.status is HostStatus.OFFLINE
        assert (away.status, away.presence, away.presence_since) == (
            Status.RUNNING, Presence.UNKNOWN, one.offline_since
        )  # fmt: skip
        assert one.managed_agents[0].presence is Presence.UNKNOWN
        await host.beat()
        async for line in lines:
            if line == f"event: {EventType.ORCHESTRATOR_ONLINE}":
                break
    assert (await relay.get("ag-1")).presence is Presence.LIVE


async def test_the_clock_skew_is_measured_at_each_heartbeat(
    relay: RelayInProcess, host: ScriptedHost
) -> None:
    reply = await host.beat(sent_at=now_ms() + 60_000, rtt_ms=20)
    assert 59_000 < reply.clock_skew_ms < 61_000
    assert 59_000 < (await shown(relay)).clock_skew_ms < 61_000
    assert abs(reply.server_time - now_ms()) < 5_000


async def test_the_interval_is_stretched_for_many_hosts(start_relay: Any) -> None:
    relay = await start_relay(heartbeat_ms=1000, heartbeats_per_s=0.4)
    for number in range(3):
        reply = await ScriptedHost(relay.client(), f"h{number}").register()
    assert reply.heartbeat_interval_ms >= 5000
    assert (
        reply.lease_ms
        == 3 * (await ScriptedHost(relay.client(), "h2").register(take_over=True)).heartbeat_interval_ms
    )


async def test_a_roster_is_wanted_once_after_each_registration(host: ScriptedHost) -> None:
    assert (await host.beat()).roster_wanted
    await host.roster()
    assert not (await host.beat()).roster_wanted


async def test_new_capabilities_come_with_a_heartbeat(relay: RelayInProcess, host: ScriptedHost) -> None:
    await host.beat(capabilities=[ProviderInfo(name="codex", path="/x")])
    assert (await shown(relay)).providers == ["codex"]


async def test_a_desktop_that_was_found_late_comes_with_a_heartbeat(
    relay: RelayInProcess, host: ScriptedHost
) -> None:
    desktop, terminals = DesktopInfo(kind="x11", source=":0"), [TerminalInfo(name="xterm", path="/bin/xterm")]
    await host.beat(desktop=desktop, terminals=terminals)
    for _ in range(2):
        one = await shown(relay)
        assert (one.epoch, one.providers) == (host.epoch, ["claude"])
        assert (one.desktop, one.terminals) == (desktop, terminals)
        await host.beat()


async def test_a_drain_holds_before_the_host_knows_of_it(relay: RelayInProcess, host: ScriptedHost) -> None:
    async def act(action: Action) -> None:
        await relay.client().call(endpoints.ACT, ActionRequest(action=action), path={"id": "h1"})

    await act(Action.DRAIN)
    await host.beat(draining=False)
    assert (await shown(relay)).status is HostStatus.DRAINING
    assert "is draining" in ((await relay.spawn(orchestrator_id="h1")).reason or "")
    async with host.commands() as commands:
        await host.ack(await anext(commands))
    await host.beat(draining=True)
    await act(Action.UNDRAIN)
    assert (await shown(relay)).status is HostStatus.ONLINE
    with pytest.raises(ApiError, match="not supported"):
        await act(Action.UPGRADE)


async def test_only_an_offline_host_is_removed_and_its_agents_are_lost(start_relay: Any) -> None:
    relay = await start_relay(heartbeat_ms=30_000)
    admin = relay.client()
    host = ScriptedHost(admin)
    await host.register()
    await host.report(agent("ag-1"))
    assert (await refused(admin.call(endpoints.DELETE_HOST, path={"id": "h1"}))).code is Code.CONFLICT
    sent = await relay.spawn(orchestrator_id="h1")
    async with host.commands() as commands:
        await anext(commands)
    unsent = await relay.spawn(orchestrator_id="h1")
    relay.relay._leases.extend(-1000)

    async def reached() -> bool:
        return not ((await shown(relay)).status is not HostStatus.OFFLINE)

    await eventually(reached)
    await admin.call(endpoints.DELETE_HOST, path={"id": "h1"})
    lost = await relay.get("ag-1")
    assert lost.status is Status.LOST
    assert lost.cause is not None
    assert lost.cause.by == "admin"
    assert (await relay.get(sent.id)).status is Status.LOST
    assert (await relay.get(unsent.id)).status is Status.REJECTED
    assert await admin.call(endpoints.LIST_HOSTS) == []
    assert (await refused(host.beat())).code is Code.NOT_FOUND
    await host.register()
    await host.roster(agent("ag-1"))
    assert (await relay.get("ag-1")).status is Status.RUNNING
