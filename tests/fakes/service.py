"""A daemon that a real systemd user manager starts, as `muster service install` has it started."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from muster_processes import until
from running import Host, environment, sweep
from systemd_user import UserManager


class Service(Host):
    """A host whose daemon is started, and started again, by systemd.

    It never gets a display of its own: one that the manager knows is to be asked for.
    """

    def __init__(self, folder: Path, manager: UserManager, **variables: str) -> None:
        super().__init__(folder)
        self.manager = manager
        told = environment(folder, **{**manager.environment, **variables})
        kept = ("PATH", "PYTHONPATH", "SHELL", "HOME", "XDG_RUNTIME_DIR", "MUSTER_")
        lines = [f'Environment="{name}={value}"' for name, value in told.items() if name.startswith(kept)]
        units = manager.home / ".config/systemd/user"
        units.mkdir(parents=True, exist_ok=True)
        (units / "muster.service").write_text(
            "\n".join(
                [
                    "[Service]",
                    f"ExecStart={sys.executable} -m orchestrator",
                    *lines,
                    "UnsetEnvironment=DISPLAY WAYLAND_DISPLAY XAUTHORITY",
                    f"StandardOutput=append:{self.log}",
                    f"StandardError=append:{self.log}",
                ]
            )
        )
        manager.ctl("daemon-reload")

    @property
    def pid(self) -> int:
        return int(self.manager.property("muster.service", "MainPID"))

    def begin(self, verb: str = "start") -> None:
        self.manager.ctl(verb, "muster.service")
        until(self.answers, "the daemon to answer")

    def begin_anew(self, verb: str) -> None:
        """`restart` it, or have it killed (`kill`) with all that is in its cgroup, and start it."""
        first = self.pid
        if verb == "kill":
            self.manager.ctl("kill", "-s", "KILL", "muster.service")
            until(lambda: self.pid != first, "the service to be down")
        self.begin("start" if verb == "kill" else "restart")
        assert self.pid != first


@pytest.fixture
def service(user_manager: UserManager) -> Iterator[Service]:
    with tempfile.TemporaryDirectory(prefix="mu-svc-", dir="/tmp") as folder:
        made = Service(Path(folder, "host"), user_manager)
        made.begin()
        yield made
        user_manager.ctl("stop", "muster.service", check=False)
        sweep(made.directory)
