"""Typing into scripted interfaces: what is put in, and what can be said of it afterwards."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace

import pytest
from tui_fixtures import Keyboard, interface

from spawners.attach import Attachment
from spawners.keys import UnknownKey
from spawners.launch import Size, Viewer
from spawners.message import Unsendable
from spawners.providers.manifest import load
from spawners.typist import Became, Delivery

__all__ = ["interface"]

CLAUDE = replace(load("claude"), submit_delay_s=0.05)
Interface = Callable[..., AbstractAsyncContextManager[Keyboard]]


async def send(keyboard: Keyboard, text: str, *, timeout_s: float = 20.0, **options: bool) -> Delivery:
    options = {"submit": True, "force": False} | options
    return await keyboard.typist.send(text, timeout_s=timeout_s, **options)


@pytest.mark.parametrize("words", [(), ("paste",)], ids=str)
async def test_a_line_is_submitted_and_its_input_seen_to_be_cleared(
    interface: Interface, words: tuple[str, ...]
) -> None:
    async with interface(*words) as keyboard:
        sent = await send(keyboard, "hello wörld 漢字 😀")

        assert (sent.became, sent.evidence) == (Became.SUBMITTED, "its input was cleared")
        assert "got " + ascii("hello wörld 漢字 😀") in await keyboard.screen()
        assert sent.bytes == len("hello wörld 漢字 😀".encode()) + 1 + 12 * len(words)


async def test_a_second_message_goes_in_after_the_first(interface: Interface) -> None:
    async with interface("paste") as keyboard:
        await send(keyboard, "one")
        sent = await send(keyboard, "two")

        assert sent.became is Became.SUBMITTED
        assert "got 'one'\ngot 'two'" in await keyboard.screen()


async def test_many_lines_are_one_message(interface: Interface) -> None:
    async with interface("paste") as keyboard:
        text = "first\n\n\tlast"
        sent = await send(keyboard, text)

        assert sent.became is Became.SUBMITTED
        assert "got " + ascii(text) in await keyboard.screen()


async def test_many_lines_without_paste_are_refused_before_any_is_typed(interface: Interface) -> None:
    async with interface() as keyboard:
        with pytest.raises(Unsendable, match="takes no paste"):
            await send(keyboard, "first\nlast")

        await send(keyboard, "next")
        screen = await keyboard.screen()
        assert "got 'next'" in screen
        assert "first" not in screen


async def test_a_large_paste_goes_in_whole(interface: Interface) -> None:
    async with interface("paste", manifest=CLAUDE) as keyboard:
        text = "\n".join(f"{number} " + "x" * 500 for number in range(1000))
        sent = await send(keyboard, text)

        assert (sent.became, sent.bytes) == (Became.SUBMITTED, len(text) + 13)
        assert f"got {len(text)} characters {zlib.crc32(text.encode())}" in await keyboard.screen()


async def test_an_enter_that_gets_lost_is_never_pressed_again(interface: Interface) -> None:
    async with interface("swallow") as keyboard:
        sent = await send(keyboard, "hello", timeout_s=2)

        assert sent.became is Became.TYPED
        assert "still stands at the cursor" in sent.evidence
        screen = await keyboard.screen()
        assert "❯ hello" in screen
        assert "got" not in screen


async def test_a_program_that_never_reads_leaves_it_unknown_and_gets_no_enter(interface: Interface) -> None:
    async with interface("deaf") as keyboard:
        sent = await send(keyboard, "hello", timeout_s=0.5)

        assert sent.became is Became.UNKNOWN
        assert "has not read 5 bytes" in sent.evidence
        assert (await keyboard.session.terminal()).unread == 5


async def test_a_program_that_shows_nothing_leaves_it_at_typed(interface: Interface) -> None:
    async with interface("blind", "swallow") as keyboard:
        sent = await send(keyboard, "hello", timeout_s=2)

        assert sent.became is Became.TYPED
        assert "shows nothing of it" in sent.evidence


async def test_a_manifest_s_busy_is_evidence_where_the_text_is_not_shown(interface: Interface) -> None:
    async with interface("blind", "works", manifest=CLAUDE) as keyboard:
        sent = await send(keyboard, "hello")

        assert (sent.became, sent.evidence) == (Became.SUBMITTED, "it is working on a turn")


async def test_a_message_to_a_busy_program_says_that_it_waits(interface: Interface) -> None:
    async with interface("paste", "busy", manifest=CLAUDE) as keyboard:
        sent = await send(keyboard, "later")

        assert sent.became is Became.SUBMITTED
        assert "keeps it until its turn is over" in sent.evidence


async def test_a_question_that_comes_up_in_between_gets_no_enter(interface: Interface) -> None:
    async with interface("paste", "menu-after", manifest=CLAUDE) as keyboard:
        sent = await send(keyboard, "hello", timeout_s=3)

        assert sent.became is Became.TYPED
        assert "asks for an approval since then, so Enter was not pressed" in sent.evidence
        assert "Do you want to proceed?" in await keyboard.screen()


async def test_without_submit_the_text_is_left_at_the_cursor(interface: Interface) -> None:
    async with interface("paste") as keyboard:
        sent = await send(keyboard, "not yet", submit=False)

        assert (sent.became, sent.evidence) == (Became.TYPED, "it stands at the cursor")
        assert "❯ not yet" in await keyboard.screen()


async def test_a_program_that_ends_after_it_has_taken_it(interface: Interface) -> None:
    async with interface("ends") as keyboard:
        sent = await send(keyboard, "bye")

        assert sent.became is Became.SUBMITTED


async def test_a_program_that_ends_over_the_text_leaves_it_unknown(interface: Interface) -> None:
    async with interface("quits") as keyboard:
        sent = await send(keyboard, "bye")

        assert (sent.became, sent.bytes) == (Became.UNKNOWN, 3)
        assert "ended before Enter" in sent.evidence


async def test_a_shell_that_runs_a_silent_command_has_taken_it(interface: Interface) -> None:
    async with interface("paste", "runs") as keyboard:
        sent = await send(keyboard, "sleep 1000")

        assert (sent.became, sent.evidence) == (
            Became.SUBMITTED,
            "it has given the terminal to what it runs",
        )
        assert "❯ sleep 1000" in await keyboard.screen()


async def test_a_program_that_reads_lines_has_read_one(interface: Interface) -> None:
    async with interface("line", until="ready") as keyboard:
        sent = await send(keyboard, "two\nlines")

        assert (sent.became, sent.evidence) == (Became.SUBMITTED, "it has read the line")
        await keyboard.shows("got 'lines\\n'")


async def test_a_line_that_is_not_submitted_stands_unfinished(interface: Interface) -> None:
    async with interface("line", until="ready") as keyboard:
        sent = await send(keyboard, "half", submit=False)

        assert sent.became is Became.TYPED
        assert "unfinished" in sent.evidence


async def test_the_turn_of_a_person_who_comes_in_between_is_kept(interface: Interface) -> None:
    async with interface("paste", manifest=replace(CLAUDE, submit_delay_s=1.0)) as keyboard:
        viewer = Viewer("ann", Size())
        attachment = await Attachment.open(keyboard.session.ref.directory, viewer)

        async def person() -> None:
            await keyboard.shows("❯ hello")
            await attachment.type(b" and")

        sent, _ = await asyncio.gather(send(keyboard, "hello"), person())
        await attachment.close()

        assert sent.became is Became.TYPED
        assert "Enter was not pressed" in sent.evidence
        assert "ann" in sent.evidence


async def test_keys_go_in_one_after_the_other(interface: Interface) -> None:
    async with interface("keys", until="ready") as keyboard:
        sent = await keyboard.typist.press(["C-a", "Up", "Esc", "x", "é"], 20)

        assert (sent.became, sent.evidence) == (Became.TYPED, "it has read the keys")
        screen = await keyboard.shows("c3 a9")
        read = screen.splitlines()[1:]
        assert " ".join(read).split() == ["01", "1b", "5b", "41", "1b", "78", "c3", "a9"]
        assert not any("1b 78" in line for line in read), "Esc and x were read as Alt-x"


async def test_arrow_keys_follow_the_mode_of_the_program(interface: Interface) -> None:
    async with interface("keys", "application", until="ready") as keyboard:
        await keyboard.typist.press(["Up"], 20)

        await keyboard.shows("1b 4f 41")


async def test_keys_for_a_program_that_does_not_read_are_unknown(interface: Interface) -> None:
    async with interface("deaf") as keyboard:
        sent = await keyboard.typist.press(["a", "b"], 0.3)

        assert sent.became is Became.UNKNOWN
        assert "1 of 2 keys" in sent.evidence


async def test_an_unknown_key_is_refused_before_any_is_pressed(interface: Interface) -> None:
    async with interface("keys", until="ready") as keyboard:
        with pytest.raises(UnknownKey):
            await keyboard.typist.press(["a", "Entr"], 20)

        await keyboard.typist.press(["b"], 20)
        assert (await keyboard.shows("62")).splitlines()[1] == "62"
