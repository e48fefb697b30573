"""`up`, `down` and starting by itself, with the real relay and the real daemon."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pexpect
import psutil
import pytest
from local_api import FakeServer
from muster_command import MUSTER, Muster, Said
from muster_processes import is_running, until
from running import sweep

from orchestrator.cli.target import daemon_answers
from relay.wire.home import Home


def servers(home: Home) -> dict[str, int]:
    """The pids of the relay and the daemon that run from this home, by module."""
    found = {}
    for process in psutil.process_iter(["cmdline", "environ", "ppid"]):
        words = process.info["cmdline"] or []
        ours = (process.info["environ"] or {}).get("MUSTER_HOME") == home.state
        if process.info["ppid"] in found.values():
            continue  # what a server has forked looks like it until it executes another program
        if ours and words[1:2] == ["-m"] and words[2] in ("relay", "orchestrator"):
            assert words[2] not in found, f"two of {words[2]}"
            found[words[2]] = process.pid
    return found


@pytest.fixture(autouse=True)
def nothing_stays(home: Home) -> Iterator[None]:
    yield
    sweep(Path(home.state))


def test_run_starts_what_is_needed_and_leaves_it_running(muster: Muster, home: Home, tmp_path: Path) -> None:
    muster.cwd = str(tmp_path)
    muster.variables["TMUX"] = "/tmp/tmux"
    muster.variables["MUSTER_AGENT_ID"] = "ag-of-the-caller"

    said = muster("run", "--", "sh", "-c", "pwd; echo problem >&2; exit 3")

    assert (said.code, said.text, said.err) == (3, f"{os.path.realpath(tmp_path)}\n", "problem\n")
    until(lambda: len(servers(home)) == 2, "the relay and the daemon")
    for pid in servers(home).values():
        process = psutil.Process(pid)
        assert os.getsid(pid) == pid
        assert process.cwd() != os.path.realpath(tmp_path)
        assert not {"TMUX", "MUSTER_AGENT_ID"} & set(process.environ())
        assert os.readlink(f"/proc/{pid}/fd/0") == "/dev/null"


@pytest.mark.parametrize("count", [6, pytest.param(20, marks=pytest.mark.slow)])
def test_many_at_once_start_one_pair_and_one_agent_per_key(count: int, muster: Muster, home: Home) -> None:
    def ask(_: int) -> Said:
        return muster("spawn", "--key", "one", "--", "sleep", "60")

    with ThreadPoolExecutor(count) as pool:
        all_said = list(pool.map(ask, range(count)))

    assert {said.code for said in all_said} == {0}, {said.err for said in all_said}
    assert len({said.text.split()[0] for said in all_said}) == 1
    assert len(servers(home)) <= 2
    assert len(muster("ps", "--json").json) == 1


def test_up_and_down_say_what_they_did(muster: Muster, home: Home) -> None:
    up = muster("up", "--detach")
    assert up.code == 0
    url = re.search(r"http://127\.0\.0\.1:(\d+)", up.text)
    assert url
    assert (url[1] == "4850") or f"listens on {url[1]}" in up.err
    again = muster("up")
    assert (again.code, again.text.split(":")[0]) == (0, "already running")
    agent = muster("spawn", "--label", "stays", "--", "sleep", "60").text.split()[0]

    down = muster("down")

    assert down.code == 0
    assert "ended the daemon and the relay" in down.text
    assert "1 agent left running: stays" in down.text
    assert servers(home) == {}
    assert muster("down").text == "nothing is running here\n"
    assert muster("up", "--detach").code == 0
    assert [found["id"] for found in muster("ps", "--json").json] == [agent]
    stopped = muster("down", "--stop-agents")
    assert "stopped 1 agent: stays" in stopped.text


def test_a_port_that_is_taken_is_an_error_and_leaves_nothing(muster: Muster, home: Home) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = muster("up", "--detach", "--port", str(port))

    assert said.code == 1
    assert f"port {port} is in use" in said.err
    assert servers(home) == {}


def test_with_a_relay_elsewhere_only_the_daemon_is_started(
    muster: Muster, home: Home, relay: FakeServer
) -> None:
    muster.variables["MUSTER_RELAY_URL"] = relay.url

    said = muster("up", "--detach")

    assert said.code == 0
    assert f"configured: relay {relay.url}" in said.text
    assert list(servers(home)) == ["orchestrator"]
    assert muster("run", "--", "echo", "here").text == "here\n"


def test_a_state_directory_that_cannot_be_used_says_so(muster: Muster, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    muster.variables["MUSTER_HOME"] = str(tmp_path / "file" / "home")

    said = muster("run", "--", "true")

    assert said.code == 1
    assert "MUSTER_HOME" in said.err


def test_a_database_of_a_newer_muster_ends_up_with_its_reason(muster: Muster, home: Home) -> None:
    with open(home.host_database, "wb") as file:
        file.write(b"this is no database" * 100)

    said = muster("up", "--detach")

    assert said.code == 1
    assert "the orchestrator ended with 1" in said.err
    assert servers(home) == {}


def test_a_foreground_up_starts_again_what_crashes_and_ends_both_on_interrupt(
    muster: Muster, home: Home
) -> None:
    up = muster.start("up", start_new_session=True)
    assert up.stdout is not None
    assert up.stderr is not None
    assert b"running" in up.stdout.readline()
    assert b"relay" in up.stdout.readline()
    before = servers(home)
    assert muster("spawn", "--", "sleep", "60").code == 0

    os.kill(before["orchestrator"], signal.SIGKILL)
    assert any(b"the orchestrator ended with -9" in line for line in up.stderr)
    until(lambda: servers(home).get("orchestrator", 0) not in (0, before["orchestrator"]), "another daemon")
    until(lambda: daemon_answers(home), "it to answer")
    assert len(muster("ps", "--json").json) == 1
    after = servers(home)
    assert after["relay"] == before["relay"]

    up.send_signal(signal.SIGINT)

    assert up.wait(60) == 0
    assert b"1 agent(s) keep running" in up.stdout.read()
    assert not any(is_running(pid) for pid in after.values())


def test_run_survives_the_daemons_death_and_loses_no_byte(muster: Muster, home: Home) -> None:
    run = muster.start("run", "--", "sh", "-c", "echo one; read x < /dev/null; sleep 1.5; echo two; exit 4")
    assert run.stdout is not None
    assert run.stdout.readline() == b"one\n"

    os.kill(servers(home)["orchestrator"], signal.SIGKILL)

    out, err = run.communicate(timeout=60)
    assert (run.returncode, out) == (4, b"two\n"), err


def test_down_is_respected_by_a_run_that_follows(muster: Muster, home: Home) -> None:
    run = muster.start("run", "--", "sh", "-c", "echo one; exec sleep 60")
    assert run.stdout is not None
    assert run.stderr is not None
    assert run.stdout.readline() == b"one\n"

    assert muster("down").code == 0
    assert b"still trying" in run.stderr.readline()
    assert servers(home) == {}
    assert muster("up", "--detach").code == 0
    assert b"answers again" in run.stderr.readline()
    run.send_signal(signal.SIGINT)

    assert run.wait(60) == 130


def test_interrupting_run_leaves_nothing_of_the_tree(muster: Muster, home: Home, tmp_path: Path) -> None:
    program = f"trap '' INT; sleep 60 & echo $! > {tmp_path}/child; echo up; wait; sleep 60"
    run = muster.start("run", "--", "sh", "-c", program)
    assert run.stdout is not None
    assert run.stdout.readline() == b"up\n"
    child = int((tmp_path / "child").read_text())

    run.send_signal(signal.SIGINT)

    assert run.wait(60) == 130
    assert not is_running(child)


def test_control_c_in_a_terminal_stops_the_agent(muster: Muster, home: Home) -> None:
    program, *options = [*MUSTER, "run", "--", "sh", "-c", "echo up; exec sleep 60"]
    terminal = pexpect.spawn(program, options, env=muster.environment(), encoding="utf-8", timeout=60)
    try:
        terminal.expect("up\r\n")
        terminal.sendintr()
        terminal.expect(pexpect.EOF)
        terminal.wait()
    finally:
        terminal.close(force=True)

    assert terminal.exitstatus == 130
    [agent] = muster("ps", "--all", "--json").json
    assert agent["status"] == "cancelled"


def test_the_relay_runs_it_on_a_named_host(muster: Muster, home: Home) -> None:
    muster.variables["MUSTER_HOST_ID"] = "hostname-of-mine"
    assert muster("up", "--detach").code == 0
    until(lambda: muster("hosts", "--json").json != [], "the host to register", 20)

    said = muster("run", "--host", "hostname-of-mine", "--", "sh", "-c", "echo far; exit 5")

    assert (said.code, said.text) == (5, "far\n"), said.err
    assert muster("run", "--host", "nobody", "--", "true").code == 3
    assert [host["id"] for host in muster("hosts", "--json").json] == ["hostname-of-mine"]


def test_doctor_is_content_with_a_running_host_and_not_without(muster: Muster, home: Home) -> None:
    assert muster("doctor").code == 1
    assert muster("up", "--detach").code == 0

    said = muster("doctor", "--json")

    assert said.code == 0, said.text
    found = {check["name"]: check["status"] for check in said.json}
    assert {found[name] for name in ("state", "config", "daemon", "relay", "token")} == {"ok"}

    muster.variables["MUSTER_TOKEN"] = "mst_wrong"
    refused = muster("doctor")
    assert refused.code == 1
    assert "fail  token" in refused.text
    assert max(map(len, refused.text.splitlines())) <= 80
    del muster.variables["MUSTER_TOKEN"]

    os.kill(servers(home)["orchestrator"], signal.SIGKILL)
    until(lambda: "orchestrator" not in servers(home), "the daemon to be gone")
    crashed = muster("doctor")
    assert crashed.code == 1
    assert "left its socket behind" in " ".join(crashed.text.split())


@pytest.mark.parametrize(
    ("app", "status", "detail"),
    [
        ("tmux", "ok", "tmux"),
        ("footclient -N {command}", "ok", "custom-footclient"),
        ("footclient -N", "fail", "no terminal is called 'footclient -N' (an argv has {command}"),
        ("{command}", "fail", "must name a program first"),
    ],
)
def test_doctor_looks_at_the_terminal_that_was_chosen(
    muster: Muster, app: str, status: str, detail: str
) -> None:
    muster.variables["MUSTER_TERMINAL_APP"] = app
    (check,) = [one for one in muster("doctor", "--json").json if one["name"] == "terminal.app"]
    assert check["status"] == status
    assert detail in check["detail"]


def test_a_crashed_daemon_is_named_where_the_relay_answers_for_it(muster: Muster, home: Home) -> None:
    assert muster("up", "--detach").code == 0
    assert muster("spawn", "--", "sleep", "60").code == 0
    os.kill(servers(home)["orchestrator"], signal.SIGKILL)
    until(lambda: "orchestrator" not in servers(home), "it to be gone")

    assert "daemon has crashed" in muster("ps").err

    assert muster("up", "--detach").code == 0
    assert len(muster("ps", "--json").json) == 1
    assert muster("ps").err == ""


def test_a_spawn_for_another_host_starts_no_daemon_here(muster: Muster, home: Home) -> None:
    relay = muster.start("relay", "--bind", "127.0.0.1:0")
    until(lambda: home.read_record(home.relay_record) is not None, "the relay")

    said = muster("spawn", "--host", "elsewhere", "--", "true")

    assert said.code == 3
    assert "elsewhere" in said.err
    assert "orchestrator" not in servers(home)
    relay.terminate()
    assert relay.wait(60) == 0


@pytest.mark.parametrize("crashed", [True, False])
def test_down_with_stop_agents_ends_them_also_when_the_daemon_is_gone(
    crashed: bool, muster: Muster, home: Home
) -> None:
    agent = json.loads(muster("spawn", "--json", "--", "sleep", "60").text)
    if crashed:
        os.kill(servers(home)["orchestrator"], signal.SIGKILL)
        until(lambda: "orchestrator" not in servers(home), "it to be gone")
    else:
        assert muster("down").code == 0

    said = muster("down", "--stop-agents")

    assert (said.code, "stopped 1 agent" in said.text) == (0, True), said
    assert not is_running(agent["pid"])
    assert servers(home) == {}
