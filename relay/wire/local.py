"""Where a host's daemon listens: on a unix socket, or on loopback with a token that only its user can read.

The second is for systems without unix sockets (Windows). There a file with the socket's name says which port
and token it is, and stands for the socket in everything else: whoever can open it is the user, it is made
when the daemon listens, and gone when the daemon is.
"""

from __future__ import annotations

import os
import socket
import stat
from dataclasses import dataclass
from typing import Any

import msgspec

from relay.wire.private import read_text, write_private

__all__ = ["FORCE_TCP", "HAS_SOCKETS", "Local", "read_local", "write_local"]

HAS_SOCKETS = hasattr(socket, "AF_UNIX")
"""Whether this system, and this Python on it, has unix sockets."""

FORCE_TCP = "MUSTER_LOCAL_API"
"""Set to `tcp` for a daemon on a disk that holds no sockets, and for tests of that way elsewhere."""


@dataclass(frozen=True, slots=True)
class Local:
    """`socket` is a path; without it `port` and `token` count."""

    socket: str | None = None
    port: int = 0
    token: str | None = None

    @property
    def client(self) -> dict[str, Any]:
        """What `Client`, `AsyncClient` and `SocketClient` take to call there."""
        if self.socket is not None:
            return {"socket": self.socket}
        return {"url": f"http://127.0.0.1:{self.port}", "token": self.token}

    def answers(self, timeout_s: float) -> bool:
        """Whether somebody accepts connections there."""
        family: int = getattr(socket, "AF_UNIX", 0) if self.socket is not None else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.settimeout(timeout_s)
            try:
                probe.connect(self.socket if self.socket is not None else ("127.0.0.1", self.port))
            except (OSError, OverflowError):
                return False
        return True


class _Said(msgspec.Struct):
    port: int
    token: str


def write_local(path: str, port: int, token: str) -> None:
    """Say at `path` where the daemon listens, to this user only."""
    write_private(path, msgspec.json.encode(_Said(port, token)).decode())


def read_local(path: str) -> Local | None:
    """Return where the daemon of the socket `path` listens, or None if there is neither socket nor file."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            return Local(socket=path)
        said = msgspec.json.decode(read_text(path), type=_Said)
    except (OSError, ValueError, msgspec.DecodeError):
        return Local(socket=path) if HAS_SOCKETS else None
    return Local(port=said.port, token=said.token)
