"""Lines to keepers where sockets have no permissions: a port of the loopback and a token that opens it."""

from __future__ import annotations

import asyncio
import hmac
import os
import secrets
import socket
from collections.abc import Callable
from typing import TypeVar

__all__ = ["Calling", "dial", "read_address"]

_TOKEN_BYTES = 32
_SHOWN_S = 5.0
"""For whoever connects to show the token; a keeper does it in the same moment."""

_Line = TypeVar("_Line", bound=asyncio.Protocol)


def read_address(address: str) -> tuple[int, bytes]:
    """The port where a keeper listens, and what opens it. Raises OSError."""
    try:
        with open(address, "rb") as file:
            port, token = file.read().split()
        return int(port), token + b"\n"
    except ValueError:
        raise ConnectionRefusedError(f"{address} is not complete yet") from None


async def dial(line: Callable[[], _Line], address: str) -> _Line:
    """Connect to the keeper that has written port and token into the file `address`. Raises OSError."""
    port, token = read_address(address)
    loop = asyncio.get_running_loop()
    end = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    end.setblocking(False)
    try:
        await loop.sock_connect(end, ("127.0.0.1", port))
        await loop.sock_sendall(end, token)
        return (await loop.create_connection(line, sock=end))[1]
    except BaseException:
        end.close()
        raise


class Calling:
    """A keeper that is being started is told through a pipe where we wait for it, and by which token we
    know that it is the one. An address in its arguments could be read by everybody."""

    waits = True
    """Whether the line is there only once the keeper runs."""

    def __init__(self) -> None:
        self._token = secrets.token_hex(_TOKEN_BYTES).encode() + b"\n"
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=8)
        self._listener.setblocking(False)
        self.fd, told = os.pipe()
        """What it has to inherit."""
        with open(told, "wb") as file:
            file.write(b"%d " % self._listener.getsockname()[1] + self._token)

    def given(self) -> None:
        """The keeper has what it needs of this, or will never be."""
        os.close(self.fd)

    async def answered(self) -> socket.socket:
        """Our end of the line, once the keeper has come; strangers are turned away."""
        loop = asyncio.get_running_loop()
        while True:
            end, _ = await loop.sock_accept(self._listener)
            try:
                async with asyncio.timeout(_SHOWN_S):
                    if await self._shows(loop, end):
                        return end
            except (OSError, TimeoutError):
                pass
            except BaseException:
                end.close()
                raise
            end.close()

    async def _shows(self, loop: asyncio.AbstractEventLoop, end: socket.socket) -> bool:
        end.setblocking(False)
        shown = b""
        while len(shown) < len(self._token):
            part = await loop.sock_recv(end, len(self._token) - len(shown))
            if not part:
                return False
            shown += part
        return hmac.compare_digest(shown, self._token)

    def close(self) -> None:
        self._listener.close()
