"""The console that a person sits at, in a process that has one of its own; here it presses its own keys."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.needs("windows"), pytest.mark.timeout(60)]

CHILD = r"""
import asyncio, ctypes, sys, traceback
from ctypes import wintypes
from spawners._os import OwnTty, own_console, take_console

said = open(sys.argv[1], "w", encoding="utf-8", buffering=1)
TYPED = "h\xe9\U0001f600\x03\x1b[A"

def press(text):
    units = text.encode("utf-16-le")
    records = (own_console._Record * len(units))()
    for at in range(len(units)):
        key = records[at].key
        records[at].kind, key.down, key.repeated = 1, at % 2 == 0, 1
        first = at - at % 2
        key.character = units[first : first + 2].decode("utf-16-le", "surrogatepass")
    write = own_console._kernel.WriteConsoleInputW
    write.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint32, ctypes.c_void_p]
    write(own_console._opened("CONIN$"), records, len(units), ctypes.byref(wintypes.DWORD()))

async def main():
    take_console()
    tty = OwnTty.open(0)
    before = tty.size
    tty.make_raw()
    press(TYPED)
    got = b""
    while len(got) < len(TYPED.encode()):
        got += await tty.read()
    print("typed", got == TYPED.encode(), file=said)
    for piece in ("\xe9\U0001f600".encode()[:1], "\xe9\U0001f600".encode()[1:], b"x" * 20000):
        await tty.write(piece)
    resized = asyncio.Event()
    tty.on_resize(resized.set)
    own_console._kernel.SetConsoleWindowInfo.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p]
    window = (ctypes.c_short * 4)(0, 0, 59, 19)
    own_console._kernel.SetConsoleWindowInfo(tty._screen, 1, window)
    await resized.wait()
    print("resized", before != tty.size == (20, 60), file=said)
    tty.restore()
    modes = own_console._mode(tty._keys), own_console._mode(tty._screen)
    print("restored", modes == tty._before, file=said)
    print("empty", await asyncio.wait_for(asyncio.to_thread(tty._units), 20) == b"", file=said)
    tty.say(b"bye", 2.0)
    tty.close()

try:
    asyncio.run(asyncio.wait_for(main(), 40))
except BaseException:
    traceback.print_exc(file=said)
"""


def test_keys_come_as_a_terminal_sends_them_and_all_is_put_back(tmp_path: Path) -> None:
    said = tmp_path / "said"

    code = subprocess.call(
        [sys.executable, "-X", "utf8", "-c", CHILD, str(said)],
        creationflags=getattr(subprocess, "CREATE_NEW_CONSOLE"),  # noqa: B009 # of Windows' Python only
    )

    text = said.read_text("utf-8")
    assert text.split() == ["typed", "True", "resized", "True", "restored", "True", "empty", "True"], text
    assert code == 0


def test_a_new_console_is_our_child_and_has_all_that_it_is_given(tmp_path: Path) -> None:
    hard = ("a b", "q\"u'o", "%OS%", ";", "\xe9", "", "&calc")
    code = (
        "import json, os, sys; said = [sys.argv[2:], os.getcwd(), os.environ['MARK'], os.getpid()]; "
        "json.dump(said, open(sys.argv[1], 'w')); sys.exit(7)"
    )
    said = tmp_path / "said"
    child = subprocess.Popen(
        [sys.executable, "-X", "utf8", "-c", code, str(said), *hard],
        cwd=tmp_path,
        env={**os.environ, "MARK": "x;y %OS% \xe9"},
        creationflags=getattr(subprocess, "CREATE_NEW_CONSOLE"),  # noqa: B009
    )

    assert child.wait(40) == 7
    assert json.loads(said.read_text()) == [list(hard), str(tmp_path), "x;y %OS% \xe9", child.pid]


def test_what_is_no_console_is_refused() -> None:
    with pytest.raises(OSError, match="not connected to a console"), open("nul", "rb") as nothing:
        from spawners._os import OwnTty

        OwnTty.open(nothing.fileno())
