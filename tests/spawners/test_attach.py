"""Attachments: the present screen first, no seam behind it, and nobody waits for a slow viewer."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from eye import Eye, assert_same, painted, true_screen
from keeper_peer import keeper_of, seen_until
from spawner_fixtures import also_as_on_a_mac

from spawners.attach import Attachment
from spawners.client import KeeperSpawner
from spawners.errors import NoTerminal, SessionEnded, SpawnerError
from spawners.keeper_session import KeeperSession
from spawners.launch import Launch, Size, Viewer
from spawners.screen.engines import open_screen
from spawners.watch import Watches, look_at

Scripted = Callable[..., Launch]
MIB = 1024 * 1024

# ---- the beginning


@also_as_on_a_mac
async def test_the_first_bytes_give_the_present_screen(spawner: KeeperSpawner, scripted: Scripted) -> None:
    session = await painted(spawner, scripted, "keys")
    eye = await Eye.open(session)
    await eye.see()
    assert_same(eye.screen, await true_screen(session))

    await eye.attachment.type(b"k")
    await eye.see_until("keys 6b")
    assert_same(eye.screen, await true_screen(session))
    await eye.attachment.close()
    assert not await eye.see()


FIRST_LOOK = """
import asyncio, sys
from spawners.attach import Attachment
from spawners.launch import Size, Viewer

async def look():
    attachment = await Attachment.open(sys.argv[1], Viewer("window", Size()))
    await anext(aiter(attachment))
    print(*(name for name in sys.modules if "ghostty" in name or "pyte" in name))
    await attachment.close()

asyncio.run(look())
"""


async def test_a_viewer_who_is_there_before_the_first_output_needs_no_emulator(
    spawner: KeeperSpawner, scripted: Scripted, fifo: Path
) -> None:
    text = b"\x1b[1;31mred\x1b[0m\tover"
    session = await spawner.spawn(scripted(f"await:{fifo}", f"raw:{text.hex()}", "sleep", size=Size()))
    run = [sys.executable, "-c", FIRST_LOOK, session.ref.directory]
    assert await asyncio.to_thread(subprocess.check_output, run, text=True) == "\n"

    eye = await Eye.open(session)
    await eye.see()
    await asyncio.to_thread(fifo.write_text, "go")
    await eye.see_until("over")
    assert_same(eye.screen, await true_screen(session))
    await eye.attachment.close()


SEAMS = [
    b"\x1b[1;31;44mred\x1b[0m",
    b"\x1b]2;another title\x07",
    b"\x1b]8;;http://a.example\x1b\\link\x1b]8;;\x1b\\",
    "é中😀e\u0301".encode(),
    b"\x1b(0qqq\x1b(B",
    b"\x1b[5;8H\x1b[2Kx",
    b"\x1bP$qm\x1b\\after",
    b"\x1b[6nafter",
    b"x" * 200 + b"\r\n",
]


@pytest.mark.parametrize("text", SEAMS)
async def test_there_is_no_seam_wherever_somebody_attaches(
    spawner: KeeperSpawner, scripted: Scripted, tmp_path: Path, text: bytes
) -> None:
    cuts = sorted({1, 2, 3, len(text) // 2, len(text) - 1})
    parts = [text[at:to] for at, to in zip([0, *cuts], [*cuts, len(text)], strict=True) if to > at]
    fifos = [tmp_path / f"go{number}" for number in range(len(parts))]
    for fifo in fifos:
        os.mkfifo(fifo)
    steps = [
        step
        for fifo, part in zip(fifos, parts, strict=True)
        for step in (f"await:{fifo}", f"raw:{part.hex()}")
    ]
    session = await painted(spawner, scripted, *steps, "print:over", "sleep")
    eyes: list[Eye] = []
    for fifo, part in zip(fifos, parts, strict=True):
        eyes.append(await Eye.open(session))
        await eyes[-1].see()
        end = (await look_end(session)) + len(part)
        await asyncio.to_thread(fifo.write_text, "go")
        await session.grown(end - 1)
    for eye in eyes:
        await eye.see_until("over")
        assert_same(eye.screen, await true_screen(session))
        await eye.attachment.close()


async def test_a_viewer_who_came_in_front_of_the_other_screen_sees_it_when_it_is_shown_again(
    spawner: KeeperSpawner, scripted: Scripted, fifo: Path
) -> None:
    shown, hidden = b"\x1b[?1049h\x1b[2J\x1b[HON TOP".hex(), b"\x1b[?25h\x1b[?1049l".hex()
    steps = ("print:BELOW", f"raw:{shown}", f"await:{fifo}", f"raw:{hidden}", "print:over", "sleep")
    session = await spawner.spawn(scripted(*steps, size=Size()))
    await seen_until(session, b"ON TOP")
    eye = await Eye.open(session)
    await eye.see()
    await asyncio.to_thread(fifo.write_text, "go")
    await eye.see_until("over")
    await eye.see_until("BELOW")
    assert_same(eye.screen, await true_screen(session))
    await eye.attachment.close()


async def look_end(session: KeeperSession) -> int:
    watches = Watches()
    offset = (await watches.look(session)).offset
    watches.close()
    return offset


@pytest.mark.parametrize("wrong", ["pipes", "ended", "nobody"])
async def test_where_there_is_nothing_to_see_it_says_so(
    spawner: KeeperSpawner, scripted: Scripted, tmp_path: Path, wrong: str
) -> None:
    if wrong == "nobody":
        with pytest.raises(SpawnerError, match="no agent"):
            await Attachment.open(str(tmp_path / "gone"), Viewer("x", Size()))
        return
    session = await spawner.spawn(scripted("sleep", size=None if wrong == "pipes" else Size()))
    if wrong == "ended":
        await session.stop(interrupt_s=0, terminate_s=0)
    with pytest.raises(NoTerminal if wrong == "pipes" else SessionEnded):
        await Eye.open(session)


# ---- sizes


@pytest.mark.parametrize("view", [Size(10, 40), Size(40, 120), Size(24, 40), Size(10, 80)])
async def test_a_viewer_of_another_size_sees_the_part_with_the_cursor(
    spawner: KeeperSpawner, scripted: Scripted, view: Size
) -> None:
    session = await painted(
        spawner, scripted, "raw:1b5b32333b373948", "keys"
    )  # the cursor in row 23, column 79
    eye = await Eye.open(session, view, read_only=True)
    await session.type(b"k")
    await seen_until(session, b"keys 6b\n")
    truth = await true_screen(session)
    while eye.screen.cursor.column == 0 or "6b" not in "".join(eye.screen.text()):
        assert await eye.see()
    top = max(0, truth.cursor.row + 1 - view.rows)
    left = max(0, truth.cursor.column + 1 - view.columns)

    assert (eye.screen.cursor.row, eye.screen.cursor.column) == (
        truth.cursor.row - top,
        truth.cursor.column - left,
    )
    for row in range(min(view.rows, 24)):
        shown = eye.screen.cells()[row][: min(view.columns, 80)]
        assert (
            "".join(cell.text for cell in shown).rstrip()
            == "".join(cell.text for cell in truth.cells()[top + row][left : left + view.columns]).rstrip()
        )
    assert (await session.terminal()).size == Size()
    await eye.attachment.close()


async def test_a_resize_gives_everybody_a_fresh_screen(spawner: KeeperSpawner, scripted: Scripted) -> None:
    session = await painted(spawner, scripted, "say-winch", "print:ready", "sleep", "sleep", "sleep")
    await seen_until(session, b"ready")
    first, second = await Eye.open(session), await Eye.open(session, read_only=True)
    await first.see()
    await second.see()
    await first.attachment.resize(Size(30, 100))
    for eye in (first, second):
        eye.screen.resize(Size(30, 100))
        if eye is second:
            await eye.attachment.resize(Size(30, 100))
        await eye.see_until("winch 30x100")
        assert eye.resized[-1:] == [Size(30, 100)]
        assert_same(eye.screen, await true_screen(session))
        assert eye.attachment.size == Size(30, 100)


async def test_who_only_looks_gets_the_bytes_once_the_terminal_has_their_size(
    spawner: KeeperSpawner, scripted: Scripted
) -> None:
    session = await painted(spawner, scripted, "keys")
    looker = await Eye.open(session, Size(30, 100), read_only=True)
    await looker.see()
    other = await Eye.open(session, Size(30, 100))
    while not looker.resized:
        await looker.see()
    await other.attachment.type(b"k")
    await looker.see_until("keys 6b")
    assert looker.resized == [Size(30, 100)]
    assert_same(looker.screen, await true_screen(session))

    looker.screen = open_screen(Size(5, 40))
    await looker.attachment.resize(Size(5, 40))  # paintings from here on
    await looker.see()
    truth = await true_screen(session)
    bottom = truth.cursor.row + 1  # the cursor is in the last row that is shown
    assert looker.screen.text() == [line[:40] for line in truth.text()[bottom - 5 : bottom]]


async def test_typing_read_only_is_refused_and_long_typing_is_not_cut(
    spawner: KeeperSpawner, scripted: Scripted
) -> None:
    session = await painted(spawner, scripted, "read:200000", "sleep")
    eye = await Eye.open(session, read_only=True)
    with pytest.raises(SpawnerError, match="only look"):
        await eye.attachment.type(b"x")
    other = await Eye.open(session)
    await other.attachment.type(b"y" * 200_000)
    await other.see_until("200000 ")


# ---- the end


async def test_the_exit_follows_the_last_bytes(
    spawner: KeeperSpawner, scripted: Scripted, fifo: Path
) -> None:
    session = await painted(spawner, scripted, f"await:{fifo}", "print:last words", "exit:7")
    eye = await Eye.open(session)
    await eye.see()
    await asyncio.to_thread(fifo.write_text, "go")
    while await eye.see():
        pass
    assert "last words" in "\n".join(eye.screen.text())
    assert eye.attachment.exit is not None
    assert eye.attachment.exit.code == 7
    assert_same(eye.screen, look_at(session.ref).screen)
    with pytest.raises(SessionEnded):
        await eye.attachment.type(b"x")


@pytest.mark.parametrize("reading", [True, False])
async def test_a_killed_keeper_is_told_and_never_waited_for(
    spawner: KeeperSpawner, scripted: Scripted, reading: bool
) -> None:
    session = await painted(spawner, scripted, "sleep")
    eye = await Eye.open(session)
    await eye.see()
    waiting = asyncio.ensure_future(eye.see()) if reading else None
    await asyncio.sleep(0)
    os.kill(keeper_of(session.ref), signal.SIGKILL)
    if waiting is None:  # it is lost while the viewer's terminal is being written to
        await asyncio.wait([eye.attachment._line.lost], timeout=30)
    with pytest.raises(SpawnerError, match="keeper is gone"):
        await (waiting or eye.see())


# ---- speed


async def test_a_slow_viewer_skips_to_a_fresh_screen(
    spawner: KeeperSpawner, scripted: Scripted, fifo: Path
) -> None:
    total = 40_000_000  # less than the spool keeps: nothing but the viewer makes it skip
    steps = (f"await:{fifo}", f"flood:{total}", "raw:1b5b324a1b5b48", "print:after the flood", "keys")
    session = await painted(spawner, scripted, *steps)
    slow = await Eye.open(session)
    await slow.see()
    await asyncio.to_thread(fifo.write_text, "go")
    await seen_until(session, b"after the flood", total)
    while "after the flood" not in "".join(slow.screen.text()):
        await slow.see()

    assert slow.bytes < 5 * MIB
    assert_same(slow.screen, await true_screen(session))
    await session.type(b"k")
    await slow.see_until("keys 6b")
    assert_same(slow.screen, await true_screen(session))


async def test_a_flood_arrives_and_how_fast(spawner: KeeperSpawner, scripted: Scripted, fifo: Path) -> None:
    total = 50_000_000
    session = await painted(spawner, scripted, f"await:{fifo}", f"flood:{total}", "print:after", "sleep")
    eye = await Eye.open(session)
    await eye.see()
    began = time.monotonic()
    await asyncio.to_thread(fifo.write_text, "go")
    await eye.see_until("after")
    speed = total / 1e6 / (time.monotonic() - began)
    print(f"{speed:.0f} MB/s to one viewer, {eye.bytes / 1e6:.0f} MB of it shown")
    assert_same(eye.screen, await true_screen(session))
