# ruff: noqa: UP031, SIM105, SIM115, PLW0108
"""A scripted agent program: each argument is a step, carried out in order; then it exits 0.

Runs under `python -I -S`, so it imports little and starts fast. Output is unbuffered. Steps (`name:value`):

    print:TEXT err:TEXT     a line on stdout / stderr            bytes:N  N bytes of 64 KiB lines
    line:N                  one line of N bytes                  raw:HEX  these bytes
    mixed:N                 N numbered lines, alternating between stdout and stderr
    ignore-term ignore-int  ignore the signal                    say-term say-int  print it, and go on
    start-child             a child that holds stdout, sleeps    setsid-child  one in its own session
    daemon-child            double-forked, in its own session    group-child   in its own process group
    stopped-child           one that has stopped itself          quiet-child   one without our stdout
                            (each prints `child PID`; all ignore SIGTERM, SIGINT and SIGHUP)
    polite-child            a child that ends at SIGTERM
    cat digest              copy stdin to stdout / print its length and sha256
    fds env:NAME cwd pid    print the open files / a variable / the directory / the pid
    await:FIFO              block until somebody opens this FIFO for writing
    close-output            close stdout and stderr              memory:MIB  touch so much memory
    hold:MIB                have that much in use from then on
    tty winsize             print /dev/tty with its groups and session / its size as ROWSxCOLUMNS
    raw-mode cbreak no-echo settings of the terminal on stdin   say-winch  print the size at SIGWINCH
    keys                    print each read in hexadecimal      read:N     N bytes, then as digest
    ask:HEX                 write these bytes, print the reply  close-tty open-tty  all three files
    flood:N                 N bytes of which each 64 KiB are one line of their own number
    sleep                   until killed
    exit:N die:N            exit with N / kill itself with signal N
"""

import os
import signal
import sys
import time

HELD = []


def out(text):
    os.write(1, (text + "\n").encode("utf-8", "surrogateescape"))


def everything(fd, data):
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


WINDOWS = os.name == "nt"
DETACHED, NEW_GROUP = 0x8, 0x200


def forever():
    while True:
        time.sleep(3600) if WINDOWS else signal.pause()


def stubborn():
    for name in ("SIGTERM", "SIGINT", "SIGHUP", "SIGBREAK"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)


def child(prepare=lambda: None, double=False, polite=False):
    """Fork one that prints its pid once it is ready, and return when it has."""
    if WINDOWS:
        windows_child(prepare, double)
        return
    read, write = os.pipe()
    if os.fork() == 0:
        if double:
            os.setsid()
            if os.fork():
                os._exit(0)
        prepare()
        if not polite:
            stubborn()
        os.write(write, b"%d" % os.getpid())
        os.close(write)
        os.close(read)
        if prepare is stop_self:
            os.kill(os.getpid(), signal.SIGSTOP)
        forever()
    os.close(write)
    out("child " + os.read(read, 20).decode())
    os.close(read)
    if double:
        os.wait()


def windows_child(prepare, double):
    import subprocess

    flags = {session: DETACHED, group: NEW_GROUP}.get(prepare, 0)
    words = [sys.executable, "-I", "-S", __file__, "between" if double else "be-child"]
    output = subprocess.DEVNULL if prepare is detach_output else None
    made = subprocess.Popen(words, creationflags=flags, stdout=output, stderr=subprocess.PIPE)
    out("child " + made.stderr.readline().decode().strip())


def be_child():
    """On Windows: say that we are ready where our parent listens, which closes that."""
    stubborn()
    os.write(2, b"%d\n" % os.getpid())
    os.close(2)
    forever()


def between():
    import subprocess

    words = [sys.executable, "-I", "-S", __file__, "be-child"]
    subprocess.Popen(words, creationflags=DETACHED, stdout=1, stderr=2)
    os._exit(0)


def session():
    os.setsid()


def group():
    os.setpgid(0, 0)


def stop_self():
    pass


def detach_output():
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)


def emit(count):
    line = b"0123456789abcde\n" * 4096
    while count > 0:
        everything(1, line[: min(count, len(line))])
        count -= len(line)


def mixed(count):
    for number in range(count):
        os.write(1 + number % 2, b"%d\n" % number)


def cat():
    while data := os.read(0, 65536):
        everything(1, data)


def digest():
    import hashlib

    total, seen = 0, hashlib.sha256()
    while data := os.read(0, 1 << 20):
        total += len(data)
        seen.update(data)
    out("%d %s" % (total, seen.hexdigest()))


def wait_for(path):
    """A FIFO; on Windows a file that somebody makes, as there are none."""
    while WINDOWS and not (os.path.exists(path) and os.path.getsize(path)):
        time.sleep(0.01)
    open(path).read()


def console_mode(clear, add=0):
    """On Windows: flags of the console's input."""
    import ctypes

    kernel, mode = ctypes.WinDLL("kernel32"), ctypes.c_ulong()
    handle = ctypes.c_void_p(kernel.GetStdHandle(-10))
    kernel.GetConsoleMode(handle, ctypes.byref(mode))
    kernel.SetConsoleMode(handle, mode.value & ~clear | add)


PROCESSED, LINE, ECHO, VT_INPUT = 1, 2, 4, 0x200


def touch_memory(mib):
    held = []
    for _ in range(mib):
        held.append(bytearray(os.urandom(4096) * 256))
    out("touched")


def look_at_tty():
    fd = os.open("/dev/tty", os.O_RDWR)
    own = (os.getpgrp(), os.getsid(0), os.tcgetpgrp(fd))
    out("tty %s %s" % (os.ttyname(0), " ".join("own" if group == os.getpid() else "other" for group in own)))
    os.close(fd)


def winsize():
    size = os.get_terminal_size(0)
    return "%dx%d" % (size.lines, size.columns)


def set_tty(*off):
    """Clear these flags: (index in the attributes, flag)."""
    if WINDOWS:
        raw = (PROCESSED | LINE | ECHO, VT_INPUT) if len(off) > 1 else (ECHO,)
        console_mode(*raw)
        return
    import termios

    mode = termios.tcgetattr(0)
    for index, name in off:
        mode[index] &= ~getattr(termios, name)
    termios.tcsetattr(0, termios.TCSANOW, mode)


INPUT, OUTPUT, LOCAL = 0, 1, 3
CBREAK = [(LOCAL, "ICANON"), (LOCAL, "ECHO")]
RAW = [
    *[(INPUT, name) for name in ("IGNBRK", "BRKINT", "PARMRK", "ISTRIP", "INLCR", "IGNCR", "ICRNL", "IXON")],
    *[(OUTPUT, "OPOST"), (LOCAL, "ECHONL"), (LOCAL, "ISIG"), (LOCAL, "IEXTEN"), *CBREAK],
]


def keys():
    while data := os.read(0, 65536):
        out("keys " + data.hex())
    out("eof")


def read_exactly(count):
    import hashlib

    seen, left = hashlib.sha256(), count
    while left and (data := os.read(0, min(left, 1 << 20))):
        seen.update(data)
        left -= len(data)
    out("%d %s" % (count - left, seen.hexdigest()))


def ask(question):
    """Print what comes back until nothing has come for 0.3 s, or for 5 s if nothing comes at all."""
    import select

    everything(1, question)
    answer, patience = b"", 5
    while select.select([0], [], [], patience)[0]:
        answer, patience = answer + os.read(0, 65536), 0.3
    out("answer " + answer.hex())


def open_tty():
    fd = os.open("/dev/tty", os.O_RDWR)
    for target in range(3):
        os.dup2(fd, target)


def flood(count):
    number = 0
    while count > 0:
        line = (b"%d:" % number).ljust(65534, b"x") + b"\r\n"
        everything(1, line[: min(count, len(line))])
        count, number = count - len(line), number + 1


def list_fds():
    for name in sorted(os.listdir("/proc/self/fd"), key=int):
        try:
            out(name + " " + os.readlink("/proc/self/fd/" + name))
        except OSError:
            pass  # the listing's own


def die(number):
    signal.signal(number, signal.SIG_DFL) if number not in (signal.SIGKILL, signal.SIGSTOP) else None
    os.kill(os.getpid(), number)
    time.sleep(60)


STEPS = {
    "print": lambda value: out(value),
    "err": lambda value: os.write(2, (value + "\n").encode()),
    "bytes": lambda value: emit(int(value)),
    "line": lambda value: everything(1, b"x" * (int(value) - 1) + b"\n"),
    "raw": lambda value: everything(1, bytes.fromhex(value)),
    "mixed": lambda value: mixed(int(value)),
    "ignore-term": lambda _: signal.signal(signal.SIGTERM, signal.SIG_IGN),
    "ignore-int": lambda _: signal.signal(signal.SIGINT, signal.SIG_IGN),
    "say-term": lambda _: signal.signal(signal.SIGTERM, lambda *_: out("term")),
    "say-int": lambda _: signal.signal(signal.SIGINT, lambda *_: out("int")),
    "say-cont": lambda _: signal.signal(signal.SIGCONT, lambda *_: out("cont")),
    "start-child": lambda _: child(),
    "polite-child": lambda _: child(polite=True),
    "setsid-child": lambda _: child(session),
    "daemon-child": lambda _: child(double=True),
    "group-child": lambda _: child(group),
    "be-child": lambda _: be_child(),
    "between": lambda _: between(),
    "stopped-child": lambda _: child(stop_self),
    "quiet-child": lambda _: child(detach_output),
    "cat": lambda _: cat(),
    "digest": lambda _: digest(),
    "fds": lambda _: list_fds(),
    "env": lambda value: out(value + "=" + os.environ.get(value, "(unset)")),
    "environ": lambda _: out(",".join(sorted(os.environ))),
    "cwd": lambda _: out(os.getcwd()),
    "pid": lambda _: out("pid %d" % os.getpid()),
    "mask": lambda _: out("umask %o" % os.umask(0)),
    "signals": lambda _: out(open("/proc/self/status").read()),
    "await": lambda value: wait_for(value),
    "close-input": lambda _: os.close(0),
    "close-output": lambda _: (os.close(1), os.close(2)),
    "memory": lambda value: touch_memory(int(value)),
    "hold": lambda value: HELD.append(b"x" * (int(value) << 20)),
    "tty": lambda _: look_at_tty(),
    "winsize": lambda _: out("size " + winsize()),
    "raw-mode": lambda _: set_tty(*RAW),
    "cbreak": lambda _: set_tty(*CBREAK),
    "no-echo": lambda _: set_tty((LOCAL, "ECHO")),
    "say-winch": lambda _: signal.signal(signal.SIGWINCH, lambda *_: out("winch " + winsize())),
    "keys": lambda _: keys(),
    "read": lambda value: read_exactly(int(value)),
    "ask": lambda value: ask(bytes.fromhex(value)),
    "close-tty": lambda _: [os.close(fd) for fd in range(3)],
    "open-tty": lambda _: open_tty(),
    "flood": lambda value: flood(int(value)),
    "sleep": lambda _: forever(),
    "exit": lambda value: os._exit(int(value)),
    "die": lambda value: die(int(value)),
}

if __name__ == "__main__":
    for step in sys.argv[1:]:
        name, _, value = step.partition(":")
        STEPS[name](value)
