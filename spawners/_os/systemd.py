# ruff: noqa: E402
import sys

assert sys.platform == "linux"

"""Scopes of the user's systemd manager, asked for over its own D-Bus socket: no bus, no helper program."""

import asyncio
import os
import socket
import struct
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from jeepney import DBusAddress, HeaderFields, Message, MessageType, Parser, new_method_call
from jeepney.auth import BEGIN, AuthenticationError, Authenticator

from spawners._os.manager import ManagerError

__all__ = ["manager_socket", "start_scope", "stop_unit"]

_MANAGER = DBusAddress(
    "/org/freedesktop/systemd1", "org.freedesktop.systemd1", "org.freedesktop.systemd1.Manager"
)
_UNIT_EXISTS = "org.freedesktop.systemd1.UnitExists"
_NO_SUCH_UNIT = "org.freedesktop.systemd1.NoSuchUnit"
_UNKNOWN_PROPERTY = "org.freedesktop.DBus.Error.PropertyReadOnly"
"""What systemd calls a property that it does not know, as well as one that it does not let be set."""
_AGAIN_S = 0.05
"""Until a scope of the same name, whose processes have just ended, may be gone."""


def manager_socket(environ: Mapping[str, str]) -> str | None:
    """Where the user's own systemd manager listens; None if none runs."""
    runtime = environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}"
    path = f"{runtime}/systemd/private"
    return path if os.path.exists(path) else None


async def start_scope(path: str, name: str, pids: Sequence[int], properties: Mapping[str, Any]) -> None:
    """Have the manager at `path` move the processes into a new scope, and return once it has.

    `properties` are pairs of D-Bus signature and value by name. Raises `ManagerError`; the caller bounds
    the time.
    """
    asked = [("PIDs", ("au", list(pids))), *properties.items()]
    call = new_method_call(_MANAGER, "StartTransientUnit", "ssa(sv)a(sa(sv))", (name, "fail", asked, []))
    while True:
        try:
            await _run(path, call)
        except _Refused as refused:
            if refused.name != _UNIT_EXISTS:
                raise ManagerError(
                    f"the systemd manager made no {name}: {refused.message}",
                    unknown_property=refused.name == _UNKNOWN_PROPERTY,
                ) from None
            await asyncio.sleep(_AGAIN_S)
        else:
            return


async def stop_unit(path: str, name: str) -> None:
    """Have the manager end the unit with all that is in it; one that is not there is fine.

    Raises `ManagerError`; the caller bounds the time.
    """
    try:
        await _run(path, new_method_call(_MANAGER, "StopUnit", "ss", (name, "replace")))
    except _Refused as refused:
        if refused.name != _NO_SUCH_UNIT:
            raise ManagerError(f"the systemd manager has not stopped {name}: {refused.message}") from None


async def _run(path: str, call: Message) -> None:
    try:
        async with _connected(path) as connection:
            await connection.run_job(call)
    except (OSError, EOFError, AuthenticationError) as error:
        raise ManagerError(f"the systemd manager at {path} cannot be reached: {error}") from error


class _Refused(Exception):
    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.name = name
        self.message = message


class _Connection:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._parser = Parser()

    async def authenticate(self) -> None:
        steps = Authenticator()
        for data in steps:
            self._writer.write(data)
            answer = await self._reader.read(1024)
            if not answer:
                raise EOFError("it closed the connection")
            steps.feed(answer)
        self._writer.write(BEGIN)

    async def run_job(self, call: Message) -> None:
        """Make a call that starts a job, and wait for the end of that."""
        self._writer.write(call.serialise(1))
        job: str | None = None
        ended: dict[str, str] = {}
        while job is None or job not in ended:
            message = await self._receive()
            header = message.header
            if header.fields.get(HeaderFields.member) == "JobRemoved":
                _, path, _, result = message.body
                ended[path] = result
            elif header.fields.get(HeaderFields.reply_serial) == 1:
                if header.message_type is MessageType.error:
                    said = message.body[0] if message.body else "no reason given"
                    raise _Refused(header.fields[HeaderFields.error_name], said)
                job = message.body[0]
        if ended[job] != "done":
            raise _Refused("", f"its job ended as {ended[job]!r}")

    async def _receive(self) -> Message:
        while True:
            message = self._parser.get_next_message()
            if message is not None:
                return message
            data = await self._reader.read(65536)
            if not data:
                raise EOFError("it closed the connection")
            self._parser.add_data(data)


@asynccontextmanager
async def _connected(path: str) -> AsyncIterator[_Connection]:
    ours = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    ours.setblocking(False)
    try:
        await asyncio.get_running_loop().sock_connect(ours, path)
        if struct.unpack("iII", ours.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0] == 0:
            # A container may be given its host's runtime folder: our pids are other processes there.
            raise ManagerError(f"the systemd manager at {path} counts processes in another namespace")
        reader, writer = await asyncio.open_unix_connection(sock=ours)
    except BaseException:
        ours.close()
        raise
    try:
        connection = _Connection(reader, writer)
        await connection.authenticate()
        yield connection
    finally:
        writer.close()
