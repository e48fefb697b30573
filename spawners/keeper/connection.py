"""One connection to the keeper, and what comes in over it."""

import _socket

from spawners.keeper.protocol import HEADER, MAX_PAYLOAD, RELEASE

MYPY = False
if MYPY:
    from spawners.keeper.terminal import Viewer

MAX_UNSENT = 1024 * 1024  # bytes for one connection that does not read; then it is dropped


class Connection:
    """One daemon, or one viewer. What it does not read in time costs only itself."""

    __slots__ = (
        *(
            "hold",
            "hold_until",
            "owes",
            "pushed",
            "received",
            "responds",
            "socket",
            "unsent",
            "viewer",
            "wait",
        ),
    )

    def __init__(self, connected: "_socket.socket") -> None:
        connected.setblocking(False)
        self.socket = connected
        self.received = bytearray()
        self.unsent = bytearray()
        self.hold = RELEASE
        self.hold_until: float | None = None
        self.wait: int | None = None
        self.pushed = False  # whether WAIT may be answered with the bytes themselves
        self.viewer: Viewer | None = None
        self.owes = b""  # the token that it has to show before it is heard, or told anything
        self.responds = 0  # place in the row of those who answer queries; 0: does not

    def flush(self) -> bool:
        """Send what can be sent; False once the connection is of no use."""
        try:
            while self.unsent:
                del self.unsent[: self.socket.send(self.unsent)]
        except BlockingIOError:
            return len(self.unsent) <= MAX_UNSENT
        except OSError:
            return False
        return True

    def prove(self, data: bytes) -> bytes:
        """Take the token from the beginning of what came; what follows it. Raises ValueError for another.

        Only a whole one is looked at: nobody learns how much of it was right.
        """
        self.received += data
        if len(self.received) < len(self.owes):
            return b""
        shown, rest = bytes(self.received[: len(self.owes)]), bytes(self.received[len(self.owes) :])
        if shown != self.owes:
            raise ValueError("not the token")
        self.owes = b""
        self.received.clear()
        return rest

    def frames(self, data: bytes) -> "list[tuple[int, bytes]]":
        """The frames completed by `data`. Raises ValueError for one no daemon would send."""
        self.received += data
        found = []
        while len(self.received) >= HEADER.size:
            length, kind = HEADER.unpack_from(self.received)
            if length > MAX_PAYLOAD:
                raise ValueError("frame too long")
            end = HEADER.size + length
            if len(self.received) < end:
                break
            found.append((kind, bytes(self.received[HEADER.size : end])))
            del self.received[:end]
        return found


class Refusal(Exception):
    """A request that is answered with REFUSED: (code, message)."""


class Input:
    """One INPUT, GIVE or TYPE frame on its way into the program; without a connection nobody waits for it."""

    __slots__ = ("connection", "data", "given", "request", "written")

    def __init__(self, connection: "Connection | None", request: int, data: bytes) -> None:
        self.connection = connection
        self.request = request
        self.data = data
        self.given = False  # it counts as given, so it is written whoever goes away
        self.written = 0
