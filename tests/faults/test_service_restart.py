"""The daemon as a real service of a user's systemd: what is done to the service is not done to the agents."""

from __future__ import annotations

import os
import signal
import tempfile
from pathlib import Path

import pytest
from muster_processes import agent_argv, is_running, until
from service import Service
from systemd_user import UserManager

from relay.wire import endpoints
from relay.wire.agents import CauseKind, Mode, Status

pytestmark = pytest.mark.needs("systemd")
MIB = 1024 * 1024


def keepers_check(service: Service) -> tuple[str, str]:
    with service.client() as client:
        checks = client.call(endpoints.HEALTH).checks
    return next((check.status, check.detail) for check in checks if check.name == "keepers")


@pytest.mark.parametrize("verb", ["restart", "kill"])
def test_a_restart_of_the_service_ends_no_agent_and_loses_no_exit(
    service: Service, user_manager: UserManager, tmp_path: Path, verb: str
) -> None:
    gates = [tmp_path / "one", tmp_path / "two"]
    for gate in gates:
        os.mkfifo(gate)
    until(lambda: "forked" in keepers_check(service)[1], "the zygote")
    assert keepers_check(service)[0] == "ok"
    assert user_manager.property("muster.service", "KillMode") == "control-group"
    headless = service.spawn(*agent_argv("print:up", f"await:{gates[0]}", "print:after", "exit:7"))
    embedded = service.spawn(*agent_argv("winsize", f"await:{gates[1]}", "exit:0"), mode=Mode.EMBEDDED)
    limited = service.spawn(*agent_argv("print:up", "sleep"), memory_bytes=64 * MIB)
    assert f"muster-{limited.id}.scope" in user_manager.scopes()
    service.begin_anew(verb)

    for agent in (headless, embedded, limited):
        now = service.get(agent.id)
        assert (now.status, now.pid, now.started_at) == (Status.RUNNING, agent.pid, agent.started_at)
        assert is_running(agent.pid or 0)
    for gate in gates:
        gate.write_text("go")
    ended = service.ended(headless.id)
    assert ended.cause is not None
    assert ended.cause.exit_code == 7
    assert service.output(headless.id) == b"up\nafter\n"
    assert service.ended(embedded.id).status is Status.SUCCEEDED
    assert service.stop(limited.id).status is Status.CANCELLED
    until(lambda: f"muster-{limited.id}.scope" not in user_manager.scopes(), "the scope to be gone")


def test_stopping_the_service_leaves_agents_and_ending_them_leaves_nothing(
    service: Service, user_manager: UserManager
) -> None:
    agent = service.spawn(*agent_argv("print:up", "sleep"))
    user_manager.ctl("stop", "muster.service")
    assert is_running(agent.pid or 0)
    service.begin()
    assert service.get(agent.id).status is Status.RUNNING
    assert service.stop(agent.id).status is Status.CANCELLED
    user_manager.ctl("stop", "muster.service")
    until(lambda: not user_manager.scopes(), "every scope to be gone")


def test_an_agent_above_the_limit_of_its_cgroup_is_out_of_memory(service: Service) -> None:
    agent = service.spawn(*agent_argv("hold:300", "sleep"), memory_bytes=64 * MIB)
    ended = service.ended(agent.id)
    assert ended.cause is not None
    assert ended.cause.kind is CauseKind.OOM, ended.cause
    assert ended.cause.signal == signal.SIGKILL
    assert "watched" not in ended.cause.message


def test_a_scope_that_systemd_ends_is_told_as_what_it_is(service: Service, user_manager: UserManager) -> None:
    """As at the end of a login without linger, or when the machine goes down."""
    agent = service.spawn(*agent_argv("ignore-term", "print:up", "sleep"), memory_bytes=64 * MIB)
    until(lambda: service.output(agent.id) == b"up\n", "its output")
    user_manager.ctl("stop", f"muster-{agent.id}.scope")
    ended = service.ended(agent.id)
    assert ended.cause is not None
    assert ended.status is Status.FAILED
    assert "shutdown" in ended.cause.message


def test_a_daemon_whose_agents_would_go_with_it_says_so(user_manager: UserManager) -> None:
    """It finds no manager: the variable that leads there is wrong."""
    with tempfile.TemporaryDirectory(prefix="mu-svc-", dir="/tmp") as folder:
        lost = Service(Path(folder, "host"), user_manager, XDG_RUNTIME_DIR=folder)
        lost.begin()
        status, detail = keepers_check(lost)
        user_manager.ctl("stop", "muster.service")
    assert status == "warn"
    assert "a restart of muster.service ends all agents" in detail
