# ruff: noqa: PLW0603, UP031
"""A scripted program with a full-screen interface; it looks like claude where a manifest reads it.

Runs under `python -I -S`. What was submitted stands above its input as `got MESSAGE` (as Python writes
it, a long one as its length and CRC), and a paste of many lines as `[Pasted text]`. Its behaviour:

    paste         asks for bracketed paste               await:FIFO  shows nothing until that is opened
    swallow       ignores the first Enter                deaf        never reads
    blind         never shows what was typed             busy        says that it is busy from the start
    works         says that it is busy after a message   ends        exits after a message
    quits         exits as soon as it has a text
    menu          asks for an approval from the start    menu-after  asks for one as soon as it has a text
    answers       takes a key on it and shows which      stubborn    goes on asking all the same
    moved         has the mark on the second answer      stops       ends its turn at an Esc
    runs          runs a message silently, line editor on, as a shell does
    keys          shows all input as hex, submits none   application cursor keys in application mode
    line          reads lines, line editor on            hidden      reads one line without echo
"""

import os
import re
import select
import sys
import termios
import tty
import zlib

words = sys.argv[1:]
got = []
settings = []
typed = ""
asking = "menu" in words
busy = "busy" in words
swallow = "swallow" in words


def out(text):
    data = text.encode("utf-8", "surrogateescape")
    while data:
        data = data[os.write(1, data) :]


def said(message):
    if len(message) > 200:
        return "%d characters %d" % (len(message), zlib.crc32(message.encode()))
    return ascii(message)


def paint():
    title = "⠐ Claude Code" if busy else "✳ Claude Code"
    shown = "" if "blind" in words else typed.replace("\n", "\r\n  ")
    if typed.count("\n") > 9:
        shown = "[Pasted text #1 +%d lines]" % typed.count("\n")
    rows = ["got " + said(message) for message in got] + ["─" * 40]
    if asking:
        first, second = "❯ "[:: -1 if "moved" in words else 1]
        rows += [" Bash command", "   touch made", " Do you want to proceed?"]
        rows += [" %s 1. Yes" % first, " %s 2. No" % second, "", " Esc to cancel"]
    head = "\x1b]0;" + title + "\x07\x1b[H\x1b[2J" + "\r\n".join(rows) + "\r\n"
    if asking:
        out(head)
    else:  # the input's lower edge, then back up to where the cursor stands
        out(head + "❯ \x1b7" + shown + "\r\n" + "─" * 40 + "\r\n  footer")
        out("\x1b8" + shown)


def submit():
    global typed, busy, swallow
    if swallow:
        swallow = False
        return
    got.append(typed)
    typed = ""
    busy = busy or "works" in words
    if "ends" in words:
        paint()
        raise SystemExit(0)
    if "runs" in words:
        termios.tcsetattr(0, termios.TCSADRAIN, settings)
        os.read(os.pipe()[0], 1)


def take(text):
    """Outside of a paste an Enter submits, as it does in one that was not asked for."""
    global typed, asking
    inside = False
    for piece in re.split("(\x1b\\[20[01]~|\r)", text):
        if piece in ("\x1b[200~", "\x1b[201~"):
            inside = piece == "\x1b[200~"
        elif piece == "\r" and not inside:
            submit()
        else:
            typed += piece.replace("\r", "\n")
    if "quits" in words and typed:
        raise SystemExit(0)
    if "menu-after" in words and typed:
        asking = True


def show_keys():
    out("\x1b[?1h" if "application" in words else "")
    out("ready\r\n")
    while True:
        data = os.read(0, 4096)
        if data == b"\x1b" and select.select([0], [], [], 0.4)[0]:
            data += os.read(0, 4096)  # as many programs wait for the rest of a sequence
        out(data.hex(" ") + "\r\n")


def lines():
    if "hidden" in words:
        hidden = termios.tcgetattr(0)
        hidden[3] &= ~termios.ECHO
        termios.tcsetattr(0, termios.TCSANOW, hidden)
        out("Password: ")
    out("ready\r\n")
    while True:
        out("got " + ascii(os.read(0, 4096).decode()) + "\r\n")


def main():
    global asking, busy
    for word in words:
        if word.startswith("await:"):
            os.close(os.open(word[6:], os.O_RDONLY))
    if "line" in words or "hidden" in words:
        lines()
    settings[:] = termios.tcgetattr(0)
    tty.setraw(0)
    if "keys" in words:
        show_keys()
    out("\x1b[?2004h" if "paste" in words else "")
    paint()
    rest = b""
    while "deaf" not in words:
        rest += os.read(0, 65536)
        while rest.rfind(b"\x1b[200~") > rest.rfind(b"\x1b[201~"):
            rest += os.read(0, 65536)
        if asking and "answers" in words:
            got.append("key " + rest.hex())
            asking = "stubborn" in words
        elif rest == b"\x1b" and "stops" in words:
            busy = False
        else:
            take(rest.decode())
        rest = b""
        paint()
    os.read(os.pipe()[0], 1)


main()
