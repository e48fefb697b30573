"""What runs in a window in tests: says over a socket what it finds there, and does what it is told.

    window_program.py SOCKET NAME ARGUMENT...

Sends one line of JSON at its start, one when it gets a signal, and ends with the number that it is sent.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import sys
import time


def facts(name: str) -> dict[str, object]:
    controlling = os.open("/dev/tty", os.O_RDWR)
    deadline = time.monotonic() + 2
    while 0 in (size := os.get_terminal_size(0)) and time.monotonic() < deadline:
        time.sleep(0.01)  # qterminal's has none at first, and no signal tells when it has
    return {
        "name": name,
        "pid": os.getpid(),
        "tty": os.ttyname(0),
        "leads": os.getsid(0) == os.getpid() and os.tcgetpgrp(controlling) == os.getpgrp(),
        "size": [size.lines, size.columns],
        "argv": sys.argv[3:],
        "env": dict(os.environ),
        "cwd": os.getcwd(),
    }


def main() -> None:
    path, name = sys.argv[1:3]
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    for number in (signal.SIGHUP, signal.SIGTERM):  # foot sends the second when its window is closed
        signal.signal(number, lambda *_: None)
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(path)
        os.write(1, f"\033]2;{name}\007hello from {name} on {os.ttyname(0)}\r\n".encode())
        line.sendall(json.dumps(facts(name)).encode() + b"\n")
        ready, _, _ = select.select([woken, line], [], [])
        if woken in ready:
            line.sendall(b'{"signal": %d}\n' % os.read(woken, 1)[0])
            sys.exit(129)
        sys.exit(int(line.recv(100) or b"3"))


main()
