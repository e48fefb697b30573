# ruff: noqa: E402
import sys

assert sys.platform == "linux"

"""Which cgroup a process is in, what that one limits, and how much memory processes use."""

import os

__all__ = ["cgroup_limits", "proportional_bytes", "resident_bytes", "unit_of", "usable_cpus"]

_ROOT = "/sys/fs/cgroup"
_PAGE = os.sysconf("SC_PAGE_SIZE")


def unit_of(pid: int | str) -> str:
    """The systemd unit that the process is in, as the last part of its cgroup's path; empty if unknown."""
    paths = _paths(pid)
    return os.path.basename(paths.get("name=systemd") or paths.get("", ""))


def cgroup_limits(pid: int) -> tuple[int | None, float | None]:
    """What the process' own cgroup allows: bytes of memory and number of CPUs; None: no limit is in force.

    Read from the cgroup itself, which is what counts: where the controllers are in the older hierarchy
    (v1, or mixed), a user's systemd takes limits and usually cannot apply them.
    """
    paths = _paths(pid)
    memory = _number(_folder(paths, "memory"), ("memory.max", "memory.limit_in_bytes"))
    return (None if memory is None else int(memory)), _cpus(_folder(paths, "cpu"))


def _paths(pid: int | str) -> dict[str, str]:
    """The cgroup in each hierarchy, by the name of the controller; the v2 hierarchy has none."""
    try:
        with open(f"/proc/{pid}/cgroup") as file:
            lines = file.read().splitlines()
    except OSError:
        return {}
    found = {}
    for line in lines:
        _, controllers, path = line.split(":", 2)
        for controller in controllers.split(","):
            found[controller] = path
    return found


def _folder(paths: dict[str, str], controller: str) -> str:
    if controller in paths:
        return f"{_ROOT}/{controller}{paths[controller]}"
    mixed = f"{_ROOT}/unified"
    return (mixed if os.path.isdir(mixed) else _ROOT) + paths.get("", "")


def _words(path: str) -> list[str]:
    try:
        with open(path) as file:
            return file.read().split()
    except OSError:
        return []


def _number(folder: str, names: tuple[str, ...]) -> float | None:
    for name in names:
        words = _words(f"{folder}/{name}")
        if words and words[0].isdigit():
            return int(words[0])
    return None


def _cpus(folder: str) -> float | None:
    words = _words(f"{folder}/cpu.max") or [
        *_words(f"{folder}/cpu.cfs_quota_us"),
        *_words(f"{folder}/cpu.cfs_period_us"),
    ]
    if len(words) != 2 or not words[0].isdigit():  # "max", or -1: no limit
        return None
    return int(words[0]) / int(words[1])


def resident_bytes(pid: int) -> int:
    """Memory that the process has in use, pages shared with others included; 0 if it is gone."""
    words = _words(f"/proc/{pid}/statm")
    return int(words[1]) * _PAGE if words else 0


def proportional_bytes(pid: int) -> int:
    """As `resident_bytes`, with each shared page divided among those who share it.

    The kernel walks all its pages for that: milliseconds for a large process. Processes of which that
    may not be asked count as resident.
    """
    try:
        with open(f"/proc/{pid}/smaps_rollup") as file:
            for line in file:
                if line.startswith("Pss:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    return resident_bytes(pid)


def usable_cpus() -> int | None:
    """How many CPUs a program may be spread over, and be confined to a part of; None: cannot be confined."""
    return len(os.sched_getaffinity(0))
