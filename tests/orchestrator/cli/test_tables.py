"""What people see: 80 columns, ids whole, nothing that a terminal would obey."""

from __future__ import annotations

import re

from local_api import NOW, FakeServer, an_agent
from muster_command import Muster

from orchestrator.cli.words import clock
from relay.wire.agents import Activity, Cause, CauseKind, ExitFacts, Presence, Status, Usage
from relay.wire.base import now_ms
from relay.wire.endpoints import GET_AGENT, GET_HOST, LIST_AGENTS, LIST_HOSTS
from relay.wire.errors import ApiError, Code
from relay.wire.orchestrators import HostStatus, Load, Orchestrator, ProviderInfo


def lines(text: str) -> list[str]:
    found = [line.rstrip() for line in text.splitlines()]
    assert max(map(len, text.splitlines()), default=0) <= 80
    return found


def test_ps_fits_80_columns_and_never_cuts_an_id(muster: Muster, daemon: FakeServer) -> None:
    agents = [
        an_agent(
            id="ag-000000000001",
            label="a label that is rather long",
            title="python -c '" + "x" * 200,
            started_at=now_ms() - 65_000,
        ),
        an_agent(
            Status.FAILED,
            id="ag-000000000002",
            cause=Cause(kind=CauseKind.EXIT, message="", exit_code=3),
            started_at=now_ms() - 7_300_000,
        ),
        an_agent(
            id="ag-000000000003",
            presence=Presence.UNKNOWN,
            title="evil \x1b[31mred\x07\nline",
            started_at=now_ms() - 3_700_000,
        ),
    ]
    daemon.on(LIST_AGENTS, agents)

    found = lines(muster("ps", "--all").text)

    assert found == [
        "ID               STATUS    AGE  PROVIDER  LABEL               WHAT",
        "─" * 80,
        "ag-000000000001  running    1m  command   a label that is r…  python -c 'xxxxxx…",
        "ag-000000000002  exit 3     2h  command",
        "ag-000000000003  running?   1h  command                       evil  [31mred  li…",
    ]


def test_ps_tells_who_waits_for_somebody_and_what_is_the_matter(muster: Muster, daemon: FakeServer) -> None:
    now = now_ms()
    busy = an_agent(started_at=now, activity=Activity.BUSY, title="port it", attention="its model is away")
    idle = an_agent(started_at=now, activity=Activity.IDLE, title="port it")
    waiting = an_agent(started_at=now, activity=Activity.WAITING_INPUT, title="port it")
    ended = an_agent(Status.SUCCEEDED, started_at=now, activity=Activity.IDLE, title="port it")
    daemon.on(LIST_AGENTS, [busy, idle, waiting, ended])

    found = lines(muster("ps", "--all").text)[2:]

    assert [line.split(maxsplit=1)[1].split("  ")[0] for line in found] == [
        "running",
        "idle",
        "waiting",
        "succeeded",
    ]
    assert [line.rpartition("  ")[2] for line in found] == ["its model is away: port it", *["port it"] * 3]


def test_ps_names_the_process_of_each_agent_that_runs_on_this_host(
    muster: Muster, daemon: FakeServer, relay: FakeServer
) -> None:
    now = now_ms()
    runs = an_agent(id="ag-000000000001", pid=4711, started_at=now)
    ended = an_agent(Status.SUCCEEDED, id="ag-000000000002", pid=4712, started_at=now)
    daemon.on(LIST_AGENTS, [runs, ended])
    relay.on(LIST_AGENTS, [runs, ended])

    found = lines(muster("ps", "--all").text)

    assert found[0] == "ID               STATUS     AGE   PID  PROVIDER  WHAT"
    assert found[2] == "ag-000000000001  running     0s  4711  command"
    assert "4712" not in found[3], "it may be another's by now"
    muster.variables["MUSTER_RELAY_URL"] = relay.url
    assert "PID" not in muster("ps", "-r").text, "a number means nothing on another host"


def test_ps_of_all_hosts_names_the_only_one_too(muster: Muster, relay: FakeServer) -> None:
    relay.on(LIST_AGENTS, [an_agent(started_at=now_ms())])
    muster.variables["MUSTER_RELAY_URL"] = relay.url

    assert "HOST" in lines(muster("ps", "-r").text)[0]
    assert "HOST" not in lines(muster("ps", "--host", "here").text)[0]


def test_ps_of_an_unknown_host_is_not_an_empty_list(muster: Muster, relay: FakeServer) -> None:
    relay.on(LIST_AGENTS, [])
    relay.on(GET_HOST, ApiError(Code.UNKNOWN_ORCHESTRATOR, "no host 'nowhere' here"))
    muster.variables["MUSTER_RELAY_URL"] = relay.url

    said = muster("ps", "--host", "nowhere")

    assert (said.code, said.text) == (3, "")
    assert "no host 'nowhere'" in said.err


def test_ps_of_all_hosts_names_them(muster: Muster, relay: FakeServer) -> None:
    now = now_ms() - 3_700_000
    relay.on(
        LIST_AGENTS,
        [an_agent(started_at=now), an_agent(id="ag-1", orchestrator_id="there", started_at=now)],
    )
    muster.variables["MUSTER_RELAY_URL"] = relay.url

    found = lines(muster("ps", "-r").text)

    assert found[0] == "ID               STATUS   AGE  PROVIDER  HOST   WHAT"
    assert found[3] == "ag-1             running   1h  command   there"


def test_ps_asks_for_what_was_typed(muster: Muster, daemon: FakeServer) -> None:
    daemon.on(LIST_AGENTS, [])

    assert "muster ps --all" in muster("ps").text
    assert muster("ps", "--status", "failed,lost", "--label", "l", "--tag", "t", "--json").json == []

    first, second = (call.query for call in daemon.made(LIST_AGENTS))
    assert first.status == "live"
    assert (second.status, second.label, second.tag) == ("failed,lost", "l", "t")


def test_show_says_all_that_is_known(muster: Muster, daemon: FakeServer) -> None:
    cause = Cause(kind=CauseKind.STOPPED, message="stopped", by="bob", output_tail="last\x1b[2J\nwords\n")
    end = ExitFacts(
        at=NOW,
        signal=9,
        stage="kill",
        killed=["12 python", "13 sh"],
        survivors=["14 stuck"],
        output_bytes=5_000_000,
    )
    agent = an_agent(
        Status.CANCELLED,
        label="l",
        title="sleep 9",
        cwd="/srv",
        cause=cause,
        exit=end,
        started_at=NOW,
        ended_at=NOW + 65_000,
    )
    daemon.on(GET_AGENT, agent)

    said = muster("show", "l")

    assert [re.sub(r"\(\d+d ago\)", "(… ago)", line) for line in lines(said.text)] == [
        "id          ag-0123456789ab",
        "label       l",
        "what        sleep 9",
        "provider    command",
        "mode        headless, approval guarded",
        "host        here",
        "cwd         /srv",
        "status      cancelled",
        "cause       stopped: stopped (by bob)",
        "created     2025-10-09 08:53:20.000 (… ago)",
        "started     2025-10-09 08:53:20.000 (… ago)",
        "ended       2025-10-09 08:54:25.000 (… ago)",
        "ran for     1m05s",
        "exit        killed by SIGKILL",
        "stopped by  kill was the last step that was needed",
        "killed      12 python, 13 sh",
        "survivors   14 stuck",
        "output      4.8 MiB",
        "last output:",
        "  last [2J",
        "  words",
    ]


def test_show_says_what_a_run_has_taken_and_may_take(muster: Muster, daemon: FakeServer) -> None:
    usage = Usage(
        input_tokens=12_345,
        cached_input_tokens=10_000,
        output_tokens=678,
        context_used=186_000,
        context_window=200_000,
    )
    agent = an_agent(
        Status.RUNNING,
        activity=Activity.BLOCKED,
        activity_source="stream",
        attention="rate limited: slow down",
        error="API Error",
        turns=2,
        tool_calls=1,
        usage=usage,
        cost_usd=0.01234,
        max_turns=20,
        max_cost_usd=1.5,
        idle_timeout_ms=600_000,
        restart_at=now_ms() + 60_000,
    )
    daemon.on(GET_AGENT, agent)

    said = " ".join(muster("show", "l").text.split())

    for words in (
        "limits 20 answers of the model, 1.5 USD, 10m00s without a sign of work",
        f"activity blocked (from stream) goes on {clock(agent.restart_at or 0)}",
        "attention rate limited: slow down",
        "error API Error",
        "used 2 answers of the model, 1 tool call, 12,345 tokens in (10,000 cached), 678 tokens out, "
        "context 93% full, 0.0123 USD",
    ):
        assert words in said


def host(name: str, status: HostStatus, **facts: object) -> Orchestrator:
    return Orchestrator(id=name, hostname=name, status=status, agent_id=f"orchestrator-{name}", **facts)  # type: ignore[arg-type]


def test_hosts_shows_status_load_and_skew(muster: Muster, relay: FakeServer) -> None:
    now = now_ms()
    relay.on(
        LIST_HOSTS,
        [
            host("b", HostStatus.OFFLINE, offline_since=now - 120_500, last_seen=now - 180_500),
            host(
                "a",
                HostStatus.ONLINE,
                last_seen=now - 3_700_000,
                max_agents=64,
                clock_skew_ms=-2500,
                labels={"zone": "eu"},
                load=Load(cpus=4, load_average=1.25),
            ),
        ],
    )
    muster.variables["MUSTER_RELAY_URL"] = relay.url

    assert lines(muster("hosts").text) == [
        "HOST  STATUS      AGENTS   LOAD   SKEW  SEEN  LABELS",
        "─" * 53,
        "a     online        0/64  1.2/4  -2.5s    1h  zone=eu",
        "b     offline 2m       0      -     0s    3m",
    ]
    assert muster("hosts", "--json").json[1]["clockSkewMs"] == -2500


def test_hosts_falls_back_to_this_one_and_says_so(muster: Muster, daemon: FakeServer) -> None:
    daemon.on(LIST_HOSTS, [host("here", HostStatus.ONLINE)])
    muster.variables["MUSTER_RELAY_URL"] = "http://127.0.0.1:9"

    said = muster("hosts", "--json")

    assert [found["id"] for found in said.json] == ["here"]
    assert "only what this host's daemon knows" in said.err


def test_providers_says_where_and_why_not(muster: Muster, daemon: FakeServer) -> None:
    capabilities = [
        ProviderInfo(
            name="claude",
            path="/usr/bin/claude",
            version="2.1.0",
            proven="2.1.197",
            modes=["headless", "embedded"],
            approval_modes=["read-only", "guarded", "open"],
            abilities=["approvals", "result"],
            secrets=["A_KEY", "B_KEY"],
            keys=["B_KEY"],
        ),
        ProviderInfo(name="codex", note="not on PATH", modes=["headless"], approval_modes=["guarded"]),
    ]
    daemon.on(LIST_HOSTS, [host("here", HostStatus.ONLINE, capabilities=capabilities)])

    assert lines(muster("providers").text)[2:] == [
        "claude    2.1.0*   both      all       approvals result  /usr/bin/claude",
        "codex     -        headless  guarded                     not on PATH",
    ]
    one = muster("providers", "claude").text
    assert "proven with     2.1.197" in one
    assert "keys            B_KEY" in one
    unknown = muster("providers", "qodex")
    assert (unknown.code, "known are: claude, codex" in unknown.err) == (3, True)
    assert [info["name"] for info in muster("providers", "--json").json] == ["claude", "codex"]
