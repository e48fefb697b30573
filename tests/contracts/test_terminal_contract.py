"""What every `Session` promises of a terminal (the text of `spawners/session.py`), with real programs."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from keeper_peer import Peer, seen, seen_until, sizes_of
from spawner_fixtures import also_as_on_a_mac

from spawners.client import KeeperSpawner
from spawners.errors import NoTerminal, SessionBusy, SessionEnded, SessionTyping, SpawnerError, SpawnFailed
from spawners.launch import Chunk, Launch, Resized, Size, Stdin, Stream, Typed

Scripted = Callable[..., Launch]
MIB = 1024 * 1024


# ---- a program in a terminal


@pytest.mark.needs("posix")
@also_as_on_a_mac
async def test_a_program_has_a_controlling_terminal_and_its_foreground(
    spawner: KeeperSpawner, scripted: Scripted
) -> None:
    session = await spawner.spawn(scripted("tty", "fds", "environ", size=Size(30, 100)))
    told = (await seen(session)).decode().split("\r\n")
    name = told[0].split()[1]

    assert told[0] == f"tty {name} own own own"
    assert told[1:4] == [f"{number} {name}" for number in range(3)]
    assert told[4] == "LANG,MUSTER_AGENT_DIR,MUSTER_AGENT_ID,PATH"


@pytest.mark.needs("posix")
async def test_the_size_is_set_before_the_program_looks(spawner: KeeperSpawner, scripted: Scripted) -> None:
    session = await spawner.spawn(scripted("winsize", "env:TERM", size=Size(31, 97)))

    assert (await seen(session)).split() == [b"size", b"31x97", b"TERM=(unset)"]
    assert [(change.offset, change.size) for change in await sizes_of(session)] == [(0, Size(31, 97))]


@pytest.mark.needs("posix")
async def test_output_is_one_stream_and_begins_with_the_size(
    spawner: KeeperSpawner, scripted: Scripted
) -> None:
    session = await spawner.spawn(scripted("print:out", "err:err", size=Size()))
    pieces = [piece async for piece in session.output(follow=True)]

    assert isinstance(pieces[0], Resized)
    chunks = [piece for piece in pieces if isinstance(piece, Chunk)]
    assert {chunk.stream for chunk in chunks} == {Stream.PTY}
    assert b"".join(chunk.data for chunk in chunks) == b"out\r\nerr\r\n"


@pytest.mark.parametrize("wrong", [{"size": Size(0, 80)}, {"sizing": "biggest"}, {"stdin": Stdin(live=True)}])
async def test_an_impossible_terminal_is_refused(
    spawner: KeeperSpawner, scripted: Scripted, wrong: dict[str, object]
) -> None:
    with pytest.raises(SpawnFailed):
        await spawner.spawn(scripted("sleep", **({"size": Size()} | wrong)))
    assert spawner.refs() == []


# ---- resize


@pytest.mark.needs("posix")
@also_as_on_a_mac
async def test_a_resize_is_told_to_the_program_and_stands_in_the_output(
    spawner: KeeperSpawner, scripted: Scripted
) -> None:
    session = await spawner.spawn(scripted("say-winch", "print:up", "sleep", "sleep", size=Size(24, 80)))
    await seen_until(session, b"up\r\n")
    await session.resize(Size(40, 132))
    await seen_until(session, b"winch 40x132\r\n")
    await session.resize(Size(40, 132))  # no news
    await session.resize(Size(10, 20))
    output = await seen_until(session, b"winch 10x20\r\n")

    assert output.count(b"winch") == 2
    first, second, third = await sizes_of(session)
    assert [first.size, second.size, third.size] == [Size(24, 80), Size(40, 132), Size(10, 20)]
    assert (first.offset, second.offset, third.offset) == (0, 4, output.index(b"winch 10x20"))
    assert (await session.terminal()).size == Size(10, 20)
    later = [piece async for piece in session.output(second.offset + 1)]
    assert isinstance(later[0], Resized)
    assert later[0].size == Size(40, 132)


@pytest.mark.parametrize("size", [Size(0, 80), Size(24, 0), Size(-1, 80), Size(1001, 80), Size(24, 70_000)])
async def test_an_impossible_size_is_refused_with_the_range(
    spawner: KeeperSpawner, scripted: Scripted, size: Size
) -> None:
    session = await spawner.spawn(scripted("sleep", size=Size()))
    with pytest.raises(SpawnerError, match="1 to 1000"):
        await session.resize(size)
    assert (await session.terminal()).size == Size()


# ---- input


@pytest.mark.needs("posix")
async def test_what_is_typed_arrives_and_what_is_not_read_is_counted(
    spawner: KeeperSpawner, scripted: Scripted, fifo: Path
) -> None:
    session = await spawner.spawn(scripted("raw-mode", f"await:{fifo}", "print:up", "keys", size=Size()))
    while (await session.terminal()).canonical:
        pass
    assert await session.type(b"abc") == Typed(3, 3)
    assert (await session.type(b"de")).unread >= 3
    while (await session.terminal()).unread < 5:
        pass
    await asyncio.to_thread(fifo.write_text, "go")
    await seen_until(session, b"keys 6162636465\n")

    assert (await session.terminal()).unread == 0


@pytest.mark.needs("posix")
async def test_every_byte_goes_through_both_ways(spawner: KeeperSpawner, scripted: Scripted) -> None:
    every = bytes(range(256))
    session = await spawner.spawn(scripted("raw-mode", f"raw:{every.hex()}", "keys", size=Size()))
    assert (await seen_until(session, every)) == every
    await session.type(every)

    told = await seen_until(session, b"ff\n", 256)
    assert b"".join(bytes.fromhex(line[5:].decode()) for line in told.splitlines()) == every


@pytest.mark.needs("posix")
async def test_a_megabyte_reaches_a_program_that_reads_late(
    spawner: KeeperSpawner, scripted: Scripted, fifo: Path
) -> None:
    data = os.urandom(1000) * 1000
    session = await spawner.spawn(
        scripted("raw-mode", "print:up", f"await:{fifo}", f"read:{len(data)}", size=Size())
    )
    await seen_until(session, b"up")
    typing = asyncio.ensure_future(session.type(data, timeout_s=60))
    await asyncio.wait([typing], timeout=0.1)
    with pytest.raises(SessionBusy):
        await session.type(b"x" * 100_000)  # there is no room for it beside the first
    assert (await session.terminal()).unread > 0  # whoever asks meanwhile is answered
    await asyncio.to_thread(fifo.write_text, "go")

    assert (await typing).written == len(data)
    told = await seen_until(session, hashlib.sha256(data).hexdigest().encode())
    assert f"{len(data)} ".encode() in told


@pytest.mark.needs("posix")
@pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\n"])
async def test_a_line_that_the_line_editor_would_cut_is_refused_whole(
    spawner: KeeperSpawner, scripted: Scripted, end: bytes
) -> None:
    session = await spawner.spawn(scripted("no-echo", "print:up", "cat", size=Size()))
    await seen_until(session, b"up")
    with pytest.raises(SpawnerError, match="4095"):
        await session.type(b"before" + end + b"x" * 4096 + end)
    await session.type(b"y" * 4095 + end + b"z" * 4095 + end)
    output = await seen_until(session, b"z" * 4095 + b"\r\n")

    assert output[4:].replace(b"\r\n", b"") == b"y" * 4095 + b"z" * 4095


@pytest.mark.needs("posix")
async def test_end_of_file_comes_after_what_was_typed(spawner: KeeperSpawner, scripted: Scripted) -> None:
    for typed in (b"", b"one\n", b"one"):
        session = await spawner.spawn(scripted("no-echo", "print:up", "cat", "print:over", size=Size()))
        await seen_until(session, b"up\r\n")
        await session.type(typed)
        await session.close_stdin()

        assert (await session.wait()).code == 0
        assert b"".join((await seen(session)).split()) == b"up" + typed.strip() + b"over"


@pytest.mark.needs("posix")
async def test_end_of_file_behind_a_whole_line_is_sent_once(
    spawner: KeeperSpawner, scripted: Scripted
) -> None:
    steps = ("no-echo", "print:up", "cat", "print:first over", "cat", "print:second over")
    session = await spawner.spawn(scripted(*steps, size=Size()))
    await seen_until(session, b"up\r\n")
    await session.type(b"one\n")
    await session.close_stdin()
    await seen_until(session, b"first over\r\n")
    await session.type(b"two\n")

    assert b"second" not in await seen_until(session, b"two\r\n")


@pytest.mark.needs("posix")
async def test_a_person_deletes_characters_and_not_bytes(spawner: KeeperSpawner, scripted: Scripted) -> None:
    session = await spawner.spawn(scripted("no-echo", "print:up", "keys", size=Size()))
    await seen_until(session, b"up")
    await session.type("a€".encode() + b"\x7fb\n")
    await seen_until(session, b"keys 61620a\r\n")


@pytest.mark.needs("posix")
async def test_a_password_prompt_is_seen_as_one(spawner: KeeperSpawner, scripted: Scripted) -> None:
    session = await spawner.spawn(scripted("no-echo", "print:Password", "keys", size=Size()))
    await seen_until(session, b"Password")
    state = await session.terminal()
    assert (state.canonical, state.echo, state.hidden_input) == (True, False, True)

    session = await spawner.spawn(scripted("print:up", "keys", size=Size()))
    await seen_until(session, b"up")
    assert not (await session.terminal()).hidden_input


# ---- what is asked at the wrong time


async def test_pipes_are_no_terminal(spawner: KeeperSpawner, scripted: Scripted) -> None:
    session = await spawner.spawn(scripted("sleep", stdin=Stdin(live=True)))
    for asked in (session.terminal(), session.type(b"x"), session.resize(Size())):
        with pytest.raises(NoTerminal, match="pipes"):
            await asked


async def test_an_ended_program_has_no_terminal_any_more(spawner: KeeperSpawner, scripted: Scripted) -> None:
    session = await spawner.spawn(scripted("exit:0", size=Size()))
    await session.wait()
    for asked in (session.terminal(), session.type(b"x"), session.resize(Size()), session.close_stdin()):
        with pytest.raises(SessionEnded):
            await asked


async def test_automation_waits_while_a_person_types(spawner: KeeperSpawner, scripted: Scripted) -> None:
    session = await spawner.spawn(scripted("raw-mode", "print:up", "keys", size=Size()))
    await seen_until(session, b"up")
    with Peer(session.ref) as person:
        person.attach("ann", Size())
        person.type(b"draft")
        with pytest.raises(SessionTyping, match="ann") as refused:
            await session.type(b"from a program")
        state = await session.terminal()

    assert 2_000 < refused.value.free_in_ms <= 30_000
    assert (state.typing, 2_000 < state.free_in_ms <= 30_000) == ("ann", True)
    output = await seen_until(session, b"keys 6472616674")
    assert output.count(b"keys") == 1


async def test_too_much_for_one_piece_is_refused_with_the_limit(
    spawner: KeeperSpawner, scripted: Scripted
) -> None:
    session = await spawner.spawn(scripted("raw-mode", "sleep", size=Size()))
    with pytest.raises(SpawnerError, match="1024000"):
        await session.type(b"x" * (MIB + 1))


# ---- another daemon


@pytest.mark.needs("resize")
async def test_a_terminal_is_found_again(spawner: KeeperSpawner, scripted: Scripted) -> None:
    session = await spawner.spawn(scripted("raw-mode", "print:up", "keys", size=Size(20, 70)))
    await seen_until(session, b"up")
    await session.resize(Size(21, 71))
    await session.detach()
    again = await spawner.reattach(session.ref)
    await again.type(b"a")
    await seen_until(again, b"keys 61")

    assert (await again.terminal()).size == Size(21, 71)
    assert [change.size for change in await sizes_of(again)] == [Size(20, 70), Size(21, 71)]
