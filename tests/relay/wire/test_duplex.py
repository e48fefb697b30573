"""Lines that end without a goodbye."""

from __future__ import annotations

import contextlib
import errno
import select
import socket

import pytest

from relay.wire import duplex
from relay.wire.duplex import FINAL_CLOSES, LINE_LOST, RESTARTING, Closed, tune

needs_linux = pytest.mark.needs("linux")


@needs_linux
def test_a_peer_that_takes_nothing_any_more_is_found_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duplex, "DEAD_PEER_S", 1)
    with socket.socket() as listener, socket.socket() as peer:
        tune(listener)  # as a server does: what it accepts is to inherit it
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        peer.connect(listener.getsockname())
        line, _ = listener.accept()
        with line:
            line.setblocking(False)
            sent = 0
            with pytest.raises(OSError, match="timed out") as death:
                while True:
                    with contextlib.suppress(BlockingIOError):
                        sent += line.send(bytes(65536))
                    select.select([], [line], [], 20)
            assert death.value.errno == errno.ETIMEDOUT
            assert 0 < sent < 8 * 1024 * 1024


def test_a_unix_socket_needs_no_tuning() -> None:
    here, there = socket.socketpair()
    with here, there:
        tune(here)


@pytest.mark.parametrize(
    ("code", "final"), [(1000, True), (1006, False), (1008, True), (RESTARTING, False), (LINE_LOST, False)]
)
def test_what_a_close_means(code: int, final: bool) -> None:
    assert Closed(code).final is final
    assert (code in FINAL_CLOSES) is final
