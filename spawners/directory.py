"""One agent's directory: who writes which file, and reading them again.

lock           the keeper's lock, held for as long as it lives
spec.json      what to execute; written by the daemon before any process exists
stdin          input bytes given at the start, if there are any
child.json     the keeper's claim (pid null: about to execute), then the program's identity
spool.N        output from absolute offset N on; index.N tells stream and time
sizes          of a terminal: its size from which offset on
prelude.N      of a terminal: the modes it was in before spool.N, the first that is left
exit.reserved  space for the exit record, becomes exit.json
keeper.log     what a dying keeper had to say; empty
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from spawners import _os
from spawners.launch import Exit, Identity, Launch, StopReport

__all__ = ["AgentDirectory", "Child", "exit_from_json"]


@dataclass(frozen=True, slots=True)
class Child:
    """`child.json`. `program` is None in a claim that was never completed: exec may have happened or not."""

    keeper_pid: int
    keeper_started: int
    boot_id: str
    program: Identity | None
    started_ms: int


def _text(value: str) -> str:
    """Text that the keeper turns into the same bytes as this process would, whatever either's locale is."""
    return os.fsencode(value).decode("utf-8", "surrogateescape")


def exit_from_json(value: Mapping[str, Any]) -> Exit:
    """The `Exit` in an exit record or EXIT frame; fields of a newer keeper are left out."""
    stop = value.get("stop")
    return Exit(
        code=value["code"],
        signal=value["signal"],
        at_ms=value["atMs"],
        started_ms=value["startedMs"],
        ended_by=value["endedBy"],
        stop=StopReport(stop["stage"], tuple(stop["killed"]), tuple(stop["survivors"])) if stop else None,
        oom=value["oom"],
        note=value.get("note", ""),
        leftovers=tuple(value["leftovers"]),
        spool_end=value["spoolEnd"],
        dropped=value["dropped"],
        max_rss_bytes=value["maxRssBytes"],
        cpu_ms=value["cpuMs"],
    )


@dataclass(frozen=True, slots=True)
class AgentDirectory:
    """The files of one agent under `path`."""

    path: str

    def file(self, name: str) -> str:
        return f"{self.path}/{name}"

    @property
    def lock_file(self) -> str:
        return self.file("lock")

    def exists(self) -> bool:
        return os.path.isdir(self.path)

    def is_locked(self) -> bool:
        """Whether a keeper lives. False proves that none does, nor ever will start late."""
        return _os.is_locked(self.lock_file)

    def write_spec(self, launch: Launch, socket: str, held_bytes: int) -> None:
        """Write `stdin` and `spec.json` (0600, complete or not at all). Raises OSError."""
        kind = "live" if launch.stdin.live else "file" if launch.stdin.data else "closed"
        if launch.stdin.data:
            self._write("stdin", launch.stdin.data)
        spec = {
            "version": 1,
            "agentId": launch.agent_id,
            "argv": [_text(argument) for argument in launch.argv],
            "env": {_text(name): _text(value) for name, value in launch.env.items()},
            "cwd": _text(launch.cwd),
            "stdin": kind,
            "stdinFile": bool(launch.stdin.data),
            "timeoutMs": None if launch.timeout_s is None else round(launch.timeout_s * 1000),
            "leftovers": launch.leftovers,
            "size": {"rows": launch.size.rows, "columns": launch.size.columns} if launch.size else None,
            "sizing": launch.sizing,
            "spoolBytes": launch.spool_bytes,
            "heldBytes": held_bytes,
            "openFiles": launch.open_files,
            "memoryBytes": launch.memory_bytes,
            "cpus": launch.cpus,
            "socket": _text(socket),
        }
        self._write("spec.tmp", json.dumps(spec).encode())
        os.replace(self.file("spec.tmp"), self.file("spec.json"))

    def _write(self, name: str, data: bytes) -> None:
        fd = os.open(self.file(name), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(fd, "wb") as file:
            file.write(data)

    def delete_secrets(self) -> None:
        """Blank the environment's values and the input; best effort, as on a full disk."""
        spec = self.spec()
        with contextlib.suppress(OSError):
            if spec is not None:
                self._write("spec.tmp", json.dumps({**spec, "env": dict.fromkeys(spec["env"], "")}).encode())
                os.replace(self.file("spec.tmp"), self.file("spec.json"))
            os.unlink(self.file("stdin"))

    def spec(self) -> dict[str, Any] | None:
        """What was to be executed, or None if it was never completely written."""
        return self._read("spec.json")

    def child(self) -> Child | None:
        """The keeper's claim or the program's identity; None if nothing was ever about to be executed."""
        value = self._read("child.json")
        if value is None:
            return None
        pid = value["pid"]
        return Child(
            keeper_pid=value["keeperPid"],
            keeper_started=value["keeperStarted"],
            boot_id=value["bootId"] or _os.boot_id(),
            program=None if pid is None else Identity(pid, value["started"], value["bootId"]),
            started_ms=value["startedMs"],
        )

    def exit(self) -> Exit | None:
        """How it ended, or None if there is no record."""
        value = self._read("exit.json")
        return None if value is None else exit_from_json(value)

    def _read(self, name: str) -> dict[str, Any] | None:
        try:
            with open(self.file(name), "rb") as file:
                value = json.loads(file.read())
        except (FileNotFoundError, IsADirectoryError):
            return None
        except ValueError:
            return (
                {"pid": None, "keeperPid": 0, "keeperStarted": 0, "bootId": "", "startedMs": 0}
                if (
                    name == "child.json"  # claimed, and killed within that very write
                )
                else None
            )
        return value if isinstance(value, dict) else None
