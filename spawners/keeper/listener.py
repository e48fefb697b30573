# ruff: noqa: E402
import sys

assert sys.platform != "win32"

"""Where daemons and viewers find a keeper: a unix socket that only its user may open."""

import _socket
import posix

from spawners.keeper.files import unlink


class Listener:
    """Listens at `path`, which is its own: the lock says that nobody else does. Raises OSError."""

    token = b""  # the permissions of the file prove whoever comes

    def __init__(self, path: str, most: int) -> None:
        unlink(path)
        self.socket = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
        mask = posix.umask(0o177)
        try:
            self.socket.bind(path)
        finally:
            posix.umask(mask)
        self.socket.listen(most)
        self.socket.setblocking(False)

    def fileno(self) -> int:
        return self.socket.fileno()

    def accept(self) -> "_socket.socket":
        """The next who has connected. Raises OSError."""
        fd, _ = self.socket._accept()  # type: ignore[attr-defined]
        return _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM, 0, fd)

    def close(self) -> None:
        self.socket.close()
