"""A terminal without a screen: opens a PTY and runs a command in it, as terminals do.

    pty_terminal.py [--exit CODE | --never | --gate FIFO] COMMAND…

In the folder that PTY_TERMINAL names it leaves, under its pid, `PID.json` (its argv, the child, the child's
terminal), `PID.shown` (every byte that came out) and the fifo `PID.keys` (what is written there is typed).
SIGTERM closes the window. `--exit` fails at once with words on stderr, `--never` runs nothing and stays.
`--gate` goes on by itself, as a terminal does that hands its windows to a server, and runs the command when
somebody has opened the fifo.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import select
import signal
import struct
import sys
import termios

ROWS, COLUMNS = 33, 111


def main(words: list[str]) -> int:
    folder = os.environ["PTY_TERMINAL"]
    place = f"{folder}/{os.getpid()}"
    if words[0] == "--exit":
        print("pty_terminal: cannot open display", file=sys.stderr)
        return int(words[1])
    if words[0] == "--never":
        _note(place, {"argv": words})
        signal.pause()
    if words[0] == "--gate":
        if os.fork():
            return 0
        os.setsid()
        place = f"{folder}/{os.getpid()}"
        _note(place, {"argv": words})
        with open(words[1], "rb"):
            words = words[2:]
    return run(place, words)


def run(place: str, words: list[str]) -> int:
    child, master = pty.fork()
    if child == 0:
        os.environ["WINDOWID"] = "4242"
        os.execvp(words[0], words)
    fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    os.mkfifo(f"{place}.keys")
    keys = os.open(f"{place}.keys", os.O_RDWR)
    shown = os.open(f"{place}.shown", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    told, tell = os.pipe()
    signal.signal(signal.SIGTERM, lambda *_: os.write(tell, b"x"))
    _note(place, {"argv": words, "child": child, "pid": os.getpid()})
    while True:
        ready, _, _ = select.select([master, keys, told], [], [])
        if told in ready:
            break
        if keys in ready:
            os.write(master, os.read(keys, 4096))
        if master in ready:
            data = b""
            with contextlib.suppress(OSError):
                data = os.read(master, 65536)
            if not data:
                break
            os.write(shown, data)
    os.close(master)
    os.waitpid(child, 0)
    _note(place, {"argv": words, "child": child, "pid": os.getpid(), "closed": True})
    return 0


def _note(place: str, facts: dict[str, object]) -> None:
    with open(f"{place}.new", "w") as file:
        json.dump(facts, file)
    os.rename(f"{place}.new", f"{place}.json")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
