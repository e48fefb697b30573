"""What a program asks its terminal is answered once, by one party, and never not at all."""

from __future__ import annotations

import asyncio
import os
import random
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from keeper_peer import Peer, keeper_of, seen_until
from spawner_fixtures import also_as_on_a_mac

from spawners import frames
from spawners.client import KeeperSpawner
from spawners.frames import Kind
from spawners.keeper import queries as keeper
from spawners.keeper.input import MAX_ANSWERS
from spawners.keeper.keys import CUT_BYTES
from spawners.keeper_session import KeeperSession
from spawners.launch import Launch, Size
from spawners.screen.engines import open_screen
from spawners.watch import Watches

Scripted = Callable[..., Launch]
CURSOR, DEVICE, STATUS = b"\x1b[6n", b"\x1b[c", b"\x1b[5n"


def ask(question: bytes) -> str:
    """The step that writes `question` and prints what comes back."""
    return f"ask:{question.hex()}"


async def answers(session: KeeperSession, count: int) -> list[bytes]:
    """The first `count` replies that the program has printed."""
    seen = b""
    async with asyncio.timeout(60):
        async for piece in session.output(follow=True):
            seen += getattr(piece, "data", b"")
            found = re.findall(rb"answer ([0-9a-f]*)\n", seen)
            if len(found) >= count:
                break
    return [bytes.fromhex(part.decode()) for part in found[:count]]


async def asking(spawner: KeeperSpawner, scripted: Scripted, *questions: bytes) -> KeeperSession:
    """A program that asks these, one after the other."""
    return await spawner.spawn(scripted("raw-mode", *map(ask, questions), "sleep", size=Size(24, 80)))


@pytest.fixture(autouse=True)
def loaded() -> None:
    """The emulator is loaded: a keeper's second of patience is not for that."""
    open_screen(Size())


# ---- nobody who emulates


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        (CURSOR, b"\x1b[1;1R"),
        (DEVICE, b"\x1b[?62;22c"),
        (b"text" + CURSOR + b"more" + STATUS + DEVICE, b"\x1b[1;1R\x1b[0n\x1b[?62;22c"),
        (b"\x1b]11;?\x07" + STATUS, b"\x1b[0n"),
    ],
)
async def test_without_an_emulator_the_plain_questions_are_answered(
    spawner: KeeperSpawner, scripted: Scripted, question: bytes, answer: bytes
) -> None:
    session = await asking(spawner, scripted, question)
    assert await answers(session, 1) == [answer]


# ---- one who emulates


@also_as_on_a_mac
async def test_an_emulator_answers_exactly_and_once(
    spawner: KeeperSpawner, scripted: Scripted, fifo: Path
) -> None:
    question = b"\x1b[5;7Habc" + CURSOR + b"\x1b[20;3H" + CURSOR + b"\x1b]11;?\x1b\\"
    steps = ("raw-mode", f"await:{fifo}", ask(question), ask(CURSOR), "sleep")
    session = await spawner.spawn(scripted(*steps, size=Size()))
    watches = Watches()
    watches.respond(session)
    await asyncio.to_thread(fifo.write_text, "go")
    first, second = await answers(session, 2)
    watches.close()

    assert first.startswith(b"\x1b[5;10R\x1b[20;3R\x1b]11;rgb:")
    assert second.endswith(b"R")
    assert second.count(b"\x1b") == 1


@pytest.mark.parametrize("before", [0, 6000, 300_000])
async def test_what_was_answered_before_an_emulator_came_is_not_answered_again(
    spawner: KeeperSpawner, scripted: Scripted, fifo: Path, before: int
) -> None:
    steps = (
        ask(CURSOR),
        f"bytes:{before}",
        f"await:{fifo}",
        ask(b"\x1b[3;4H" + CURSOR + b"x" * 9000),
        "sleep",
    )
    session = await spawner.spawn(scripted("raw-mode", *steps, size=Size()))
    assert await answers(session, 1) == [b"\x1b[1;1R"]
    watches = Watches()
    watches.respond(session)
    await asyncio.to_thread(fifo.write_text, "go")

    assert (await answers(session, 2))[1] == b"\x1b[3;4R"
    watches.close()


async def test_an_emulator_that_dies_is_replaced_by_the_next(
    spawner: KeeperSpawner, scripted: Scripted
) -> None:
    session = await asking(spawner, scripted, CURSOR)
    with Peer(session.ref) as first, Peer(session.ref) as second:
        first.ask(Kind.RESPOND)
        second.ask(Kind.RESPOND)
        asked = frames.decode_asked(first.hear(Kind.ASKED)[1])
        first.socket.close()
        assert frames.decode_asked(second.hear(Kind.ASKED)[1]) == asked
        second.say(frames.encode_answer(asked[1], b"\x1b[9;9R"))
        assert await answers(session, 1) == [b"\x1b[9;9R"]


async def test_an_emulator_that_hangs_is_passed_by(spawner: KeeperSpawner, scripted: Scripted) -> None:
    session = await asking(spawner, scripted, CURSOR, STATUS)
    with Peer(session.ref) as deaf, Peer(session.ref) as second:
        deaf.ask(Kind.RESPOND)
        second.ask(Kind.RESPOND)
        first, upto = frames.decode_asked(second.hear(Kind.ASKED)[1])
        deaf.say(frames.encode_answer(upto, b"late"))
        second.say(frames.encode_answer(upto, b"\x1b[9;9R"))
        assert await answers(session, 1) == [b"\x1b[9;9R"]
        assert frames.decode_asked(second.hear(Kind.ASKED)[1])[0] > first  # it is the first in the row now
        assert (await answers(session, 2))[1] == b"\x1b[0n"  # both have let it pass


async def test_an_emulator_that_hangs_delays_and_does_not_starve_one_who_asks_again_and_again(
    spawner: KeeperSpawner, scripted: Scripted
) -> None:
    code = "i=0; while [ $i -lt 40 ]; do printf '\\033[6n'; sleep 0.1; i=$((i+1)); done"
    session = await spawner.spawn(
        scripted(argv=("sh", "-c", f"stty raw -echo; echo up; ({code}) & exec od -An -c"), size=Size())
    )
    await seen_until(session, b"up")
    with Peer(session.ref) as deaf:
        deaf.ask(Kind.RESPOND)
        await seen_until(session, b"1   ;   1   R")


async def test_nobody_but_the_present_emulator_answers_and_no_later_than_asked(
    spawner: KeeperSpawner, scripted: Scripted
) -> None:
    session = await asking(spawner, scripted, CURSOR)
    with Peer(session.ref) as right, Peer(session.ref) as wrong:
        right.ask(Kind.RESPOND)
        wrong.say(frames.encode_answer(10**6, b"wrong"))
        _, upto = frames.decode_asked(right.hear(Kind.ASKED)[1])
        wrong.say(frames.encode_answer(upto, b"wrong"))
        wrong.ask(Kind.STATUS)
        right.say(frames.encode_answer(upto - 1, b"early"))
        right.say(frames.encode_answer(upto, b"right"))
        right.say(frames.encode_answer(upto, b"twice"))
        assert await answers(session, 1) == [b"right"]


# ---- the search


ALL = [
    *(query for query, _ in keeper.Queries.PLAIN),
    *(b"\x1b[?u", b"\x1b[>q", b"\x1b[?2026$p", b"\x1b]11;?\x07", b"\x1b]11;?\x1b\\", b"\x1b]4;17;?\x1b\\"),
    *(b"\x1bP$qm\x1b\\", b"\x1bP+q544e\x1b\\", b"\x1b[14t", b"\x1b_Gi=1,a=q;AAAA\x1b\\"),
]


@pytest.mark.parametrize("query", ALL)
def test_a_query_is_found_once_wherever_its_bytes_are_cut(query: bytes) -> None:
    text = b"before \x1b[1mbold" + query + b"\x1b[0mafter"
    for cut in range(len(text) + 1):
        found = keeper.Queries()
        parts = (text[:cut], text[cut:])
        news = [found.look(0, parts[0]), found.look(cut, parts[1])]
        assert news.count(True) == 1, (cut, news)
        ((first, upto, data),) = found.asked
        assert first <= text.index(query)
        assert upto >= text.index(query) + len(query)
        assert query in data


def test_output_without_a_query_asks_nothing() -> None:
    found = keeper.Queries()
    for data in (b"plain", b"\x1b[31mred\x1b[0m", b"\x1b", b"[1;1H", b"\x1b]0;title", b"\x07", "ä".encode()):
        assert not found.look(0, data)
    assert found.asked == []


def test_every_part_of_the_search_is_bounded() -> None:
    found = keeper.Queries()
    for number in range(10_000):
        found.look(number * 4000, CURSOR * 1000)
    found.look(10**9, b"\x1b]52;c;" + b"A" * 100_000)

    assert len(found.asked) <= found.MOST
    assert sum(len(item[2]) for item in found.asked) <= found.MOST * found.KEPT
    assert len(found.cut) <= CUT_BYTES


async def test_a_storm_of_queries_nobody_reads_the_answers_of_is_bounded(
    spawner: KeeperSpawner, scripted: Scripted
) -> None:
    code = "stty raw -echo; yes \"$(printf '\\033[6n')\" | head -c 10000000; echo done; exec sleep 1000"
    session = await spawner.spawn(scripted(argv=("sh", "-c", code), size=Size(), spool_bytes=1 << 20))
    statm = Path(f"/proc/{keeper_of(session.ref)}/statm")
    before = int(statm.read_text().split()[1])
    await session.resize(Size(25, 80))
    await seen_until(session, b"done")
    while not (await session.terminal()).unread:
        pass  # the answers come when it is certain that nobody else gives them

    assert (int(statm.read_text().split()[1]) - before) * os.sysconf("SC_PAGE_SIZE") < 16 << 20


async def test_answers_that_nobody_reads_are_bounded(
    spawner: KeeperSpawner, scripted: Scripted, fifo: Path
) -> None:
    code = (
        "import os, sys, termios, tty; tty.setraw(0); seen = b''\n"
        "for _ in range(20): os.write(1, b'\\x1b[6n'); open(sys.argv[1]).read()\n"
        "while not seen.endswith(b'end'): seen += os.read(0, 65536)\n"
        "print('read', len(seen), 'over')\n"
    )
    session = await spawner.spawn(scripted(argv=(sys.executable, "-c", code, str(fifo)), size=Size()))
    with Peer(session.ref) as emulator:
        emulator.ask(Kind.RESPOND)
        for _ in range(20):
            _, upto = frames.decode_asked(emulator.hear(Kind.ASKED)[1])
            emulator.say(frames.encode_answer(upto, b"a" * 60_000))
            emulator.ask(Kind.STATUS)  # it has been taken
            await asyncio.to_thread(fifo.write_text, "go")
    await session.type(b"end")
    read = int((await seen_until(session, b" over")).split()[-2])

    assert 60_000 < read < MAX_ANSWERS + 3 * 60_000


# ---- looking and answering at the same time


async def test_a_look_never_takes_an_answer_away_nor_doubles_it(
    spawner: KeeperSpawner, scripted: Scripted
) -> None:
    """Two hundred questions, each of its own cell, while others look at random moments."""
    dice, count = random.Random(7), 200
    cells = [(dice.randrange(1, 24), dice.randrange(1, 80)) for _ in range(count)]
    noise = [dice.choice([0, 0, 10, 5000]) for _ in cells]
    code = (
        "import os, sys, termios\n"
        "mode = termios.tcgetattr(0); mode[3] &= ~(termios.ICANON | termios.ECHO)\n"
        "termios.tcsetattr(0, termios.TCSANOW, mode); wrong = []\n"
        f"for (row, column), noise in zip({cells}, {noise}):\n"
        "    os.write(1, b'\\x1b[%d;%dH\\x1b[6n' % (row, column) + b'n' * noise); reply = b''\n"
        "    while not reply.endswith(b'R'): reply += os.read(0, 99)\n"
        "    if reply != b'\\x1b[%d;%dR' % (row, column): wrong.append((row, column, reply))\n"
        "print('wrong:', wrong)\n"
    )
    session = await spawner.spawn(scripted(argv=(sys.executable, "-c", code), size=Size()))
    watches = Watches()
    watches.respond(session)
    with_looks = asyncio.create_task(seen_until(session, b"wrong: "))
    while not with_looks.done():
        for _ in range(dice.randrange(4)):
            await asyncio.sleep(0)
        await watches.look(session)
    watches.close()
    assert b"wrong: []" in await with_looks


# ---- who has no terminal asks nothing

RESPONDS = """
import asyncio, os, sys
from spawners.client import KeeperSpawner
from spawners.launch import SessionRef
from spawners.watch import Watches

async def respond(directory, aside):
    spawner = KeeperSpawner(os.path.dirname(directory), aside, aside)
    session = await spawner.reattach(SessionRef(os.path.basename(directory), directory))
    Watches().respond(session)
    await asyncio.get_running_loop().shutdown_default_executor()
    print(any(name in sys.modules for name in ("pyghostty", "pyte")))
    await session.detach()

asyncio.run(respond(*sys.argv[1:]))
"""


@pytest.mark.parametrize("size", [None, Size()], ids=["pipes", "terminal"])
async def test_an_emulator_is_loaded_only_for_who_has_a_terminal(
    spawner: KeeperSpawner, scripted: Scripted, tmp_path: Path, size: Size | None
) -> None:
    session = await spawner.spawn(scripted("sleep", size=size))
    run = [sys.executable, "-c", RESPONDS, session.ref.directory, str(tmp_path / "aside")]
    loaded = await asyncio.to_thread(subprocess.check_output, run, text=True)
    assert loaded == f"{size is not None}\n"
