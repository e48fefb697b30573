"""Attempts to open a window with a program in it that reports over a socket, as tests make them."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import shlex
import signal
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from muster_processes import PYTHON

from spawners.launch import Size
from spawners.terminals.base import Report
from spawners.terminals.catalog import window_variables

PROGRAM = str(Path(__file__).with_name("window_program.py"))
PLAIN_TERMINAL = str(Path(__file__).with_name("plain_terminal.py"))

NO_ENV: Mapping[str, str] = {}


class Reporting:
    """One attempt. `folder` is private, its path short; `env`, `argv` and `cwd` are those of the program."""

    def __init__(
        self, folder: Path, *, argv: tuple[str, ...] = (), env: Mapping[str, str] = NO_ENV, cwd: str = "/"
    ) -> None:
        self.name = f"w-{secrets.token_hex(6)}"
        self.said: dict[str, Any] = {}
        self.voided = ""
        self.signal: signal.Signals | None = None
        self.gone = asyncio.Event()
        self._script = folder / self.name
        self._socket = folder / f"{self.name}.s"
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self._socket))
        self._listener.listen()  # from now on: what connects waits
        self._reported: asyncio.Future[Report] = asyncio.get_running_loop().create_future()
        self._writer: asyncio.StreamWriter | None = None
        self._server: asyncio.Server | None = None
        exports = [f"export {name}={shlex.quote(value)}" for name, value in env.items()]
        words = shlex.join((PYTHON, "-I", "-S", PROGRAM, str(self._socket), self.name, *argv))
        lines = ["#!/bin/sh", *exports, f"cd {shlex.quote(cwd)}", f"exec {words}", ""]
        self._script.write_text("\n".join(lines))
        self._script.chmod(0o700)

    async def __aenter__(self) -> Reporting:
        self._server = await asyncio.start_unix_server(self._talk, sock=self._listener)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.close()
        if self._writer is not None:
            self._writer.close()

    @property
    def command(self) -> tuple[str, ...]:
        return ("/bin/sh", str(self._script))

    async def reported(self) -> Report:
        if self._server is None:
            await self.__aenter__()
        return await asyncio.shield(self._reported)

    def void(self, why: str) -> None:
        self.voided = why

    @property
    def handles(self) -> dict[str, str]:
        return {name: value for name, value in self.said["env"].items() if name in window_variables()}

    def exit(self, code: int) -> None:
        """Have the program end."""
        assert self._writer is not None
        self._writer.write(b"%d" % code)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        async for line in reader:
            said = json.loads(line)
            if "signal" in said:
                self.signal = signal.Signals(said["signal"])
            else:
                self.said = said
                size = Size(*said["size"])
                self._reported.set_result(Report(said["pid"], said["tty"], size, self.handles))
        self.gone.set()
        writer.close()


def private_folder(parent: Path) -> Path:
    """A short folder that only its user may enter, as sockets need it."""
    folder = parent / "s"
    folder.mkdir(mode=0o700)
    assert len(os.fsencode(folder)) < 60
    return folder
