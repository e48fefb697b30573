"""A window that is held says how its agent has ended until somebody who has read that presses Enter."""

from __future__ import annotations

import os
import pty
import subprocess
import sys

WINDOW = """
import fcntl, os, sys, termios
from orchestrator.cli.windowing import wait_for_enter
go, tell = map(int, sys.argv[1:])
os.read(go, 1)
wait_for_enter("exit 7")
os.read(go, 1)
os.write(tell, fcntl.ioctl(0, termios.FIONREAD, bytes(4)))
"""


def read_until(fd: int, words: bytes) -> None:
    seen = b""
    while words not in seen:
        seen += os.read(fd, 4096)


def test_what_was_typed_before_the_verdict_does_not_close_the_window() -> None:
    terminal, slave = pty.openpty()
    (go, say_go), (told, tell) = os.pipe(), os.pipe()
    window = subprocess.Popen(
        [sys.executable, "-I", "-c", WINDOW, str(go), str(tell)],
        stdin=slave, stdout=slave, pass_fds=(go, tell),
    )  # fmt: skip
    try:
        os.write(terminal, b"early\n")
        read_until(terminal, b"early\r\n")
        os.write(say_go, b"1")
        read_until(terminal, b"exit 7 - Enter closes")
        os.write(terminal, b"late\n")
        read_until(terminal, b"late\r\n")
        os.write(say_go, b"2")
        assert int.from_bytes(os.read(told, 4), sys.byteorder) == 0, "it has waited for what came late"
    finally:
        window.kill()
        window.wait()
        for fd in (terminal, slave, go, say_go, told, tell):
            os.close(fd)
