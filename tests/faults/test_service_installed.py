"""`muster service` with a real systemd of the user's."""

from __future__ import annotations

import getpass
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from muster_command import Muster, Said, a_home
from muster_processes import agent_argv, is_running, until
from running import Host, sweep
from systemd_user import UserManager

from relay.wire.agents import Status

pytestmark = [pytest.mark.needs("systemd"), pytest.mark.slow]
UNIT = "muster.service"


class Installed(Host):
    """A host whose daemon is a grandchild of the user manager."""

    def __init__(self, folder: Path, manager: UserManager) -> None:
        super().__init__(folder)
        self.manager = manager
        self.muster = Muster(self.home, manager.environment)
        self.unit = manager.home / ".config/systemd/user" / UNIT

    @property
    def pid(self) -> int:
        """The daemon's; 0 while there is none."""
        return int((self.home.read_record(self.home.host_record) or {}).get("pid", 0))

    def service(self, *words: str) -> Said:
        return self.muster("service", *words)

    def status(self) -> dict[str, object]:
        return dict(self.service("status", "--json").json)

    def main_pid(self) -> int:
        return int(self.manager.property(UNIT, "MainPID"))


@pytest.fixture
def host(user_manager: UserManager) -> Iterator[Installed]:
    with tempfile.TemporaryDirectory(prefix="mu-svc-", dir="/tmp") as folder:
        made = Installed(Path(folder, 'a $b 50% "c\'s" \xe9'), user_manager)
        yield made
        user_manager.ctl("stop", UNIT, check=False)
        sweep(made.directory)


def test_agents_outlive_a_restart_and_the_end_of_the_installed_service(host: Installed) -> None:
    assert host.status()["installed"] is False
    said = host.service("install")
    assert said.code == 0, said.err
    assert str(host.unit) in said.text
    stays = os.path.exists(f"/var/lib/systemd/linger/{getpass.getuser()}")
    assert ("loginctl enable-linger" in said.err) is not stays
    until(host.answers, "the daemon to answer")
    main = host.main_pid()
    assert main in {parent.pid for parent in psutil.Process(host.pid).parents()}
    assert host.status() == {
        "manager": "systemd", "place": str(host.unit),
        "installed": True, "enabled": True, "running": True, "pid": main,
        "home": host.home.state,
    }  # fmt: skip
    agent = host.spawn(*agent_argv("print:up", "sleep"))
    daemon = host.pid

    again = host.service("install")
    assert (again.code, host.main_pid()) == (0, main), again.err
    assert "refreshed" in again.text
    host.unit.write_text("# an older one\n" + host.unit.read_text())
    assert host.service("install").code == 0
    assert host.main_pid() != main
    until(lambda: host.pid != daemon and host.answers(), "another daemon")
    host.manager.ctl("restart", UNIT)
    until(host.answers, "the daemon to answer")
    now = host.get(agent.id)
    assert (now.status, now.pid) == (Status.RUNNING, agent.pid)

    last = host.pid
    removed = host.service("uninstall")
    assert removed.code == 0, removed.err
    assert not host.unit.exists()
    assert not is_running(last)
    assert is_running(agent.pid or 0)
    assert host.status()["enabled"] is False
    assert host.service("uninstall").text == "not installed\n"


def test_a_crashed_service_is_started_again_and_one_that_was_ended_is_not(host: Installed) -> None:
    assert host.service("install").code == 0
    main = host.main_pid()
    host.manager.ctl("kill", "-s", "KILL", UNIT)
    until(lambda: host.main_pid() not in (0, main) and host.answers(), "another service")

    assert host.muster("down").code == 0

    until(lambda: host.manager.property(UNIT, "ActiveState") == "inactive", "the service to have ended")
    assert host.status()["running"] is False
    assert host.service("install").code == 0
    assert host.status()["running"] is True


def test_a_daemon_that_runs_otherwise_must_be_ended_first(host: Installed) -> None:
    assert host.muster("up", "--detach").code == 0
    said = host.service("install")
    assert said.code == 1
    assert "muster down" in said.err
    assert not host.unit.exists()
    assert "not the service's" in host.service("status").text
    host.muster("down")


def test_there_is_one_service_and_who_replaces_that_of_another_home_is_told(
    host: Installed, tmp_path: Path
) -> None:
    host.unit.parent.mkdir(parents=True)
    host.unit.write_text("[Service]\nExecStart=/bin/sleep 600\n")
    for command in ("install", "uninstall"):
        refused = host.service(command)
        assert (refused.code, refused.text) == (1, "")
        assert str(host.unit) in refused.err
    host.unit.unlink()
    assert host.service("install").code == 0
    other = Muster(a_home(tmp_path), host.manager.environment)

    told = other("service", "status")
    assert "".join(host.home.state.split()) in "".join(told.text.split())
    assert "does not answer" not in told.text
    replaced = other("service", "install")

    assert replaced.code == 0, replaced.err
    assert host.home.state in replaced.err
    assert not host.answers()
    assert host.status()["home"] == other.home.state
    removed = host.service("uninstall")
    assert other.home.state in removed.text
    sweep(tmp_path)
