# ruff: noqa: E402
import sys

assert sys.platform == "win32"

"""Where daemons and viewers find a keeper: a port of the loopback, and a token in a file of its user."""

import ctypes
import msvcrt
import os
import socket

from spawners.keeper.files import unlink
from spawners.keeper.windows import api

OWNER_ONLY = "D:P(A;;FA;;;OW)(A;;FA;;;SY)(A;;FA;;;BA)"  # owner, system and administrators, nothing inherited
TOKEN_BYTES = 32


class Listener:
    """`path` holds port and token. It stays open here so that nobody can delete it. Raises OSError."""

    def __init__(self, path: str, most: int) -> None:
        self.path = path
        self.token = os.urandom(TOKEN_BYTES).hex().encode() + b"\n"
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.listen(most)
        self.socket.setblocking(False)
        unlink(path)  # the lock says that nobody listens there
        self.fd = create_private(path)
        os.write(self.fd, b"%d " % self.socket.getsockname()[1] + self.token)

    def fileno(self) -> int:
        return self.socket.fileno()

    def accept(self) -> socket.socket:
        """The next who has connected; whether they may is not known yet. Raises OSError."""
        return self.socket.accept()[0]

    def close(self) -> None:
        self.socket.close()
        os.close(self.fd)
        unlink(self.path)


def create_private(path: str) -> int:
    """A new file that only its owner may open; others may read it meanwhile, not delete it."""
    descriptor = ctypes.c_void_p()
    if not api.descriptor_of(OWNER_ONLY, 1, descriptor, None):
        raise api.failure()
    security = api.SECURITY_ATTRIBUTES(ctypes.sizeof(api.SECURITY_ATTRIBUTES), descriptor, False)
    handle = api.create_file(path, 0x40000000, 1, ctypes.byref(security), 2, 0x80, None)
    problem = api.failure() if handle == api.INVALID else None
    api.local_free(descriptor)
    if problem:
        raise problem
    return msvcrt.open_osfhandle(handle, os.O_WRONLY | os.O_BINARY)
