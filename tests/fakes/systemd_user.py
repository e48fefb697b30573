"""A real systemd user manager, for tests of what a host with one does: units, scopes, restarts.

It runs beside whatever this machine has as its first process, in cgroups of its own that are removed
afterwards. Only root can make those; linger and logins are out of its reach.

A manager takes the cgroup that it is started in for its own, with every process in it: started in the root
it would move the whole machine. So it is executed only after it has left the root of each hierarchy it
looks at, and the test of that is made by the very shell that becomes it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from muster_processes import until

with contextlib.suppress(ImportError):  # Windows: only `why_missing` is asked there
    import fcntl

PROGRAM = "/lib/systemd/systemd"
CGROUPS = Path("/sys/fs/cgroup")
BOOTED = Path("/run/systemd/system")
"""systemd runs only where this says that it has been booted."""
LOCK = Path("/tmp/mu-sd.lock")
"""Held by every manager of ours: the last one removes what it takes to start one, if it was ours."""


def why_missing() -> str:
    """Why none can be started here; empty: one can."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        return "only root can make cgroups"
    if not os.path.exists(PROGRAM) or not shutil.which("systemctl"):
        return "systemd is not installed"
    return "" if _hierarchies() else "no writable cgroup hierarchy"


def _hierarchies() -> list[Path]:
    """Where a manager looks for its own place: the v2 hierarchy, and beside older ones also its own."""
    older = [path for name in ("systemd", "unified") if (path := CGROUPS / name).is_dir()]
    return [path for path in older or [CGROUPS] if os.access(path, os.W_OK)]


class UserManager:
    """A running one. `environment` is what a daemon in it, or a `systemctl --user`, needs to find it.

    Where there are older hierarchies it can enforce only what it has a folder for in that of the controller.
    """

    def __init__(self, controllers: tuple[str, ...] = ("memory", "cpu", "cpuacct")) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="mu-sd-", dir="/tmp"))
        self.runtime, self.home = self.folder / "run", self.folder / "home"
        for path in (self.runtime, self.home):
            path.mkdir(mode=0o700)
        self.name = self.folder.name
        self.environment = {"XDG_RUNTIME_DIR": str(self.runtime), "HOME": str(self.home)}
        self._lock = LOCK.open("a+")
        fcntl.flock(self._lock, fcntl.LOCK_SH)
        with contextlib.suppress(FileExistsError):
            BOOTED.mkdir(parents=True)
            self._lock.write("ours")
            self._lock.flush()
        places = [hierarchy / self.name for hierarchy in _hierarchies()]
        for place in places:
            place.mkdir()
        for controller in controllers:
            if (CGROUPS / controller).is_dir():
                (CGROUPS / controller / self.name).mkdir()
        joins = "".join(f"echo $$ > {place}/cgroup.procs; " for place in places)
        wanted = "".join(f"grep -q '{line}' /proc/$$/cgroup; " for line in self._memberships())
        with open(self.folder / "log", "wb") as log:
            self.process = subprocess.Popen(
                ["sh", "-c", f"set -e; {joins}{wanted}exec {PROGRAM} --user --log-target=console"],
                env={"PATH": os.environ["PATH"], **self.environment},
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        until(self._answers, "the user manager to answer")

    def _memberships(self) -> list[str]:
        """The lines that /proc/PID/cgroup must have: there is always a v2 hierarchy that systemd uses."""
        older = [f"name=systemd:/{self.name}$"] if (CGROUPS / "systemd").is_dir() else []
        return [f"^0::/{self.name}$", *older]

    def _answers(self) -> bool:
        assert self.process.poll() is None, (self.folder / "log").read_text()
        return self.ctl("is-system-running", check=False) in ("running", "degraded")

    def ctl(self, *words: str, check: bool = True) -> str:
        """`systemctl --user`: what it says."""
        done = subprocess.run(
            ["systemctl", "--user", "--no-pager", *words],
            env={**os.environ, **self.environment}, check=check, timeout=60, text=True,
            stdout=subprocess.PIPE, stderr=None if check else subprocess.DEVNULL,
        )  # fmt: skip
        return done.stdout.strip()

    def property(self, unit: str, name: str) -> str:
        return self.ctl("show", unit, "-p", name, "--value")

    def scopes(self) -> set[str]:
        """The scopes of Muster that exist now."""
        lines = self.ctl("list-units", "--all", "--plain", "--no-legend", "--type=scope", "muster-*")
        return {line.split()[0] for line in lines.splitlines() if line.strip()}

    def end(self) -> None:
        """End it with everything in it, and remove every trace."""
        with contextlib.suppress(subprocess.SubprocessError):
            self.ctl("exit", check=False)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(30)
        for hierarchy in CGROUPS.iterdir():
            place = (hierarchy if (hierarchy / self.name).is_dir() else CGROUPS) / self.name
            for folder, _, _ in os.walk(place, topdown=False):
                until(lambda folder=folder: _removed(Path(folder)), f"{folder} to be empty")
        self._unboot()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _unboot(self) -> None:
        """Have the machine look as before, unless another manager of ours needs it to look booted."""
        with self._lock, contextlib.suppress(OSError):
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._lock.seek(0)
            if self._lock.read():
                self._lock.truncate(0)
                BOOTED.rmdir()


def _removed(folder: Path) -> bool:
    try:
        folder.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


@pytest.fixture
def user_manager() -> Iterator[UserManager]:
    manager = UserManager()
    yield manager
    manager.end()
