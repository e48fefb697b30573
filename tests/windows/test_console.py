"""What a keeper of Windows promises of a pseudo console. What it shows is drawn anew by the console: these
are not the bytes of the program, so a screen is looked at, or a word in it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from keeper_peer import seen, seen_until
from muster_processes import PYTHON

from spawners.client import KeeperSpawner
from spawners.launch import Launch, Size

Scripted = Callable[..., Launch]
pytestmark = pytest.mark.needs("windows")


def python(code: str) -> tuple[str, ...]:
    return (PYTHON, "-X", "utf8", "-I", "-S", "-c", code)


async def test_a_program_has_a_console_of_the_size_it_was_given(
    spawner: KeeperSpawner, scripted: Scripted
) -> None:
    code = "import os; print(*(os.isatty(fd) for fd in range(3)), *os.get_terminal_size())"
    session = await spawner.spawn(scripted(argv=python(code), size=Size(31, 97)))

    assert b"True True True 97 31" in await seen(session)
    assert (await session.wait()).code == 0


async def test_what_is_typed_is_read_and_an_exit_code_comes_back(
    spawner: KeeperSpawner, scripted: Scripted
) -> None:
    code = "import sys; print('ready'); word = input(); print('<' + word + '>'); sys.exit(7)"
    session = await spawner.spawn(scripted(argv=python(code), size=Size()))
    await seen_until(session, b"ready")
    await session.type(b"hello\r")

    assert b"<hello>" in await seen(session)
    assert (await session.wait()).code == 7


async def test_nothing_is_lost_of_what_is_printed_right_before_the_end(
    spawner: KeeperSpawner, scripted: Scripted
) -> None:
    code = "for n in range(400): print('line', n)\nprint('the', 'very', 'last')"
    for _ in range(3):
        session = await spawner.spawn(
            scripted(argv=python(code), size=Size(), agent_id=f"ag-{_}-{id(spawner):x}")
        )
        output = await seen(session)
        assert b"the very last" in output
        assert (await session.wait()).code == 0


async def test_characters_come_whole(spawner: KeeperSpawner, scripted: Scripted) -> None:
    code = "print('é€ü' * 20_000)\nprint('end')"
    session = await spawner.spawn(scripted(argv=python(code), size=Size()))
    text = (await seen(session)).decode("utf-8")

    assert text.count("é€ü") > 100
    assert "\ufffd" not in text
    assert "end" in text


async def test_an_interrupt_is_the_key_of_the_terminal(spawner: KeeperSpawner, scripted: Scripted) -> None:
    code = "import time\nprint('up', flush=True)\ntime.sleep(60)"
    session = await spawner.spawn(scripted(argv=python(code), size=Size()))
    await seen_until(session, b"up")
    ended = await session.stop(interrupt_s=30, terminate_s=30)

    assert ended.ended_by == "stop"
    assert ended.stop is not None
    assert ended.stop.stage == "interrupt"


async def test_a_program_that_is_not_asked_by_a_key_ends_with_its_console_or_is_killed(
    spawner: KeeperSpawner, scripted: Scripted
) -> None:
    session = await spawner.spawn(scripted("start-child", "print:up", "sleep", size=Size()))
    await seen_until(session, b"up")
    ended = await session.stop(interrupt_s=0, terminate_s=2)

    assert ended.ended_by == "stop"
    assert ended.stop is not None
    assert ended.stop.stage in ("terminate", "kill")
    assert await session.live_members() == ()
