"""Lines to keepers by port and token: used on Windows, the same everywhere."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from spawners._os.loopback import Calling, dial, read_address
from spawners.keeper.connection import Connection
from spawners.line import Line

TOKEN = b"0123456789abcdef\n"


def told(calling: Calling) -> tuple[int, bytes]:
    """What a keeper reads in the pipe that it inherits."""
    port, _, token = os.read(calling.fd, 4096).partition(b" ")
    return int(port), token


@pytest.fixture
def calling() -> Iterator[Calling]:
    with contextlib.closing(Calling()) as made:
        yield made
        made.given()


async def test_strangers_are_turned_away_and_the_keeper_is_taken(calling: Calling) -> None:
    port, token = told(calling)
    answer = asyncio.ensure_future(calling.answered())
    for wrong in (b"x" * len(token), token[:-1] + b"x", b""):
        with socket.create_connection(("127.0.0.1", port)) as stranger:
            stranger.sendall(wrong)
            stranger.shutdown(socket.SHUT_WR)
            assert await asyncio.to_thread(stranger.recv, 1) == b""

    keeper = socket.create_connection(("127.0.0.1", port))
    keeper.sendall(token + b"more")
    line = await answer
    assert await asyncio.get_running_loop().sock_recv(line, 100) == b"more"
    keeper.close()
    line.close()


async def test_a_line_shows_the_token_that_stands_in_the_file(tmp_path: Path) -> None:
    address = tmp_path / "address"
    with socket.create_server(("127.0.0.1", 0)) as server:
        address.write_bytes(b"%d " % server.getsockname()[1] + TOKEN)
        line = await dial(Line, str(address))
        end, _ = await asyncio.to_thread(server.accept)
        with end:
            assert end.recv(100) == TOKEN
            line.close()
    assert not Path(address).read_bytes().startswith(TOKEN)


@pytest.mark.parametrize("content", [b"", b"12", b"x y", b"1 2 3"])
def test_half_an_address_is_as_if_nobody_listened(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "address").write_bytes(content)
    with pytest.raises(ConnectionRefusedError):
        read_address(str(tmp_path / "address"))
    with pytest.raises(FileNotFoundError):
        read_address(str(tmp_path / "none"))


def test_a_keeper_looks_at_a_whole_token_only() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        connection = Connection(ours)
        connection.owes = TOKEN
        assert connection.prove(b"wrong from its first byte"[:10]) == b""
        assert connection.owes == TOKEN
        with pytest.raises(ValueError, match="token"):
            connection.prove(b"0" * 20)

        honest = Connection(theirs)
        honest.owes = TOKEN
        assert honest.prove(TOKEN[:5]) == b""
        assert honest.prove(TOKEN[5:] + b"rest") == b"rest"
        assert (honest.owes, honest.received) == (b"", bytearray())
