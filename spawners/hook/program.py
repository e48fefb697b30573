"""Hands what a CLI's own hook says to the daemon: in milliseconds, and never in the CLI's way.

Run as `python -I -S -E` with this file, so it imports only what costs next to nothing. The message, a JSON
object, is the last argument if that looks like one, else stdin. `MUSTER_SOCKET`, `MUSTER_AGENT_ID` and
`MUSTER_AGENT_TOKEN` say where it goes. A daemon that does not take it in time finds it in the file
`MUSTER_HOOKS`, of which the newest megabyte or two stay.

Nothing is ever printed and the exit code is 0, whatever happens: to a CLI both are answers.
"""

import _socket
import os
import select
import sys
import time

__all__ = ["main"]

GIVE_UP_S = 0.3
"""In all. A CLI waits for its hooks."""

MAX_MESSAGE = 256 * 1024
"""What the daemon takes; of what is longer the long strings are cut."""

MAX_READ = 32 * 1024 * 1024
LONG = 1000
"""Characters that are left of a string in a message that is too long as a whole."""

MAX_FILE = 1024 * 1024
S_IFMT, S_IFREG = 0o170000, 0o100000
"""As in `stat`, which would be imported for nothing else."""

LATER = (b"408", b"409", b"429")
"""The daemon does not know the agent's session yet, or is too busy."""


def main() -> None:
    """Hand on one message and end this process."""
    try:
        _report(time.monotonic() + GIVE_UP_S)
    finally:
        os._exit(0)  # whatever went wrong, it is not the CLI's business


def _report(deadline: float) -> None:
    message = _fitting(_message(deadline))
    if not message.startswith(b"{"):
        return
    line = b'{"at":%d,"payload":%b}' % (time.time() * 1000, message)
    if not _delivered(line, deadline):
        _leave(line)


def _message(deadline: float) -> bytes:
    last = sys.argv[-1] if len(sys.argv) > 1 else ""
    if last.lstrip().startswith("{"):
        return os.fsencode(last)
    found: list[bytes] = []
    size = 0
    while size <= MAX_READ:
        if not _readable(deadline):
            return b""  # its end may be missing, so it says nothing
        piece = os.read(0, 65536)
        if not piece:
            return b"".join(found)
        found.append(piece)
        size += len(piece)
    return b""


def _readable(deadline: float) -> bool:
    """Whether stdin can be read in time; where pipes cannot be waited for (Windows), it is tried."""
    try:
        return bool(select.select([0], [], [], max(0.0, deadline - time.monotonic()))[0])
    except OSError:
        return True


def _fitting(message: bytes) -> bytes:
    """`message` on one line, with its long strings cut if it is too long; empty if that does not help."""
    if len(message) > MAX_MESSAGE:
        import json  # noqa: PLC0415 - six milliseconds, and hardly ever needed

        message = json.dumps(_cut(json.loads(message))).encode()
        if len(message) > MAX_MESSAGE:
            return b""
    return message.strip().replace(b"\n", b" ").replace(b"\r", b" ")


def _cut(value: object) -> object:
    if isinstance(value, str):
        return value if len(value) <= LONG else value[:LONG] + " …"
    if isinstance(value, dict):
        return {key: _cut(item) for key, item in value.items()}
    return [_cut(item) for item in value] if isinstance(value, list) else value


def _delivered(line: bytes, deadline: float) -> bool:
    """Whether the daemon has settled the message; it also has if it refused it for good."""
    path, agent = os.environ.get("MUSTER_SOCKET", ""), os.environ.get("MUSTER_AGENT_ID", "")
    token = os.environ.get("MUSTER_AGENT_TOKEN", "")
    if not (path and agent and token):
        return False
    head = (
        f"POST /api/managed-agents/{agent}/hooks HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        f"Authorization: Bearer {token}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(line)}\r\n\r\n"
    )
    unsent = memoryview(head.encode() + line)
    try:
        connection = _dialled(path, deadline)
        while unsent:
            connection.settimeout(_left(deadline))
            unsent = unsent[connection.send(unsent) :]
        connection.settimeout(_left(deadline))
        answer = connection.recv(64)
    except (OSError, ValueError, OverflowError):
        return False
    return answer.startswith((b"HTTP/1.1 2", b"HTTP/1.1 4")) and answer[9:12] not in LATER


def _dialled(path: str, deadline: float) -> _socket.socket:
    """A line to the daemon: `path` is its socket, or a file that names the port where there are none."""
    if os.stat(path).st_mode & S_IFMT == S_IFREG:
        descriptor = os.open(path, os.O_RDONLY)
        said = os.read(descriptor, 1024)
        os.close(descriptor)
        port = int(said.partition(b'"port":')[2].split(b",")[0])
        family, address = _socket.AF_INET, ("127.0.0.1", port)
    else:
        family, address = getattr(_socket, "AF_UNIX"), path  # type: ignore[assignment]  # noqa: B009
    connection = _socket.socket(family, _socket.SOCK_STREAM)
    connection.settimeout(_left(deadline))
    connection.connect(address)
    return connection


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _leave(line: bytes) -> None:
    path = os.environ.get("MUSTER_HOOKS")
    if not path:
        return
    try:
        if os.stat(path).st_size > MAX_FILE:
            os.replace(path, path + ".old")
    except OSError:  # there is none, or another one writes to it just now and Windows lets nobody rename it
        pass
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.write(descriptor, line + b"\n")


if __name__ == "__main__":
    main()
